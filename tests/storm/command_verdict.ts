/** The judge of commands: each handed over is run, once, and told; or lost where nobody can help it. */

import type { LoggedRequest } from "../../tools/refserver/request_log.ts";
import type { LifeRecord, StormRecord } from "./record.ts";

/**
 * A whole answer with commands was given to the network, and the agent died before it had them on
 * disk. Longer than this it does not take; a machine with much else to do is slow.
 */
const LONGEST_TAKING_MS = 2_000;

/** What became of the commands that were handed over. */
export interface HandedOver {
  readonly inAll: number;
  readonly writtenDown: number;
  /** The server lost the answer itself. */
  readonly lostByServer: number;
  /** The agent was dead before the answer was given, or before it was on disk. */
  readonly lostByDeath: number;
  /** Lost by neither: there must be none. Each with what there is to go by. */
  readonly unexplained: readonly string[];
}

/** Follows every command that an answer handed over. */
export function followCommands(record: StormRecord): HandedOver {
  const known = new Set(record.testimony.commands.map(({ id }) => id));
  const lost = { byServer: 0, byDeath: 0 };
  const unexplained: string[] = [];
  let inAll = 0;
  for (const request of record.requests) {
    for (const id of request.handedOver) {
      inAll += 1;
      if (known.has(id)) continue;
      const why = whyLost(request, record);
      if (why === null) unexplained.push(`${id} ${describe(request, record)}`);
      else lost[why] += 1;
    }
  }
  return {
    inAll,
    writtenDown: inAll - lost.byServer - lost.byDeath - unexplained.length,
    lostByServer: lost.byServer,
    lostByDeath: lost.byDeath,
    unexplained,
  };
}

function whyLost(request: LoggedRequest, record: StormRecord): "byServer" | "byDeath" | null {
  const isServersFault = request.fault !== null && request.fault !== "slow";
  const life = lifeOf(request, record);
  if (request.answeredAtMs === null && isServersFault) return "byServer";
  if (life === undefined) return null;
  // Its last word with the server, and none of the lines that follow when the commands are on disk.
  const checkIns = checkInsOf(life, record);
  if (checkIns.at(-1) !== request) return null;
  const taken = life.lines.filter(({ message }) => message === "checked in").length;
  const good = checkIns.filter((one) => one.status === 200 && one.answeredAtMs !== null);
  if (good.includes(request) && taken >= good.length) return null;
  const sinceMs = life.deadMs - (request.answeredAtMs ?? request.atMs);
  return sinceMs <= LONGEST_TAKING_MS ? "byDeath" : null;
}

/** What there is to go by, for whoever looks into it. */
function describe(request: LoggedRequest, record: StormRecord): string {
  const life = lifeOf(request, record);
  const last = life?.lines.slice(-3).map(({ message }) => message).join(", ");
  const checkIns = checkInsOf(life, record);
  const { atMs, answeredAtMs, fault, status } = request;
  const place = `${checkIns.indexOf(request) + 1} of ${checkIns.length}`;
  return `(check-in ${place}, ${JSON.stringify({ atMs, answeredAtMs, fault, status })}, ` +
    `dead at ${life?.deadMs}, last lines: ${last})`;
}

/**
 * A request's life is the last one that had begun: what a dead agent had sent may arrive after its
 * death.
 */
function lifeOf(request: LoggedRequest, { lives }: StormRecord): LifeRecord | undefined {
  return lives.findLast(({ bornMs }) => bornMs <= request.atMs);
}

function checkInsOf(life: LifeRecord | undefined, record: StormRecord): LoggedRequest[] {
  return record.requests.filter((request) =>
    request.path.endsWith("/commands") && lifeOf(request, record) === life
  );
}

/** What should not be, of commands. */
export function commandComplaints(record: StormRecord): string[] {
  const { unexplained } = followCommands(record);
  return [
    ...unexplained.map((id) => `command ${id} was handed over, and nobody has it`),
    ...stepComplaints(record),
    ...lineComplaints(record),
    ...resultComplaints(record),
  ];
}

/** By the witness in the file: once finished, a command is done with. */
function stepComplaints({ testimony, writtenDown }: StormRecord): string[] {
  const found: string[] = [];
  const states = new Map<string, string[]>();
  for (const { id, state } of testimony.steps) {
    states.set(id, [...states.get(id) ?? [], state]);
  }
  for (const [id, steps] of states) {
    const finishedAt = steps.indexOf("finished");
    if (steps.filter((state) => state === "received").length > 1) {
      found.push(`command ${id} was received twice: ${steps.join(", ")}`);
    }
    if (finishedAt < 0) continue;
    const after = steps.slice(finishedAt + 1);
    if (after.some((state) => state === "started" || state === "finished")) {
      found.push(`command ${id} went on when it was finished: ${steps.join(", ")}`);
    }
    // Only an interrupted one of those that are not safe to repeat ends without being begun.
    if (steps[0] !== "received") found.push(`command ${id} began with ${steps[0]}`);
  }
  for (const id of writtenDown) {
    if (!states.has(id)) found.push(`command ${id} was written down, and is nowhere`);
  }
  const known = new Set(testimony.commands.map(({ id }) => id));
  for (const id of states.keys()) {
    if (!known.has(id)) found.push(`command ${id} was in the journal, and is not any more`);
  }
  return found;
}

/** By the agent's own words, over all of its lives. */
function lineComplaints({ lives, testimony }: StormRecord): string[] {
  const found: string[] = [];
  const finished = new Set<string>();
  for (const { lines } of lives) {
    const begun = new Set<string>();
    for (const line of lines) {
      const id = String(line["id"]);
      if (line.message === "command started") {
        if (finished.has(id)) found.push(`command ${id} was run again after its end`);
        if (begun.has(id)) found.push(`command ${id} was run twice in one life`);
        begun.add(id);
      }
      if (line.message === "command finished") finished.add(id);
    }
  }
  const done = new Set(
    testimony.commands.filter(({ state }) => !isOpen(state)).map(({ id }) => id),
  );
  for (const id of finished) {
    if (!done.has(id)) found.push(`command ${id} was told to be finished, and is not`);
  }
  return found;
}

/** A finished command has exactly one report, which is at the server or kept. */
function resultComplaints({ testimony, mayDrop, server }: StormRecord): string[] {
  const found: string[] = [];
  const reports = new Map<string, number>();
  for (const { kind, commandId } of testimony.appended) {
    if (kind === "log" && commandId !== null) {
      reports.set(commandId, (reports.get(commandId) ?? 0) + 1);
    }
  }
  const atServer = new Set(server.logs.map(({ command_id }) => command_id));
  const statusOf = new Map(server.commands.map(({ id, status }) => [id, status]));
  for (const { id, state } of testimony.commands) {
    const count = reports.get(id) ?? 0;
    if (isOpen(state) && count > 0) found.push(`command ${id} is ${state}, and was reported`);
    if (isOpen(state)) continue;
    if (count > 1 || count === 0 && !mayDrop) {
      found.push(`command ${id} is ${state}, with ${count} reports`);
    }
    const status = statusOf.get(id);
    if (atServer.has(id) && status !== "completed" && status !== "failed") {
      found.push(`command ${id} was reported, and the server has it as ${status}`);
    }
  }
  return found;
}

function isOpen(state: string): boolean {
  return state === "received" || state === "started";
}
