import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  compareDebianVersions,
  isAptName,
  isArchitecture,
  isName,
  isVersion,
  parseInstalled,
  parsePolicy,
  parseShow,
  splitAptName,
} from "../../../src/scanners/apt/packages.ts";
import { readFixture } from "../fixture.ts";

const KINDS: readonly [
  kind: string,
  is: (text: string) => boolean,
  good: readonly string[],
  bad: readonly string[],
][] = [
  [
    "a package",
    isName,
    ["curl", "g++", "0ad", "libstdc++6", "python3.11-minimal", "R_old", "x".repeat(255)],
    ["", "-o", "+x", ".hidden", "a b", "a/b", "a;b", "a:i386", "curl\n", "x".repeat(256)],
  ],
  [
    "an architecture",
    isArchitecture,
    ["amd64", "all", "i386", "kfreebsd-amd64", "x".repeat(64)],
    ["", "-o", "AMD64", "amd64 ", " amd64", "$(x)amd64", "amd64;x", "x".repeat(65)],
  ],
  [
    "a version",
    isVersion,
    ["1", "1:2.0~rc1-1+b2", "2024.01.01_x", "x".repeat(255)],
    ["", "1 2", "1;2", "$1", "1/2", "1\n", "x".repeat(256)],
  ],
  [
    "a package as apt writes it",
    isAptName,
    ["curl", "libc6:i386", "g++-12:arm64"],
    ["", ":i386", "libc6:", "libc6:-o", "libc6:i386:x", "-o:i386", "a b:i386"],
  ],
];

for (const [kind, is, good, bad] of KINDS) {
  Deno.test(`${kind} differs from text that only begins or ends like one`, () => {
    for (const text of good) assertEquals(is(text), true, text);
    for (const text of bad) assertEquals(is(text), false, text);
  });
}

Deno.test("splitAptName() splits at the first colon", () => {
  assertEquals(splitAptName("curl"), { name: "curl", architecture: null });
  assertEquals(splitAptName("libc6:i386"), { name: "libc6", architecture: "i386" });
  assertEquals(splitAptName("a:i386"), { name: "a", architecture: "i386" });
  assertEquals(splitAptName(":i386"), { name: "", architecture: "i386" });
});

/** Each one older than the next; deb-version(7), and dpkg's own tests. */
const ASCENDING = [
  "0~~",
  "0~~a",
  "0~",
  "0",
  "0a",
  "0+",
  "0.1~rc1-1",
  "0.1-1",
  "1.0~bpo1",
  "1.0",
  "1.0-0.1",
  "1.0-1",
  "1.0-1ubuntu0.1~esm2",
  "1.0-1ubuntu1",
  "1.0-1+b1",
  "1.0-1+deb12u1",
  "1.0-10",
  "1.0a-1",
  "1.0+dfsg-1",
  "1.0.1-1",
  "1.2-3-4",
  "1.10",
  "20240101",
  "99999999999999999999999",
  "100000000000000000000000",
  "1:0",
  "2:0~a",
];

Deno.test("compareDebianVersions() has dpkg's order", () => {
  ASCENDING.forEach((older, index) => {
    assertEquals(compareDebianVersions(older, older), 0);
    for (const newer of ASCENDING.slice(index + 1)) {
      assert(compareDebianVersions(older, newer) < 0, `${older} < ${newer}`);
      assert(compareDebianVersions(newer, older) > 0, `${newer} > ${older}`);
    }
  });
});

Deno.test("compareDebianVersions() is 0 for versions that are equal to dpkg", () => {
  const same = [["1.0", "0:1.0"], ["1.0", "1.0-0"], ["1.01", "1.1"], ["1.0-", "1.0"], [":1", "1"], [
    "-1",
    "0-1",
  ]] as const;
  for (const [a, b] of same) assertEquals(compareDebianVersions(a, b), 0);
});

