/**
 * Fetches package lists with apt and keeps, source by source, what came of it: lists of the agent's own
 * are fetched where the host's are old or incomplete. A source that failed is left alone for a while.
 */

import { v5 as uuidv5 } from "uuid";
import * as v from "valibot";
import { decodeJson } from "../../json.ts";
import { quoteWords } from "../../redact.ts";
import { FileError } from "../../system/files.ts";
import type { RunResult } from "../../system/process.ts";
import type { System } from "../../system/system.ts";
import { complaints, rawComplaints } from "./failure.ts";
import { type AptSource, byAddress, findSource, isAsked } from "./sources.ts";
import { outputLines } from "../output_lines.ts";

const fetched = v.object({
  /** When its lists were last fetched or found to be the newest. */
  fetched_ms: v.nullable(v.number()),
  tried_ms: v.number(),
  failures: v.number(),
  why: v.nullable(v.string()),
});

/** What came of fetching one source. */
export type Fetched = v.InferOutput<typeof fetched>;

const record = v.object({
  version: v.literal(1),
  /** The agent's own lists, by `keyOf` the source. */
  own: v.record(v.string(), fetched),
  /** What is known of the host's own lists, by `keyOf` the source. */
  host: v.record(v.string(), fetched),
});

/** What came of fetching each source. */
export type FetchRecord = v.InferOutput<typeof record>;

const FILE = "sources.json";
const PURPOSE = "keep what was fetched";

/** Lists that were fetched before so long are fetched anew. */
export const REFETCH_MS = 24 * 3_600_000;

const FIRST_RETRY_MS = 3_600_000;
const LAST_RETRY_MS = 24 * 3_600_000;

const LONGEST_REASON = 300;

/** Of nothing that was fetched. */
export const NO_RECORD: FetchRecord = { version: 1, own: {}, host: {} };

/** Reads what was kept; nothing if nothing was, or it is damaged: then all is fetched anew. */
export async function readFetchRecord(
  { files }: Pick<System, "files">,
  directory: string,
): Promise<FetchRecord> {
  try {
    const text = await files.readText(PURPOSE, `${directory}/${FILE}`);
    const read = text === undefined ? undefined : decodeJson(record, text);
    return read?.ok ? read.value : NO_RECORD;
  } catch (error) {
    if (error instanceof FileError) return NO_RECORD;
    throw error;
  }
}

/** Keeps the record. Where that fails, the next scan asks again: nothing else is lost. */
export async function keepFetchRecord(
  { files }: Pick<System, "files">,
  directory: string,
  kept: FetchRecord,
): Promise<void> {
  try {
    await files.writeText(PURPOSE, `${directory}/${FILE}`, JSON.stringify(kept), { mode: 0o600 });
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
  }
}

/** Any fixed UUID does: keys are only compared with each other. */
const NAMESPACE = "5c1d0a4e-63f2-4b0e-9f64-2d7f0b1f6a92";

/** Names a source in the record without its address, which may hold a token: 64 bits of a SHA-1. */
export function keyOf({ prefix }: AptSource): string {
  return uuidv5(prefix, NAMESPACE).replaceAll("-", "").slice(0, 16);
}

/** Whether a source is to be asked: never asked, asked long ago, or failed and left alone long enough. */
export function isDue(known: Fetched | undefined, nowMs: number): boolean {
  if (!known || known.tried_ms > nowMs) return true;
  const retryMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (known.failures - 1));
  return nowMs - known.tried_ms >= (known.why === null ? REFETCH_MS : retryMs);
}

/** The new record of the sources that were asked, from what came of it. */
export function recordOutcomes(
  known: Readonly<Record<string, Fetched>>,
  outcomes: ReadonlyMap<string, string | null>,
  nowMs: number,
): Record<string, Fetched> {
  return Object.fromEntries(
    [...outcomes].map(([key, why]): [string, Fetched] => {
      const before = known[key];
      if (why === null) return [key, { fetched_ms: nowMs, tried_ms: nowMs, failures: 0, why }];
      const failures = (before?.failures ?? 0) + 1;
      return [key, { fetched_ms: before?.fetched_ms ?? null, tried_ms: nowMs, failures, why }];
    }),
  );
}

const PROGRESS = /^(Hit|Get|Ign|Err):(\d+) (\S+) (\S+) (.+)/;

/** What proves that a source answered. */
const ANSWER = /(?:^| )(?:InRelease|Release|Packages)(?: \[[^\]]*\])?$/;

interface Item {
  /** `undefined`: it is of none that is enabled. */
  readonly source: AptSource | undefined;
  readonly isAnswer: boolean;
  readonly verb: string;
  reason: string;
}

/**
 * Reads what `apt-get -q=1 update` said: by `keyOf` each source that is asked, `null` if it answered,
 * else why not. A source of which apt said nothing did not answer.
 */
export function readOutcomes(
  { stdout, stderr, code }: Pick<RunResult, "stdout" | "stderr" | "code">,
  sources: readonly AptSource[],
): Map<string, string | null> {
  const items = readItems(stdout, byAddress(sources));
  const said = [
    ...rawComplaints(stderr, "errors"),
    ...rawComplaints(stderr, "warnings").filter((text) => OLD_KEPT.test(text)),
  ];
  const general = complaints(stderr, "errors").join("; ") || `apt-get ended with exit ${code}`;
  return new Map(
    sources.filter(isAsked).map((source): [string, string | null] => {
      const own = items.filter((item) => item.source === source);
      const failed = own.find(({ verb }) => verb === "Err");
      const refusal = said.find((text) => isAbout(text, source));
      const hasAnswered = own.some(({ verb, isAnswer }) =>
        isAnswer && (verb === "Hit" || verb === "Get")
      );
      const why = failed
        ? failed.reason || refusal || "it could not be fetched"
        : refusal ?? (hasAnswered ? null : code === 0 ? "it did not answer" : general);
      return [keyOf(source), why === null ? null : quoteWords(why, LONGEST_REASON)];
    }),
  );
}

/** By number: apt tells of one item several times, and the last word counts. */
function readItems(stdout: string, sources: ReadonlyMap<string, AptSource>): Item[] {
  const items = new Map<string, Item>();
  let last: Item | undefined;
  for (const line of outputLines(stdout).lines) {
    const [, verb = "", number = "", site = "", suite = "", what = ""] = PROGRESS.exec(line) ?? [];
    if (verb !== "") {
      const source = findSource(sources, site, suite);
      last = { source, isAnswer: ANSWER.test(what), verb, reason: "" };
      items.set(number, last);
    } else if (last?.verb === "Err" && line.startsWith("  ")) {
      // Behind "Err" the reason is set in.
      last.reason ||= line.trim().replace(/\s+/g, " ");
    } else last = undefined;
  }
  return [...items.values()];
}

/**
 * Warnings that apt keeps what it had before. Any error that names a source says so, too; other warnings
 * are of sources whose owner allowed that they are not signed.
 */
const OLD_KEPT = /^(?:Failed to fetch |An error occurred during the signature verification)/;

function isAbout(text: string, { name, address }: AptSource): boolean {
  return text.includes(`${name} `) || text.includes(address);
}
