/**
 * A signed apt repository: https://wiki.debian.org/DebianRepository/Format.
 *
 * Run again on the same directory, it adds packages and signs anew. What is published is never changed:
 * a package of the same name with other bytes is an error.
 */

import { BuildError } from "../build/build_error.ts";
import { sha256Of } from "../build/digest.ts";
import { mustRun, requirePrograms } from "./command.ts";
import type { Signer } from "./signer.ts";

export interface AptRepositoryOptions {
  readonly directory: string;
  /** The packages to add. */
  readonly packages: readonly string[];
  readonly signer: Signer;
  /** Where hosts will find the directory. */
  readonly url: string;
  /** apt refuses the repository when it has not been signed for so many days. */
  readonly validDays: number;
}

const SUITE = "stable";
const COMPONENT = "main";
const ARCHITECTURES = ["amd64", "arm64"];

/** The names of by-hash directories; apt asks for the strongest that `Release` has. */
const HASHES = [["SHA256", "sha256sum"], ["SHA512", "sha512sum"]] as const;

/**
 * Makes the repository, or adds to it. `InRelease` changes last: a host that reads meanwhile finds the
 * indexes that its `InRelease` names, by their hashes.
 *
 * @throws {BuildError} if a program is missing, or a published package would change
 */
export async function makeAptRepository(options: AptRepositoryOptions): Promise<void> {
  const { directory, packages, signer, url, validDays } = options;
  await requirePrograms("make an apt repository", ["apt-ftparchive", "gzip", "xz", "sha512sum"]);
  const pool = `pool/${COMPONENT}/p/pennon`;
  await publish(packages, `${directory}/${pool}`);
  const dists = `dists/${SUITE}`;
  for (const architecture of ARCHITECTURES) {
    const binary = `${directory}/${dists}/${COMPONENT}/binary-${architecture}`;
    await Deno.mkdir(binary, { recursive: true });
    const index = await mustRun(
      ["apt-ftparchive", "--arch", architecture, "packages", pool],
      { directory },
    );
    await Deno.writeTextFile(`${binary}/Packages`, index);
    await mustRun(["gzip", "-9nkf", `${binary}/Packages`]);
    await mustRun(["xz", "-9kf", `${binary}/Packages`]);
    for (const name of ["Packages", "Packages.gz", "Packages.xz"]) await addByHash(binary, name);
  }
  const fields = {
    Origin: "Pennon",
    Label: "Pennon",
    Suite: SUITE,
    Codename: SUITE,
    Architectures: ARCHITECTURES.join(" "),
    Components: COMPONENT,
    "Acquire-By-Hash": "yes",
    ValidTime: String(validDays * 86_400),
    MD5: "false",
    SHA1: "false",
  };
  const settings = Object.entries(fields)
    .flatMap(([name, value]) => ["-o", `APT::FTPArchive::Release::${name}=${value}`]);
  // It must not find the signatures of the last time, nor itself.
  for (const name of ["Release", "Release.gpg"]) {
    await Deno.remove(`${directory}/${dists}/${name}`).catch(() => {});
  }
  const release = `${directory}/${dists}/Release`;
  const text = await mustRun(["apt-ftparchive", ...settings, "release", dists], { directory });
  await Deno.writeTextFile(release, text);
  await signer.sign(release, `${release}.gpg`);
  await signer.signInline(release, `${directory}/${dists}/InRelease.new`);
  await Deno.writeTextFile(`${directory}/pennon.asc`, await signer.publicKey());
  await Deno.writeTextFile(`${directory}/pennon.sources`, sourcesFile(url));
  await Deno.rename(`${directory}/${dists}/InRelease.new`, `${directory}/${dists}/InRelease`);
}

/** The file that users put into `/etc/apt/sources.list.d`: sources.list(5), deb822. */
export function sourcesFile(url: string): string {
  return `Types: deb
URIs: ${url}
Suites: ${SUITE}
Components: ${COMPONENT}
Signed-By: /etc/apt/keyrings/pennon.asc
`;
}

/**
 * Copies packages into a directory of published ones.
 *
 * @throws {BuildError} if one of that name is there, with other bytes
 */
async function publish(packages: readonly string[], directory: string): Promise<void> {
  await Deno.mkdir(directory, { recursive: true });
  for (const file of packages) {
    const published = `${directory}/${file.slice(file.lastIndexOf("/") + 1)}`;
    const isThere = await Deno.stat(published).then(() => true, () => false);
    if (isThere && await sha256Of(published) !== await sha256Of(file)) {
      throw new BuildError(
        `Cannot publish "${file}": the repository has this version with other bytes\n` +
          "Next: give the package another version or --revision",
      );
    }
    if (!isThere) await Deno.copyFile(file, published);
  }
}

/** Those of earlier runs stay, for hosts that have an earlier `InRelease`. */
async function addByHash(binary: string, name: string): Promise<void> {
  for (const [hash, program] of HASHES) {
    const [digest = ""] = (await mustRun([program, `${binary}/${name}`])).split(" ");
    await Deno.mkdir(`${binary}/by-hash/${hash}`, { recursive: true });
    await Deno.copyFile(`${binary}/${name}`, `${binary}/by-hash/${hash}/${digest}`);
  }
}
