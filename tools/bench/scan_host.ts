/** Made hosts for a scan to be measured on: a package manager's own files, with updates that wait. */

import { AptRoot, type RootPackage } from "../../tests/real/apt_root.ts";
import { DnfRoot, PROGRAMS } from "../../tests/real/dnf_root.ts";
import { missing } from "../../tests/real/lacks.ts";

export type Manager = "apt" | "dnf";

/** Packages on the host besides those that wait, as on a server. */
const OTHERS = 699;

/** Packages in apt's archive, with dependencies: Debian 12 has 63,000 in main, and apt reads them all. */
const ARCHIVE = 60_000;

/** One advisory for so many of dnf's updates. */
const ADVISED_TOGETHER = 4;

/** What is laid over this host's own. */
export interface MadeHost extends AsyncDisposable {
  /** A folder of its own, where more may be put. */
  readonly path: string;
  /** From a path of this host to what is to be there instead. */
  readonly covered: Readonly<Record<string, string>>;
  /** To be run once, when it is there. */
  readonly prepare: readonly string[];
}

/** Programs that are needed to make such a host, and that are not here. */
export async function missingFor(manager: Manager): Promise<string[]> {
  return manager === "dnf" ? await missing(PROGRAMS) : [];
}

/** A host on which so many updates wait. */
export function makeHost(manager: Manager, updates: number): Promise<MadeHost> {
  return manager === "apt" ? makeAptHost(updates) : makeDnfHost(updates);
}

async function makeAptHost(updates: number): Promise<MadeHost> {
  const root = await AptRoot.make();
  const packages = archiveOf(ARCHIVE, updates, updates + OTHERS);
  await root.install(
    packages.slice(0, updates + OTHERS).map((_, index) => archivePackage(index, "1.0-1")),
  );
  await root.offer([{ archive: "a", suite: "stable", release: {}, packages }]);
  const folders = ["/etc/apt", "/var/lib/apt", "/var/lib/dpkg", "/var/cache/apt"];
  const covered = Object.fromEntries(folders.map((folder) => [folder, root.path + folder]));
  return { path: root.path, covered, prepare: [], [Symbol.asyncDispose]: () => dispose(root) };
}

/** Packages that come from one source, and need each other in the very same version. */
const GROUP = 3;

/** What a package of Debian's depends on, in the mean. */
const DEPENDENCIES = 10;

/**
 * An archive with a graph like Debian's: a few packages that almost all others need, chains of
 * libraries, groups of one source that go together, and what recommends, breaks and provides something.
 * A package depends on earlier ones alone, so that the first ones are a host that fits together.
 */
function archiveOf(count: number, updates: number, installed: number): RootPackage[] {
  const groups = Math.ceil(installed / GROUP);
  const updated = Math.ceil(updates / GROUP);
  return Array.from({ length: count }, (_, index) => {
    const group = Math.floor(index / GROUP);
    const isUpdated = index < installed && Math.floor((group + 1) * updated / groups) >
        Math.floor(group * updated / groups);
    return archivePackage(index, isUpdated ? "1.1-1" : "1.0-1");
  });
}

function archivePackage(index: number, version: string): RootPackage {
  const first = index - index % GROUP;
  let draws = 0;
  // Squared: most of what is needed is what everything needs.
  const earlier = () => {
    draws += 1;
    const draw = (Math.imul(index * 64 + draws, 2_654_435_761) >>> 8) / 2 ** 24;
    return nameOf(Math.floor(draw * draw * first));
  };
  const several = (count: number, write: () => string) =>
    first === 0 ? [] : Array.from({ length: count }, write);
  const relations: Record<string, string[]> = {
    Depends: [
      ...Array.from({ length: index - first }, (_, n) => `${nameOf(first + n)} (= ${version})`),
      ...several(DEPENDENCIES, () => `${earlier()} (>= 1.0)`),
      ...several(1, () => `${earlier()} | virtual-${index % 500}`),
    ],
    Recommends: several(2, earlier),
    Suggests: several(3, earlier),
    Breaks: several(2, () => `${earlier()} (<< 0.9)`),
    Provides: index % 11 === 3 ? [`virtual-${index % 500} (= 1.0)`] : [],
  };
  const fields = Object.entries(relations).filter(([, list]) => list.length > 0)
    .map(([name, list]) => [name, [...new Set(list)].join(", ")]);
  return {
    name: nameOf(index),
    version,
    fields: {
      Source: `source-${first}`,
      Section: "libs",
      Priority: "optional",
      "Installed-Size": `${100 + index % 9_000}`,
      ...Object.fromEntries(fields),
    },
  };
}

/** Its one repository has the updates alone: a larger one only has dnf take longer. */
async function makeDnfHost(updates: number): Promise<MadeHost> {
  const root = await DnfRoot.make();
  await root.install(names(updates + OTHERS).map((name) => ({ name, evr: "1.0-1" })));
  const offered = updates === 0
    ? [{ name: "not-installed", evr: "1.0-1" }]
    : names(updates).map((name) => ({ name, evr: "1.1-1" }));
  const advisories = Array.from({ length: updates / ADVISED_TOGETHER }, (_, index) => ({
    id: `RHSA-2026:${1_000 + index}`,
    type: "security",
    severity: "Moderate",
    references: [{ type: "cve", id: `CVE-2026-${10_000 + index}` }],
    packages: offered.slice(index * ADVISED_TOGETHER, (index + 1) * ADVISED_TOGETHER),
  }));
  await root.offer("updates", offered, advisories);
  await Deno.mkdir(`${root.path}/cache`);
  await Deno.mkdir(`${root.path}/vars`);
  await Deno.writeTextFile(`${root.path}/vars/releasever`, "9\n");
  await root.configure(`varsdir=${root.path}/vars`);
  const database = await rpmDatabase();
  const covered = {
    "/etc/dnf/dnf.conf": `${root.path}/dnf.conf`,
    "/var/cache/dnf": `${root.path}/cache`,
    // Debian's rpm keeps its database in the user's home, and the scanner looks for one here.
    "/var/lib/rpm": `${root.path}/host${database}`,
    [database]: `${root.path}/host${database}`,
  };
  const prepare = ["/usr/bin/dnf", "-q", "makecache"];
  return { path: root.path, covered, prepare, [Symbol.asyncDispose]: () => dispose(root) };
}

async function rpmDatabase(): Promise<string> {
  const { stdout } = await new Deno.Command("/usr/bin/rpm", { args: ["--eval", "%_dbpath"] })
    .output();
  return new TextDecoder().decode(stdout).trim();
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => nameOf(index));
}

function nameOf(index: number): string {
  return `package-${String(index).padStart(5, "0")}`;
}

async function dispose(root: AsyncDisposable): Promise<void> {
  await root[Symbol.asyncDispose]();
}
