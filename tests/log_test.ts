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
  const rest = `${lines[0]?.slice(0, lines[0].indexOf("x"))}`.length;
  log.info("long", { why: "x".repeat(LONGEST_LINE - rest) });
  assertEquals([lines[1]?.length, lines[1]?.endsWith("x")], [LONGEST_LINE, true]);
  log.info("long", { why: "x".repeat(LONGEST_LINE - rest + 1) });
  assertEquals(lines[2], `${lines[1]}(cut)`);
});

Deno.test("createLog() quotes a value that could be taken for more than one", () => {
  const { log, lines } = logTo();
  const rows: [value: string, written: string][] = [
    ["a.b:c/d@e+f,g~h(i)-1", "a.b:c/d@e+f,g~h(i)-1"],
    ["", '""'],
    ["a b", '"a b"'],
    ["a=b", '"a=b"'],
    [" a", '" a"'],
    ["a ", '"a "'],
    ['"', '"\\""'],
  ];
  for (const [value, written] of rows) {
    log.info("told", { value });
    assertEquals(lines.at(-1)?.split("told ")[1], `value=${written}`);
  }
});

Deno.test("createLog() hides a field by what it is called, in any case, and leaves others", () => {
  const { log, lines } = logTo({ secrets: ["1234567", "12345678"] });
  log.info("a", { Access_Token: "a", myPassword: "b", SECRET: "c", Authorization: "d", to: "e" });
  assertEquals(
    lines[0]?.split(" a ")[1],
    "Access_Token=(hidden) myPassword=(hidden) SECRET=(hidden) Authorization=(hidden) to=e",
  );
  // A text of seven characters is no secret: taking it out would make lines unreadable.
  log.info("b", { text: "1234567 and 12345678 and bearer x, Bearer y" });
  assertEquals(
    lines[1]?.split(" b ")[1],
    'text="1234567 and (hidden) and Bearer (hidden) Bearer (hidden)"',
  );
  log.info("c", { a: "http://u:p@h/ http://u@h2/ http://h3/@x" });
  assertEquals(
    lines[2]?.split(" c ")[1],
    'a="http://(hidden)@h/ http://(hidden)@h2/ http://h3/@x"',
  );
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
