/**
 * `deno task release`: makes everything of a release from the executables in `dist/`.
 *
 * Archives, packages, install.sh, the bill of materials, licences, notes and signed sums go to
 * `dist/release/VERSION`, which is a directory of the download address as it is; the repositories go to
 * `dist/repo`. Says on stdout what it made, and what it left out and why.
 */

import { parseArgs } from "@std/cli/parse-args";
import { BuildError } from "./build/build_error.ts";
import { SHIPPED_DENO } from "./build/shipped_deno.ts";
import { makeArchives } from "./release/archives.ts";
import { installScript } from "./release/install_script.ts";
import { thirdPartyLicences } from "./release/licences.ts";
import { makePackages } from "./release/packages.ts";
import { readDependencies } from "./release/project.ts";
import { readReleaseFacts, type ReleaseFacts } from "./release/release_facts.ts";
import { releaseNotes } from "./release/release_notes.ts";
import { makeRepositories } from "./release/repositories.ts";
import { sbom } from "./release/sbom.ts";
import { Signer } from "./release/signer.ts";
import { writeSums } from "./release/sums.ts";
import { HOMEPAGE, MAINTAINER, namesOf, runTask, textOf } from "./release/task.ts";

const USAGE = `Usage: deno task release --key ID [options]

  --key ID          the secret key, in GNUPGHOME or ~/.gnupg; RSA, since RHEL 8 verifies no other
  --version V       instead of the version in deno.json
  --url URL         where hosts will find download/ and the repositories (${HOMEPAGE})
  --quick           compress packages fast and badly, for tests`;

async function main(args: readonly string[]): Promise<number> {
  const flags = parseArgs([...args], {
    string: ["key", "version", "url"],
    boolean: ["quick", "help"],
    default: { url: HOMEPAGE },
    unknown: (argument) => misuse(`no such argument "${argument}"`),
  });
  if (flags["help"]) {
    console.log(USAGE);
    return 0;
  }
  if (!flags["key"]) misuse("--key is missing");
  const signer = await Signer.open(String(flags["key"]));
  const facts = await readReleaseFacts(textOf(flags["version"]));
  const url = String(flags["url"]).replace(/\/+$/, "");
  const into = `dist/release/${facts.version}`;
  // What is there afterwards is of this run.
  await Deno.remove(into, { recursive: true }).catch(() => {});
  await Deno.mkdir(into, { recursive: true });
  const documents = await writeDocuments(facts, into);
  const windowsScripts = await findWindowsScripts();
  const archives = await makeArchives({ facts, documents, windowsScripts, into });
  const packages = await makePackages({
    facts,
    revision: 1,
    isQuick: flags["quick"] === true,
    homepage: `${url}/`,
    maintainer: MAINTAINER,
    into,
  });
  const repositories = await makeRepositories({
    packages: packages.files,
    into: "dist/repo",
    signer,
    url,
    validDays: 90,
  });
  await writeInstallScript(into, { facts, url, signer });
  await writeSums(into, signer);
  const leftOut = [...archives.leftOut, ...packages.leftOut, ...repositories.leftOut];
  if (windowsScripts.length === 0) leftOut.push("scripts for Windows: packaging/windows has none");
  for (const name of await namesOf(into)) console.log(`${into}/${name}`);
  for (const path of repositories.directories) console.log(path);
  for (const fact of leftOut) console.log(`left out: ${fact}`);
  return archives.files.length > 0 ? 0 : 1;
}

/** Writes what goes into every archive and lies beside them; returns those for the archives. */
async function writeDocuments(facts: ReleaseFacts, into: string): Promise<Record<string, string>> {
  const dependencies = await readDependencies();
  const changelog = await Deno.readTextFile("CHANGELOG.md");
  await Deno.writeTextFile(`${into}/RELEASE_NOTES.md`, releaseNotes(changelog, facts.version));
  await Deno.writeTextFile(`${into}/sbom.cdx.json`, sbom(facts, dependencies, SHIPPED_DENO));
  const licences = `${into}/third-party-licences.txt`;
  await Deno.writeTextFile(licences, await thirdPartyLicences(dependencies));
  return {
    "README.md": "README.md",
    "LICENSE": "LICENSE",
    "CHANGELOG.md": "CHANGELOG.md",
    "third-party-licences.txt": licences,
    "sbom.cdx.json": `${into}/sbom.cdx.json`,
  };
}

async function findWindowsScripts(): Promise<string[]> {
  const names = await namesOf("packaging/windows");
  return names.filter((name) => name.endsWith(".ps1")).map((name) => `packaging/windows/${name}`);
}

async function writeInstallScript(
  into: string,
  { facts, url, signer }: { facts: ReleaseFacts; url: string; signer: Signer },
): Promise<void> {
  const key = await signer.publicKey();
  const template = await Deno.readTextFile("packaging/install.sh");
  const { fingerprint } = signer;
  const values = { version: facts.version, url: `${url}/download`, fingerprint, key };
  await Deno.writeTextFile(`${into}/install.sh`, installScript(template, values));
  await Deno.chmod(`${into}/install.sh`, 0o755);
  await Deno.writeTextFile(`${into}/pennon.asc`, key);
}

function misuse(fact: string): never {
  throw new BuildError(`Cannot make a release: ${fact}\n${USAGE}`, { exitCode: 2 });
}

if (import.meta.main) await runTask(main);