Deno.test("compareDebianVersions() reads epoch and revision of nearly empty versions", () => {
  assert(compareDebianVersions("-1", "-2") < 0);
  assert(compareDebianVersions("1:-1", "1:-2") < 0);
  assert(compareDebianVersions(":1", ":2") < 0);
  assert(compareDebianVersions("1:", "2:") < 0);
});

Deno.test("compareDebianVersions() compares leading letters first", () => {
  assert(compareDebianVersions("a2", "b1") < 0);
  assert(compareDebianVersions("~2", "1") < 0);
  assert(compareDebianVersions("1-r2", "1-s1") < 0);
});

Deno.test("compareDebianVersions() is a total order for any text", () => {
  const version = fc.string({ unit: fc.constantFrom(..."019aZ~+.-:"), maxLength: 8 });
  const sign = (a: string, b: string) => Math.sign(compareDebianVersions(a, b));
  fc.assert(fc.property(version, version, version, (a, b, c) => {
    assertEquals(sign(a, b), 0 - sign(b, a));
    if (sign(a, b) <= 0 && sign(b, c) <= 0) assert(sign(a, c) <= 0, `${a} ${b} ${c}`);
  }));
});

Deno.test("parseInstalled() of nothing or junk is empty", () => {
  assertEquals(parseInstalled(""), { packages: new Map(), ownArchitecture: null, unparsed: 0 });
  assertEquals(parseInstalled("\n\n").unparsed, 0);
  const junk = parseInstalled("bash\nbash\t5.2\n-o\t1\tamd64\tinstall\tinstalled\tx\ty\n");
  assertEquals([junk.packages.size, junk.unparsed], [0, 3]);
});

Deno.test("parseInstalled() names packages as apt does", () => {
  const { packages, ownArchitecture, unparsed } = parseInstalled(
    readFixture("apt", "made_installed.txt"),
  );
  assertEquals([ownArchitecture, unparsed, packages.size], ["amd64", 0, 24]);
  assertEquals(packages.get("libssl3t64")?.architecture, "amd64");
  assertEquals(packages.get("libssl3t64:i386")?.architecture, "i386");
  assertEquals(packages.has("libssl3t64:amd64"), false);
  assertEquals(packages.get("g++-tool")?.version, "1:9.0+dfsg-1");
});

Deno.test("parseInstalled() reads holds, and omits what is only half installed", () => {
  const { packages } = parseInstalled(readFixture("apt", "made_installed.txt"));
  const held = [...packages].filter(([, { isHeld }]) => isHeld).map(([name]) => name);
  assertEquals(held, ["held-tool"]);
  assertEquals(packages.has("removed-rc"), false);
  const rows = ["half-installed", "unpacked", "not-installed", "triggers-pending"]
    .map((status) => `${status}\t1\tamd64\tinstall\t${status}\tx\ty\n`);
  assertEquals([...parseInstalled(rows.join("")).packages.keys()], [
    "half-installed",
    "unpacked",
    "triggers-pending",
  ]);
});

Deno.test("parseInstalled() omits a package that was selected and never installed", () => {
  const { packages, unparsed } = parseInstalled("a\t\tamd64\tinstall\tnot-installed\ta\t\n");
  assertEquals([packages.size, unparsed], [0, 0]);
  const broken = parseInstalled("a\t\tamd64\tinstall\thalf-installed\ta\t\n");
  assertEquals([broken.packages.size, broken.unparsed], [0, 0]);
  const odd = parseInstalled("a\t\tamd64\tinstall\tinstalled\ta\t\n");
  assertEquals([odd.packages.size, odd.unparsed], [0, 1], "what is there has a version");
});

