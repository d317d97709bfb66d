import { assertEquals } from "@std/assert";
import {
  isAptName,
  isArchitecture,
  isName,
  isVersion,
  splitAptName,
} from "../../../src/scanners/apt/name.ts";

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
  Deno.test(`${kind} is told from what only begins or ends like one`, () => {
    for (const text of good) assertEquals(is(text), true, text);
    for (const text of bad) assertEquals(is(text), false, text);
  });
}

Deno.test("splitAptName() cuts at the first colon, wherever it is", () => {
  assertEquals(splitAptName("curl"), { name: "curl", architecture: null });
  assertEquals(splitAptName("libc6:i386"), { name: "libc6", architecture: "i386" });
  assertEquals(splitAptName("a:i386"), { name: "a", architecture: "i386" });
  assertEquals(splitAptName(":i386"), { name: "", architecture: "i386" });
});
