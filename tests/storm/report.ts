/** The figures of a storm, in lines for people. */

import { type Hit, HITS, isIdle } from "./autopsy.ts";
import { followCommands, isUnfinished } from "./command_verdict.ts";
import { identitiesAt, identitiesOf } from "./identity_of.ts";
import type { StormRecord } from "./record.ts";
import type { Storm } from "./storm.ts";

/** At least so many of a hundred kills must have hit an agent in the middle of something. */
const LEAST_BUSY_PERCENT = 50;

/** What the kills hit: a line each. */
export function describeKills({ kills }: Storm): string[] {
  const strikes = new Map<string, number>();
  for (const { strike } of kills) strikes.set(strike, (strikes.get(strike) ?? 0) + 1);
  const drawn = [...strikes].map(([name, count]) => `${count} by ${name}`).join(", ");
  const late = kills.filter(({ isStruck }) => !isStruck).length;
  const lines = [
    `  kills  ${kills.length}: ${drawn}; for ${late} of them what was awaited never came`,
  ];
  for (const [hit, what] of Object.entries(HITS)) {
    const count = kills.filter(({ hits }) => hits.has(hit as Hit)).length;
    lines.push(`         ${String(count).padStart(4)}  ${what}`);
  }
  lines.push(`         ${String(idleKills(kills)).padStart(4)}  none of these but the last: idle`);
  return lines;
}

/**
 * Says so if too many kills hit an agent that did nothing: if the busy ones are three standard
 * deviations fewer than `LEAST_BUSY_PERCENT`, which chance alone hardly makes, or none at all.
 */
export function idleComplaints({ kills }: Storm): string[] {
  const least = LEAST_BUSY_PERCENT / 100;
  const deviation = Math.sqrt(least * (1 - least) / kills.length);
  const busy = kills.length - idleKills(kills);
  if (busy >= 1 && busy / kills.length >= least - 3 * deviation) return [];
  return [`only ${busy} of ${kills.length} kills hit a busy agent`];
}

/** What became of events and commands: a line each. */
export function describeRecord(record: StormRecord): string[] {
  const { testimony: { appended, kept, commands, counters, steps }, server } = record;
  const there = identitiesAt(server);
  const atServer =
    appended.filter((event) => identitiesOf(event).every((identity) => there.has(identity))).length;
  const inState = (state: string) => kept.filter((event) => event.state === state).length;
  const dropped = Object.entries(counters).filter(([name]) => name.startsWith("evicted_"))
    .reduce((sum, [, count]) => sum + count, 0);
  const { inAll, writtenDown, lostByServer, lostByDeath } = followCommands(record);
  const open = commands.filter(({ state }) => isUnfinished(state)).length;
  const starts = new Map<string, number>();
  for (const { id, state } of steps) {
    if (state === "started") starts.set(id, (starts.get(id) ?? 0) + 1);
  }
  const repeated = [...starts.values()].filter((count) => count > 1).length;
  const received = server.logs.length - new Set(server.logs.map((log) => log.command_id)).size;
  const refused = record.doubleStarts.filter(({ code }) => code === 1).length;
  return [
    `  events    ${appended.length} appended: ${atServer} at the server, ${inState("pending")} ` +
    `pending, ${inState("dead_lettered")} set aside, ${dropped} dropped and counted; ` +
    `${received} results came twice`,
    `  commands  ${inAll} handed over: ${writtenDown} written down, of which ${open} not finished ` +
    `yet; lost with the answer: ${lostByServer} by the server, ${lostByDeath} by the agent's death`,
    `            ${repeated} of them begun more than once`,
    ...describeMarks(record),
    `  second agents on the folder: ${record.doubleStarts.length}, refused: ${refused}`,
  ];
}

function describeMarks({ marks, testimony }: StormRecord): string[] {
  if (marks === null) return [];
  const told =
    testimony.appended.filter(({ kind, body }) =>
      kind === "log" && JSON.parse(body).stderr.startsWith("interrupted")
    ).length;
  const ids = new Set(marks.ids);
  return [
    `  of those that must not be repeated ${ids.size} were run, ${marks.ids.length} times in all; ` +
    `${told} were told to be interrupted`,
  ];
}

function idleKills(kills: Storm["kills"]): number {
  return kills.filter(({ hits }) => isIdle(hits)).length;
}
