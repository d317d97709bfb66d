import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  backoffMs,
  ceilingMs,
  connectionPolicy,
  scannerPolicy,
} from "../../src/breaker/policies.ts";
import { ConfigError, loadConfig, type LoadedConfig } from "../../src/config.ts";
import { ERRORS, WARNINGS } from "../../src/config/cross_check.ts";
import { FakeSystem } from "../fakes/system.ts";

type Settings = Readonly<Record<string, string>>;

/** What becomes of settings that are given by the environment, as `section.key`. */
async function load(settings: Settings): Promise<LoadedConfig> {
  const system = new FakeSystem();
  for (const [path, value] of Object.entries(settings)) {
    system.environment.set(`PENNON_${path.toUpperCase().replaceAll(".", "_")}`, value);
  }
  return await loadConfig(system);
}

async function complaintsOf(settings: Settings) {
  try {
    return { errors: [], warnings: (await load(settings)).warnings };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { errors: error.problems, warnings: [] };
  }
}

/** Of each rule: settings that just hold, and settings that just do not, with what is said then. */
const ROWS: readonly [kind: "error" | "warning", says: string, holds: Settings, fails: Settings][] =
  [
    [
      "error",
      "tls.certificate_file without tls.key_file",
      { "tls.certificate_file": "/c", "tls.key_file": "/k" },
      { "tls.certificate_file": "/c" },
    ],
    [
      "error",
      "tls.certificate_file without tls.key_file",
      {},
      { "tls.key_file": "/k" },
    ],
    [
      "error",
      "backoff.floor: it is above backoff.base",
      { "backoff.floor": "2500ms" },
      { "backoff.floor": "5001ms" },
    ],
    [
      "error",
      "backoff.floor: it is above half of backoff.base",
      { "backoff.floor": "2500ms" },
      { "backoff.floor": "2501ms" },
    ],
    [
      "error",
      "backoff.floor: it is above half of backoff.base",
      { "backoff.floor": "50ms", "backoff.base": "100ms", "backoff.cap": "100ms" },
      { "backoff.floor": "100ms", "backoff.base": "100ms", "backoff.cap": "100ms" },
    ],
    [
      "error",
      "backoff.base: it is above backoff.cap",
      { "backoff.base": "300s" },
      { "backoff.base": "300001ms" },
    ],
    [
      "error",
      "breaker.min_open: it is above max_open",
      { "breaker.min_open": "300s" },
      { "breaker.min_open": "300001ms" },
    ],
    [
      "error",
      "scanners.min_open: it is above max_open",
      { "scanners.min_open": "6h" },
      { "scanners.min_open": "21600001ms" },
    ],
    [
      "error",
      "telemetry.otlp_headers: telemetry.otlp_endpoint is not https",
      { "telemetry.otlp_endpoint": "https://c.test", "telemetry.otlp_headers": "a=b" },
      { "telemetry.otlp_endpoint": "http://c.test", "telemetry.otlp_headers": "a=b" },
    ],
    [
      "error",
      "telemetry.otlp_headers: telemetry.otlp_endpoint is not https",
      { "telemetry.otlp_endpoint": "http://localhost:4318", "telemetry.otlp_headers": "a=b" },
      { "telemetry.otlp_endpoint": "http://10.0.0.1:4318", "telemetry.otlp_headers": "a=b" },
    ],
    [
      "warning",
      "telemetry.otlp_endpoint is not https",
      { "telemetry.otlp_endpoint": "http://127.0.0.1:4318" },
      { "telemetry.otlp_endpoint": "http://c.test:4318" },
    ],
    [
      "warning",
      "have no effect without telemetry.otlp_endpoint",
      { "telemetry.otlp_endpoint": "https://c.test", "telemetry.ca_file": "/ca" },
      { "telemetry.ca_file": "/ca" },
    ],
    [
      "warning",
      "have no effect without telemetry.otlp_endpoint",
      {},
      { "telemetry.otlp_headers": "a=b" },
    ],
    [
      "error",
      "breaker.window_failures: it is above window_size",
      { "breaker.window_failures": "10" },
      { "breaker.window_failures": "11" },
    ],
    [
      "warning",
      "tokens travel in the clear",
      { "server.url": "http://127.0.0.1" },
      { "server.url": "http://128.0.0.1" },
    ],
    [
      "warning",
      "the files of [tls] have no effect",
      { "server.url": "https://localhost", "tls.ca_file": "/ca" },
      { "server.url": "http://localhost", "tls.ca_file": "/ca" },
    ],
    [
      "warning",
      "hooks.on_outage_arguments has no effect",
      { "hooks.on_outage_arguments": "a", "hooks.on_outage": "true" },
      { "hooks.on_outage_arguments": "a" },
    ],
    [
      "warning",
      "hooks.on_security_update_arguments has no effect",
      { "hooks.on_security_update_arguments": "a", "hooks.on_security_update": "true" },
      { "hooks.on_security_update_arguments": "a" },
    ],
    [
      "warning",
      "breaker.consecutive_failures has no effect",
      { "breaker.consecutive_failures": "5" },
      { "breaker.consecutive_failures": "6" },
    ],
    [
      "warning",
      "http.connect_timeout has no effect",
      { "http.connect_timeout": "30s" },
      { "http.connect_timeout": "30001ms" },
    ],
    [
      "warning",
      "http.health_timeout is above http.timeout",
      { "http.timeout": "5s", "http.connect_timeout": "1s" },
      { "http.timeout": "4999ms", "http.connect_timeout": "1s" },
    ],
    [
      "warning",
      "http.health_timeout has no effect in a probe",
      { "breaker.probe_timeout": "10s" },
      { "breaker.probe_timeout": "9999ms" },
    ],
    [
      "warning",
      "rapid polling is no faster",
      {
        "polling.rapid_interval": "9999ms",
        "polling.interval": "10s",
        "polling.start_spread": "0s",
      },
      { "polling.rapid_interval": "10s", "polling.interval": "10s", "polling.start_spread": "0s" },
    ],
    [
      "warning",
      "a start delays the first check-in",
      { "polling.start_spread": "5m" },
      { "polling.start_spread": "300001ms" },
    ],
  ];

