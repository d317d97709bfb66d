/** A host of dnf 4's: this host's own dnf, which takes a folder for the root. */

import type { DnfHost } from "./dnf_root.ts";
import { realSystem } from "../../src/system/real.ts";

/** Makes one below `path`. */
export async function makeDnf4Host(path: string): Promise<DnfHost> {
  for (const folder of ["repos.d", "host", "log"]) await Deno.mkdir(`${path}/${folder}`);
  await Deno.writeTextFile(
    `${path}/dnf.conf`,
    [
      "[main]",
      `reposdir=${path}/repos.d`,
      `cachedir=${path}/cache`,
      `logdir=${path}/log`,
      `persistdir=${path}/persist`,
      "pluginpath=/nonexistent",
      "",
    ].join("\n"),
  );
  const dnfArguments = ["-c", `${path}/dnf.conf`, `--installroot=${path}/host`, "--releasever=9"];
  const rpmArguments = [`--root=${path}/host`];
  // It takes the folder for one below the install root.
  const cacheDirectory = `${path}/host${path}/cache`;
  const configuration = {
    settings: [`${path}/dnf.conf`],
    repositories: [`${path}/repos.d`],
    locks: [`${path}/versionlock.list`],
  };
  return {
    generation: 4,
    system: realSystem(),
    options: { dnfArguments, rpmArguments, configuration, cacheDirectory },
    settings: `${path}/dnf.conf`,
    repositories: `${path}/repos.d`,
    cache: cacheDirectory,
    dnf: (args) => ["/usr/bin/dnf", ...dnfArguments, ...args],
    rpm: (args) => ["/usr/bin/rpm", ...rpmArguments, ...args],
  };
}
