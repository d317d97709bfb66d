/**
 * The agent's private package lists: the directory in which apt keeps them instead of on the host, and
 * the record, source by source, of when each was fetched or why not. A scan changes nothing outside of
 * this directory.
 */

import { v5 as uuidv5 } from "uuid";
import * as v from "valibot";
import { quoteWords } from "../../redact.ts";
import { FileError } from "../../system/files.ts";
import type { RunResult } from "../../system/process.ts";
import type { System } from "../../system/system.ts";
import { readPrivateFile, REFETCH_MS, retryPauseMs, writePrivateFile } from "../private_files.ts";
import { outputLines } from "../programs.ts";
import { asOptions, quotedMessages, rawMessages } from "./commands.ts";
import { type AptSource, byAddress, findSource, isAsked } from "./sources.ts";

/** A directory that is ready for apt. */
export interface PrivateDirectory {
  readonly path: string;
}

/** The directories that apt requires: without `partial` it fetches nothing. */
const DIRECTORIES = [
  "",
  "/lists",
  "/lists/partial",
  "/releases/partial",
  "/cache",
  "/cache/archives/partial",
];

const ASK = "ask.conf";
const RELEASES_ONLY = "releases.conf";

/** A hook of the host after a scan's fetch would be wrong, for example a stamp on the host's own lists. */
const WITHOUT_HOOKS = [
  "AptCli::Hooks",
  "APT::Update::Pre-Invoke",
  "APT::Update::Post-Invoke",
  "APT::Update::Post-Invoke-Success",
].map((list) => `#clear ${list};\n`).join("");

/** With no list to fetch beside the Release file, `update` only asks each source whether it changed. */
const WITHOUT_LISTS = `${WITHOUT_HOOKS}#clear Acquire::IndexTargets;\n`;

/** Creates the directory and its files; returns why it cannot, or `null` without an absolute path. */
export async function preparePrivateDirectory(
  { files }: Pick<System, "files">,
  cacheDirectory: string | undefined,
): Promise<PrivateDirectory | string | null> {
  if (!cacheDirectory?.startsWith("/")) return null;
  const path = `${cacheDirectory}/apt`;
  const purpose = "prepare the directory for apt";
  try {
    // This file is written last: if it is complete, everything else is.
    if (await files.readText(purpose, `${path}/${ASK}`) === WITHOUT_HOOKS) return { path };
    for (const directory of DIRECTORIES) {
      await files.makeDirectory(purpose, `${path}${directory}`, { mode: 0o700 });
    }
    for (const [name, text] of [[RELEASES_ONLY, WITHOUT_LISTS], [ASK, WITHOUT_HOOKS]] as const) {
      await files.writeText(purpose, `${path}/${name}`, text, { mode: 0o600 });
    }
    return { path };
  } catch (error) {
    if (error instanceof FileError) return error.message;
    throw error;
  }
}

/** Settings for commands that read the host's lists. */
export function hostSettings({ path }: PrivateDirectory, cacheFile: string | null): string[] {
  // Apt does not print a download that is there already.
  const archives = `Dir::Cache::archives=${path}/cache/archives/`;
  const caches = cacheFile === null ? [] : cacheSettings(cacheFile);
  return ["-c", `${path}/${ASK}`, ...asOptions([archives, ...caches])];
}

/** Settings for commands that read or fetch the private lists. */
export function privateSettings(directory: PrivateDirectory): string[] {
  return fetchSettings(directory, ["lists", ASK], cacheSettings(privateCacheFile(directory)));
}

/** Settings that make apt fetch nothing but Release files, into a directory of their own. */
export function releaseSettings(directory: PrivateDirectory): string[] {
  return fetchSettings(directory, ["releases", RELEASES_ONLY]);
}

function fetchSettings(
  { path }: PrivateDirectory,
  [lists, config]: readonly [string, string],
  more: readonly string[] = [],
): string[] {
  const directories = [`Dir::State::lists=${path}/${lists}/`, `Dir::Cache=${path}/cache/`];
  // As root apt would otherwise drop its rights before it fetches, and fail.
  const settings = [...directories, ...more, "APT::Sandbox::User=root"];
  return ["-c", `${path}/${config}`, ...asOptions(settings)];
}

/** Where a host has no cache (as in container images), every apt process would rebuild it. */
function cacheSettings(file: string): string[] {
  const sourceFile = file.replace(/pkgcache\.bin$/, "srcpkgcache.bin");
  return [`Dir::Cache::pkgcache=${file}`, `Dir::Cache::srcpkgcache=${sourceFile}`];
}

export function privateCacheFile({ path }: PrivateDirectory): string {
  return `${path}/cache/pkgcache.bin`;
}

/** Apt's cache of the host's lists, where the host has none. */
export function hostCacheFile({ path }: PrivateDirectory): string {
  return `${path}/cache/host-pkgcache.bin`;
}

const fetchStatus = v.object({
  /** When its lists were last fetched, or were the archive's newest. */
  fetched_ms: v.nullable(v.number()),
  tried_ms: v.number(),
  failures: v.number(),
  why: v.nullable(v.string()),
});

export type FetchStatus = v.InferOutput<typeof fetchStatus>;

/** Outcomes by `keyOf` the source. */
export type FetchStatuses = Readonly<Record<string, FetchStatus>>;

const fetchRecord = v.object({
  version: v.literal(1),
  /** The private lists, by `keyOf` the source. */
  own: v.record(v.string(), fetchStatus),
  /** The host's lists, by `keyOf` the source. */
  host: v.record(v.string(), fetchStatus),
});

