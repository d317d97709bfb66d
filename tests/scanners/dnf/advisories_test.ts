import { assertEquals } from "@std/assert";
import {
  isAdvisoryId,
  isCve,
  mentionedCves,
  mergeDetails,
  readSeverity,
} from "../../../src/scanners/dnf/advisories.ts";

Deno.test("readSeverity() reads the four words and 'medium' in any case; 'none' and 'unknown' are no severity", () => {
  for (const word of ["critical", "important", "moderate", "low"] as const) {
    for (const text of [word, word.toUpperCase(), ` ${word} `]) {
      assertEquals(readSeverity(text), { severity: word, ownWord: null });
    }
  }
  for (const text of ["", "None", "none", "NONE", "Unknown"]) {
    assertEquals(readSeverity(text), { severity: null, ownWord: null });
  }
  // The word of Amazon Linux.
  assertEquals(readSeverity("Medium"), { severity: "moderate", ownWord: "Medium" });
  assertEquals(readSeverity("custom_severity"), { severity: null, ownWord: "custom_severity" });
  assertEquals(readSeverity("\u001b[31mHigh").ownWord, "[31mHigh");
  assertEquals(readSeverity("x".repeat(99)).ownWord?.length, 40);
});

Deno.test("isCve() and mentionedCves() recognise only CVEs", () => {
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

Deno.test("isAdvisoryId() accepts up to 200 printable characters with inner spaces", () => {
  for (const id of ["A", "RHSA-2026:1001", "My Corp 1", "x".repeat(200)]) {
    assertEquals(isAdvisoryId(id), true, id);
  }
  for (const id of ["", " ", " A", "A ", "A\u001b", "\u001bA", "é", "x".repeat(201)]) {
    assertEquals(isAdvisoryId(id), false, id);
  }
});

Deno.test("mergeDetails() combines the details of an advisory in two repositories", () => {
  const silent = { id: "A", severity: null, ownWord: null, listed: [], mentioned: [] };
  const complete = {
    id: "A",
    severity: "low" as const,
    ownWord: "High",
    listed: ["CVE-2026-0001"],
    mentioned: ["CVE-2026-0002"],
  };
  for (const both of [[silent, complete], [complete, silent], [complete, complete]]) {
    assertEquals([...mergeDetails(both).values()], [complete]);
  }
  // Of two words, the first repository's.
  const [merged] = mergeDetails([complete, { ...complete, ownWord: "Low" }]).values();
  assertEquals(merged?.ownWord, "High");
});
