import { assertEquals } from "@std/assert";
import { isCve, mentionedCves, readSeverity } from "../../src/scanners/dnf_advisories.ts";

Deno.test("readSeverity() knows four words in any case, and medium; none and unknown are no words", () => {
  for (const word of ["critical", "important", "moderate", "low"] as const) {
    for (const text of [word, word.toUpperCase(), ` ${word} `]) {
      assertEquals(readSeverity(text), { severity: word, ownWord: null });
    }
  }
  for (const text of ["", "None", "none", "NONE", "Unknown"]) {
    assertEquals(readSeverity(text), { severity: null, ownWord: null });
  }
  // Amazon Linux's word.
  assertEquals(readSeverity("Medium"), { severity: "moderate", ownWord: "Medium" });
  assertEquals(readSeverity("custom_severity"), { severity: null, ownWord: "custom_severity" });
  assertEquals(readSeverity("\u001b[31mHigh").ownWord, "[31mHigh");
  assertEquals(readSeverity("x".repeat(99)).ownWord?.length, 40);
});

Deno.test("isCve() and mentionedCves() take CVEs for CVEs, and nothing else", () => {
  for (const id of ["CVE-2999", "CVE-2026-0001"]) assertEquals(isCve(id), true, id);
  for (const id of ["", "2999", "RHSA-2026:1", "xCVE-2026-1", "CVE-\u001b", "CVE-"]) {
    assertEquals(isCve(id), false, id);
  }
  assertEquals(
    mentionedCves("CVE-2026-0001, (CVE-2026-12345) CVE-2026-0001 CVE-26-1 ACVE-2026-1111"),
    [
      "CVE-2026-0001",
      "CVE-2026-12345",
    ],
  );
});
