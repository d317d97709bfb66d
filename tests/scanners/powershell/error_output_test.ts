import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  firstErrorSentence,
  isAntivirusRefusal,
} from "../../../src/scanners/powershell/error_output.ts";
import { hasControls } from "../../../src/strip_controls.ts";
import { anyString } from "../../fakes/texts.ts";

const ROWS: readonly [string, string][] = [
  ["", ""],
  ["\r\n \t\r\n", ""],
  ["\ufeff\r\nAccess is denied.\r\nMore\r\n", "Access is denied."],
  ["\x1b[31mred\x07", "[31mred"],
  ["#< CLIXML\r\n<Objs/>", ""],
  [
    '#< CLIXML\r\n<Objs><Obj S="progress"/><S S="Error">Zugriff &lt;x&gt;_x000D__x000A_</S>' +
    '<S S="Error">mehr</S></Objs>',
    "Zugriff <x>",
  ],
  [
    "At line:1 char:1\r\n+ $a='b'\r\n+ ~~~~~\r\nThis script contains malicious content and has been " +
    "blocked by your antivirus software.\r\n    + CategoryInfo : ParserError: (:) []\r\n",
    "This script contains malicious content and has been blocked by your antivirus software.",
  ],
  ["所在位置 行:1 字符: 1\r\n+ $a\r\n+ ~~\r\n此脚本包含恶意内容\r\n", "此脚本包含恶意内容"],
  [
    "Import-Module : Nicht gefunden.\r\nIn Zeile:2 Zeichen:1\r\n+ Import-Module X\r\n",
    "Import-Module : Nicht gefunden.",
  ],
  [
    "ParserError: \r\nLine |\r\n   1 |  foo(\r\n     |      ~\r\n     | Missing closing ')'.\r\n",
    "Missing closing ')'.",
  ],
  ["At line:1 char:1\r\n", "At line:1 char:1"],
  [
    '#< CLIXML\r\n<Objs><S S="Error">At line:1 char:1_x000D__x000A_</S><S S="Error">+ $a_x000D__x000A_' +
    '</S><S S="Error">Blocked by your antivirus softwa</S><S S="Error">re._x000D__x000A_</S></Objs>',
    "Blocked by your antivirus software.",
  ],
  [`${"x".repeat(79)}\r\nrest\r\n`, `${"x".repeat(79)}rest`],
  [
    '\r\n \ufeff#< CLIXML\r\n<Objs><S S="Error">Nein &amp; &quot;nie&quot;</S></Objs>',
    'Nein & "nie"',
  ],
  ["N\0e\0i\0n\0", "Nein"],
  // A line that only contains a sign of code, of a position or of a frame is a sentence.
  ["1 + 1 is 3\r\n", "1 + 1 is 3"],
  [
    "The server said: 404 after 3 tries, so I gave up.\r\n",
    "The server said: 404 after 3 tries, so I gave up.",
  ],
  // A line like a position is a sentence if no code is directly below it.
  [
    "Cannot reach proxy 10.0.0.1:8080 after 3\r\nGiven up.\r\n",
    "Cannot reach proxy 10.0.0.1:8080 after 3",
  ],
  [
    "At line:1 char:1\r\n+ $a\r\n+ ~~\r\nNo answer of wsus:8530 in 30\r\n    + CategoryInfo : x\r\n",
    "No answer of wsus:8530 in 30",
  ],
  [
    "No answer of wsus:8530 in 30\r\nAu caractère Ligne:1 : 1\r\n+ $a\r\n+ ~~\r\n",
    "No answer of wsus:8530 in 30",
  ],
  ["Phase: 1 of 2\r\nMore\r\n", "Phase: 1 of 2"],
  ["At C:\\my dir\\x.ps1:3 char:5\r\nIt is denied.\r\n", "It is denied."],
  ["Au caractère Ligne:1 : 12\r\n+ $a\r\n+ ~~\r\nAccès refusé.\r\n", "Accès refusé."],
  ["En línea: 1 Carácter: 1\r\n+ $a\r\n+ ~~\r\nNo.\r\n", "No."],
  ["発生場所 行:1 文字:1\r\n+ $a\r\n+ ~~\r\n拒否\r\n", "拒否"],
  ["C:\\x.ps1:3 Zeichen:5\r\n+ $a\r\n+ ~~\r\nNein.\r\n", "Nein."],
  ["Pipe | it\r\nMore\r\n", "Pipe | it"],
  ["Pipe it |\r\nMore\r\n", "Pipe it |"],
  ["Line 5 | of it\r\nMore\r\n", "Line 5 | of it"],
  ["Error: it is denied\r\nMore\r\n", "Error: it is denied"],
  ["Error:\r\nIt is denied.\r\n", "It is denied."],
  // Better the code than nothing.
  ["+ $a\r\n+ ~~\r\n", "+ $a"],
  ["~~~\r\n", "~~~"],
  ["Cannot reach https://anna:S3cret@wsus/x\r\n", "Cannot reach https://(hidden)@wsus/x"],
];

Deno.test("firstErrorSentence() returns the first sentence that describes the error", () => {
  for (const [output, expected] of ROWS) assertEquals(firstErrorSentence(output), expected);
});

Deno.test("firstErrorSentence() joins only lines that PowerShell broke at its width", () => {
  const joined = [78, 79, 80, 81, 118, 119, 120, 121].filter((width) => {
    const line = "x".repeat(width);
    return firstErrorSentence(`${line}\r\nrest\r\nmore\r\n`) === `${line}rest`;
  });
  assertEquals(joined, [79, 80, 119, 120]);
  const three = "x".repeat(80);
  assertEquals(firstErrorSentence(`${three}\r\n${three}\r\nrest`), `${three}${three}rest`);
});

Deno.test("isAntivirusRefusal() finds only the id of a refusal, in both forms", () => {
  const id = "FullyQualifiedErrorId : ScriptContainedMaliciousContent";
  assertEquals(isAntivirusRefusal(`    + ${id}\r\n`), true);
  assertEquals(isAntivirusRefusal(`#< CLIXML\r\n<Objs><S S="Error">${id}</S></Objs>`), true);
  assertEquals(
    isAntivirusRefusal("    + FullyQualifiedErrorId : CommandNotFoundException\r\n"),
    false,
  );
});

Deno.test("firstErrorSentence() searches the first 64 KiB, and returns at most 300 characters", () => {
  const blanks = " ".repeat(65_535);
  assertEquals(firstErrorSentence(`${blanks}x`), "x");
  assertEquals(firstErrorSentence(`${blanks} x`), "");
  assertEquals(firstErrorSentence("x".repeat(301)), `${"x".repeat(295)}(cut)`);
});

Deno.test("firstErrorSentence() returns a short text without control characters", () => {
  const output = anyString({ maxLength: 1_000 });
  fc.assert(fc.property(output, fc.boolean(), (text, isXml) => {
    const sentence = firstErrorSentence(isXml ? `#< CLIXML <S S="Error">${text}</S>` : text);
    assert(sentence.length <= 300 && sentence.isWellFormed());
    assert(!hasControls(sentence));
  }));
});
