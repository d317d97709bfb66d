import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  encodeCommand,
  frameScript,
  parseEnvelope,
} from "../../../src/scanners/powershell/powershell.ts";
import { ScanError, type ScanErrorReason } from "../../../src/scanners/scanner.ts";
import { parseWinupdate, winupdateScript } from "../../../src/scanners/winupdate/search.ts";
import { WinupdateError } from "../../../src/scanners/winupdate/failure.ts";
import { describeGaps, describeUpdates } from "../../../src/scanners/winupdate/updates.ts";
import { readFixture } from "../fixture.ts";
import { envelope } from "../powershell/stub.ts";
import { hasControls } from "../../../src/strip_controls.ts";
import { anyString } from "../../fakes/texts.ts";

/** The value in a fixture. */
function read(name: string): Record<string, unknown> {
  return JSON.parse(readFixture("winupdate", name));
}

/** The updates in a fixture. */
function itemsOf(name: string): Record<string, unknown>[] {
  return JSON.parse(readFixture("winupdate", name)).updates;
}

const REFUSED: readonly [string, unknown, ScanErrorReason][] = [
  ["nothing", undefined, "permanent"],
  ["null", null, "permanent"],
  ["a text", "no updates", "permanent"],
  ["a list", [], "permanent"],
  ["an empty object", {}, "permanent"],
  ["no list of updates", { schema: 1, resultCode: 2 }, "permanent"],
  ["null for a list", read("null.json"), "permanent"],
  ["an empty object for a list", read("empty_object.json"), "permanent"],
  ["a list without a result", { updates: [] }, "permanent"],
  ["a list of which nothing is understood", { resultCode: 2, updates: [1, {}] }, "permanent"],
  ["a list of one that is not understood", { resultCode: 2, updates: [{}] }, "permanent"],
  ["an error that has no code", { error: { message: "x" } }, "permanent"],
  ["a search that was not begun", { resultCode: 0, updates: [] }, "transient"],
  ["a search that failed", read("failed.json"), "transient"],
  ["a search that was broken off", { resultCode: 5, updates: [] }, "transient"],
  ["a search that failed and says why", {
    ...read("failed.json"),
    warnings: [{ context: 4, hresult: "0x80244019", message: "" }],
  }, "permanent"],
  ["a name that is not resolved", read("error_name.json"), "transient"],
  ["a service that is disabled", read("error_disabled.json"), "not_available"],
  ["a policy against the internet", read("error_no_internet.json"), "permanent"],
];

for (const [name, value, reason] of REFUSED) {
  Deno.test(`parseWinupdate() rejects ${name}`, () => {
    const error = assertThrows(() => parseWinupdate(value), ScanError);
    assertInstanceOf(error, ScanError);
    assertEquals(error.reason, reason, error.message);
    assert(error.message.startsWith("Cannot "), error.message);
  });
}

Deno.test("parseWinupdate() says whether a search failed or was aborted", () => {
  const words = (resultCode: number) =>
    assertThrows(() => parseWinupdate({ resultCode, updates: [] }), ScanError).message;
  assertEquals(words(5), "Cannot search for updates: the search was aborted");
  assertEquals(words(4), "Cannot search for updates: the search failed");
});

Deno.test("parseWinupdate() accepts exactly eight digits as a code", () => {
  const words = (hresult: string) =>
    assertThrows(() => parseWinupdate({ error: { hresult, message: "x" } }), ScanError).message;
  assert(words("0x80240009").startsWith("Cannot search for updates: "));
  for (const hresult of ["x0x80240009", "0x802400091", "0x8024000", "80240009", "0x8024000g"]) {
    assert(words(hresult).startsWith("Cannot read Windows Update's list: "), hresult);
  }
});

Deno.test("parseWinupdate() trims texts, and collapses white space", () => {
  const [item] = itemsOf("two.json");
  const updates = [{ ...item, title: "  A \r\n title\t" }];
  assertEquals(parseWinupdate({ resultCode: 2, updates }).updates[0]?.title, "A title");
});

Deno.test("parseWinupdate() distinguishes failures of the search from unreadable answers", () => {
  assertInstanceOf(
    assertThrows(() => parseWinupdate(read("error_name.json")), ScanError),
    WinupdateError,
  );
  assert(!(assertThrows(() => parseWinupdate({}), ScanError) instanceof WinupdateError));
});

