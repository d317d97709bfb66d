/** Makes the .deb and the .rpm of each architecture whose executable is in `dist/`. */

import { SHIPPED_DENO } from "../build/shipped_deno.ts";
import { systemdUnit, SYSUSERS_LINE } from "../../src/service/systemd.ts";
import { BuildError } from "../build/build_error.ts";
import { mustRun, requirePrograms } from "./command.ts";
import { copyrightFile } from "./copyright.ts";
import { exampleConfig } from "./example_config.ts";
import { thirdPartyLicences } from "./licences.ts";
import {
  nfpmChangelog,
  nfpmConfig,
  type PackageContents,
  type PackagedFile,
} from "./nfpm_config.ts";
import { readDependencies } from "./project.ts";
import { isoTime, type ReleaseFacts } from "./release_facts.ts";
import { sbom } from "./sbom.ts";
import { findNfpm } from "./nfpm.ts";
import { writeCommandPages } from "./command_pages.ts";

export interface PackageOptions {
  readonly facts: ReleaseFacts;
  readonly revision: number;
  readonly isQuick: boolean;
  readonly homepage: string;
  readonly maintainer: string;
  /** Where the packages go; created if it is missing. */
  readonly into: string;
}

/** What came of it. */
export interface PackagesMade {
  readonly files: readonly string[];
  /** One sentence for each package that was not made. */
  readonly leftOut: readonly string[];
}

const STAGE = ".cache/release/package";

/** What a host may have to download for the agent: 35 MB, of which the runtime takes most. */
export const MAX_PACKAGE_BYTES = 35_000_000;

const ARCHITECTURES = [
  { architecture: "amd64", executable: "dist/pennon-linux-x64" },
  { architecture: "arm64", executable: "dist/pennon-linux-arm64" },
] as const;

/**
 * Makes them and returns their paths.
 *
 * @throws {BuildError} if a program is missing, or a package cannot be made or is too big
 */
export async function makePackages(options: PackageOptions): Promise<PackagesMade> {
  const nfpm = await findNfpm();
  await requirePrograms("make packages", ["gzip", "git"]);
  await Deno.mkdir(options.into, { recursive: true });
  const shared = await stageShared(options);
  const leftOut: string[] = [];
  const present: PackageContents[] = [];
  for (const { architecture, executable } of ARCHITECTURES) {
    if (!await Deno.stat(executable).then(() => true, () => false)) {
      leftOut.push(`packages for ${architecture}: no ${executable}`);
      continue;
    }
    const binary = { source: executable, path: "/usr/bin/pennon", mode: 0o755 };
    present.push({ ...shared, architecture, files: [binary, ...shared.files] });
  }
  // All of them end before one that failed is reported: nothing is written after this returns.
  const made = await Promise.allSettled(
    present.map((contents) => packArchitecture(nfpm, contents, options)),
  );
  const files = made.flatMap((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
  return { files, leftOut };
}

/** Side by side with the other architecture: nfpm compresses on one processor for half a minute. */
async function packArchitecture(
  nfpm: string,
  contents: PackageContents,
  { facts, isQuick, into }: PackageOptions,
): Promise<string[]> {
  const config = `${STAGE}/nfpm-${contents.architecture}.json`;
  await Deno.writeTextFile(config, JSON.stringify(nfpmConfig(facts, contents), null, 2));
  const files: string[] = [];
  for (const packager of ["deb", "rpm"]) {
    const argv = ["package", "--config", config, "--packager", packager];
    const said = await mustRun([nfpm, ...argv, "--target", `${into}/`], {
      environment: { SOURCE_DATE_EPOCH: String(facts.epochS) },
    });
    const file = /created package: (.+)/.exec(said)?.[1]?.trim() ?? said.trim();
    if (!isQuick) await mustBeSmall(file);
    files.push(file);
  }
  return files;
}

async function mustBeSmall(file: string): Promise<void> {
  const { size } = await Deno.stat(file);
  if (size <= MAX_PACKAGE_BYTES) return;
  throw new BuildError(
    `Cannot release "${file}": it has ${size} bytes, more than ${MAX_PACKAGE_BYTES}`,
  );
}

/** Writes all that is the same on every architecture. */
async function stageShared(
  options: PackageOptions,
): Promise<Omit<PackageContents, "architecture">> {
  const { facts, revision, isQuick, homepage, maintainer } = options;
  await Deno.remove(STAGE, { recursive: true }).catch(() => {});
  await Deno.mkdir(STAGE, { recursive: true });
  const write = async (name: string, text: string) => {
    await Deno.writeTextFile(`${STAGE}/${name}`, text);
    return `${STAGE}/${name}`;
  };
  const dependencies = await readDependencies();
  const thirdParty = await thirdPartyLicences(dependencies);
  const license = await Deno.readTextFile("LICENSE");
  const documentation = "/usr/share/doc/pennon";
  const files: PackagedFile[] = [
    {
      source: await write("pennon.service", systemdUnit({ program: "/usr/bin/pennon" })),
      path: "/usr/lib/systemd/system/pennon.service",
    },
    {
      source: await write("sysusers.conf", `${SYSUSERS_LINE}\n`),
      path: "/usr/lib/sysusers.d/pennon.conf",
    },
    ...configFiles(await write("config.toml", exampleConfig())),
    {
      source: await write("copyright", copyrightFile({ homepage, license })),
      path: `${documentation}/copyright`,
      only: "deb",
    },
    {
      source: "LICENSE",
      path: "/usr/share/licenses/pennon/LICENSE",
      only: "rpm",
      kind: "license",
    },
    {
      source: await compress(await write("third-party-licences.txt", thirdParty)),
      path: `${documentation}/third-party-licences.txt.gz`,
      kind: "doc",
    },
    {
      source: await compress(await write("sbom.cdx.json", sbom(facts, dependencies, SHIPPED_DENO))),
      path: `${documentation}/sbom.cdx.json.gz`,
      kind: "doc",
    },
    {
      source: "packaging/linux/lintian-overrides",
      path: "/usr/share/lintian/overrides/pennon",
      only: "deb",
    },
    ...await writeCommandPages({ date: isoTime(facts).slice(0, 10), write, compress }),
  ];
  const changelog = await write(
    "changelog.json",
    JSON.stringify(nfpmChangelog(facts, { revision, maintainer })),
  );
  const account = await Deno.readTextFile("packaging/linux/account.sh");
  const postinstall = await Deno.readTextFile("packaging/linux/postinstall.sh");
  const scripts = {
    debPostinstall: await write("postinst", account + postinstall.replace("#!/bin/sh\n", "\n")),
    rpmPreinstall: "packaging/linux/account.sh",
    rpmPostinstall: "packaging/linux/postinstall.sh",
    preremove: "packaging/linux/preremove.sh",
    postremove: "packaging/linux/postremove.sh",
  };
  return { revision, homepage, maintainer, files, scripts, changelog, isQuick };
}

/** It can hold a token. dpkg unpacks before the group exists, so there postinstall.sh sets it. */
function configFiles(source: string): PackagedFile[] {
  const file = { source, path: "/etc/pennon/config.toml", mode: 0o640 } as const;
  return [
    { ...file, only: "deb", kind: "config|noreplace" },
    { ...file, only: "rpm", kind: "config|noreplace", group: "pennon" },
  ];
}

/** Without a name or time in it, so that two builds are the same. */
async function compress(path: string): Promise<string> {
  await mustRun(["gzip", "-9nf", path]);
  return `${path}.gz`;
}
