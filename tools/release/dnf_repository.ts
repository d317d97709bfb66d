/**
 * A signed dnf repository: signed packages, and a signature of `repomd.xml`, which names the hashes of
 * all other files.
 *
 * Run again on the same directory, it adds packages and signs anew. A package that is there stays.
 */

import { BuildError } from "../build/build_error.ts";
import { mustRun, requirePrograms } from "./command.ts";
import type { Signer } from "./signer.ts";

export interface DnfRepositoryOptions {
  readonly directory: string;
  /** The packages to add; they are signed in the repository, not where they are. */
  readonly packages: readonly string[];
  readonly signer: Signer;
  /** Where hosts will find the directory. */
  readonly url: string;
}

/**
 * Makes the repository, or adds to it.
 *
 * @throws {BuildError} if a program is missing or fails
 */
export async function makeDnfRepository(options: DnfRepositoryOptions): Promise<void> {
  const { directory, packages, signer, url } = options;
  await requirePrograms("make a dnf repository", ["createrepo_c", "rpmsign", "rpm"]);
  await Deno.mkdir(`${directory}/packages`, { recursive: true });
  for (const file of packages) {
    const published = `${directory}/packages/${file.slice(file.lastIndexOf("/") + 1)}`;
    if (await Deno.stat(published).then(() => true, () => false)) {
      await mustHoldTheSame(file, published);
      continue;
    }
    await Deno.copyFile(file, `${published}.new`);
    await signer.signRpm(`${published}.new`);
    await Deno.rename(`${published}.new`, published);
  }
  await mustRun(["createrepo_c", "--quiet", "--no-database", "--retain-old-md=1", directory]);
  await signer.sign(`${directory}/repodata/repomd.xml`);
  await Deno.writeTextFile(`${directory}/pennon.asc`, await signer.publicKey());
  await Deno.writeTextFile(`${directory}/pennon.repo`, repoFile(url));
}

/** The file that users put into `/etc/yum.repos.d`: dnf.conf(5). */
export function repoFile(url: string): string {
  return `[pennon]
name=Pennon
baseurl=${url}
enabled=1
gpgcheck=1
repo_gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-pennon
`;
}

/** The published one has a signature besides, so the digests of header and payload are compared. */
async function mustHoldTheSame(file: string, published: string): Promise<void> {
  const digests = [file, published].map((path) =>
    mustRun(["rpm", "-qp", "--nosignature", "--queryformat", "%{SHA256HEADER}", path])
  );
  const [given, there] = await Promise.all(digests);
  if (given === there) return;
  throw new BuildError(
    `Cannot publish "${file}": the repository has this version with other bytes\n` +
      "Next: give the package another version or --revision",
  );
}
