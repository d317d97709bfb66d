import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseInstalled, parsePolicy } from "../../../src/scanners/apt/packages.ts";
import { findPinned, parseUpgrade } from "../../../src/scanners/apt/upgrade.ts";
import { readFixture } from "../fixture.ts";
import { release } from "./host.ts";

const NONE = "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n";

function parsed(text: string) {
  const { changes, removals, keptBack, deferred, downloads, doubts, unparsed } = parseUpgrade(text);
  return {
    changes: changes.map(({ name, currentVersion, newVersion }) =>
      `${name} ${currentVersion} ${newVersion}`
    ),
    removals,
    left: [...keptBack, ...deferred],
    downloads: downloads.map(({ name, version, architecture, sizeBytes }) =>
      `${name} ${version} ${architecture} ${sizeBytes}`
    ),
    doubts: doubts.length,
    unparsed,
  };
}

const NOTHING = { changes: [], removals: [], left: [], downloads: [], doubts: 0, unparsed: 0 };

const CASES: readonly [string, string, Partial<typeof NOTHING> | object][] = [
  ["nothing, which is no answer", "", { doubts: 1 }],
  ["that nothing is to be done", NONE, {}],
  ["junk beside it", `E: no\nInstalling things\n\0\n   tool (1 => 2)\n${NONE}`, {}],
  [
    "a new package, which is no update",
    "The following NEW packages will be installed:\n   image-6.8 (6.8)\n" +
    "0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.\n",
    {},
  ],
  [
    "removals, one with its settings, of another architecture",
    "The following packages will be REMOVED:\n   old (1.0)\n   gone:i386* (2.0)\n" +
    "0 upgraded, 0 newly installed, 2 to remove and 0 not upgraded.\n",
    { removals: ["old", "gone:i386"] },
  ],
  [
    "what is no longer required, which is not removed",
    "The following packages were automatically installed and are no longer required:\n" +
    `   libold1 (1.0)\nUse 'apt autoremove' to remove them.\n${NONE}`,
    {},
  ],
  [
    "a list of another kind behind one that counts, and rows behind all lists",
    "The following packages will be upgraded:\n   a (1 => 2)\n" +
    "The following packages were automatically installed and are no longer required:\n" +
    "   libold1 (1 => 2)\n" +
    "The following packages have been kept back:\n   b (1 => 2)\n" +
    "1 upgraded, 0 newly installed, 0 to remove and 1 not upgraded.\n   c (1 => 2)\n   junk\n",
    { changes: ["a 1 2"], left: ["b"] },
  ],
  [
    "a downgrade and a held package that changes",
    "The following held packages will be changed:\n   a (1 => 2)\n" +
    "The following packages will be upgraded:\n   a (1 => 2)\n" +
    "The following packages will be DOWNGRADED:\n   b (2 => 1)\n" +
    "1 upgraded, 0 newly installed, 1 downgraded, 0 to remove and 0 not upgraded.\n",
    { changes: ["a 1 2", "b 2 1"] },
  ],
  [
    "essential packages that would go",
    "WARNING: The following essential packages will be removed.\n" +
    "This should NOT be done unless you know exactly what you are doing!\n   init (1)\n" +
    "The following packages will be REMOVED:\n   init (1)\n" +
    "0 upgraded, 0 newly installed, 1 to remove and 0 not upgraded.\n",
    { removals: ["init"] },
  ],
  [
    "what a hook prints in between",
    "The following packages will be upgraded:\n   a (1 => 2)\nUbuntu Pro: a thing\n" +
    "  Learn more of it:\nIt is free! Now.\n" +
    "   b (1 => 2)\n2 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n",
    { changes: ["a 1 2", "b 1 2"] },
  ],
  [
    "a list that lacks one of those that apt counts",
    "The following packages will be upgraded:\n   a (1 => 2)\n   -o (1 => 2)\n" +
    "2 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n",
    { changes: ["a 1 2"], doubts: 1, unparsed: 1 },
  ],
  [
    "rows that stand where no row stands, or go on behind it",
    "The following packages will be upgraded:\n   a (1 => 2)\n      b (1 => 2)\n" +
    "   c (1 => 2) x\n1 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n",
    { changes: ["a 1 2"], unparsed: 2 },
  ],
  ["totals with something before them", `Of all: ${NONE}`, { doubts: 1 }],
  ["totals with something behind them", NONE.replace(".\n", ". Not yet.\n"), { doubts: 1 }],
  [
    "totals with packages that are installed once more",
    NONE.replace("installed, ", "installed, 3 reinstalled, "),
    {},
  ],
  [
    "a version that is none, and one alone",
    "The following packages will be upgraded:\n   a (1;2 => 2)\n   b (2)\n" +
    "   c (1 => 2;3)\n0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n",
    { unparsed: 3 },
  ],
  [
    "downloads, with an epoch, without a sum, and without the password",
    "'http://me:s3cret@x/a_1%253a2.deb' a_1%3a2_amd64.deb 10 MD5Sum:00\n" +
    `'http://x/b.deb' b_2%2bb1_all.deb 20 \n'http://x/c.deb' -c_1_all.deb 1 \n` +
    `'http://x/d.deb' d_1_all.deb 1 MD5Sum:00 and more\n'http://x/e.deb' e_1;2_all.deb 1 \n` +
    `'http://x/f.deb' f_1_ALL.deb 1 \n${NONE}`,
    { downloads: ["a 1:2 amd64 10", "b 2+b1 all 20"] },
  ],
];