for (const [kind, says, holds, fails] of ROWS) {
  Deno.test(`crossCheck() reports its ${kind} past the boundary of ${JSON.stringify(fails)}`, async () => {
    assertEquals(await complaintsOf(holds), { errors: [], warnings: [] });
    const { errors, warnings } = await complaintsOf(fails);
    const [told, others] = kind === "error" ? [errors, warnings] : [warnings, errors];
    assertEquals([told.length, others.length], [1, 0], JSON.stringify({ errors, warnings }));
    assert(told[0]?.includes(says), told[0]);
  });
}

Deno.test("every rule has a row on both sides of its boundary", () => {
  assertEquals(new Set(ROWS.map(([, says]) => says)).size, ERRORS.length + WARNINGS.length);
});

Deno.test("crossCheck() names each pattern of scanners.ignore that cannot match", async () => {
  const good = { "scanners.ignore": "apt:linux-*, APT:tool, tool:i386" };
  assertEquals(await complaintsOf(good), { errors: [], warnings: [] });
  const { errors, warnings } = await complaintsOf({ "scanners.ignore": "apt:linux-*, apt:, dnf:" });
  assertEquals([errors.length, warnings], [2, []]);
  for (const [at, pattern] of ["apt:", "dnf:"].entries()) {
    const says = `Cannot use "${pattern}" in scanners.ignore: no name follows the colon. Next: `;
    assert(errors[at]?.includes(says), errors[at]);
  }
});

Deno.test("crossCheck() has no complaint about the defaults", async () => {
  assertEquals(await complaintsOf({}), { errors: [], warnings: [] });
});

