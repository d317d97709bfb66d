import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseSimulation } from "../../src/scanners/apt_simulation.ts";
import { readFixture } from "./fixture.ts";

const CASES: readonly [string, string, unknown][] = [
  ["nothing", "", { changes: [], removals: [], unparsed: 0 }],
  ["junk", "Installing things\nE: no\n\0\n", { changes: [], removals: [], unparsed: 0 }],
  [
    "a new package, which is no update",
    "Inst linux-image-6.8 (6.8 Ubuntu:24.04/noble [amd64])\n",
    { changes: [], removals: [], unparsed: 0 },
  ],
  [
    "removals",
    "Remv old [1.0]\nPurg gone:i386 [2.0]\n",
    { changes: [], removals: ["old", "gone:i386"], unparsed: 0 },
  ],
  [
    "no origin, brackets after the parenthesis",
    "Inst a [1] (2 [all]) []\n",
    {
      changes: [
        { name: "a", currentVersion: "1", newVersion: "2", architecture: "all", origins: null },
      ],
      removals: [],
      unparsed: 0,
    },
  ],
  [
    "blanks where an origin would be, and around one",
    "Inst a [1] (2   [all])\nInst b [1] (2  x y  [all])\n",
    {
      changes: [
        { name: "a", currentVersion: "1", newVersion: "2", architecture: "all", origins: null },
        { name: "b", currentVersion: "1", newVersion: "2", architecture: "all", origins: "x y" },
      ],
      removals: [],
      unparsed: 0,
    },
  ],
  ["a cut line", "Inst a [1] (2 x [all])", { changes: [], removals: [], unparsed: 1 }],
  ["a name that is an option", "Inst -o [1] (2 x [all])\n", {
    changes: [],
    removals: [],
    unparsed: 1,
  }],
  ["a version that is none", "Inst a [1;2] (2 x [all])\n", {
    changes: [],
    removals: [],
    unparsed: 1,
  }],
  ["no parenthesis", "Inst a [1] 2 x [all]\n", { changes: [], removals: [], unparsed: 1 }],
];

for (const [name, text, expected] of CASES) {
  Deno.test(`parseSimulation() reads ${name}`, () =>
    assertEquals(parseSimulation(text), expected as ReturnType<typeof parseSimulation>));
}

Deno.test("parseSimulation() reads what Debian 12 would upgrade", () => {
  const { changes, removals, unparsed } = parseSimulation(
    readFixture("apt", "debian12_simulation.txt"),
  );
  const lines = readFixture("apt", "debian12_simulation.txt").split("\n");
  assertEquals(changes.length, lines.filter((line) => line.startsWith("Inst ")).length);
  assertEquals([removals, unparsed], [[], 0]);
});

Deno.test("parseSimulation() reads lines with several origins and what comes after them", () => {
  const { changes } = parseSimulation(readFixture("apt", "debian12_simulation_2.txt"));
  const find = (name: string) => changes.find((change) => change.name === name);
  assertEquals(find("libcap2"), {
    name: "libcap2",
    currentVersion: "1:2.66-4+deb12u2+b2",
    newVersion: "1:2.66-4+deb12u3+b1",
    architecture: "amd64",
    origins: "Debian:12.15/oldstable",
  });
  assertEquals(
    find("libgcrypt20-dev")?.origins,
    "Debian:12.15/oldstable, Debian-Security:12/oldstable-security",
  );
  assertEquals(find("libpam-modules-bin")?.newVersion, "1.5.2-6+deb12u2");
});

Deno.test("parseSimulation() reads labels with signs of the grammar's own", () => {
  const { changes, removals } = parseSimulation(readFixture("apt", "ubuntu_simulation.txt"));
  assertEquals(changes.length, 11);
  assertEquals(removals, ["oldthing"]);
  assertEquals(
    changes.find(({ name }) => name === "security-misc")?.origins,
    "Some Team (stable, nightly) PPA:24.04/noble",
  );
  assertEquals(changes.find(({ name }) => name === "libssl3t64:i386")?.architecture, "i386");
});

const made = readFixture("apt", "made_simulation.txt");
const whole = parseSimulation(made);

Deno.test("parseSimulation() cut anywhere tells nothing that the whole does not", () => {
  fc.assert(fc.property(fc.nat(made.length), (length) => {
    const part = parseSimulation(made.slice(0, length));
    assertEquals(part.changes, whole.changes.slice(0, part.changes.length));
    assertEquals(part.removals, whole.removals.slice(0, part.removals.length));
  }));
});

Deno.test("parseSimulation() is not moved by chatter or by how lines end", () => {
  const lines = made.split("\n");
  const chatter = fc.string().filter((text) => !/^\s*(Inst|Remv|Purg)\b/.test(text))
    .map((text) => text.replaceAll(/[\r\n]/g, ""));
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(lines.length - 1), chatter), { maxLength: 5 }),
    fc.constantFrom("\n", "\r\n", "\r"),
    (additions, lineEnd) => {
      const mixed = [...lines];
      for (const [at, text] of additions) mixed.splice(at, 0, text);
      assertEquals(parseSimulation(mixed.join(lineEnd)), whole);
    },
  ));
});
