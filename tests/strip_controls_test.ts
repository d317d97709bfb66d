import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  type Allowed,
  hasControls,
  safeJson,
  stripAllButColours,
  stripControls,
  stripPrefix,
} from "../src/strip_controls.ts";
import { anyString } from "./fakes/texts.ts";

/** Every character of Unicode, the halves of pairs by themselves too. */
function* everyCharacter(): Generator<[codePoint: number, text: string]> {
  for (let codePoint = 0; codePoint <= 0x10ffff; codePoint++) {
    yield [codePoint, String.fromCodePoint(codePoint)];
  }
}

Deno.test("stripControls() removes what controls a terminal, or hides, reorders or breaks lines", () => {
  const rows: [what: string, character: string][] = [
    ["NUL", "\0"],
    ["bell", "\x07"],
    ["escape", "\x1b"],
    ["line feed", "\n"],
    ["tab", "\t"],
    ["delete", "\x7f"],
    ["next line", "\u0085"],
    ["8-bit CSI", "\u009b"],
    ["line separator", "\u2028"],
    ["paragraph separator", "\u2029"],
    ["left-to-right mark", "\u200e"],
    ["right-to-left mark", "\u200f"],
    ["Arabic letter mark", "\u061c"],
    ["embeddings and overrides", "\u202a\u202b\u202c\u202d\u202e"],
    ["isolates", "\u2066\u2067\u2068\u2069"],
    ["deprecated formatting", "\u206a\u206f"],
    ["zero-width space", "\u200b"],
    ["joiners", "\u200c\u200d\u2060"],
    ["soft hyphen", "\u00ad"],
    ["grapheme joiner", "\u034f"],
    ["byte order mark", "\ufeff"],
    ["fillers", "\u115f\u1160\u3164\uffa0"],
    ["Mongolian vowel separator", "\u180e"],
    ["interlinear annotation", "\ufff9\ufffa\ufffb"],
    ["tags", "\u{e0001}\u{e0041}\u{e007f}"],
    ["musical format", "\u{1d173}"],
    ["no characters", "\ufdd0\ufffe\uffff\u{1ffff}\u{10fffe}"],
    ["halves of pairs", "\ud800"],
    ["halves of pairs", "\udfff"],
  ];
  for (const [what, character] of rows) {
    assertEquals(stripControls(`a${character}b`), "ab", what);
    assertEquals(hasControls(character), true, what);
  }
  assertEquals(stripControls("a\u001b[31mb\r\n\u009bc"), "a[31mbc");
  assertEquals(stripControls("\ud83d\ude00\ud83d"), "😀");
});

Deno.test("stripControls() does not remove characters with a glyph, in every script", () => {
  const texts = [
    "plain ASCII, ~ too",
    "Ünïcødé é Å ﬁ",
    "Ελλάδα Україна Հայաստան საქართველო",
    "日本語 한국어 中文 ไทย हिन्दी தமிழ் አማርኛ",
    "العربية עברית فارسی",
    "\u00a0\u2003\u3000", // Blanks, if wide or narrow ones.
    "❤️ ☎︎ 😀 🇩🇪 1️⃣",
    "葛\u{e0100}", // A name's own form of a letter.
    "∑ € № ½ \ue000",
  ];
  for (const text of texts) {
    assertEquals(stripControls(text), text);
    assertEquals(hasControls(text), false, text);
  }
  // Joiners go: a family falls apart into its members, and a letter takes its usual form.
  assertEquals(stripControls("👨\u200d👩\u200d👧"), "👨👩👧");
  assertEquals(stripControls("می\u200cخواهم"), "میخواهم");
});