Deno.test("parseWinupdate() names a WSUS server without the password in its address", () => {
  const error = assertThrows(() => parseWinupdate(read("error_wsus.json")), ScanError);
  assertEquals(
    error.message,
    'Cannot search for updates: the WSUS server "http://wsus.example:8530" or a proxy failed ' +
      "(HTTP 500 to 504) (0x80244022)",
  );
});

Deno.test("parseWinupdate() accepts an empty list of a successful search", () => {
  const answer = parseWinupdate(read("none.json"));
  assertEquals([answer.updates, answer.unread, answer.gaps], [[], 0, []]);
  assertEquals([answer.online, answer.reboot?.isRequired], [true, false]);
  assertEquals(answer.lastSearchMs, Date.UTC(2026, 10, 24, 3, 12, 45));
});

Deno.test("parseWinupdate() requires a restart for any flag, and names the flags", () => {
  const update = "WindowsUpdate\\Auto Update\\RebootRequired";
  const servicing = "Component Based Servicing\\RebootPending";
  const rows: [
    agent: boolean | null,
    flags: Record<string, boolean>,
    isRequired: boolean | null,
  ][] = [
    [null, {}, null],
    [false, {}, false],
    [null, { [update]: false, [servicing]: false }, false],
    [false, { [update]: false, [servicing]: true }, true],
    [false, { [update]: true, [servicing]: false }, true],
    [true, {}, true],
  ];
  for (const [rebootRequired, flags, isRequired] of rows) {
    const { reboot } = parseWinupdate({
      resultCode: 2,
      updates: [],
      rebootRequired,
      reboot: flags,
    });
    assertEquals(reboot?.isRequired ?? null, isRequired, JSON.stringify(flags));
    for (const [name, isSet] of Object.entries(flags)) {
      assertEquals(reboot?.reason.includes(name), isSet, name);
    }
  }
});

Deno.test("parseWinupdate() reads one update outside a list, and lists in objects", () => {
  const [whole] = parseWinupdate(read("two.json")).updates;
  assert(whole);
  assertEquals(parseWinupdate(read("one_object.json")).updates, [whole]);
  assertEquals(parseWinupdate(read("wrapped.json")).updates.length, 2);
});

Deno.test("parseWinupdate() accepts a search with errors, and says what is missing", () => {
  assertEquals(parseWinupdate(read("wsus_incomplete.json")).gaps, [
    "Windows Update could not search everything: the update server did not answer in time " +
    "(0x8024401C)",
  ]);
  assertEquals(parseWinupdate({ resultCode: 3, updates: [] }).gaps, [
    "Windows Update could not search everything, and does not say why",
  ]);
});

Deno.test("parseWinupdate() counts unreadable updates", () => {
  const updates = itemsOf("two.json");
  const odd = [
    { ...updates[0], id: "none" },
    { ...updates[0], revision: -1 },
    { ...updates[0], title: 5 },
    null,
  ];
  const answer = parseWinupdate({ resultCode: 2, updates: [...odd, ...updates], unread: 2 });
  assertEquals([answer.updates.length, answer.unread], [2, 6]);
});

Deno.test("parseWinupdate() reads at most 5,000 updates, and counts the rest", () => {
  const [item] = itemsOf("two.json");
  const updates = (count: number) => Array.from({ length: count }, () => item);
  const unread = (count: number) => parseWinupdate({ resultCode: 2, updates: updates(count) });
  assertEquals(unread(5_000).unread, 0);
  assertEquals([unread(5_001).updates.length, unread(5_001).unread], [5_000, 1]);
});

/** All texts of an answer, or of its failure. */
function readAll(value: unknown): string[] {
  try {
    const answer = parseWinupdate(value);
    return textsIn([describeUpdates(answer), describeGaps(answer)]);
  } catch (error) {
    assertInstanceOf(error, ScanError);
    return [error.message];
  }
}

function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}

const anyText = fc.oneof(
  anyString(),
  fc.constantFrom(
    "\x1b[2J",
    "a\nb",
    "\u202egnp",
    "\ud800",
    "CVE-2026-12345",
    "5070001",
    "0x80240438",
  ),
);

