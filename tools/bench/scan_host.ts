/** Made hosts for a scan to be measured on: a package manager's own files, with updates that wait. */

import { AptRoot } from "../../tests/real/apt_root.ts";
import { DnfRoot, missingPrograms } from "../../tests/real/dnf_root.ts";

export type Manager = "apt" | "dnf";

/** Packages on the host besides those that wait, as on a server. */
const OTHERS = 700;

/** Packages in apt's archive: Debian 12 has 63,000 in main, and apt reads them all. */
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
  return manager === "dnf" ? await missingPrograms() : [];
}

/** A host on which so many updates wait. */
export function makeHost(manager: Manager, updates: number): Promise<MadeHost> {
  return manager === "apt" ? makeAptHost(updates) : makeDnfHost(updates);
}

async function makeAptHost(updates: number): Promise<MadeHost> {
  const root = await AptRoot.make();
  await root.install(names(updates + OTHERS).map((name) => ({ name, version: "1.0-1" })));
  const packages = names(ARCHIVE).map((name, index) => ({
    name,
    version: index < updates ? "1.1-1" : "1.0-1",
  }));
  await root.offer([{ archive: "a", suite: "stable", release: {}, packages }]);
  const folders = ["/etc/apt", "/var/lib/apt", "/var/lib/dpkg", "/var/cache/apt"];
  const covered = Object.fromEntries(folders.map((folder) => [folder, root.path + folder]));
  return { path: root.path, covered, prepare: [], [Symbol.asyncDispose]: () => dispose(root) };
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
  return Array.from({ length: count }, (_, index) => `package-${String(index).padStart(5, "0")}`);
}

async function dispose(root: AsyncDisposable): Promise<void> {
  await root[Symbol.asyncDispose]();
}
