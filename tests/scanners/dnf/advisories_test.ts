import { assertEquals } from "@std/assert";
import {
  isAdvisoryId,
  isCve,
  mentionedCves,
  mergeDetails,
  readSeverity,
} from "../../../src/scanners/dnf/advisories.ts";

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
  for (
    const id of ["", "2999", "RHSA-2026:1", "xCVE-2026-1", "CVE-\u001b", "CVE-", "CVE-2026-1 x"]
  ) {
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

Deno.test("isAdvisoryId() takes up to 200 characters that can be shown, and blanks between words", () => {
  for (const id of ["A", "RHSA-2026:1001", "My Corp 1", "x".repeat(200)]) {
    assertEquals(isAdvisoryId(id), true, id);
  }
  for (const id of ["", " ", " A", "A ", "A\u001b", "\u001bA", "é", "x".repeat(201)]) {
    assertEquals(isAdvisoryId(id), false, id);
  }
});

Deno.test("mergeDetails() keeps what either of two repositories says of an advisory", () => {
  const silent = { id: "A", severity: null, ownWord: null, listed: [], mentioned: [] };
  const telling = {
    id: "A",
    severity: "low" as const,
    ownWord: "High",
    listed: ["CVE-2026-0001"],
    mentioned: ["CVE-2026-0002"],
  };
  for (const both of [[silent, telling], [telling, silent], [telling, telling]]) {
    assertEquals([...mergeDetails(both).values()], [telling]);
  }
  // Of two words, the one of the repository that comes first.
  const [merged] = mergeDetails([telling, { ...telling, ownWord: "Low" }]).values();
  assertEquals(merged?.ownWord, "High");
});
