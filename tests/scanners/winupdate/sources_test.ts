import { assertEquals } from "@std/assert";
import { parseWinupdate } from "../../../src/scanners/winupdate/search.ts";
import {
  asksWsus,
  classOf,
  describeSources,
  isSecurityCategory,
  sourceOf,
  type WinupdateClass,
} from "../../../src/scanners/winupdate/sources.ts";

type Values = Partial<Record<"feature" | "quality" | "driver" | "other", number>>;

const KINDS = {
  feature: ["3689bdc8-b205-4af4-8d4a-a63924c5e9d5"],
  quality: ["0fa1201d-4330-4fa8-8ae9-b877473b6441", "6964aab4-c5b5-43bd-a17d-ffb4346a8e1d"],
  driver: ["ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0"],
  other: ["e0789628-ce08-4437-be74-2495b842f43b"],
  unclear: ["0fa1201d-4330-4fa8-8ae9-b877473b6441"],
};

function answer(fields: Record<string, unknown>) {
  const updates = Object.values(KINDS).map((categories, index) => ({
    id: `0000000${index}-1111-2222-3333-444455556666`,
    revision: 1,
    categories: categories.map((id) => ({ id })),
  }));
  return parseWinupdate({ resultCode: 2, updates, ...fields });
}

/** The source of an update of each kind. */
function sources(fields: Record<string, unknown>): string[] {
  const found = answer(fields);
  return found.updates.map((item) => sourceOf(found, item));
}

const [W, M, U] = ["WSUS", "Microsoft Update", "Windows Update"];

function wsus(scanSource: Record<string, unknown>): Record<string, unknown> {
  return { source: "wsus", server: "http://wsus.example:8530", scanSource };
}

Deno.test("sourceOf() returns the only service of the host for every class", () => {
  assertEquals(sources({ source: "7971f918-a847-4430-9279-4a52d1efe18d" }), [M, M, M, M, M]);
  assertEquals(sources({}), [U, U, U, U, U]);
  assertEquals(sources(wsus({})), [W, W, W, W, W]);
});

Deno.test("sourceOf() applies the policies for classes on a host with a WSUS server", () => {
  const all: Values = { feature: 0, quality: 0, driver: 1, other: 1 };
  const expected = [U, U, W, W, "Windows Update or WSUS"];
  assertEquals(sources(wsus({ gate: true, policy: all })), expected);
  // A group policy needs its gate; device management and the agent do not.
  assertEquals(sources(wsus({ gate: false, policy: all })), [W, W, W, W, W]);
  assertEquals(sources(wsus({ mdm: all })), expected);
  assertEquals(sources(wsus({ state: all })), expected);
  const shouted = KINDS.quality.map((id) => ({ id: id.toUpperCase() }));
  const quality = answer({
    ...wsus({ mdm: all }),
    updates: [{ id: "00000000-1111-2222-3333-444455556666", revision: 1, categories: shouted }],
  });
  assertEquals(quality.updates.map((item) => sourceOf(quality, item)), [U]);
  const nothing: Values = { feature: 1, quality: 1, driver: 1, other: 1 };
  assertEquals(sources(wsus({ gate: true, policy: all, state: nothing })), [W, W, W, W, W]);
  assertEquals(sources(wsus({ dualScan: true })), expected);
  assertEquals(sources(wsus({ dualScan: true, state: nothing })), [W, W, W, W, W]);
  assertEquals(sources({ source: "", scanSource: { gate: true, policy: nothing } }), [
    U,
    U,
    U,
    U,
    U,
  ]);
});

Deno.test("sourceOf() returns at most 60 whole characters of an unknown service", () => {
  const [name] = sources({ source: "x".repeat(60) });
  assertEquals(name, "x".repeat(60));
  assertEquals(sources({ source: "x".repeat(61) })[0], name);
  assertEquals(sources({ source: `${"x".repeat(59)}\u{1f600}` })[0], `${"x".repeat(59)}\ufffd`);
});

Deno.test("describeSources() returns each source, all of them failed if one may have failed", () => {
  const scanSource = { mdm: { feature: 0, quality: 0, driver: 1, other: 1 } };
  const options = { why: null, metadataAgeS: 0 };
  const whole = describeSources(answer(wsus(scanSource)), options);
  assertEquals(whole.map(({ name, url, result, why }) => [name, url, result, why]), [
    [U, null, "ok", null],
    [W, "http://wsus.example:8530", "ok", null],
  ]);
  assertEquals(whole.map(({ marksSecurity }) => marksSecurity), [true, true]);
  const bare = answer({ source: "3DA21691-E39D-4DA6-8A4B-B43877BCB1B7" });
  assertEquals(describeSources(bare, options).map(({ name, url }) => [name, url]), [[W, null]]);
  const lacking = describeSources(answer(wsus(scanSource)), { why: "no", metadataAgeS: 0 });
  assertEquals(lacking.map(({ name, result }) => [name, result]), [[U, "failed"], [W, "failed"]]);
  const old = describeSources(answer({}), { why: "Cannot search", metadataAgeS: 60 });
  assertEquals(old.map(({ result, why, metadataAgeS }) => [result, why, metadataAgeS]), [
    ["failed", "Cannot search", 60],
  ]);
});

Deno.test("asksWsus() is true if any class comes from WSUS", () => {
  assertEquals(
    asksWsus(answer(wsus({ state: { feature: 0, quality: 0, driver: 0, other: 1 } }))),
    true,
  );
  assertEquals(
    asksWsus(answer(wsus({ state: { feature: 0, quality: 0, driver: 0, other: 0 } }))),
    false,
  );
});

const SECURITY = "0FA1201D-4330-4FA8-8AE9-B877473B6441";
const DEFINITIONS = "e0789628-ce08-4437-be74-2495b842f43b";
const DRIVERS = "ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0";
const UPGRADES = "3689bdc8-b205-4af4-8d4a-a63924c5e9d5";
const PRODUCT = "569e8e8f-c6cd-42c8-92a3-efbb20a0f6f5";

const ROWS: readonly [string, string[], number | null, WinupdateClass][] = [
  ["nothing", [], null, "other"],
  ["junk", ["Security Updates"], 1, "other"],
  ["a product alone", [PRODUCT], 1, "other"],
  ["security, in either case", [PRODUCT, SECURITY], 1, "security"],
  ["definitions, though they are security's too", [SECURITY, DEFINITIONS], 1, "definitions"],
  ["drivers by category", [DRIVERS], 1, "drivers"],
  ["drivers by type", [PRODUCT], 2, "drivers"],
  ["a new version of Windows", [UPGRADES], 1, "upgrades"],
  ["plain updates", ["CD5FFD1E-E932-4E3A-BF74-18BF0B1BBD83"], 1, "updates"],
];

for (const [name, ids, type, kind] of ROWS) {
  Deno.test(`classOf() recognizes ${name}`, () => {
    assertEquals(classOf(ids, type), kind);
  });
}

Deno.test("isSecurityCategory() finds the security category among others", () => {
  assertEquals(isSecurityCategory([]), false);
  assertEquals(isSecurityCategory([PRODUCT, DEFINITIONS]), false);
  assertEquals(isSecurityCategory([DRIVERS, SECURITY]), true);
});
