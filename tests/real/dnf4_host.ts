/** A host of dnf 4's: this host's own dnf, which takes a folder for the root. */

import type { DnfHost } from "./dnf_root.ts";
import { realSystem } from "../../src/system/real.ts";

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
