import { assertEquals } from "@std/assert";
import { assemble, type Config, crossCheck } from "../../src/config/assemble.ts";

type Changes = { readonly [Part in keyof Config]?: Partial<Config[Part]> };

/** The defaults, with some values changed. */
function config(changes: Changes = {}): Config {
  const usual = assemble(({ fallback }) => fallback);
  return {
    ...usual,
    server: { ...usual.server, ...changes.server },
    tls: { ...usual.tls, ...changes.tls },
    backoff: { ...usual.backoff, ...changes.backoff },
    breaker: { ...usual.breaker, ...changes.breaker },
    scanners: { ...usual.scanners, ...changes.scanners },
  };
}

Deno.test("assemble() puts every setting in a place of its own", () => {
  const assembled = assemble(({ path }) => path);
  const places = Object.values(assembled).flatMap((part) => Object.values(part));
  assertEquals(new Set(places).size, places.length);
  assertEquals(assembled.http.timeoutMs as unknown, "http.timeout");
  assertEquals(assembled.scanners.minOpenMs as unknown, "scanners.min_open");
  assertEquals(assembled.breaker.minOpenMs as unknown, "breaker.min_open");
});

Deno.test("crossCheck() finds nothing wrong with the defaults", () => {
  assertEquals(crossCheck(config()), { errors: [], warnings: [] });
});

Deno.test("crossCheck() allows two bounds to be equal, and refuses them crossed", () => {
  const rows: [equal: Changes, crossed: Changes, error: string][] = [
    [
      { backoff: { floorMs: 5_000, baseMs: 5_000 } },
      { backoff: { floorMs: 5_001, baseMs: 5_000 } },
      "Cannot use backoff.floor: it is above backoff.base",
    ],
    [
      { backoff: { baseMs: 300_000, capMs: 300_000 } },
      { backoff: { baseMs: 300_001, capMs: 300_000 } },
      "Cannot use backoff.base: it is above backoff.cap",
    ],
    [
      { breaker: { minOpenMs: 300_000, maxOpenMs: 300_000 } },
      { breaker: { minOpenMs: 300_001, maxOpenMs: 300_000 } },
      "Cannot use breaker.min_open: it is above max_open",
    ],
    [
      { scanners: { minOpenMs: 900_000, maxOpenMs: 900_000 } },
      { scanners: { minOpenMs: 900_001, maxOpenMs: 900_000 } },
      "Cannot use scanners.min_open: it is above max_open",
    ],
    [
      { breaker: { windowFailures: 10, windowSize: 10 } },
      { breaker: { windowFailures: 11, windowSize: 10 } },
      "Cannot use breaker.window_failures: it is above window_size",
    ],
  ];
  for (const [equal, crossed, error] of rows) {
    assertEquals(crossCheck(config(equal)).errors, [], error);
    assertEquals(crossCheck(config(crossed)).errors, [error]);
  }
});

Deno.test("crossCheck() wants a certificate and its key together", () => {
  const errors = (certificateFile: string | null, keyFile: string | null) =>
    crossCheck(config({ tls: { certificateFile, keyFile } })).errors.length;
  assertEquals([errors("/c", "/k"), errors("/c", null), errors(null, "/k")], [0, 1, 1]);
});

Deno.test("crossCheck() takes loopback for this host, and nothing that only looks like it", () => {
  const warnings = (url: string) => crossCheck(config({ server: { url } })).warnings.length;
  for (const host of ["localhost", "127.0.0.1", "127.255.0.9:8080", "[::1]:8080"]) {
    assertEquals(warnings(`http://${host}`), 0, host);
  }
  const others = ["127.0.0.1.evil.test", "128.0.0.1", "localhost.evil.test", "[::2]"];
  for (const host of others) {
    assertEquals(warnings(`http://${host}`), 1, host);
    assertEquals(warnings(`https://${host}`), 0, host);
  }
});
