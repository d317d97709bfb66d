/** Gets from dnf what it offers: from the lists that it has, or from new ones where that is allowed. */

import type { RunResult } from "../system/process.ts";
import { answerOf, type DnfCommands, FETCH_TIMEOUT_MS } from "./dnf_commands.ts";
import { dnfWarnings, hasNoCache } from "./dnf_failure.ts";
import { ScanError } from "./scanner.ts";

const ACTION = "list updates with dnf";

/** A user's own lists are fetched anew when they are older. */
const STALE_MS = 24 * 3_600_000;

/** Dnf's own lists are doubted when they are older, which is when dnf itself would (dnf.conf(5)). */
const DOUBTFUL_MS = 48 * 3_600_000;

/** How to ask. */
export interface OfferParts {
  readonly commands: DnfCommands;
  /** The program, with everything that is put before each command. */
  readonly program: readonly string[];
  readonly offered: readonly string[];
  /** Root's lists are the host's own: only a person has them fetched. */
  readonly isRoot: boolean;
  readonly refresh: boolean;
  /** The age of the lists that `result` came from; `null` if that is not known. */
  ageMs(result: RunResult): Promise<number | null>;
}

/** What dnf offers, how old that is, and what it said is missing. */
export interface Offers {
  readonly stdout: string;
  readonly ageMs: number | null;
  readonly warnings: readonly string[];
}

/** Asks what is offered; throws `ScanError` if there is no list at all, old or new. */
export async function getOffers(parts: OfferParts): Promise<Offers> {
  if (parts.refresh) return await fetchOrOld(parts, await fetchNew(parts, "--refresh"));
  const cached = await fromCache(parts);
  if (!cached) {
    if (!parts.isRoot) return unwrap(await fetchNew(parts));
    const fact = 'there are no package lists yet: run "dnf makecache"';
    throw new ScanError(`Cannot ${ACTION}: ${fact}`, { reason: "transient" });
  }
  const { ageMs } = cached;
  if (ageMs === null || ageMs <= STALE_MS) return cached;
  if (!parts.isRoot) {
    const fetched = await fetchNew(parts, "--refresh");
    return fetched instanceof ScanError ? withOld(cached, fetched) : fetched;
  }
  if (ageMs <= DOUBTFUL_MS) return cached;
  const advice = 'run "dnf makecache", or scan with "--refresh"';
  return { ...cached, warnings: [...cached.warnings, `${tellAge(ageMs)}: ${advice}`] };
}

/** Old lists are better than none, if it is said that they are old. */
async function fetchOrOld(parts: OfferParts, fetched: Offers | ScanError): Promise<Offers> {
  if (!(fetched instanceof ScanError)) return fetched;
  let cached: Offers | undefined;
  try {
    cached = await fromCache(parts);
  } catch (error) {
    if (!(error instanceof ScanError)) throw error;
  }
  if (!cached) throw fetched;
  return withOld(cached, fetched);
}

function withOld(cached: Offers, error: ScanError): Offers {
  const old = cached.ageMs === null ? [] : [tellAge(cached.ageMs)];
  return { ...cached, warnings: [...cached.warnings, error.message, ...old] };
}

function unwrap(fetched: Offers | ScanError): Offers {
  if (fetched instanceof ScanError) throw fetched;
  return fetched;
}

async function fromCache(parts: OfferParts): Promise<Offers | undefined> {
  const { commands, program, offered } = parts;
  const result = await commands.run(ACTION, [...program, "-C", ...offered]);
  if (hasNoCache(result)) return undefined;
  return await readOffers(parts, result, null);
}

/** New lists, or why there are none. */
async function fetchNew(parts: OfferParts, ...flags: string[]): Promise<Offers | ScanError> {
  const { commands, program, offered } = parts;
  try {
    const argv = [...program, ...flags, ...offered];
    return await readOffers(parts, await commands.run(ACTION, argv, FETCH_TIMEOUT_MS), 0);
  } catch (error) {
    if (error instanceof ScanError) return error;
    throw error;
  }
}

async function readOffers(
  parts: OfferParts,
  result: RunResult,
  ageMs: number | null,
): Promise<Offers> {
  const stdout = answerOf(ACTION, result);
  return {
    stdout,
    ageMs: await parts.ageMs(result) ?? ageMs,
    warnings: dnfWarnings(result),
  };
}

function tellAge(ageMs: number): string {
  const hours = Math.floor(ageMs / 3_600_000);
  const age = hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
  return `The package lists are ${age} old`;
}
