/** A host of dnf 5's: the root of a Debian that has it, with the folders that count from elsewhere. */

import { fileURLToPath } from "node:url";
import { realSystem } from "../../src/system/real.ts";
import type { System } from "../../src/system/system.ts";
import type { DnfHost } from "./dnf_root.ts";

const ENTER = fileURLToPath(new URL("../../tools/dnf5/enter.sh", import.meta.url));

/** Programs that are to be run in there, whoever runs them. */
const INSIDE = ["/usr/bin/dnf", "/usr/bin/rpm"];

/** Makes one below `path`, on the Debian at `debian`. */
export async function makeDnf5Host(path: string, debian: string): Promise<DnfHost> {
  for (const folder of ["repos.d", "etc", "cache", "rpmdb", "lib", "log"]) {
    await Deno.mkdir(`${path}/${folder}`);
  }
  await Deno.writeTextFile(`${path}/etc/dnf.conf`, "[main]\nplugins=0\n");
  const inside = (
    argv: readonly string[],
  ) => ["/usr/bin/unshare", "--mount", "/bin/sh", ENTER, debian, path, ...argv];
  const system = realSystem();
  const configuration = {
    settings: [`${path}/etc/dnf.conf`],
    repositories: [`${path}/repos.d`],
    overrides: [`${path}/etc/repos.override.d`],
    locks: [`${path}/etc/versionlock.toml`],
    lockPlugins: [],
  };
  const runCommand: System["runCommand"] = (argv, options) =>
    system.runCommand(
      argv.some((word) => INSIDE.includes(word)) ? inside(argv) as [string] : argv,
      options,
    );
  const dnfArguments = ["--releasever=9"];
  return {
    generation: 5,
    system: { ...system, runCommand },
    options: { dnfArguments, configuration, cacheDirectory: `${path}/cache` },
    settings: `${path}/etc/dnf.conf`,
    repositories: `${path}/repos.d`,
    cache: `${path}/cache`,
    ownLists: (directory) => directory,
    dnf: (args) => inside(["/usr/bin/dnf", ...dnfArguments, ...args]),
    rpm: (args) => inside(["/usr/bin/rpm", ...args]),
  };
}