Deno.test("file, environment and flags go through the same checks", async () => {
  const says =
    "Cannot use backoff.floor: it is above half of backoff.base, and leaves too little to chance";
  const system = new FakeSystem();
  system.files.texts.set("/etc/pennon/config.toml", '[backoff]\nfloor = "3s"\n');
  const problems = async (flags: Settings) => {
    try {
      await loadConfig(system, { flags });
      return [];
    } catch (error) {
      return error instanceof ConfigError ? error.problems : [String(error)];
    }
  };
  assertEquals(await problems({}), [says]);
  assertEquals(await problems({ "backoff.floor": "1s" }), []);
  system.environment.set("PENNON_BACKOFF_FLOOR", "1s");
  assertEquals(await problems({}), []);
  assertEquals(await problems({ "backoff.floor": "3s" }), [says]);
  system.environment.set("PENNON_BACKOFF_BASE", "1h");
  system.environment.set("PENNON_BACKOFF_CAP", "1h");
  assertEquals(await problems({ "backoff.floor": "3s" }), []);
});

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

/** Lengths of time within a setting's range; where boundaries are, and between. */
function lengths(shortestMs: number, longestMs: number): fc.Arbitrary<number> {
  const usual = [
    100,
    500,
    SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    60 * SECOND,
    HOUR,
    24 * HOUR,
  ];
  return fc.oneof(
    fc.constantFrom(...usual.filter((ms) => ms >= shortestMs && ms <= longestMs)),
    fc.integer({ min: shortestMs, max: longestMs }),
  );
}

Deno.test("waits are random in every configuration that is accepted", async () => {
  const settings = fc.record({
    "backoff.base": lengths(100, HOUR),
    "backoff.cap": lengths(100, 24 * HOUR),
    "backoff.floor": lengths(10, HOUR),
    "breaker.min_open": lengths(SECOND, HOUR),
    "breaker.max_open": lengths(SECOND, 24 * HOUR),
    "scanners.min_open": lengths(SECOND, 24 * HOUR),
    "scanners.max_open": lengths(SECOND, 168 * HOUR),
  });
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(settings, fc.integer({ min: 1, max: 60 }), async (drawn, failures) => {
      const written = Object.entries(drawn).map(([path, ms]) => [path, `${ms}ms`]);
      let loaded;
      try {
        loaded = await load(Object.fromEntries(written));
      } catch (error) {
        if (error instanceof ConfigError) return;
        throw error;
      }
      accepted += 1;
      const { backoff, breaker, scanners } = loaded.config;
      const width = (draw: (random: () => number) => number) => draw(() => 1) - draw(() => 0);
      const isHalf = (widthMs: number, longestMs: number, what: string) =>
        assert(widthMs >= longestMs / 2 - 1e-6, `${what}: ${widthMs} of ${longestMs}`);
      // At the cap and before it, and where a host that is offline has a lower one.
      for (const capMs of [backoff.capMs, Math.min(backoff.capMs, 30_000)]) {
        const policy = { ...backoff, capMs };
        const longestMs = ceilingMs(failures, policy);
        isHalf(width((random) => backoffMs(failures, policy, random)), longestMs, "backoff");
        assert(backoffMs(failures, policy, () => 1) <= capMs);
      }
      const connection = connectionPolicy(breaker, backoff);
      const standing = { failures, trips: failures };
      const openMs = (random: () => number) => connection.openMs(standing, random);
      isHalf(width(openMs), openMs(() => 1), "breaker");
      assert(openMs(() => 1) <= breaker.maxOpenMs);
      // A scanner's breaker is held up by nobody else's: a fifth either way.
      const scanMs = (random: () => number) => scannerPolicy(scanners).openMs(standing, random);
      assert(width(scanMs) >= scanMs(() => 0.5) * 0.4 - 1e-6);
    }),
    { numRuns: 3_000 },
  );
  assert(accepted > 100, `only ${accepted} were accepted`);
});
