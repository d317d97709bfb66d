/** The apt repository and the dnf repository of a directory of packages. */

import { isThere } from "../place/host.ts";
import { makeAptRepository } from "./apt_repository.ts";
import { makeDnfRepository } from "./dnf_repository.ts";
import type { Signer } from "./signer.ts";

export interface RepositoriesOptions {
  readonly packages: readonly string[];
  /** The repositories are its directories `apt` and `rpm`. */
  readonly into: string;
  readonly signer: Signer;
  /** Where hosts will find `into`, without a trailing slash. */
  readonly url: string;
  readonly validDays: number;
}

/** What came of it. */
export interface RepositoriesMade {
  readonly directories: readonly string[];
  /** One sentence for each repository that was not made. */
  readonly leftOut: readonly string[];
}

/**
 * Makes them, or adds to them.
 *
 * @throws {BuildError} if a program is missing or fails
 */
export async function makeRepositories(options: RepositoriesOptions): Promise<RepositoriesMade> {
  const { packages, into, signer, url, validDays } = options;
  const debs = packages.filter((name) => name.endsWith(".deb"));
  const rpms = packages.filter((name) => name.endsWith(".rpm"));
  const directories: string[] = [];
  const leftOut: string[] = [];
  // Without a new package, one that is there is signed anew: an index of apt's expires.
  if (debs.length > 0 || await isThere(`${into}/apt`)) {
    const directory = `${into}/apt`;
    await makeAptRepository({ directory, packages: debs, signer, url: `${url}/apt`, validDays });
    directories.push(directory);
  } else leftOut.push("the apt repository: no .deb");
  if (rpms.length > 0 || await isThere(`${into}/rpm`)) {
    const directory = `${into}/rpm`;
    await makeDnfRepository({ directory, packages: rpms, signer, url: `${url}/rpm` });
    directories.push(directory);
  } else leftOut.push("the dnf repository: no .rpm");
  return { directories, leftOut };
}