for (const [name, text, expected] of CASES) {
  Deno.test(`parseUpgrade() reads ${name}`, () =>
    assertEquals(parsed(text), { ...NOTHING, ...expected }));
}

Deno.test("parseUpgrade() reads what Debian 12 would upgrade, and agrees with apt's own count", () => {
  const text = readFixture("apt", "debian12_upgrade.txt");
  const { changes, keptBack, downloads, doubts, unparsed } = parseUpgrade(text);
  const [, count] = /^(\d+) upgraded, /m.exec(text) ?? [];
  assertEquals([changes.length, doubts, unparsed], [Number(count), [], 0]);
  assertEquals(downloads.length, text.match(/^'/gm)?.length);
  assertEquals(keptBack.size, Number(/and (\d+) not upgraded/.exec(text)?.[1]));
});

Deno.test("parseUpgrade() reads apt 2's and apt 3's decision on the same archive", () => {
  const two = parseUpgrade(readFixture("apt", "made_upgrade.txt"));
  const three = parseUpgrade(readFixture("apt", "made_upgrade_apt3.txt"));
  assertEquals([two.doubts, three.doubts, two.unparsed, three.unparsed], [[], [], 0, 0]);
  assertEquals([...two.keptBack], ["held-tool", "kept-back", "phased-tool"]);
  assertEquals([...three.keptBack], ["held-tool", "kept-back", "needs-removal"]);
  assertEquals([[...two.deferred], [...three.deferred]], [[], ["phased-tool"]]);
  assertEquals([two.removals, three.removals], [["old-thing"], []]);
  assertEquals(two.changes.length, three.changes.length + 1);
});

const made = readFixture("apt", "made_upgrade.txt");
const whole = parseUpgrade(made);

Deno.test("parseUpgrade() of text cut anywhere adds nothing, and has a doubt", () => {
  fc.assert(fc.property(fc.nat(made.length), (length) => {
    const part = parseUpgrade(made.slice(0, length));
    assertEquals(part.changes, whole.changes.slice(0, part.changes.length));
    assertEquals(part.removals, whole.removals.slice(0, part.removals.length));
    assertEquals(part.downloads, whole.downloads.slice(0, part.downloads.length));
    if (part.changes.length < whole.changes.length) assertEquals(part.doubts.length, 1);
  }));
});

Deno.test("parseUpgrade() ignores other lines, and accepts any line ending", () => {
  const lines = made.split("\n");
  const chatter = fc.string().map((text) => `x${text.replaceAll(/[\r\n:!]/g, "")}.`);
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(lines.length - 1), chatter), { maxLength: 5 }),
    fc.constantFrom("\n", "\r\n", "\r"),
    (additions, lineEnd) => {
      const mixed = [...lines];
      for (const [at, text] of additions) mixed.splice(at, 0, text);
      assertEquals(parseUpgrade(mixed.join(lineEnd)), whole);
    },
  ));
});

