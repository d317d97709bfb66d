import { assertEquals } from "@std/assert";
import { markPinned } from "../../../src/scanners/winget/pins.ts";
import type { WingetUpgrade } from "../../../src/scanners/winget/upgrades.ts";

function rows(...ids: string[]): WingetUpgrade[] {
  return ids.map((id) => ({
    name: id,
    id,
    version: "1.0",
    available: "1.1",
    source: null,
    state: "upgradable",
  }));
}

function states(pins: string, ...ids: string[]): string[] {
  return markPinned(rows(...ids), pins).map(({ state }) => state);
}

Deno.test("markPinned() finds an id and the kind of its pin, whatever the heading says", () => {
  assertEquals(states("", "A.B"), ["upgradable"]);
  assertEquals(states("There are no pins.\r\n", "A.B"), ["upgradable"]);
  assertEquals(states("Name Id 版本\r\n----\r\nx a.b 1.0 winget Pinning\r\n", "A.B"), ["pinned"]);
  assertEquals(states("a.b  winget  *  Pinning\r\n", "A.B", "A.Bc"), ["pinned", "upgradable"]);
  assertEquals(states("A.B Pinning\r\n", "A.B"), ["pinned"]);
});

Deno.test("markPinned() minds no pin that the listing minds itself, nor a name that is a kind", () => {
  assertEquals(states("x A.B 1.0 winget Gating 1.*\r\n", "A.B"), ["upgradable"]);
  assertEquals(states("x A.B 1.0 winget Blocking\r\n", "A.B"), ["upgradable"]);
  assertEquals(states("Pinning A.B 1.0 winget Gating\r\n", "A.B"), ["upgradable"]);
  assertEquals(states("x A.B 1.0 winget Pinningx\r\n", "A.B"), ["upgradable"]);
  assertEquals(states("x C.D 1.0 winget Pinning A.B\r\n", "A.B"), ["upgradable"]);
  assertEquals(states("My Pinning Tool A.B 1.0 winget Pinning\r\n", "A.B"), ["pinned"]);
});

Deno.test("markPinned() takes an id that was cut for the only one it can be", () => {
  assertEquals(states("x Contoso.Lo… 1.0 winget Pinning\r\n", "Contoso.Long", "Other.App"), [
    "pinned",
    "upgradable",
  ]);
  assertEquals(states("x Contoso.Lo… 1.0 winget Pinning\r\n", "Contoso.Long", "Contoso.Lot"), [
    "upgradable",
    "upgradable",
  ]);
});

Deno.test("markPinned() takes two characters of an id for enough, and one for too few", () => {
  const state = (id: string) => states(`x ${id} 1.0 winget Pinning\r\n`, "A.B", "Other.App")[0];
  assertEquals([state("A.…"), state("A…"), state("…")], ["pinned", "upgradable", "upgradable"]);
  const both = states("Other To… A.… 1.0 winget Pinning\r\n", "A.B", "Other.App");
  assertEquals(both, ["pinned", "upgradable"], "the name is cut as well");
  const named = states("Contoso.Lo… A.B 1.0 winget Pinning\r\n", "A.B", "Contoso.Long");
  assertEquals(named, ["pinned", "upgradable"], "the name is like another's id");
});

Deno.test("markPinned() leaves other states alone", () => {
  const [row] = rows("A.B");
  if (!row) throw new Error("no row");
  const explicit = { ...row, state: "explicit_only" } as const;
  assertEquals(markPinned([explicit], "A.B winget Pinning\r\n"), [explicit]);
});
