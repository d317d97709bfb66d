import { assertEquals } from "@std/assert";
import { parseInstalled } from "../../src/scanners/apt_installed.ts";
import { findPinned } from "../../src/scanners/apt_pinned.ts";
import { parsePolicy } from "../../src/scanners/apt_policy.ts";
import type { Release } from "../../src/scanners/apt_releases.ts";

const release = (fields: Partial<Release>): Release => ({
  origin: "Debian",
  label: "Debian",
  suite: "stable",
  codename: "bookworm",
  version: "12",
  dateMs: null,
  validUntilMs: null,
  isNotAutomatic: false,
  ...fields,
});

const RELEASES = new Map([
  ["stable", release({})],
  ["security", release({ label: "Debian-Security", codename: "bookworm-security" })],
  ["testing", release({ suite: "testing", codename: "trixie" })],
  [
    "bpo",
    release({ label: "Debian Backports", codename: "bookworm-backports", isNotAutomatic: true }),
  ],
  ["vendor", release({ origin: "Vendor", label: "Vendor", codename: "stable" })],
]);

/** Of a package with `1` installed: versions with their priority and `file priority`. */
function pinned(candidate: string, ...table: [version: string, priority: number, file: string][]) {
  const lines = table.map(([version, priority, file]) => {
    const [name = "", own = `${priority}`] = file.split(" ");
    return `     ${version} ${priority}\n        ${own} ${name}\n`;
  });
  const head = `tool:\n  Installed: 1\n  Candidate: ${candidate}\n  Version table:\n`;
  const found = findPinned({
    installed: parseInstalled("tool\t1\tamd64\tinstall\tinstalled\ttool\t\n"),
    policies: parsePolicy(head + lines.join("")),
    releases: { of: (file) => RELEASES.get(file), enabled: [...RELEASES.values()] },
  }).get("tool");
  return found && `${found.version}: ${found.reason}`;
}

Deno.test("findPinned() finds what a preference outranks, and says by which priorities", () => {
  assertEquals(
    pinned("1", ["2", 500, "security"], ["1", 990, "stable"]),
    "2: APT::Default-Release or a pin: priority 500 of 2 is below 990 of 1",
  );
  assertEquals(
    pinned("1", ["3", 500, "stable"], ["2", 500, "security"], ["1", 1001, "stable 500"]),
    "3: a pin: priority 500 of 3 is below 1001 of 1",
  );
  assertEquals(
    pinned("(none)", ["2", -1, "security"], ["1", -1, "stable"]),
    "2: priority -1 of 2: no version may be installed",
  );
  assertEquals(
    pinned("1", ["2", 100, "vendor"], ["1", 500, "stable"]),
    "2: a pin: priority 100 of 2 is below 500 of 1",
  );
  assertEquals(pinned("1", ["2", 100, "unknown"], ["1", 500, "stable"])?.slice(0, 2), "2:");
});

Deno.test("findPinned() leaves out what waits for nothing", () => {
  assertEquals(pinned("2", ["2", 500, "stable"]), undefined, "the candidate itself");
  assertEquals(pinned("1", ["2", 100, "bpo"], ["1", 500, "stable"]), undefined);
  assertEquals(pinned("1", ["2", 500, "testing"], ["1", 990, "stable"]), undefined);
  assertEquals(pinned("1", ["1", 500, "stable"]), undefined);
  assertEquals(pinned("1", ["0.9", 500, "security"], ["1", 990, "stable"]), undefined);
});

Deno.test("findPinned() of a pin of the package itself looks at no release", () => {
  assertEquals(pinned("1", ["2", -5, "testing 500"], ["1", 990, "stable"])?.slice(0, 2), "2:");
});
