import { assertEquals } from "@std/assert";
import { nearest } from "../../src/config/nearest.ts";

const KNOWN = ["server.url", "backoff.base", "backoff.cap", "log.level"];

Deno.test("nearest() finds the word that a typo is up to three changes away from", () => {
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
  for (const [written, meant] of rows) assertEquals(nearest(written, KNOWN), meant, written);
});

Deno.test("nearest() prefers the nearest, however the known ones are ordered", () => {
  for (const known of [["abxx", "abcx"], ["abcx", "abxx"]]) {
    assertEquals(nearest("abcd", known), "abcx");
    assertEquals(nearest("abxy", known), "abxx");
  }
});

Deno.test("nearest() knows a key that stands in the wrong section", () => {
  assertEquals(nearest("polling_and_more.level", KNOWN), "log.level");
  assertEquals(nearest("polling_and_more.levels", KNOWN), undefined);
});

Deno.test("nearest() has nothing to offer where nothing is known", () => {
  assertEquals(nearest("server.url", []), undefined);
});
