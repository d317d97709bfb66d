/** Two versions of the packages, of one executable, for the tests of upgrades. */

import { makePackages } from "../release/packages.ts";
import { readReleaseFacts, type ReleaseFacts } from "../release/release_facts.ts";
import { HOMEPAGE, MAINTAINER, namesOf } from "../release/task.ts";

/** A version and its packages. */
export interface BuiltVersion {
  readonly version: string;
  /** What its packages were made with. */
  readonly facts: ReleaseFacts;
  readonly files: readonly string[];
}

/** Makes the present version and the one after it below `work`, which is emptied first. */
export async function buildVersions(work: string): Promise<[BuiltVersion, BuiltVersion]> {
  await Deno.remove(work, { recursive: true }).catch(() => {});
  const { version } = await readReleaseFacts();
  const next = version.replace(/\d+$/, (patch) => String(Number(patch) + 1));
  return [await build(version, work), await build(next, work)];
}

async function build(version: string, work: string): Promise<BuiltVersion> {
  const into = `${work}/packages-${version}`;
  const facts = await readReleaseFacts(version);
  const common = { revision: 1, isQuick: true, homepage: HOMEPAGE, maintainer: MAINTAINER };
  await makePackages({ ...common, facts, into });
  // An arm64 executable may be there too, of which dpkg and rpm need not be told here.
  const names = (await namesOf(into)).filter((name) => /[_.](amd64|x86_64)\./.test(name));
  return { version, facts, files: names.map((name) => `${into}/${name}`) };
}