export type FetchRecord = v.InferOutput<typeof fetchRecord>;

const FILE = "sources.json";
const PURPOSE = "save the record of fetched lists";

const MAX_REASON_LENGTH = 300;

/** The record before any fetch. */
export const NO_RECORD: FetchRecord = { version: 1, own: {}, host: {} };

/** Reads the record; an empty one if it is missing or damaged: then every source is fetched again. */
export async function readFetchRecord(
  system: Pick<System, "files">,
  directory: string,
): Promise<FetchRecord> {
  const options = { purpose: PURPOSE, schema: fetchRecord };
  return await readPrivateFile(system, `${directory}/${FILE}`, options) ?? NO_RECORD;
}

export function writeFetchRecord(
  system: Pick<System, "files">,
  directory: string,
  record: FetchRecord,
): Promise<void> {
  return writePrivateFile(system, `${directory}/${FILE}`, { purpose: PURPOSE, value: record });
}

/** Any fixed UUID does: keys are only compared with each other. */
const NAMESPACE = "5c1d0a4e-63f2-4b0e-9f64-2d7f0b1f6a92";

/** Identifies a source in the record without its address, which may contain a token: 64 bits of a SHA-1. */
export function keyOf({ prefix }: AptSource): string {
  return uuidv5(prefix, NAMESPACE).replaceAll("-", "").slice(0, 16);
}

/** Whether to ask a source: never asked, asked a day ago, or past the backoff after its failures. */
export function isDue(status: FetchStatus | undefined, nowMs: number): boolean {
  if (!status || status.tried_ms > nowMs) return true;
  const pauseMs = status.why === null ? REFETCH_MS : retryPauseMs(status.failures);
  return nowMs - status.tried_ms >= pauseMs;
}

/** Returns the new statuses of the sources that were asked. */
export function recordOutcomes(
  known: FetchStatuses,
  outcomes: ReadonlyMap<string, string | null>,
  nowMs: number,
): Record<string, FetchStatus> {
  return Object.fromEntries(
    [...outcomes].map(([key, why]): [string, FetchStatus] => {
      if (why === null) return [key, { fetched_ms: nowMs, tried_ms: nowMs, failures: 0, why }];
      const { failures = 0, fetched_ms = null } = known[key] ?? {};
      return [key, { fetched_ms, tried_ms: nowMs, failures: failures + 1, why }];
    }),
  );
}

const PROGRESS = /^(Hit|Get|Ign|Err):(\d+) (\S+) (\S+) (.+)/;

/** The items that prove that a source answered. */
const ANSWER = /(?:^| )(?:InRelease|Release|Packages)(?: \[[^\]]*\])?$/;

/** Warnings that apt keeps its previous lists; others concern sources that are allowed to be unsigned. */
const PREVIOUS_KEPT = /^(?:Failed to fetch |An error occurred during the signature verification)/;

interface FetchItem {
  /** `undefined`: it belongs to no enabled source. */
  readonly source: AptSource | undefined;
  readonly isAnswer: boolean;
  readonly verb: string;
  reason: string;
}

/** Parses `apt-get -q=1 update`: by `keyOf` each source, with `null` or the reason why it did not answer. */
export function parseOutcomes(
  { stdout, stderr, code }: Pick<RunResult, "stdout" | "stderr" | "code">,
  sources: readonly AptSource[],
): Map<string, string | null> {
  const items = parseItems(stdout, byAddress(sources));
  const messages = [
    ...rawMessages(stderr, "errors"),
    ...rawMessages(stderr, "warnings").filter((text) => PREVIOUS_KEPT.test(text)),
  ];
  const general = quotedMessages(stderr, "errors").join("; ") || `apt-get ended with exit ${code}`;
  return new Map(
    sources.filter(isAsked).map((source): [string, string | null] => {
      const own = items.filter((item) => item.source === source);
      const failed = own.find(({ verb }) => verb === "Err");
      const refusal = messages.find((text) => isAbout(text, source));
      const hasAnswered = own.some(({ verb, isAnswer }) =>
        isAnswer && (verb === "Hit" || verb === "Get")
      );
      const why = failed
        ? failed.reason || refusal || "it could not be fetched"
        : refusal ?? (hasAnswered ? null : code === 0 ? "it did not answer" : general);
      return [keyOf(source), why === null ? null : quoteWords(why, MAX_REASON_LENGTH)];
    }),
  );
}

/** Items by number: apt reports one item several times, and the last line counts. */
function parseItems(stdout: string, sources: ReadonlyMap<string, AptSource>): FetchItem[] {
  const items = new Map<string, FetchItem>();
  let last: FetchItem | undefined;
  for (const line of outputLines(stdout).lines) {
    const [, verb = "", number = "", site = "", suite = "", what = ""] = PROGRESS.exec(line) ?? [];
    if (verb !== "") {
      const source = findSource(sources, site, suite);
      last = { source, isAnswer: ANSWER.test(what), verb, reason: "" };
      items.set(number, last);
    } else if (last?.verb === "Err" && line.startsWith("  ")) {
      // The reason is indented below "Err".
      last.reason ||= line.trim().replace(/\s+/g, " ");
    } else last = undefined;
  }
  return [...items.values()];
}

function isAbout(text: string, { name, address }: AptSource): boolean {
  return text.includes(`${name} `) || text.includes(address);
}
