import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { parsePolicy } from "../../../src/scanners/apt/policy.ts";
import { readFixture } from "../fixture.ts";

Deno.test("parsePolicy() takes a field that it does not know for nothing, and reads the rest", () => {
  const text = "tool:\n  Installed: 1.0\n  Candidate: 1.1\n  Weather: fine\n  Version table:\n";
  const { packages, unparsed } = parsePolicy(text);
  assertEquals([packages.size, unparsed], [1, 0]);
});

Deno.test("parsePolicy() takes for a version only what dpkg would", () => {
  const text = "tool:\n  Installed: 1.0\n  Candidate: 1.1\n  Version table:\n";
  const versions = (line: string) => {
    const { packages, unparsed } = parsePolicy(`${text}${line}\n`);
    return [packages.get("tool")?.versions.map(({ version }) => version), unparsed];
  };
  assertEquals(versions(" *** 1:1.1~a+b-1 500"), [["1:1.1~a+b-1"], 0]);
  assertEquals(versions("     1.1 -1"), [["1.1"], 0]);
  const others = [
    " *** 1.1$ 500",
    "     \u00e4 500",
    "     1.1",
    "      1.1 500 x",
    "     1.1 500 x",
    "     1.1 500 (phased 10%) x",
    "          1.1 500",
    "*** 1.1 500",
  ];
  for (const line of others) assertEquals(versions(line), [[], 1], line);
});

Deno.test("parsePolicy() reads versions, where they come from, and phasing", () => {
  const { packages, unparsed } = parsePolicy(readFixture("apt", "ubuntu_policy.txt"));
  assertEquals(unparsed, 0);
  assertEquals(packages.get("phased-tool"), {
    installed: "1.0",
    candidate: "2.0-0ubuntu1",
    versions: [
      {
        version: "2.0-0ubuntu1",
        priority: 500,
        phasing: "phased 0%",
        files: [{
          name: "http://archive.example/ubuntu noble-updates/main amd64 Packages",
          priority: 500,
        }],
      },
      {
        version: "1.0",
        priority: 100,
        phasing: null,
        files: [{ name: "/var/lib/dpkg/status", priority: 100 }],
      },
    ],
  });
  assertEquals(packages.get("superseded")?.versions.map(({ version }) => version), [
    "1.3",
    "1.2",
    "1.0",
  ]);
  assertEquals(packages.get("libssl3t64:i386")?.versions[0]?.files.length, 2);
});

Deno.test("parsePolicy() reads every package of a host", () => {
  const { packages, unparsed } = parsePolicy(readFixture("apt", "debian12_policy.txt"));
  const names = readFixture("apt", "debian12_policy.txt").match(/^\S+(?=:$)/gm) ?? [];
  assertEquals([[...packages.keys()], unparsed], [names, 0]);
});

Deno.test("parsePolicy() reads a package that cannot be had", () => {
  const text = "a:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n";
  assertEquals(parsePolicy(text).packages.get("a"), {
    installed: null,
    candidate: null,
    versions: [],
  });
});

Deno.test("parsePolicy() reads pins and negative priorities", () => {
  const text = "a:\n  Installed: 1\n  Candidate: 1\n  Package pin: 1\n  Version table:\n" +
    "     2 -10\n        -10 http://x y/main amd64 Packages\n *** 1 100\n";
  assertEquals(parsePolicy(text).unparsed, 0);
  const [version] = parsePolicy(text).packages.get("a")?.versions ?? [];
  assertEquals([version?.priority, version?.files], [-10, [
    { name: "http://x y/main amd64 Packages", priority: -10 },
  ]]);
});

Deno.test("parsePolicy() leaves out what it does not understand, and counts it", () => {
  const fields = "  Installed: 1\n  Candidate: 1\n";
  const texts = [
    "junk\n",
    "a:\n  Installed: 1\n",
    "a:\n  Candidate: 1\n",
    "a:\n  Installed: 1\n  Candidate: 1;2\n",
    "a:\n  Installed: 1;2\n  Candidate: 1\n",
    `-o:\n${fields}`,
    `a b:\n${fields}`,
    `a;\n${fields}`,
    `a\n${fields}`,
    "  lost\n",
  ];
  for (const text of texts) {
    const { packages, unparsed } = parsePolicy(text);
    assertEquals(packages.size, 0, text);
    assert(unparsed > 0, text);
  }
  assertEquals(parsePolicy(`a:\n${fields}\nb:\n${fields}`).unparsed, 0, "an empty line is nothing");
});

Deno.test("parsePolicy() takes a package file for the version's that it stands below, and counts others", () => {
  const head = "a:\n  Installed: 1\n  Candidate: 1\n  Version table:\n";
  const file = "        500 http://x y/main amd64 Packages\n";
  const read = (text: string) => {
    const { packages, unparsed } = parsePolicy(head + text);
    return [packages.get("a")?.versions.map(({ files }) => files.length), unparsed];
  };
  assertEquals(read(` *** 1 500\n${file}${file}     0 500\n${file}`), [[2, 1], 0]);
  assertEquals(read(`${file} *** 1 500\n`), [[0], 1], "of no version");
  assertEquals(read(` *** 1 500\n   x${file}`), [[0], 1], "not where a file stands");
  assertEquals(read(` *** 1 500\n${file.trimStart()}`), [[0], 1], "not set in");
});

Deno.test("parsePolicy() does not half-read another language", () => {
  const { packages, unparsed } = parsePolicy(readFixture("apt", "german_policy.txt"));
  assertEquals(packages.size, 0);
  assert(unparsed > 0);
});

Deno.test("parsePolicy() cut anywhere has candidates that the whole has, too", () => {
  const text = readFixture("apt", "made_policy.txt");
  const whole = parsePolicy(text).packages;
  fc.assert(fc.property(fc.nat(text.length), (length) => {
    for (const [name, policy] of parsePolicy(text.slice(0, length)).packages) {
      assertEquals(policy.candidate, whole.get(name)?.candidate);
    }
  }));
  fc.assert(fc.property(fc.string(), (junk) => void parsePolicy(junk)));
});