Deno.test("stripControls() follows the Unicode properties of every character", () => {
  const stripped = /^[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Noncharacter_Code_Point}]$/u;
  const ignorable = /^\p{Default_Ignorable_Code_Point}$/u;
  const selector = /^\p{Variation_Selector}$/u;
  const wrong: string[] = [];
  for (const [codePoint, text] of everyCharacter()) {
    const isUnsafe = stripped.test(text) || (ignorable.test(text) && !selector.test(text));
    if (hasControls(text) !== isUnsafe) wrong.push(codePoint.toString(16));
  }
  assertEquals(wrong, []);
});

Deno.test("stripControls() leaves only the line breaks and tabs that the caller allows", () => {
  const text = "a\tb\nc\rd\u2028e";
  assertEquals(stripControls(text, "\n\t"), "a\tb\ncde");
  assertEquals(stripControls(text, "\n"), "ab\ncde");
  assertEquals(stripControls(text, "\t"), "a\tbcde");
  assertEquals(stripControls(text), "abcde");
});

const anyText = fc.oneof(
  anyString(),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
);

Deno.test("stripControls() returns a safe, well-formed text, and does not change it again", () => {
  fc.assert(fc.property(
    anyText,
    fc.constantFrom<Allowed>("", "\n", "\t", "\n\t"),
    (text, kept) => {
      const once = stripControls(text, kept);
      assert(once.isWellFormed());
      assertEquals(stripControls(once, kept), once);
      assertEquals(hasControls(once, kept), false);
      assertEquals(hasControls(text, kept), once !== text);
    },
  ));
});

Deno.test("stripPrefix() processes no more of a text than it needs", () => {
  const hidden = "\u200b".repeat(10_000);
  assertEquals(stripPrefix(`${hidden}1${hidden}234`, 10), "1234");
  // It goes on by pieces: what it gives is a beginning, longer than the limit where there is more.
  const long = stripPrefix("x\u{e0041}".repeat(100_000), 10);
  assert(long.length > 10 && long.length < 10_000 && /^x+$/.test(long), String(long.length));
  fc.assert(fc.property(anyText, fc.integer({ min: 0, max: 50 }), (text, limit) => {
    const stripped = stripControls(text);
    const prefix = stripPrefix(text, limit);
    assert(stripped.startsWith(prefix));
    assert(prefix.length > limit || prefix === stripped);
  }));
  // A pair on the border of two pieces stays whole.
  const border = `${"x".repeat(4_095)}\u{1f600}y`;
  assertEquals(stripPrefix(border, 5_000), border);
});

Deno.test("safeJson() means the same, is safe to show, and breaks lines only where it is indented", () => {
  assertEquals(safeJson({ a: "b\u2028\u{e0041}" }), '{"a":"b\\u2028\\udb40\\udc41"}');
  assertEquals(safeJson({ a: ["ä"] }, 2), '{\n  "a": [\n    "ä"\n  ]\n}');
  fc.assert(fc.property(
    fc.dictionary(anyText, fc.array(anyText)),
    fc.constantFrom(0, 2),
    (value, indent) => {
      const json = safeJson(value, indent);
      assert(!hasControls(json, indent === 0 ? "" : "\n"));
      assertEquals(JSON.parse(json), JSON.parse(JSON.stringify(value)));
    },
  ));
});

Deno.test("stripAllButColours() keeps colours, line breaks and tabs, and strips every other sequence", () => {
  const kept = "\x1b[1;31mred\x1b[0m\tand\nplain";
  assertEquals(stripAllButColours(kept), kept);
  for (
    const other of [
      "\x1b[2J",
      "\x1b[?25l",
      "\x1b]0;title\x07",
      "\x1b[38;2;1;2;3;4m",
      "\x1b[100000m",
    ]
  ) {
    assertEquals(stripAllButColours(other), stripControls(other), JSON.stringify(other));
  }
  fc.assert(fc.property(anyString(), (text) => {
    // deno-lint-ignore no-control-regex
    const rest = stripAllButColours(text).replaceAll(/\x1b\[[\d;]+m/g, "");
    assertEquals(stripControls(rest, "\n\t"), rest);
  }));
});
