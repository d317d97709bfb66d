import { assertEquals } from "@std/assert";
import { describeDays, describeDuration, joinNames, suggest } from "../src/wording.ts";

Deno.test("joinNames() lists ten names and counts the rest", () => {
  const names = Array.from({ length: 12 }, (_, n) => `p${n}`);
  assertEquals(joinNames(names.slice(0, 2)), "p0, p1");
  assertEquals(joinNames(names), "p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 and 2 more");
  assertEquals(joinNames(names.slice(0, 10)), "p0, p1, p2, p3, p4, p5, p6, p7, p8, p9");
  assertEquals(joinNames(names, 1), "p0 and 11 more");
});

const KNOWN = ["server.url", "backoff.base", "backoff.cap", "log.level"];

Deno.test("suggest() finds a word within an edit distance of three", () => {
  const rows: [written: string, meant: string | undefined][] = [
    ["server.url", "server.url"],
    ["server.ulr", "server.url"], // Two replacements.
    ["server.ur", "server.url"], // One letter is missing.
    ["xserver.url", "server.url"], // One is too many.
    ["xxserver.urx", "server.url"], // Three changes.
    ["xxserver.urxx", undefined], // Four.
    ["backoff.cop", "backoff.cap"],
    ["log", undefined],
    ["", undefined],
  ];
  for (const [written, meant] of rows) assertEquals(suggest(written, KNOWN), meant, written);
});

Deno.test("suggest() prefers the nearest word in any order", () => {
  for (const known of [["abxx", "abcx"], ["abcx", "abxx"]]) {
    assertEquals(suggest("abcd", known), "abcx");
    assertEquals(suggest("abxy", known), "abxx");
  }
});

Deno.test("suggest() finds a key in another section", () => {
  assertEquals(suggest("polling_and_more.level", KNOWN), "log.level");
  assertEquals(suggest("polling_and_more.levels", KNOWN), undefined);
});

Deno.test("suggest() returns undefined if no word is known", () => {
  assertEquals(suggest("server.url", []), undefined);
});

Deno.test("describeDays() counts days, hours and minutes", () => {
  assertEquals([0, 59, 60, 86_399, 86_400].map(describeDays), [
    "0d 0h 0m",
    "0d 0h 0m",
    "0d 0h 1m",
    "0d 23h 59m",
    "1d 0h 0m",
  ]);
});

Deno.test("describeDuration() chooses the unit by the length", () => {
  const rows: [number, string][] = [
    [-5, "0 s"],
    [0, "0 s"],
    [1_499, "1 s"],
    [1_500, "2 s"],
    [89_499, "89 s"],
    [89_000, "89 s"],
    [90_000, "2 min"],
    [89 * 60_000, "89 min"],
    [90 * 60_000, "2 h"],
    [47 * 3_600_000, "47 h"],
    [48 * 3_600_000, "2 days"],
    [60 * 3_600_000, "3 days"],
  ];
  for (const [ms, text] of rows) assertEquals(describeDuration(ms), text);
});
