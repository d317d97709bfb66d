/** The command line of the fleet simulation, read: what is to be run, or what is wrong with it. */

import { parseArgs } from "@std/cli/parse-args";
import { POLICIES } from "./policies.ts";
import type { Policy } from "./policy.ts";
import { type Cut, CUTS, defaultCapacity, OUTAGES, type Scenario } from "./scenario.ts";

/** What is to be run. */
export interface Options {
  readonly agents: number;
  readonly seed: number;
  readonly policies: readonly Policy[];
  readonly scenarios: readonly Scenario[];
  /** For a scenario with rapid polling, and for one without. */
  capacity(isRapid: boolean): number;
  /** Write `docs/fleet.md` and its plots. */
  readonly isWriting: boolean;
}

const NAMES = {
  policy: POLICIES.map(({ name }) => name),
  outage: OUTAGES.map(({ name }) => name),
  cut: [...CUTS] as string[],
  rapid: ["on", "off"],
};

/** How to use it. */
export const USAGE = `Usage: deno task sim:fleet [options]
  --policy   all (default), ${NAMES.policy.slice(0, 3).join(", ")},
             ${NAMES.policy.slice(3).join(", ")}
  --outage   ${NAMES.outage.join(", ")} or all; default 28m
  --cut      ${NAMES.cut.join(", ")} or all; default staggered
  --rapid    ${NAMES.rapid.join(", ")} or all; default off
  --agents   how many, 1 to 1000000; default 100000
  --capacity check-ins a second that the server can do; default 3x the ordinary rate,
             1.5x with rapid polling
  --seed     0 to 4294967295; default 1
  --write    run everything, and write docs/fleet.md and its plots`;

/** Reads the arguments: options, or for people what is wrong with them; `null`: help is wanted. */
export function readOptions(args: readonly string[]): Options | string | null {
  const strange: string[] = [];
  const flags = parseArgs(args, {
    string: [...Object.keys(NAMES), "agents", "capacity", "seed"],
    boolean: ["write", "help"],
    unknown: (argument) => strange.push(argument) === 0,
  });
  if (flags["help"]) return null;
  if (strange.length > 0) return `no such argument "${strange[0]}"`;
  try {
    return optionsOf(flags);
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

type Flags = Readonly<Record<string, unknown>>;

function optionsOf(flags: Flags): Options {
  const isWriting = flags["write"] === true;
  const chosen = (name: keyof typeof NAMES, fallback: string) => {
    const value = String(flags[name] ?? (isWriting ? "all" : fallback));
    if (value === "all") return NAMES[name];
    if (isWriting) throw new RangeError(`--write is of everything: leave out --${name}`);
    if (NAMES[name].includes(value)) return [value];
    throw new RangeError(`--${name} is "${value}", not ${NAMES[name].join(", ")} or all`);
  };
  const policies = chosen("policy", "all");
  const outages = chosen("outage", "28m");
  const cuts = chosen("cut", "staggered");
  const rapids = chosen("rapid", "off");
  const agents = wholeNumber(flags, "agents", { fallback: 100_000, least: 1, most: 1_000_000 });
  const seed = wholeNumber(flags, "seed", { fallback: 1, least: 0, most: 2 ** 32 - 1 });
  const capacity = wholeNumber(flags, "capacity", { fallback: 0, least: 1, most: 1_000_000 });
  return {
    agents,
    seed,
    policies: POLICIES.filter(({ name }) => policies.includes(name)),
    scenarios: ["off", "on"].filter((rapid) => rapids.includes(rapid)).flatMap((rapid) =>
      OUTAGES.filter(({ name }) => outages.includes(name)).flatMap((outage) =>
        CUTS.filter((cut: Cut) => cuts.includes(cut))
          .map((cut) => ({ outage, cut, isRapid: rapid === "on" }))
      )
    ),
    capacity: (isRapid) => capacity === 0 ? defaultCapacity(agents, isRapid) : capacity,
    isWriting,
  };
}

function wholeNumber(
  flags: Flags,
  name: string,
  bounds: { fallback: number; least: number; most: number },
): number {
  const text = flags[name];
  if (text === undefined) return bounds.fallback;
  const { least, most } = bounds;
  const value = Number(text);
  if (/^\d+$/.test(String(text)) && value >= least && value <= most) return value;
  throw new RangeError(`--${name} is "${text}", not a whole number from ${least} to ${most}`);
}
