import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { readToml } from "../../src/config/toml.ts";
import { ALL_SETTINGS } from "../../src/config/settings.ts";
import { BuildError } from "../../tools/build/build_error.ts";
import { sourcesFile } from "../../tools/release/apt_repository.ts";
import { copyrightFile } from "../../tools/release/copyright.ts";
import { dependenciesOf, importedNames } from "../../tools/release/dependencies.ts";
import { repoFile } from "../../tools/release/dnf_repository.ts";
import { exampleConfig } from "../../tools/release/example_config.ts";
import { installScript } from "../../tools/release/install_script.ts";
import { nfpmConfig } from "../../tools/release/nfpm_config.ts";
import { readDependencies } from "../../tools/release/project.ts";
import { releaseNotes } from "../../tools/release/release_notes.ts";
import { sbom } from "../../tools/release/sbom.ts";

const FACTS = { version: "1.2.3", commit: "c".repeat(40), epochS: 1_800_000_000 };

Deno.test("exampleConfig() sets nothing, and uncommented it sets every default", () => {
  const text = exampleConfig();
  assertEquals([...readToml(text)], []);
  const uncommented = text.replace(/^# (?=\w+ = )/gm, "");
  const written = readToml(uncommented);
  const missing = ALL_SETTINGS.filter(({ path, kind, fallback }) => {
    const value = kind.read(written.get(path)?.value);
    const isDefault = JSON.stringify(value) === JSON.stringify(fallback);
    return fallback === null ? !written.has(path) : !isDefault;
  });
  assertEquals(missing.map(({ path }) => path), []);
  assertEquals(written.size, ALL_SETTINGS.length);
});

Deno.test("importedNames() finds packages, and neither types nor files", () => {
  const source = `
import * as v from "valibot";
import type { A } from "only-types";
import {
  b,
} from "two-lines";
import "for-effect";
import { c } from "./c.ts";
import { d } from "node:fs";
export { e } from "passed-on";
export function f(limit = "10s") {}
const g = await import("later");
`;
  assertEquals([...importedNames([source])].sort(), [
    "for-effect",
    "later",
    "passed-on",
    "two-lines",
    "valibot",
  ]);
});

const LOCK = {
  specifiers: { "npm:a@1.0.0": "1.0.0", "npm:@s/b@2.0.0": "2.0.0_a@1.0.0" },
  npm: {
    "a@1.0.0": { integrity: `sha512-${btoa("a".repeat(64))}`, dependencies: ["c@1.0.0"] },
    "@s/b@2.0.0_a@1.0.0": { integrity: `sha512-${btoa("b".repeat(64))}`, dependencies: ["a"] },
    "c@1.0.0": { integrity: `sha512-${btoa("c".repeat(64))}` },
    "c@2.0.0": { integrity: `sha512-${btoa("d".repeat(64))}` },
  },
};

const IMPORTS = { "a": "npm:a@1.0.0", "b/x": "npm:@s/b@2.0.0/x.js", "gone": "npm:gone@1.0.0" };

Deno.test("dependenciesOf() follows the lock file, and refuses what it does not have", () => {
  assertEquals(
    dependenciesOf(["b/x"], IMPORTS, LOCK).map((
      { name, version, needs },
    ) => [name, version, needs]),
    [
      ["@s/b", "2.0.0", ["a@1.0.0"]],
      ["a", "1.0.0", ["c@1.0.0"]],
      ["c", "1.0.0", []],
    ],
  );
  for (const name of ["gone", "unknown"]) {
    assertThrows(() => dependenciesOf([name], IMPORTS, LOCK), BuildError, "not in deno.lock");
  }
});

Deno.test("sbom() names every package with its digest, and what needs what", () => {
  const text = sbom(FACTS, dependenciesOf(["b/x"], IMPORTS, LOCK), "2.6.8");
  const document = JSON.parse(text);
  assertEquals(document.metadata.timestamp, "2027-01-15T08:00:00Z");
  assertEquals(document.components.map(({ purl }: { purl: string }) => purl), [
    "pkg:github/denoland/deno@v2.6.8",
    "pkg:npm/%40s/b@2.0.0",
    "pkg:npm/a@1.0.0",
    "pkg:npm/c@1.0.0",
  ]);
  assertEquals(document.components[2].hashes, [{ alg: "SHA-512", content: "61".repeat(64) }]);
  const [self, ...rest] = document.dependencies;
  assertEquals(self.dependsOn, ["pkg:github/denoland/deno@v2.6.8", "pkg:npm/%40s/b@2.0.0"]);
  const references = new Set(
    document.components.map((one: { "bom-ref": string }) => one["bom-ref"]),
  );
  const unknown = rest.flatMap(({ ref, dependsOn }: { ref: string; dependsOn: string[] }) => [
    ref,
    ...dependsOn,
  ]).filter((reference: string) => !references.has(reference));
  assertEquals(unknown, []);
});

Deno.test("readDependencies() finds what the program imports, and no tool of the tests", async () => {
  const names = (await readDependencies()).map(({ name }) => name);
  assert(names.includes("valibot") && names.includes("undici"));
  assertEquals(names.filter((name) => /esbuild|fast-check|babel/.test(name)), []);
});

Deno.test("releaseNotes() cuts one section out of the changelog", async () => {
  const changelog =
    "# Changelog\n\n## 1.1.0, unreleased\n\n- New.\n\n### Part\n\n- B.\n\n## 1.0.0\n\n- Old.\n";
  assertEquals(releaseNotes(changelog, "1.1.0"), "# Pennon 1.1.0\n\n- New.\n\n### Part\n\n- B.\n");
  assertEquals(releaseNotes(changelog, "1.0.0"), "# Pennon 1.0.0\n\n- Old.\n");
  assertMatch(releaseNotes(changelog, "1.1.0-rc.1"), /^# Pennon 1\.1\.0-rc\.1\n\n- New\./);
  for (const version of ["1.1", "2.0.0", "1.1.00"]) {
    assertThrows(() => releaseNotes(changelog, version), BuildError, "has nothing on");
  }
  const own = await Deno.readTextFile(new URL("../../CHANGELOG.md", import.meta.url));
  assert(releaseNotes(own, "1.0.0").length > 1_000);
});

Deno.test("installScript() fills in each place once, and nothing that ends its quotes", async () => {
  const template = await Deno.readTextFile(
    new URL("../../packaging/install.sh", import.meta.url),
  );
  const values = {
    version: "1.2.3",
    url: "https://updates.example/download",
    fingerprint: "A".repeat(40),
    key:
      "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc+/=\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n",
  };
  const script = installScript(template, values);
  assertMatch(script, /^RELEASE='1\.2\.3'$/m);
  assertEquals(script.includes("@KEY@'"), false);
  for (const name of ["version", "url", "fingerprint", "key"]) {
    const evil = { ...values, [name]: "'; rm -rf /; '" };
    assertThrows(() => installScript(template, evil), BuildError, "in quotes");
  }
  assertThrows(() => installScript("no places", values), BuildError, "has no one");
});

Deno.test("what hosts are told names the key that verifies the repository", () => {
  assertMatch(
    sourcesFile("https://x.example/apt"),
    /^Signed-By: \/etc\/apt\/keyrings\/pennon\.asc$/m,
  );
  assertMatch(sourcesFile("https://x.example/apt"), /^URIs: https:\/\/x\.example\/apt$/m);
  assertMatch(repoFile("https://x.example/rpm"), /^gpgcheck=1\nrepo_gpgcheck=1\n/m);
});

Deno.test("copyrightFile() has the whole licence, in Debian's form", async () => {
  const license = await Deno.readTextFile(new URL("../../LICENSE", import.meta.url));
  const text = copyrightFile({ homepage: "https://updates.example/", license });
  assertMatch(text, /^Copyright: 2026 The Pennon authors$/m);
  for (const line of license.trim().split("\n").slice(4)) {
    assert(line === "" || text.includes(` ${line}\n`), line);
  }
  const strays = text.split("\n").filter((line) => !/^( \S|[A-Z][\w-]+: |$)/.test(line));
  assertEquals(strays, []);
});

Deno.test("nfpmConfig() dates every file, and keeps the configuration for the administrator", () => {
  const config = nfpmConfig(FACTS, {
    architecture: "amd64",
    revision: 2,
    homepage: "https://updates.example/",
    maintainer: "M <m@updates.example>",
    files: [
      { source: "a", path: "/usr/bin/pennon", mode: 0o755 },
      { source: "b", path: "/etc/pennon/config.toml", kind: "config|noreplace", mode: 0o640 },
      { source: "d", path: "/usr/share/man/man1/pennon.1.gz", kind: "doc" },
    ],
    scripts: {
      debPostinstall: "1",
      rpmPreinstall: "2",
      rpmPostinstall: "3",
      preremove: "4",
      postremove: "5",
    },
    changelog: "c",
    isQuick: false,
  });
  assertEquals([config.version, config.release, config.mtime], [
    "1.2.3",
    "2",
    "2027-01-15T08:00:00Z",
  ]);
  assertEquals(config.contents.slice(0, 2), [
    { src: "a", dst: "/usr/bin/pennon", file_info: { mode: 0o755, mtime: config.mtime } },
    {
      src: "b",
      dst: "/etc/pennon/config.toml",
      type: "config|noreplace",
      file_info: { mode: 0o640, mtime: config.mtime },
    },
  ]);
  // nfpm leaves what has rpm's kind out of a .deb.
  const pages = config.contents.filter(({ dst }) => dst.includes("/man/"));
  assertEquals(pages.map((page) => [page.packager, "type" in page ? page.type : "plain"]), [
    ["deb", "plain"],
    ["rpm", "doc"],
  ]);
  // dpkg of Debian 11 reads no zstd.
  assertEquals([config.deb.compression, config.rpm.compression], ["xz", "zstd:19"]);
});
