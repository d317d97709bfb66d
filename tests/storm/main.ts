/** `deno task test:storm`: kills the agent over and over, and asks what that has cost. */

import { EXECUTABLE } from "../e2e/harness.ts";
import { readOptions, type Variant } from "./options.ts";
import { describeKills, describeRecord, idleComplaints } from "./report.ts";
import { playSalvageStorm } from "./salvage_storm.ts";
import { playStorm, type StormPlan } from "./storm.ts";
import { complaints } from "./verdict.ts";

/** Every complaint beyond these says the same, as a rule. */
const MOST_TOLD = 20;

/** Plays a storm of kills, tells its figures, and answers what was wrong. */
async function storm(plan: StormPlan): Promise<string[]> {
  const storm = await playStorm(plan, (line) => console.log(line));
  for (const line of describeKills(storm)) console.log(line);
  console.log("  after the last kill:");
  for (const line of describeRecord(storm.atLastKill)) console.log(line);
  console.log("  after one more life, which ended by itself:");
  for (const line of describeRecord(storm.afterwards)) console.log(line);
  return [
    ...complaints(storm.atLastKill),
    ...complaints(storm.afterwards),
    ...idleComplaints(storm),
  ];
}

/** The same for kills in the middle of a salvage. */
async function salvageStorm(plan: { kills: number; seed: number }): Promise<string[]> {
  const { episodes, kills, inTheMiddle, salvageable, complaints } = await playSalvageStorm(plan);
  console.log(
    `  ${episodes} damaged buffers, up to ${kills} kills at their starts, ${inTheMiddle} of them ` +
      `in the middle of a salvage; ${salvageable} events to be saved`,
  );
  return inTheMiddle === 0 ? [...complaints, "no kill hit a salvage"] : [...complaints];
}

async function play(variant: Variant, plan: { kills: number; seed: number }): Promise<boolean> {
  const startedMs = performance.now();
  console.log(`\n${variant}: begins`);
  const found = variant === "damaged"
    ? await salvageStorm(plan)
    : await storm({ ...plan, variant });
  const tookS = (performance.now() - startedMs) / 1_000;
  for (const complaint of found.slice(0, MOST_TOLD)) console.log(`  WRONG: ${complaint}`);
  const verdict = found.length === 0 ? "nothing lost, nothing run twice" : `${found.length} wrong`;
  console.log(`${variant}: ${verdict}, ${plan.kills} kills in ${tookS.toFixed(0)} s`);
  if (found.length === 0) return true;
  console.log(
    `Again, as far as time repeats itself: ` +
      `deno task test:storm --kills ${plan.kills} --seed ${plan.seed} --variant ${variant}`,
  );
  return false;
}

async function main(words: readonly string[]): Promise<number> {
  const { kills, seed, variants } = readOptions(words, Math.floor(Math.random() * 1e9));
  const program = EXECUTABLE ?? `from source, on Deno ${Deno.version.deno}`;
  console.log(`storm of ${kills} kills, seed ${seed}, on ${program}`);
  console.log("kill -9 ends the process, not the machine: a power cut is not in this");
  let failures = 0;
  for (const variant of variants) {
    if (!await play(variant, { kills, seed })) failures += 1;
  }
  return failures === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
