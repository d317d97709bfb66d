import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import * as v from "valibot";
import { JsonFile } from "../src/json_file.ts";
import { FileError } from "../src/system/files.ts";
import { FakeFiles } from "./fakes/files.ts";

const value = v.object({
  pauseMs: v.number(),
  sinceMs: v.nullable(v.number()),
  ends: v.array(v.object({ atMs: v.number() })),
  items: v.record(v.string(), v.object({ sinceMs: v.number() })),
});

const FILE = new JsonFile({
  name: "thing.json",
  what: "the thing",
  schema: "pennon.thing/2",
  value,
  keys: { pauseMs: "pause_ms", sinceMs: "since_at", atMs: "ended_at", items: "things" },
  records: ["items"],
  earlier: { schema: "pennon.thing/1" },
});

const VALUE = {
  pauseMs: 5,
  sinceMs: 1_000,
  ends: [{ atMs: 2_000 }],
  // Names are data, even where they are keys of the file, or of JavaScript.
  items: { sinceMs: { sinceMs: 1 }, since_at: { sinceMs: 2 }, items: { sinceMs: 3 } },
};

Deno.test("write() names the schema, and writes snake_case, instants in RFC 3339 and names as they are", async () => {
  const files = new FakeFiles();
  await FILE.write(files, "/state", VALUE);
  assertEquals(files.modes.get("/state/thing.json"), 0o600);
  assertEquals(JSON.parse(files.texts.get("/state/thing.json") ?? ""), {
    schema: "pennon.thing/2",
    pause_ms: 5,
    since_at: "1970-01-01T00:00:01.000Z",
    ends: [{ ended_at: "1970-01-01T00:00:02.000Z" }],
    things: {
      sinceMs: { since_at: "1970-01-01T00:00:00.001Z" },
      since_at: { since_at: "1970-01-01T00:00:00.002Z" },
      items: { since_at: "1970-01-01T00:00:00.003Z" },
    },
  });
  assertEquals(await FILE.read(files, "/state"), VALUE);
  const faults: string[] = [];
  const read = () => FILE.read(files, "/state", (why) => faults.push(why));
  await FILE.remove(files, "/state");
  assertEquals([await read(), faults], [undefined, []]);
  files.texts.set("/state/thing.json", "{");
  assertEquals([await read(), faults], [undefined, ["it is not valid JSON"]]);
});

Deno.test("decode() returns what encode() was given, whatever it is", () => {
  const instant = fc.integer({ min: -8.64e15, max: 8.64e15 });
  const names = fc.oneof(
    fc.string(),
    fc.constantFrom("__proto__", "prototype", "constructor", "since_at"),
  );
  const values = fc.record({
    pauseMs: fc.integer(),
    sinceMs: fc.option(instant),
    ends: fc.array(fc.record({ atMs: instant })),
    items: fc.dictionary(names, fc.record({ sinceMs: instant }), { noNullPrototype: true }),
  });
  fc.assert(fc.property(values, (value) => {
    // Valibot drops these names, so that no object gets another prototype.
    for (const name of ["__proto__", "prototype", "constructor"]) delete value.items[name];
    assertEquals(FILE.decode(FILE.encode(value)), { ok: true, value });
  }));
});

Deno.test("decode() reads the form of earlier releases, and no other", () => {
  const text = (schema: string | undefined) => JSON.stringify({ schema, ...VALUE });
  assertEquals(FILE.decode(text("pennon.thing/1")), { ok: true, value: VALUE });
  for (const schema of [undefined, "pennon.thing/3", "pennon.other/1"]) {
    assertEquals(FILE.decode(text(schema)).ok, false, schema);
  }
  const unnamed = new JsonFile({
    name: "n.json",
    what: "n",
    schema: "pennon.n/1",
    value: v.object({ n: v.number() }),
    earlier: { schema: undefined, toValue: (json) => ({ n: json["number"] }) },
  });
  assertEquals(unnamed.decode('{"number":1}'), { ok: true, value: { n: 1 } });
  assertEquals(unnamed.decode('{"n":1}').ok, false);
  assertEquals(unnamed.decode('{"schema":"pennon.n/0","number":1}').ok, false);
  assertEquals(unnamed.decode(unnamed.encode({ n: 2 })), { ok: true, value: { n: 2 } });
});

Deno.test("decode() reads no value out of junk, and no instant out of what encode() does not write", () => {
  for (const text of ["", "{", "null", "[]", "1", '"x"', "{}", '{"schema":"pennon.thing/2"}']) {
    assertEquals(FILE.decode(text).ok, false, text);
  }
  const good = FILE.encode(VALUE);
  assert(FILE.decode(good).ok);
  const instant = '"since_at":"1970-01-01T00:00:01.000Z"';
  assert(good.includes(instant));
  for (
    const bad of ["1000", '"1000"', '"1 Jan 1970"', '"1970-01-01"', '"1970-99-01T00:00:00.000Z"']
  ) {
    assertEquals(FILE.decode(good.replace(instant, `"since_at":${bad}`)).ok, false, bad);
  }
});

Deno.test("an error of the disk names the file's purpose", async () => {
  const files = new FakeFiles();
  for (const purpose of ["read the thing", "save the thing", "remove the thing"]) {
    files.fail(purpose, "denied");
  }
  const wants = (purpose: string) => [FileError, `Cannot ${purpose}`] as const;
  await assertRejects(() => FILE.read(files, "/state"), ...wants("read the thing"));
  await assertRejects(() => FILE.write(files, "/state", VALUE), ...wants("save the thing"));
  await assertRejects(() => FILE.remove(files, "/state"), ...wants("remove the thing"));
});
