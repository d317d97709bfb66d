import { assertEquals } from "@std/assert";
import { parseInstalled } from "../../../src/scanners/apt/installed.ts";
import { findPinned } from "../../../src/scanners/apt/pinned.ts";
import { parsePolicy } from "../../../src/scanners/apt/policy.ts";
import type { Release } from "../../../src/scanners/apt/releases.ts";

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
  ["flat", release({ origin: null, label: null, suite: null, codename: null })],
  ["nameless", release({ codename: null })],
  ["esm", release({ origin: "UbuntuESM", suite: "noble-infra-security", isNotAutomatic: true })],
]);

type Row = readonly [version: string, priority: number, files: string];

/**
 * Of a package with a version of its own installed: versions with their priority and the files that
 * offer them, `file priority` or, with the version's own priority, `file`.
 */
function pinnedOver(installed: string, candidate: string, ...table: readonly Row[]) {
  const lines = table.map(([version, priority, files]) => {
    const offers = files.split(", ").filter((file) => file !== "").map((file) => {
      const [name = "", own = `${priority}`] = file.split(" ");
      return `        ${own} ${name}\n`;
    });
    return `     ${version} ${priority}\n${offers.join("")}`;
  });
  const head = `tool:\n  Installed: ${installed}\n  Candidate: ${candidate}\n  Version table:\n`;
  const row = (name: string) => `${name}\t${installed}\tamd64\tinstall\tinstalled\t${name}\t\n`;
  const found = findPinned({
    installed: parseInstalled(row("untold") + row("tool")),
    policies: parsePolicy(head + lines.join("")),
    releases: { of: (file) => RELEASES.get(file), enabled: [...RELEASES.values()] },
  }).get("tool");
  return found && `${found.version}: ${found.reason}`;
}

/** Of a package with `1` installed. */
function pinned(candidate: string, ...table: readonly Row[]) {
  return pinnedOver("1", candidate, ...table);
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
  assertEquals(
    pinned("1", ["2", 500, "security"], ["1", 990, "stable, status 100"]),
    "2: APT::Default-Release or a pin: priority 500 of 2 is below 990 of 1",
  );
});

Deno.test("findPinned() finds the newest, in whatever order apt tells of them", () => {
  const rows: Row[] = [["3", 100, "stable"], ["10", 100, "security"], ["1", 500, "stable"]];
  for (const table of [rows, rows.toReversed()]) {
    assertEquals(pinned("1", ...table)?.split(":")[0], "10");
  }
});

Deno.test("findPinned() finds nothing that is no newer than what is there or would come", () => {
  const older: Row = ["1", 1001, "stable"];
  assertEquals(pinnedOver("2", "1", ["2", 100, "stable"], older), undefined);
  assertEquals(pinnedOver("2", "1", ["3", 100, "stable"], older)?.split(":")[0], "3");
  assertEquals(pinnedOver("2", "(none)", ["2", -1, "stable"], ["1", -1, "stable"]), undefined);
  assertEquals(pinnedOver("1", "3", ["3", 500, "stable"], ["2", 100, "stable"]), undefined);
});

Deno.test("findPinned() goes by the distributions that what is there and what would come are from", () => {
  const testing: Row = ["9", 100, "testing"];
  const found = (...table: readonly Row[]) => pinned("2", testing, ...table)?.split(":")[0];
  assertEquals(found(["2", 500, "stable"], ["1", 100, "status"]), undefined, "would come");
  assertEquals(found(["2", 500, "unknown"], ["1", 100, "stable"]), undefined, "is there");
  assertEquals(found(["2", 500, "vendor"], ["1", 100, "stable"]), undefined, "of two");
  assertEquals(found(["2", 500, "flat"], ["1", 100, "stable"]), undefined);
  assertEquals(found(["2", 500, "testing"], ["1", 100, "stable"]), "9");
  assertEquals(found(["2", 500, "vendor"], ["1", 100, "status"]), "9", "nobody knows better");
  assertEquals(found(["3", 100, "stable"], ["2", 500, "vendor"]), "9", "3 is not from where 2 is");
  assertEquals(pinned("1", ["2", 100, "nameless"], ["1", 500, "stable"])?.split(":")[0], "2");
});

Deno.test("findPinned() looks at every file that offers a version, and at none that nobody offers", () => {
  const here: Row = ["1", 500, "stable"];
  const found = (files: string) => pinned("1", ["2", 100, files], here)?.split(":")[0];
  assertEquals([found("bpo, stable"), found("stable, bpo"), found("bpo, bpo")], [
    "2",
    "2",
    undefined,
  ]);
  assertEquals(found(""), undefined);
  assertEquals(found("esm"), "2", "a security release, for those who ask for it");
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
