/** The hosts that a test's dnf works on: this host's own dnf 4 with another root, and a Debian with dnf 5. */

import { fileURLToPath } from "node:url";
import type { DnfOptions } from "../../src/scanners/dnf.ts";
import { realSystem } from "../../src/system/real.ts";
import type { System } from "../../src/system/system.ts";

/** How a world's dnf is run, and where it has its things. */
export interface DnfHost {
  readonly generation: 4 | 5;
  /** Reaches its dnf and its rpm. */
  readonly system: System;
  /** What to give `dnfScanner` so that it looks there. */
  readonly options: DnfOptions;
  /** Dnf's own settings. */
  readonly settings: string;
  readonly repositories: string;
  /** Where root's package lists are. */
  readonly cache: string;
  /** Where dnf, told to keep its lists in this directory, keeps them. */
  ownLists(directory: string): string;
  /** The command that runs dnf, or rpm, with these arguments. */
  dnf(args: readonly string[]): readonly string[];
  rpm(args: readonly string[]): readonly string[];
}

/** Where dnf-plugins-core puts them: `versionlock`, `needs-restarting`. */
const PLUGINS = "/usr/lib/python3/dist-packages/dnf-plugins";

/** Whether this host has dnf's plugins. */
export async function hasDnf4Plugins(): Promise<boolean> {
  return await Deno.stat(`${PLUGINS}/versionlock.py`).then(() => true, () => false);
}

/** Says on stdout what Red Hat's plugin `subscription-manager` says of a host with a release lock. */
const SUBSCRIPTION = `import dnf
class Subscription(dnf.Plugin):
    name = "subscription-manager"
    def config(self):
        print("Updating Subscription Management repositories.")
        print("This system has release set to 9.4 and it receives updates only for this release.")
`;

/** Makes one below `path`, with dnf's plugins and one that prints sentences on stdout. */
export async function makeDnf4Host(path: string): Promise<DnfHost> {
  const folders = ["repos.d", "host", "log", "plugins", "own-plugins"];
  for (const folder of folders) await Deno.mkdir(`${path}/${folder}`);
  await Deno.writeTextFile(`${path}/own-plugins/subscription-manager.py`, SUBSCRIPTION);
  await Deno.writeTextFile(
    `${path}/plugins/versionlock.conf`,
    `[main]\nenabled=1\nlocklist=${path}/locks-of-this-host\n`,
  );
  // A list that is not there has every command fail that heeds locks.
  await Deno.writeTextFile(`${path}/locks-of-this-host`, "");
  await Deno.writeTextFile(
    `${path}/dnf.conf`,
    [
      "[main]",
      `reposdir=${path}/repos.d`,
      `cachedir=${path}/cache`,
      `logdir=${path}/log`,
      `persistdir=${path}/persist`,
      `pluginpath=${PLUGINS},${path}/own-plugins`,
      `pluginconfpath=${path}/plugins`,
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
    locks: [],
    lockPlugins: [`${path}/plugins/versionlock.conf`],
  };
  return {
    generation: 4,
    system: realSystem(),
    options: { dnfArguments, rpmArguments, configuration, cacheDirectory },
    settings: `${path}/dnf.conf`,
    repositories: `${path}/repos.d`,
    cache: cacheDirectory,
    ownLists: (directory) => `${path}/host${directory}`,
    dnf: (args) => ["/usr/bin/dnf", ...dnfArguments, ...args],
    rpm: (args) => ["/usr/bin/rpm", ...rpmArguments, ...args],
  };
}

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
