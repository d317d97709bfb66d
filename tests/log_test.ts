import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { createLog, type LogFormat, type LogLevel, LONGEST_LINE } from "../src/log.ts";

function logTo(options: { level?: LogLevel; format?: LogFormat; secrets?: string[] } = {}) {
  const lines: string[] = [];
  const log = createLog((line) => lines.push(line), () => 0, {
    level: options.level ?? "debug",
    format: options.format ?? "text",
    secrets: () => options.secrets ?? [],
  });
  return { log, lines };
}

Deno.test("createLog() writes a line an event, in text", () => {
  const { log, lines } = logTo();
  log.warning("connection breaker opened", { why: "connection refused", open_for_s: 45.5 });
  log.info("started");
  assertEquals(lines, [
    '1970-01-01T00:00:00.000Z WARNING connection breaker opened why="connection refused" open_for_s=45.5',
    "1970-01-01T00:00:00.000Z INFO started",
  ]);
});

Deno.test("createLog() writes a line an event, in JSON", () => {
  const { log, lines } = logTo({ format: "json" });
  log.error("failed", { why: 'a "b"\nc', attempts: 3, offline: false, status: null });
  assertEquals(lines.map((line) => JSON.parse(line)), [{
    time: "1970-01-01T00:00:00.000Z",
    level: "error",
    message: "failed",
    why: 'a "b"\nc',
    attempts: 3,
    offline: false,
    status: null,
  }]);
});

Deno.test("createLog() tells nothing below its level", () => {
  const { log, lines } = logTo({ level: "warning" });
  log.debug("a");
  log.info("b");
  log.warning("c");
  log.error("d");
  assertEquals(lines.length, 2);
});

Deno.test("createLog() takes braces in a message and its fields as they are", () => {
  const { log, lines } = logTo();
  log.info("a {b} c", { why: "{d}" });
  assertEquals(lines, ['1970-01-01T00:00:00.000Z INFO a {b} c why="{d}"']);
});

Deno.test("createLog() bounds a line and says that it did", () => {
  const { log, lines } = logTo();
  log.info("long", { why: "x".repeat(100_000) });
  assertEquals(lines[0]?.length, LONGEST_LINE + "(cut)".length);
});

Deno.test("createLog() tells no secret, however it is dressed", () => {
  const jwt = `${btoa('{"alg":"HS256"}')}.${btoa('{"sub":"1"}').replace(/=/g, "")}.c2lnbmF0dXJl`;
  const { log, lines } = logTo({ secrets: ["known-secret-value"] });
  log.info("a", { refresh_token: "abc", authorization: "xyz", password: "pw" });
  log.info("b", { why: `Bearer opaque-thing and ${jwt}` });
  log.info("c known-secret-value", { url: "https://user:pass@server.test/a" });
  const all = lines.join("\n");
  for (const secret of ["abc", "xyz", "=pw", "opaque-thing", jwt, "known-secret-value", "pass@"]) {
    assert(!all.includes(secret), `${secret} in ${all}`);
  }
  assert(all.includes("server.test/a"));
});

Deno.test("createLog() lets no known secret and no control character through, in either format", () => {
  const secret = fc.stringMatching(/^[A-Za-z0-9._-]{8,40}$/);
  const dress = fc.string({ unit: "binary", maxLength: 30 });
  fc.assert(fc.property(secret, dress, dress, (hidden, before, after) => {
    for (const format of ["text", "json"] as const) {
      const { log, lines } = logTo({ format, secrets: [hidden] });
      log.info("told", { why: before + hidden + after });
      assert(!lines[0]?.includes(hidden));
      // deno-lint-ignore no-control-regex
      assert(!/[\u0000-\u001f\u007f-\u009f]/.test(lines[0] ?? ""));
    }
  }));
});
