import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { SCANNER_NAMES } from "../../src/scanners/registry.ts";
import { describePatternError, markIgnored, matchesWildcard } from "../../src/scanners/ignored.ts";
import type { Update } from "../../src/update.ts";
import { tool } from "../cli/scan_reports.ts";

function isIgnored(scanner: string, fields: Partial<Update>, ...patterns: string[]): boolean {
  const [update] = markIgnored(scanner, [{ ...tool, ...fields }], patterns);
  return update?.state === "ignored";
}

Deno.test("markIgnored() matches the whole of a package's name, in any case", () => {
  const kernel = { package: "linux-image-amd64" };
  assert(!isIgnored("apt", kernel));
  for (
    const pattern of ["linux-*", "LINUX-image-amd64", "apt:linux-*", "APT:linux-*", "apt: linux-*"]
  ) {
    assert(isIgnored("apt", kernel, pattern), pattern);
  }
  for (const pattern of ["linux", "image", "dnf:linux-*", "winupdate:linux-*", "Xapt:linux-*"]) {
    assert(!isIgnored("apt", kernel, pattern), pattern);
  }
});

Deno.test("markIgnored() ignores descriptions", () => {
  const rows: readonly [scanner: string, pattern: string, name: string, description: string][] = [
    ["apt", "perl", "libxml-parser-perl", "Perl module for parsing XML files"],
    ["apt", "git", "gitk-ext", "GitHub helper"],
    ["dnf", "kernel", "bpftool", "Kernel tools"],
    ["dnf", "python3", "python3-urllib3", "Python3 HTTP library"],
    ["winget", "Microsoft.Edge", "Microsoft.EdgeWebView2Runtime", "Microsoft Edge WebView2"],
    ["winupdate", "*Defender*", "KB5070001", "Cumulative. It updates Defender's platform."],
    ["apt", "*helper*", "gitk-ext", "GitHub helper"],
  ];
  for (const [scanner, pattern, name, description] of rows) {
    assert(!isIgnored(scanner, { package: name, description }, pattern), pattern);
  }
});

Deno.test("markIgnored() matches whole titles, if every title is matched", () => {
  const git = (title: string) => ({ package: "X.Y", titles: [title] });
  assert(isIgnored("winget", git("Git"), "git"));
  assert(!isIgnored("winget", git("GitKraken"), "Git"));
  assert(isIgnored("winget", git("GitKraken"), "Git*"));
  const two = {
    package: "KB5070001",
    titles: ["2026-11 Update for .NET", "2026-11 Update for Edge"],
  };
  assert(isIgnored("winupdate", two, "2026-11 Update for *"));
  assert(isIgnored("winupdate", two, "*.NET", "*Edge"));
  assert(!isIgnored("winupdate", two, "*.NET"));
  const [update] = markIgnored("winupdate", [{ ...tool, ...two }], []);
  assert(update && !("titles" in update), "titles are in no report");
});

Deno.test("markIgnored() matches a name with its architecture, if the update has one", () => {
  for (const pattern of ["tool:i386", "tool.i386", "apt:tool:i386", "TOOL:I386", "tool:all"]) {
    assertEquals(isIgnored("apt", { architecture: "i386" }, pattern), pattern !== "tool:all");
    assert(!isIgnored("apt", { architecture: "amd64" }, pattern), pattern);
    assert(!isIgnored("winget", { architecture: null }, pattern), pattern);
  }
  const libs = { package: "openssl-libs", architecture: "i686" };
  assert(isIgnored("dnf", libs, "openssl-libs.i686"));
  assert(!isIgnored("dnf", { ...libs, architecture: "x86_64" }, "openssl-libs.i686"));
});

Deno.test("markIgnored() does not ignore an update with another advisory", () => {
  const openssl = (...advisories: string[]) => ({ package: "openssl", advisories });
  assert(isIgnored("dnf", openssl("FEDORA-2026-1"), "fedora-2026-1"));
  assert(!isIgnored("dnf", openssl("FEDORA-2026-1", "FEDORA-2026-9"), "FEDORA-2026-1"));
  assert(isIgnored("dnf", openssl("FEDORA-2026-1", "FEDORA-2026-9"), "FEDORA-2026-1", "*-9"));
  assert(isIgnored("dnf", openssl("RHSA-2026:1"), "RHSA-2026:1"));
});

Deno.test("markIgnored() names the patterns that matched", () => {
  const update = { ...tool, advisories: ["A-1", "A-2", "B-1"] };
  const reason = (...patterns: string[]) => markIgnored("apt", [update], patterns)[0]?.stateReason;
  assertEquals(reason("apt:to?l", "A-*"), "scanners.ignore: apt:to?l");
  assertEquals(reason("A-*", "apt:B-1"), "scanners.ignore: A-*, apt:B-1");
});