Deno.test("parseUpgrade() never ignores a damaged row", () => {
  const lines = made.split("\n");
  const rows = lines.flatMap((line, index) => /^ {3}\S+ \(\S+ => /.test(line) ? [index] : []);
  fc.assert(fc.property(fc.constantFrom(...rows), fc.string(), (at, junk) => {
    const damaged = lines.with(at, junk.replaceAll(/[\r\n]/g, ""));
    const { changes, doubts } = parseUpgrade(damaged.join("\n"));
    const isSame = changes.length === whole.changes.length &&
      changes.every(({ name }, index) => name === whole.changes[index]?.name);
    assertEquals(isSame || doubts.length > 0, true);
  }));
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
    installed: parseInstalled(row("missing") + row("tool")),
    policies: parsePolicy(head + lines.join("")),
    releases: { of: (file) => RELEASES.get(file), enabled: [...RELEASES.values()] },
  }).get("tool");
  return found && `${found.version}: ${found.reason}`;
}

/** Of a package with `1` installed. */
function pinned(candidate: string, ...table: readonly Row[]) {
  return pinnedOver("1", candidate, ...table);
}

Deno.test("findPinned() finds versions that a preference outranks, with the priorities", () => {
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

Deno.test("findPinned() finds the newest version, in any order of apt's output", () => {
  const rows: Row[] = [["3", 100, "stable"], ["10", 100, "security"], ["1", 500, "stable"]];
  for (const table of [rows, rows.toReversed()]) {
    assertEquals(pinned("1", ...table)?.split(":")[0], "10");
  }
});

Deno.test("findPinned() finds nothing that is not newer than the installed version and the candidate", () => {
  const older: Row = ["1", 1001, "stable"];
  assertEquals(pinnedOver("2", "1", ["2", 100, "stable"], older), undefined);
  assertEquals(pinnedOver("2", "1", ["3", 100, "stable"], older)?.split(":")[0], "3");
  assertEquals(pinnedOver("2", "(none)", ["2", -1, "stable"], ["1", -1, "stable"]), undefined);
  assertEquals(pinnedOver("1", "3", ["3", 500, "stable"], ["2", 100, "stable"]), undefined);
});

Deno.test("findPinned() compares with the distributions of the installed version and the candidate", () => {
  const testing: Row = ["9", 100, "testing"];
  const found = (...table: readonly Row[]) => pinned("2", testing, ...table)?.split(":")[0];
  assertEquals(found(["2", 500, "stable"], ["1", 100, "status"]), undefined, "would come");
  assertEquals(found(["2", 500, "unknown"], ["1", 100, "stable"]), undefined, "is there");
  assertEquals(found(["2", 500, "vendor"], ["1", 100, "stable"]), undefined, "of two");
  assertEquals(found(["2", 500, "flat"], ["1", 100, "stable"]), undefined);
  assertEquals(found(["2", 500, "testing"], ["1", 100, "stable"]), "9");
  assertEquals(found(["2", 500, "vendor"], ["1", 100, "status"]), "9", "no source is known");
  assertEquals(found(["3", 100, "stable"], ["2", 500, "vendor"]), "9", "3 is not from where 2 is");
  assertEquals(pinned("1", ["2", 100, "nameless"], ["1", 500, "stable"])?.split(":")[0], "2");
});

Deno.test("findPinned() checks every file that offers a version, and skips versions without one", () => {
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

Deno.test("findPinned() omits versions that wait for nothing", () => {
  assertEquals(pinned("2", ["2", 500, "stable"]), undefined, "the candidate itself");
  assertEquals(pinned("1", ["2", 100, "bpo"], ["1", 500, "stable"]), undefined);
  assertEquals(pinned("1", ["2", 500, "testing"], ["1", 990, "stable"]), undefined);
  assertEquals(pinned("1", ["1", 500, "stable"]), undefined);
  assertEquals(pinned("1", ["0.9", 500, "security"], ["1", 990, "stable"]), undefined);
});

Deno.test("findPinned() ignores releases for a pin of the package itself", () => {
  assertEquals(pinned("1", ["2", -5, "testing 500"], ["1", 990, "stable"])?.slice(0, 2), "2:");
});
