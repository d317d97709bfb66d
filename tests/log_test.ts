import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  createLog,
  type LogFields,
  type LogFormat,
  type LogLevel,
  LONGEST_LINE_BYTES,
  LONGEST_TEXT,
} from "../src/log.ts";
import { Secrets } from "../src/redact.ts";
import { hasControls, stripControls } from "../src/strip_controls.ts";
import { anyString } from "./fakes/texts.ts";

function logTo(options: { level?: LogLevel; format?: LogFormat; secrets?: string[] } = {}) {
  const lines: string[] = [];
  const log = createLog((line) => lines.push(line), () => 0, {
    level: options.level ?? "debug",
    format: options.format ?? "text",
    secrets: new Secrets(options.secrets),
  });
  return { log: log as AnyLog, lines };
}

/** What is tested is how a line is written, whatever its message. */
type AnyLog = Record<LogLevel, (message: string, fields?: LogFields) => void>;

Deno.test("createLog() writes one line per event, in text", () => {
  const { log, lines } = logTo();
  log.warning("connection breaker opened", { why: "connection refused", open_for_s: 45.5 });
  log.info("started");
  assertEquals(lines, [
    '1970-01-01T00:00:00.000Z WARNING connection breaker opened why="connection refused" open_for_s=45.5',
    "1970-01-01T00:00:00.000Z INFO started",
  ]);
});