const complaint = (pattern: string) => describePatternError(pattern, SCANNER_NAMES);

Deno.test("describePatternError() rejects patterns that match nothing or everything, and says what to write", () => {
  const prefixes = '"apt:", "dnf:", "winupdate:", "winget:"';
  const rows: readonly [pattern: string, complaint: string][] = [
    ["apt:", 'no name follows the colon. Next: write a name there, as in "apt:linux-*"'],
    ["APT: ", 'no name follows the colon. Next: write a name there, as in "apt:linux-*"'],
    [
      "windows_update:KB2267602",
      `there is no scanner "windows_update". Next: write one of ${prefixes} in front, even if the ` +
      "name contains a colon",
    ],
    ...["*", "**", "?*", "dnf:*"].map((pattern): [string, string] => [
      pattern,
      "it matches every update. Next: leave the scanner out of scanners.enabled instead",
    ]),
    ...["apt:linux-image-[0-9]", "apt:my tool", "apt:{a}"].map((pattern): [string, string] => [
      pattern,
      "no package name of apt contains blanks, brackets, commas or quotes. Next: use * and ? for " +
      "any characters",
    ]),
    ["winupdate:2267602", 'no update is named by a number only. Next: write "KB2267602"'],
    ["2267602", 'no update is named by a number only. Next: write "KB2267602"'],
  ];
  for (const [pattern, says] of rows) {
    assertEquals(complaint(pattern), `Cannot use "${pattern}" in scanners.ignore: ${says}`);
  }
  const long = complaint(`windows:${"x".repeat(4_000)}`) ?? "";
  assert(long.length < 400 && long.includes('there is no scanner "windows"'), long);
});

Deno.test("describePatternError() accepts patterns that can match something", () => {
  const good = [
    ...[
      "KB2267602",
      "apt:linux-*",
      "APT:tool",
      "apt: tool",
      "tool:i386",
      "openssl-libs.i686",
      "??",
    ],
    ...["apt:tool:i386", "dnf:openssl-libs.i686", "RHSA-2026:1", "Security Intelligence*"],
    ...["winupdate:Intel - Net [PCI\\VEN_8086&DEV_A0F0]", "winget:Foo: Bar", "apt:1234567"],
    ...["2026-11 Update for Windows 11: a title", "12345", "123456789"],
  ];
  for (const pattern of good) assertEquals(complaint(pattern), null, pattern);
});

Deno.test("describePatternError() accepts any exact name, which is then ignored", () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9+.-]{0,12}[a-z]$/);
  fc.assert(
    fc.property(fc.constantFrom(...SCANNER_NAMES), name, fc.boolean(), (scanner, id, isOwn) => {
      const pattern = isOwn ? `${scanner}:${id}` : id;
      assertEquals(complaint(pattern), null);
      assert(isIgnored(scanner, { package: id }, pattern));
      assert(!isIgnored(scanner, { package: `${id}x`, description: id, titles: [] }, pattern));
    }),
  );
});

Deno.test("matchesWildcard() matches * with anything and ? with one character", () => {
  const rows: [pattern: string, text: string, expected: boolean][] = [
    ["", "", true],
    ["", "a", false],
    ["*", "", true],
    ["a*", "abc", true],
    ["*c", "abc", true],
    ["*b*", "abc", true],
    ["a*c*e", "abcde", true],
    ["a*c*d", "abcde", false],
    ["*ab", "aab", true],
    ["a?c", "abc", true],
    ["a?c", "ac", false],
    ["?", "", false],
    ["A", "a", true],
    ["a", "A", true],
    ["a.c", "abc", false],
    ["a\u{1F600}?", "a\u{1F600}\u{1F601}", true],
  ];
  for (const [pattern, text, expected] of rows) {
    assertEquals(matchesWildcard(pattern, text), expected, `${pattern} ${text}`);
  }
});

Deno.test("matchesWildcard() agrees with a regular expression", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 12 });
  const patterns = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 8 });
  fc.assert(fc.property(patterns, letters, (pattern, text) => {
    const source = pattern.replaceAll("*", ".*").replaceAll("?", ".");
    assertEquals(matchesWildcard(pattern, text), new RegExp(`^${source}$`).test(text));
  }));
});

Deno.test("matchesWildcard() has bounded time on patterns made to backtrack", () => {
  assert(!matchesWildcard(`${"a*".repeat(500)}b`, "a".repeat(4_000)));
});
