/** What apt itself answers, in its own words and by its own means: what the scanner is held against. */

import type { AptRoot } from "./apt_root.ts";
import { run } from "./apt_root.ts";

/** What `apt-get` itself says it would upgrade: the two versions by name, found by its own rule. */
export function whatAptUpgrades(simulation: string): string[] {
  return simulation.split("\n").flatMap((line) => {
    const [, name, current, next] = /^Inst (\S+) \[([^\]]+)\] \((\S+) /.exec(line) ?? [];
    return name === undefined ? [] : [`${name} ${current} -> ${next}`];
  }).toSorted();
}

/** The packages that apt-get says would go. */
export function whatAptRemoves(simulation: string): string[] {
  return [...simulation.matchAll(/^Remv (\S+)/gm)].map(([, name = ""]) => name).toSorted();
}

/** What apt-get lists, set in, under a heading: apt 2 has one for all, apt 3 one for what is phased. */
function whatAptLeaves(simulation: string): string[] {
  const lists = simulation.matchAll(
    /(?:kept back|deferred due to phasing):\n((?: .*\n)+)/g,
  );
  return [...lists].flatMap(([, list = ""]) => list.trim().split(/\s+/));
}

/** Every package with a newer candidate as `name 1.0 -> 2.0 state`, asked of apt one by one. */
export async function whatAptSays(root: AptRoot, names: readonly string[]): Promise<string[]> {
  const { stdout: simulation } = await root.apt("get", "-s", "dist-upgrade");
  const upgraded = whatAptUpgrades(simulation);
  const left = new Set(whatAptLeaves(simulation));
  const held = (await root.apt("mark", "showhold")).stdout.split("\n");
  const said: string[] = [];
  for (const name of names) {
    const { stdout: policy } = await root.apt("cache", "policy", name);
    const [, current = "", next = ""] = /Installed: (\S+)\n +Candidate: (\S+)/.exec(policy) ?? [];
    const comparison = ["/usr/bin/dpkg", "--compare-versions", next, "gt", current];
    if ((await run(comparison)).code !== 0) continue;
    const change = `${name} ${current} -> ${next}`;
    if (upgraded.includes(change)) said.push(`${change} upgradable`);
    else if (!left.has(name)) said.push(`${change} not told of by apt-get`);
    else if (held.includes(name)) said.push(`${change} held`);
    else said.push(`${change} ${/\(phased \d+%\)/.test(policy) ? "phased" : "kept_back"}`);
  }
  return said.toSorted();
}