Deno.test("createLog() writes one line per event, in JSON", () => {
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

Deno.test("createLog() writes the code of a message of Pennon's into JSON", () => {
  const { log, lines } = logTo({ format: "json" });
  log.warning("event refused", { why: "HTTP 400" });
  const { code, message } = JSON.parse(lines[0]!);
  assertEquals([code, message], ["delivery.event_refused", "event refused"]);
});

Deno.test("createLog() writes nothing below its level", () => {
  const { log, lines } = logTo({ level: "warning" });
  log.debug("a");
  log.info("b");
  log.warning("c");
  log.error("d");
  assertEquals(lines.length, 2);
});

Deno.test("createLog() does not interpret braces in a message or its fields", () => {
  const { log, lines } = logTo();
  log.info("a {b} c", { why: "{d}" });
  assertEquals(lines, ['1970-01-01T00:00:00.000Z INFO a {b} c why="{d}"']);
});

Deno.test("createLog() quotes a value that would look like several", () => {
  const { log, lines } = logTo();
  const rows: [value: string, written: string][] = [
    ["@a.b:c/d+f,g~h(i)-1", "@a.b:c/d+f,g~h(i)-1"],
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

Deno.test("createLog() hides a field by its name, in any case, and no other", () => {
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
    'a="http://(hidden)@h/ http://(hidden)@h2/ http://(hidden)@x"',
  );
});

Deno.test("createLog() cuts a text that is too long, and marks it", () => {
  for (const format of ["text", "json"] as const) {
    const { log, lines } = logTo({ format });
    const longest = "x".repeat(LONGEST_TEXT);
    log.info("long", { why: longest, next: 1 });
    log.info("long", { why: `${longest}y`, next: 1 });
    log.info("long", { why: `${longest.slice(1)}\ud83d\ude00`, next: 1 });
    log.info("z".repeat(100_000));
    assert(lines[0]?.includes(longest) && !lines[0].includes("(cut)"));
    assert(lines[1]?.includes(`${longest}(cut)`) && !lines[1].includes(`${longest}y`));
    assert(lines[2]?.includes(`${longest.slice(1)}(cut)`), "half a character is left");
    assert(lines[3]?.includes(`${"z".repeat(LONGEST_TEXT)}(cut)`));
    assert(/next[":=]+1/.test(lines[1] ?? ""), "what follows is still told");
  }
});

Deno.test("createLog() cuts texts further if the line would be too long, and still writes JSON", () => {
  for (const format of ["text", "json"] as const) {
    const { log, lines } = logTo({ format });
    for (const unit of ["x", '"', "\n", "é", "装", "😀"]) {
      for (let count = 1; count <= 12; count++) {
        const why = unit.repeat(LONGEST_TEXT);
        log.info(
          "long",
          Object.fromEntries(Array.from({ length: count }, (_, n) => [`why${n}`, why])),
        );
        const line = lines.at(-1) ?? "";
        assert(new TextEncoder().encode(line).length <= LONGEST_LINE_BYTES);
        assert(line.includes(`why${count - 1}`), "every field is told of");
        if (format === "json") JSON.parse(line);
      }
    }
    const many = Object.fromEntries(
      Array.from({ length: 1_000 }, (_, n) => [`a_field_with_a_name_${n}`, n]),
    );
    log.info("long", many);
    const line = lines.at(-1) ?? "";
    assert(line.length <= LONGEST_LINE_BYTES && line.length > LONGEST_LINE_BYTES - 100);
    assert(/cut[":=]+true}?$/.test(line), line.slice(-100));
  }
});

Deno.test("createLog() does not redact its own messages, whatever token a server sends", () => {
  const { log, lines } = logTo({ secrets: ["connection", "breaker opened"] });
  log.warning("connection breaker opened", { why: "a connection" });
  assertEquals(
    lines,
    ['1970-01-01T00:00:00.000Z WARNING connection breaker opened why="a (hidden)"'],
  );
});

Deno.test("createLog() hides a secret that is added after it was created", () => {
  const lines: string[] = [];
  const secrets = new Secrets(["the-first-token"]);
  const log = createLog((line) => lines.push(line), () => 0, {
    level: "debug",
    format: "text",
    secrets,
  }) as AnyLog;
  secrets.add("the-second-token");
  log.info("told", { why: "the-first-token, the-second-token" });
  assert(lines[0]?.endsWith('why="(hidden), (hidden)"'), lines[0]);
});

Deno.test("createLog() writes no secret in any form", () => {
  const jwt = `${btoa('{"alg":"HS256"}')}.${btoa('{"sub":"1"}').replace(/=/g, "")}.c2lnbmF0dXJl`;
  const { log, lines } = logTo({ secrets: ["known-secret-value"] });
  log.info("a", { refresh_token: "abc", authorization: "xyz", password: "pw" });
  log.info("b", { why: `Bearer opaque-thing and ${jwt}` });
  log.info("c", { why: "known-secret-value", url: "https://user:pass@server.test/a" });
  const all = lines.join("\n");
  for (const secret of ["abc", "xyz", "=pw", "opaque-thing", jwt, "known-secret-value", "pass@"]) {
    assert(!all.includes(secret), `${secret} in ${all}`);
  }
  assert(all.includes("server.test/a"));
});

/** A text of every part of Unicode: letters, controls, pairs, halves of pairs. */
const anyText = fc.oneof(
  anyString({ maxLength: 200 }),
  fc.string({ unit: "grapheme", maxLength: 200 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 200 })
    .map((units) => String.fromCharCode(...units)),
  fc.constantFrom(
    "\u2028",
    "\u202e",
    "\u200b",
    "\ud800",
    "\u{e0041}",
    "\x1b[2J",
    "a\r\nb",
    "x".repeat(9_000),
  ),
);

Deno.test("createLog() writes one line that is safe to show and not too long, whatever it gets", () => {
  const fields = fc.dictionary(anyText, fc.oneof(anyText, fc.double(), fc.boolean()), {
    maxKeys: 20,
  });
  fc.assert(
    fc.property(anyText, fields, (message, told) => {
      for (const format of ["text", "json"] as const) {
        const { log, lines } = logTo({ format });
        log.warning(message, told);
        assertEquals(lines.length, 1);
        const [line = ""] = lines;
        assert(!hasControls(line), JSON.stringify(line));
        assert(new TextEncoder().encode(line).length <= LONGEST_LINE_BYTES);
        if (format === "json") {
          const read = JSON.parse(line);
          for (const value of Object.values(read)) {
            assert(typeof value !== "string" || !hasControls(value, "\n\t"));
          }
        }
      }
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("createLog() writes every character with a glyph, of every script", () => {
  const { log, lines } = logTo({ format: "json" });
  const names = "Ünïcødé Ελλάδα Україна 日本語 한국어 العربية עברית हिन्दी ไทย 😀 ❤️ é Å 𝒳";
  log.info("told", { names });
  assertEquals(JSON.parse(lines[0] ?? "").names, names);
});

Deno.test("createLog() writes no known secret, whole or split by stripped characters, in either format", () => {
  const secret = fc.stringMatching(/^[A-Za-z0-9._-]{8,40}$/);
  const dress = anyString({ maxLength: 30 });
  const breaks = fc.array(
    fc.constantFrom(
      "\0",
      "\n",
      "\t",
      "\r\n",
      "\u200b",
      "\u2028",
      "\u202e",
      "\ud800",
      "\u00ad",
      "\x9b",
    ),
    { minLength: 0, maxLength: 4 },
  );
  fc.assert(
    fc.property(secret, dress, dress, breaks, fc.nat(), (hidden, before, after, at, seed) => {
      let broken = hidden;
      for (const [index, control] of at.entries()) {
        const place = 1 + (seed + index * 7) % (broken.length - 1);
        broken = broken.slice(0, place) + control + broken.slice(place);
      }
      for (const format of ["text", "json"] as const) {
        const { log, lines } = logTo({ format, secrets: [hidden] });
        log.info("told", { why: before + broken + after });
        for (const line of lines) {
          const text = format === "json" ? Object.values(JSON.parse(line)).join(" ") : line;
          assert(!stripControls(text.replaceAll(/\\[nt]/g, "")).includes(hidden), line);
        }
      }
    }),
  );
});

Deno.test("createLog() hides a token that a program has split over two lines", () => {
  const jwt = `${btoa('{"alg":"HS256"}')}.${btoa('{"sub":"1"}').replace(/=/g, "")}.c2lnbmF0dXJl`;
  const { log, lines } = logTo();
  log.info("a", { why: `token:\n${jwt.slice(0, 12)}\n${jwt.slice(12)}\nend` });
  log.info("b", { why: `Bearer\nopaque-thing` });
  log.info("c", { why: `Bearer\u200bopaque-thing` });
  log.info("d", { why: "https://user:pa\u2028ss@server.test and https://user:pa\nss@server.test" });
  log.info("e", { why: "first line\nsecond line" });
  const all = lines.join("\n");
  for (const part of [jwt.slice(12), "opaque", "pa", "ss@"]) assert(!all.includes(part), all);
  assert(lines[4]?.includes('why="first line\\nsecond line"'), lines[4]);
});

Deno.test("createLog() cuts no text to fewer than ten characters, and omits fields instead", () => {
  const { log, lines } = logTo();
  const why = "x".repeat(100);
  log.info("long", Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`why${n}`, why])));
  assert(lines[0]?.includes(` why0=${"x".repeat(10)}(cut) why1=`), lines[0]);
});
