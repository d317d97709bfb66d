/** The laws that every parser of dnf's answers obeys on any input, as fast-check properties. */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { anyString } from "../../fakes/texts.ts";

/** Messages of plugins, progress and other lines that are not part of an answer. */
const chatterLine = fc.oneof(
  fc.constantFrom(
    "Updating Subscription Management repositories.",
    "Unable to read consumer identity",
    "This system is not registered with an entitlement server.",
    "Loaded plugins: builddep, changelog",
    "Last metadata expiration check: 0:42:20 ago on Mon 05 Jan 2026 11:52:38 AM CET.",
    "Updates                 1.1 MB/s | 2.9 kB     00:00    ",
    " Fedora 41 - x86_64     100% |  36.6 KiB/s |   1.1 KiB |  00m00s",
    "Repositories loaded.",
    "[SKIPPED] nothing",
    "{}x",
  ),
  fc.string({ unit: "grapheme", maxLength: 60 }).filter((line) => !/[\r\n]/.test(line)),
);

/**
 * Checks a parser of lines with a valid text: chatter between its lines adds nothing, line ends do
 * not matter, and a truncated text yields nothing that the whole one does not.
 */
export function checkLineParser<T>(text: string, parse: (text: string) => readonly T[]): void {
  const whole = parse(text);
  assert(whole.length > 0, "a fixture that says nothing proves nothing");
  for (const end of ["\r\n", "\r"]) assertEquals(parse(text.replaceAll("\n", end)), whole);
  const lines = text.split("\n");
  fc.assert(fc.property(chatterLine, fc.nat(lines.length - 1), (chatter, at) => {
    const found = parse([...lines.slice(0, at), chatter, ...lines.slice(at)].join("\n"));
    for (const one of found) assertIsIn(one, whole);
  }));
  checkCuts(text, parse);
  checkJunk(text, parse);
}

/** A text truncated at any byte yields nothing that the whole one does not. */
export function checkCuts<T>(text: string, parse: (text: string) => readonly T[]): void {
  const whole = parse(text);
  for (let length = 0; length < text.length; length++) {
    for (const one of parse(text.slice(0, length))) assertIsIn(one, whole);
  }
}

/** Long repetitions of one character, which expose slow regular expressions. */
const LONG_TEXTS = [..."x -=\t\n[{.:"].flatMap((one) => [
  one.repeat(300_000),
  `a.${one.repeat(60_000)}b\n`.repeat(4),
]);

/** Junk, and a text with changed characters, is parsed without an error and fast. */
export function checkJunk(text: string, parse: (text: string) => unknown): void {
  for (const long of LONG_TEXTS) parse(long);
  fc.assert(fc.property(anyString(), (junk) => {
    parse(junk);
  }));
  const change = fc.record({ at: fc.nat(text.length), remove: fc.nat(5), put: fc.string() });
  fc.assert(fc.property(fc.array(change, { maxLength: 4 }), (changes) => {
    let changed = text;
    for (const { at, remove, put } of changes) {
      changed = changed.slice(0, at) + put + changed.slice(at + remove);
    }
    parse(changed);
  }));
}

function assertIsIn<T>(one: T, whole: readonly T[]): void {
  const json = JSON.stringify(one);
  assert(whole.some((other) => JSON.stringify(other) === json), json);
}