Deno.test("any JSON in the envelope is read or rejected with a ScanError", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    readAll(parseEnvelope(envelope(JSON.stringify(value))));
  }));
});

Deno.test("no change of a field throws anything but a ScanError, or returns a control character", () => {
  const names = Object.keys(itemsOf("reported.json")[0] ?? {});
  const anyValue = fc.oneof(anyText, fc.array(anyText), fc.jsonValue(), fc.integer());
  const change = fc.record({ name: fc.constantFrom(...names), value: anyValue });
  const outer = fc.record({
    name: fc.constantFrom(...Object.keys(read("reported.json")), "error"),
    value: fc.oneof(anyValue, fc.array(fc.record({ hresult: anyText, message: anyText }))),
  });
  const fixture = read("reported.json");
  const updates = itemsOf("reported.json");
  fc.assert(
    fc.property(fc.array(change), fc.option(outer, { freq: 5 }), (changes, last) => {
      const fields = Object.fromEntries(changes.map(({ name, value }) => [name, value]));
      const changed = { ...fixture, updates: updates.map((item) => ({ ...item, ...fields })) };
      const texts = readAll(last ? { ...changed, [last.name]: last.value } : changed);
      assert(texts.length > 0);
      for (const text of texts) assert(!hasControls(text), text);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("parseWinupdate() reads an update without browseOnly as one to install", () => {
  const [{ browseOnly: _, ...item } = {}] = itemsOf("two.json") as { browseOnly?: boolean }[];
  for (const update of [item, { ...item, browseOnly: null }]) {
    const { updates } = parseWinupdate({ resultCode: 2, updates: [update] });
    assertEquals(updates.map(({ browseOnly }) => browseOnly), [false]);
  }
});

/** The answer of a successful search with these fields. */
function answer(fields: Record<string, unknown>) {
  return parseWinupdate({ resultCode: 2, updates: [], ...fields });
}

/** The first update of the answer, with these fields; `undefined` if it was not read. */
function itemWith(fields: Record<string, unknown>) {
  const [item] = itemsOf("two.json");
  const updates = [{ ...item, ...fields }, item];
  const read = answer({ updates });
  return read.unread === 0 ? read.updates[0] : undefined;
}

Deno.test("parseWinupdate() reads the lists of PowerShell 5.1, at most 500 elements each", () => {
  const many = Array.from({ length: 501 }, (_, n) => `${n}`);
  const rows: readonly [unknown, string[]][] = [
    [undefined, []],
    [null, []],
    [{}, []],
    ["5070001", ["5070001"]],
    [["5070001"], ["5070001"]],
    [{ value: ["5070001", "5070002"], Count: 2 }, ["5070001", "5070002"]],
    [many, many.slice(0, 500)],
    [{ value: many, Count: 501 }, many.slice(0, 500)],
  ];
  for (const [kb, read] of rows) assertEquals(itemWith({ kb })?.kb, read);
  const id = "0fa1201d-4330-4fa8-8ae9-b877473b6441";
  for (const categories of [[{ id }], { id }, { value: [{ id }] }]) {
    assertEquals(itemWith({ categories })?.categories, [id]);
  }
  assertEquals(itemWith({ categories: { name: "Updates" } }), undefined);
});

Deno.test("parseWinupdate() accepts only a complete id and a whole revision number", () => {
  const id = "6f2c1d0e-3a57-4b65-9c7e-0d1f2a3b4c5d";
  for (const right of [id, id.toUpperCase(), `{${id}}`]) {
    assertEquals(itemWith({ id: right })?.id, right);
  }
  for (const wrong of [`x${id}`, `${id}0`, id.slice(1), id.replace("6", "g"), 7, null]) {
    assertEquals(itemWith({ id: wrong }), undefined, String(wrong));
  }
  assertEquals(itemWith({ revision: 0 })?.revision, 0);
  for (const wrong of [-1, 1.5, "1", null]) assertEquals(itemWith({ revision: wrong }), undefined);
});

Deno.test("parseWinupdate() has defaults for missing fields", () => {
  const { online, withOptional, unread, reboot, source, server, routing, lastSearchMs } = answer(
    {},
  );
  assertEquals({ online, withOptional, unread, reboot }, {
    online: true,
    withOptional: true,
    unread: 0,
    reboot: null,
  });
  assertEquals([source, server, lastSearchMs], ["", "", null]);
  const unsaid = { feature: null, quality: null, driver: null, other: null };
  assertEquals(routing, {
    gate: false,
    dualScan: false,
    policy: unsaid,
    mdm: unsaid,
    state: unsaid,
  });
  const said = answer({ online: false, optional: false, lastSearch: "yesterday" });
  assertEquals({
    online: said.online,
    withOptional: said.withOptional,
    lastSearchMs: said.lastSearchMs,
  }, { online: false, withOptional: false, lastSearchMs: null });
  const unreachable = { hresult: "0x80240438", message: "" };
  const { reason } = assertThrows(() => answer({ error: unreachable }), ScanError);
  assertEquals(reason, "transient", "no policy keeps the host from Microsoft");
});

Deno.test("parseWinupdate() adds the script's count of unreadable updates, if that is a count", () => {
  const counts = [0, 1, 2.7, -3].map((unread) => answer({ unread }).unread);
  assertEquals(counts, [0, 1, 2, 0]);
});

Deno.test("parseWinupdate() describes each error of a search once, and at most ten", () => {
  const warnings = (count: number) =>
    Array.from(
      { length: count },
      (_, n) => ({ hresult: `0x8013150${n.toString(16)}`, message: "" }),
    );
  const gaps = (count: number) => answer({ resultCode: 3, warnings: warnings(count) }).gaps;
  assertEquals([gaps(1), gaps(10), gaps(11)].map(({ length }) => length), [1, 10, 10]);
  const [one] = warnings(1);
  assertEquals(answer({ resultCode: 3, warnings: [one, one] }).gaps, gaps(1));
  assertEquals(answer({ resultCode: 2, warnings: [one] }).gaps, gaps(1));
});

Deno.test("parseWinupdate() names disabled services with valid names", () => {
  const hresult = "0x80070005";
  const isNamed = (name: string, start: string) =>
    assertThrows(
      () => answer({ error: { hresult, message: "" }, services: { [name]: { start } } }),
      ScanError,
    ).message.includes(`the service ${name} is disabled`);
  assertEquals([isNamed("BITS", "Disabled"), isNamed("BITS", "Manual"), isNamed("BITS", "")], [
    true,
    false,
    false,
  ]);
  assertEquals([isNamed("x".repeat(40), "Disabled"), isNamed("x".repeat(41), "Disabled")], [
    true,
    false,
  ]);
  for (const odd of ["BITS;", ";BITS", "B ITS"]) assertEquals(isNamed(odd, "Disabled"), false, odd);
});

Deno.test("parseWinupdate() returns at most 200 characters of a server's address", () => {
  const server = (length: number) => answer({ server: `http://${"x".repeat(length - 7)}` }).server;
  assertEquals([server(200).length, server(200).endsWith("(cut)")], [200, false]);
  assertEquals([server(201).length, server(201).endsWith("(cut)")], [200, true]);
});

Deno.test("parseWinupdate() says what requests a restart, and what does not", () => {
  const reason = (rebootRequired: boolean | null, reboot: Record<string, boolean>) =>
    answer({ rebootRequired, reboot }).reboot?.reason;
  assertEquals(reason(false, {}), "no restart is requested by the Windows Update Agent");
  assertEquals(reason(null, { a: false }), "no restart is requested by the registry");
  assertEquals(
    reason(false, { a: false }),
    "no restart is requested by the Windows Update Agent or the registry",
  );
  assertEquals(
    reason(true, { a: true }),
    "the Windows Update Agent requires a restart; registry: a",
  );
  const flags = (names: string) => Object.fromEntries(names.split("").map((name) => [name, true]));
  const four = "registry: a; registry: b; registry: c; registry: d";
  assertEquals([reason(null, flags("abcd")), reason(null, flags("abcde"))], [four, four]);
  assertEquals(reason(null, { ["x".repeat(80)]: true }), `registry: ${"x".repeat(80)}`);
  assertEquals(reason(null, { ["x".repeat(81)]: true }), `registry: ${"x".repeat(75)}(cut)`);
});

Deno.test("winupdateScript() differs only in online", () => {
  const online = winupdateScript({ online: true });
  const offline = winupdateScript({ online: false });
  assert(online.startsWith("$online=$true\n"));
  assertEquals(offline, online.replace("$true", "$false"));
});

Deno.test("winupdateScript() uses less than half of a command line, and is ASCII", () => {
  const script = winupdateScript({ online: true });
  assert(encodeCommand(frameScript(script)).length < 16_000);
  assert(/^[\n -~]*$/.test(script));
});

Deno.test("winupdateScript() contains no syntax that Windows PowerShell 5.1 does not know", () => {
  const later = [/\?\?/, /\?\./, / \? .* : /, /&&/, /\|\|/, /-AsArray/, /ForEach-Object -Parallel/];
  const script = frameScript(winupdateScript({ online: true }));
  assertEquals(later.filter((pattern) => pattern.test(script)), []);
});

Deno.test("winupdateScript() has balanced brackets and quotes", () => {
  // Brackets in its strings are balanced, too.
  const open: string[] = [];
  const pairs: Record<string, string> = { ")": "(", "}": "{", "]": "[" };
  for (const sign of frameScript(winupdateScript({ online: true }))) {
    if ("({[".includes(sign)) open.push(sign);
    if (sign in pairs) assertEquals(open.pop(), pairs[sign]);
  }
  assertEquals(open, []);
});

Deno.test("winupdateScript() searches updates that are neither installed nor hidden, and changes nothing", () => {
  const script = winupdateScript({ online: true });
  assert(script.includes("Search('IsInstalled=0 and IsHidden=0')"));
  const long = "IsInstalled=0 and IsHidden=0 or " +
    "IsInstalled=0 and IsHidden=0 and DeploymentAction='OptionalInstallation'";
  assert(script.includes(`Search("${long}")`) && script.includes("'0x80240032'"));
  const changes =
    /AddService|RemoveService|CreateUpdateInstaller|CreateUpdateDownloader|AcceptEula/;
  assert(!changes.test(script) && !/IsHidden=\$|Set-|Start-Service|Restart-/.test(script));
});

Deno.test("winupdateScript() answers the fields of the fixtures", () => {
  const script = winupdateScript({ online: true });
  const fixture = JSON.parse(readFixture("winupdate", "reported.json"));
  const [, item = ""] = /\n\[ordered\]@\{\n([^]*?)\}\n\}catch/.exec(script) ?? [];
  const fields = item.split("\n").map((line) => line.split("=")[0]);
  assertEquals(fields, Object.keys(fixture.updates[0]));
  const [, head = ""] = /\$answer=\[ordered\]@\{(.*)\}/.exec(script) ?? [];
  const first = head.split(";").map((part) => part.split("=")[0] ?? "");
  const later = [...script.matchAll(/\$answer\.(optional|resultCode|warnings|updates|unread)=/g)];
  const all = [...first, ...later.map((match) => match[1] ?? "")];
  assertEquals([...new Set(all)], Object.keys(fixture));
});

Deno.test("winupdateScript() reads the flags and policies of hosts, and no file operations", () => {
  const script = winupdateScript({ online: true });
  const read = [
    "WindowsUpdate\\Auto Update\\RebootRequired",
    "Component Based Servicing\\RebootPending",
    "UseUpdateClassPolicySource",
    "SetPolicyDrivenUpdateSourceFor$($name)Updates",
    "PolicyManager\\current\\device\\Update",
    "UpdatePolicy\\PolicyState",
  ];
  assertEquals(read.filter((name) => !script.includes(name)), []);
  assert(!script.includes("PendingFileRenameOperations"));
});

Deno.test("winupdateScript() casts every text and builds every list", () => {
  const lines = winupdateScript({ online: true }).split("\n");
  const fields = lines.filter((line) => /^[a-z]\w*=.*\$update\./i.test(line));
  const safe = /=(?:\[(?:string|int|bool)\]\$|@\(|Get-Day \$|\[ordered\]@\{provider=\[string\]\$)/;
  assertEquals(fields.filter((line) => !safe.test(line)), []);
  assert(fields.length > 10);
  // A function that returns nothing would be an empty object in JSON.
  assert(/function Get-Day[^\n]*else\{''\}\}\n/.test(winupdateScript({ online: true })));
});