Deno.test("parseInstalled() counts a row with a word that dpkg does not use as unparsed", () => {
  const row = ["libc6:i386", "2.36-9", "i386", "install", "installed", "glibc", "a library"];
  const read = (fields: readonly string[]) => parseInstalled(`${fields.join("\t")}\n`);
  assertEquals([read(row).packages.size, read(row).unparsed], [1, 0]);
  const damaged: readonly (readonly string[])[] = [
    row.slice(0, 6),
    row.with(0, "-o:i386"),
    row.with(0, "libc6:-o"),
    row.with(1, "2.36 9"),
    row.with(2, "$(x)"),
  ];
  for (const fields of damaged) {
    assertEquals([read(fields).packages.size, read(fields).unparsed], [0, 1], fields.join(" "));
  }
});

Deno.test("parseInstalled() uses the package's name where there is no source", () => {
  const sourceOf = (source: string) =>
    parseInstalled(`libc6\t1\tamd64\tinstall\tinstalled\t${source}\t\n`).packages.get("libc6")
      ?.sourcePackage;
  assertEquals([sourceOf("glibc"), sourceOf(""), sourceOf("-o")], ["glibc", "libc6", "libc6"]);
});

Deno.test("parseInstalled() reads summaries, with and without tabs", () => {
  const row = (summary: string) => `a\t1\tamd64\tinstall\tinstalled\ta\t${summary}\n`;
  const read = (summary: string) => parseInstalled(row(summary)).packages.get("a")?.summary;
  assertEquals([read("a tool"), read("a\ttool"), read("")], ["a tool", "a tool", null]);
  assertEquals([read(" a tool "), read(" ")], ["a tool", null]);
});

Deno.test("parseInstalled() never throws, and adds nothing for text cut anywhere", () => {
  fc.assert(fc.property(fc.string(), (text) => void parseInstalled(text)));
  const text = readFixture("apt", "debian12_installed.txt");
  const whole = parseInstalled(text).packages;
  fc.assert(fc.property(fc.nat(text.length), (length) => {
    for (const [name, found] of parseInstalled(text.slice(0, length)).packages) {
      assertEquals(whole.get(name), found);
    }
  }));
});

Deno.test("parseInstalled() never mistakes a foreign architecture for the host's own", () => {
  const row = (name: string, architecture: string) =>
    `${name}\t1\t${architecture}\tinstall\tinstalled\t${name}\t\n`;
  const { packages, ownArchitecture } = parseInstalled(
    row("a:i386", "i386") + row("b", "all") + row("c", "amd64"),
  );
  assertEquals(ownArchitecture, "amd64");
  assertEquals([...packages.keys()], ["a:i386", "b", "c"]);
});

Deno.test("parsePolicy() ignores unknown fields, and reads the rest", () => {
  const text = "tool:\n  Installed: 1.0\n  Candidate: 1.1\n  Weather: fine\n  Version table:\n";
  const { packages, unparsed } = parsePolicy(text);
  assertEquals([packages.size, unparsed], [1, 0]);
});

