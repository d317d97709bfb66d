import { assertEquals } from "@std/assert";
import { markIgnored } from "../../src/scanners/ignored.ts";
import { tool } from "../cli/scan_reports.ts";

function statesOf(scanner: string, patterns: readonly string[]): string[] {
  const updates = [
    { ...tool, package: "linux-image-amd64" },
    { ...tool, package: "Tool", advisories: ["KB2267602"] },
    { ...tool, package: "other", description: "Security Intelligence Update for Defender" },
  ];
  return markIgnored(scanner, updates, patterns).map(({ state }) => state);
}

const [not, yes] = ["upgradable", "ignored"];

Deno.test("markIgnored() matches names, advisories and titles, in any case", () => {
  assertEquals(statesOf("apt", []), [not, not, not]);
  assertEquals(statesOf("apt", ["linux-*"]), [yes, not, not]);
  assertEquals(statesOf("apt", ["tool"]), [not, yes, not]);
  assertEquals(statesOf("apt", ["kb2267602"]), [not, yes, not]);
  assertEquals(statesOf("apt", ["*defender"]), [not, not, yes]);
  assertEquals(statesOf("apt", ["security intelligence update"]), [not, not, yes]);
  assertEquals(statesOf("apt", ["defender"]), [not, not, not], "a description begins otherwise");
  assertEquals(statesOf("apt", ["too"]), [not, not, not], "a name is matched as a whole");
});

Deno.test("markIgnored() heeds a pattern for one scanner in that one alone, and says which it was", () => {
  assertEquals(statesOf("apt", ["apt:linux-*", "dnf:*"]), [yes, not, not]);
  assertEquals(statesOf("dnf", ["apt:linux-*"]), [not, not, not]);
  assertEquals(statesOf("apt", ["Xapt:tool"]), [not, not, not], "a colon in a title");
  const [first] = markIgnored("apt", [tool], ["apt:to?l"]);
  assertEquals(first?.stateReason, "scanners.ignore: apt:to?l");
});
