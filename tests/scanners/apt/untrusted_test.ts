import { assert, assertEquals } from "@std/assert";
import { parsePolicy } from "../../../src/scanners/apt/policy.ts";
import { parseFiles, tellUntrusted } from "../../../src/scanners/apt/untrusted.ts";
import { readFixture } from "../fixture.ts";

Deno.test("parseFiles() reads a file a line, with blanks in it", () => {
  assertEquals([...parseFiles("")], []);
  const file = "http://corp.example/apt stable/main amd64 Packages";
  assertEquals([...parseFiles(`${file}\n\n${file}\n`)], [file]);
});

Deno.test("tellUntrusted() names what no signature vouches for, unless another source's does", () => {
  const policies = parsePolicy(readFixture("apt", "made_policy.txt"));
  const waiting = ["corp-agent", "libssl3t64"].map((name) => {
    const { installed, candidate } = policies.packages.get(name)!;
    return {
      name,
      currentVersion: installed!,
      availableVersion: candidate!,
      state: "upgradable" as const,
      stateReason: null,
      isDoubtful: false,
    };
  });
  const files = (name: string) =>
    policies.packages.get(name)?.versions.flatMap(({ files }) => files.map(({ name }) => name)) ??
      [];
  const [corp = "", ...none] = files("corp-agent").filter((file) => !file.startsWith("/"));
  assertEquals(none, []);
  const [updates = "", security = ""] = files("libssl3t64");
  const tell = (...untrusted: string[]) => tellUntrusted(waiting, policies, new Set(untrusted));
  const why = ": not offered by a signed source";
  assertEquals(tell(), []);
  const gone = waiting.map((update) => ({ ...update, availableVersion: "99" }));
  assertEquals(tellUntrusted(gone, policies, new Set([corp])), [], "offered by nobody any more");
  assertEquals(tell(corp), [`apt cannot authenticate corp-agent${why}`]);
  assertEquals(tell(security), [], "the updates' own file is signed");
  assert(tell(security, updates)[0]?.includes("libssl3t64"));
});