Deno.test("parsePolicy() accepts only versions that are valid for dpkg", () => {
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

Deno.test("parsePolicy() reads versions, their origins, and phasing", () => {
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

Deno.test("parsePolicy() reads a package without a candidate", () => {
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

Deno.test("parsePolicy() omits and counts unparsed lines", () => {
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

Deno.test("parsePolicy() assigns a package file to the version above it, and counts others as unparsed", () => {
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

Deno.test("parsePolicy() does not partially read another language", () => {
  const { packages, unparsed } = parsePolicy(readFixture("apt", "german_policy.txt"));
  assertEquals(packages.size, 0);
  assert(unparsed > 0);
});

Deno.test("parsePolicy() of text cut anywhere has no other candidates than the whole", () => {
  const text = readFixture("apt", "made_policy.txt");
  const whole = parsePolicy(text).packages;
  fc.assert(fc.property(fc.nat(text.length), (length) => {
    for (const [name, policy] of parsePolicy(text.slice(0, length)).packages) {
      assertEquals(policy.candidate, whole.get(name)?.candidate);
    }
  }));
  fc.assert(fc.property(fc.string(), (junk) => void parsePolicy(junk)));
});

Deno.test("parseShow() reads size, source and description, for each architecture", () => {
  const { packages, unparsed } = parseShow(readFixture("apt", "made_show.txt"));
  assertEquals(unparsed, 0);
  assertEquals(packages.map(({ name, architecture }) => `${name} ${architecture}`), [
    "held-tool amd64",
    "kept-back amd64",
    "phased-tool amd64",
    "pinned-down amd64",
  ]);
  assertEquals(packages[2], {
    name: "phased-tool",
    version: "2.0-0ubuntu1",
    architecture: "amd64",
    sourcePackage: "phased",
    sizeBytes: 1_011,
    description: "The package phased-tool",
  });
  assertEquals(packages[3]?.sourcePackage, "pinned-down");
});

Deno.test("parseShow() reads real stanzas with fields over several lines", () => {
  const text = readFixture("apt", "debian12_show.txt");
  const { packages, unparsed } = parseShow(text);
  assertEquals([packages.length, unparsed], [text.match(/^Package: /gm)?.length, 0]);
  assertEquals(packages.every(({ sizeBytes, description }) => sizeBytes && description), true);
});

Deno.test("parseShow() accepts a missing size, and ignores an invalid one", () => {
  const stanza = (size: string) => `Package: a\nVersion: 1\nArchitecture: all\n${size}\n`;
  for (const size of ["", "Size: -1\n", "Size: 1e9\n", `Size: ${"9".repeat(16)}\n`]) {
    assertEquals(parseShow(stanza(size)).packages[0]?.sizeBytes, null);
  }
});

Deno.test("parseShow() treats indented lines as part of a field, and counts lines without one as unparsed", () => {
  const stanza = (line: string) =>
    `Package: a\nVersion: 1\nArchitecture: all\n${line}\nDescription-en: a tool\nX: y\n`;
  const read = (line: string) => {
    const { packages, unparsed } = parseShow(stanza(line));
    return [packages.map(({ description }) => description), unparsed];
  };
  for (const line of [" of several lines", "\tand a tab", " Description-en: no field", " ."]) {
    assertEquals(read(`Description: a\n${line}`), [["a tool"], 0], line);
  }
  for (const line of ["no field", ": no name"]) assertEquals(read(line), [["a tool"], 1], line);
});

const WHOLE = { Package: "a", Version: "1:2-1", Architecture: "all", Size: "7" };

function stanzaOf(fields: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}\n`]
  ).join("");
}

Deno.test("parseShow() prefers the English description, and has null without any", () => {
  const read = (fields: Readonly<Record<string, string>>) =>
    parseShow(stanzaOf({ ...WHOLE, ...fields })).packages.map(({ description }) => description);
  const [english, other] = [{ "Description-en": "a tool" }, { Description: "ein Werkzeug" }];
  assertEquals(read({ ...other, ...english }), ["a tool"]);
  assertEquals(read(other), ["ein Werkzeug"]);
  assertEquals(read({ ...other, "Description-en": "" }), ["ein Werkzeug"]);
  assertEquals(read({}), [null]);
});

Deno.test("parseShow() omits stanzas without a package and a version", () => {
  assertEquals(parseShow("Package: a\nVersion: 1\n\nno colon\n"), { packages: [], unparsed: 2 });
  assertEquals(parseShow(stanzaOf(WHOLE)).packages.length, 1, "the end of the text ends a stanza");
  for (const field of ["Package", "Version", "Architecture"]) {
    for (const value of [undefined, "", "-o $"]) {
      const text = `${stanzaOf({ ...WHOLE, [field]: value })}\n${stanzaOf(WHOLE)}`;
      const { packages, unparsed } = parseShow(text);
      assertEquals([packages.length, unparsed], [1, 1], `${field} ${value}`);
    }
  }
  fc.assert(fc.property(fc.string(), (text) => void parseShow(text)));
});
