/**
 * Fetches the changelogs of waiting versions with `apt-get changelog`, within bounds, and keeps what they
 * say of CVEs and advisories: each version of a source is asked for once.
 */

import * as v from "valibot";
import { decodeJson, LOCAL_LIMITS } from "../../json.ts";
import { FileError } from "../../system/files.ts";
import type { System } from "../../system/system.ts";
import { type ChangelogEntry, type Changelogs, parseChangelogs } from "./changelogs.ts";
import { sourceVersion } from "./changelogs.ts";
import type { AptCommands } from "./commands.ts";
import type { OwnDirectory } from "./own_directory.ts";
import { compareDebianVersions } from "./debian_version.ts";
import { ScanError } from "../scanner.ts";
import type { Update } from "../../update.ts";

/** What is wanted: the changelog of the source of a package that waits. */
interface Wanted {
  readonly key: string;
  readonly source: string;
  /** For `apt-get changelog`. */
  readonly argument: string;
  /** Older entries are of no interest. */
  readonly currentVersion: string;
}

const kept = v.object({
  tried_ms: v.number(),
  /** `null`: there was none to be had. */
  entries: v.nullable(v.array(v.object({
    version: v.string(),
    urgency: v.string(),
    cves: v.array(v.string()),
    advisories: v.array(v.string()),
  }))),
});

const cache = v.object({ version: v.literal(1), changelogs: v.record(v.string(), kept) });

type Kept = v.InferOutput<typeof kept>;

const FILE = "changelogs.json";
const PURPOSE = "keep changelogs";

/** Changelogs that one scan fetches; the next one goes on. */
const MOST_FETCHED = 40;

/** Changelogs that are kept, newest wishes first, and what is kept of each. */
const MOST_KEPT = 500;
const MOST_ENTRIES = 100;
const MOST_NAMES = 200;

/** One that is not to be had today may be tomorrow. */
const RETRY_MS = 24 * 3_600_000;

/** For all of them together; who waits for a scan waits for no slow server. */
const TIME_MS = 60_000;

/** One that is missing has apt print none at all: it is asked again for the others, so often at most. */
const MOST_ROUNDS = 3;

/** What apt says of a changelog that it did not get. */
const UNAVAILABLE = /Changelog unavailable for (\S+=\S+)/g;

/**
 * Changelogs of updates that name no CVE yet, from the cache or from the distributors' servers: security
 * updates first, and none of sources that mark no security updates, which publish no changelogs either.
 */
export async function fetchChangelogs(
  system: Pick<System, "files" | "clock">,
  commands: AptCommands,
  { directory, updates }: { directory: OwnDirectory; updates: readonly Update[] },
): Promise<Changelogs> {
  const nowMs = system.clock.nowMs();
  const known = await readCache(system, directory);
  const wanted = findWanted(updates);
  const due = wanted.filter(({ key }) => isDue(known[key], nowMs));
  const asked = due.slice(0, MOST_FETCHED);
  const fetched = await ask(system, commands, asked);
  // Where none came, there is no way to the servers: none of the others is asked for until tomorrow.
  const missing = fetched === null ? due : asked;
  const all: Record<string, Kept> = { ...known };
  for (const one of missing) {
    all[one.key] = { tried_ms: nowMs, entries: fetched && entriesFor(one, fetched) };
  }
  const current = Object.fromEntries(
    wanted.flatMap(({ key }): [string, Kept][] => all[key] ? [[key, all[key]]] : [])
      .slice(0, MOST_KEPT),
  );
  if (missing.length > 0) await writeCache(system, directory, current);
  return new Map(
    wanted.flatMap(({ key, source }): [string, readonly ChangelogEntry[]][] => {
      const entries = current[key]?.entries;
      return entries ? [[source, entries]] : [];
    }),
  );
}

function isDue(one: Kept | undefined, nowMs: number): boolean {
  if (one === undefined) return true;
  return one.entries === null && Math.abs(nowMs - one.tried_ms) >= RETRY_MS;
}

/** One a source: that of the update that goes furthest back. */
function findWanted(updates: readonly Update[]): Wanted[] {
  const wanted = new Map<string, Wanted>();
  const bySecurity = updates.toSorted((a, b) => Number(b.security) - Number(a.security));
  for (const update of bySecurity) {
    const { sourcePackage: source, availableVersion, architecture, currentVersion } = update;
    if (update.security === null || update.cves.length > 0) continue;
    if (source === null || currentVersion === null) continue;
    const key = `${source} ${sourceVersion(availableVersion)}`;
    const before = wanted.get(key);
    if (before && compareDebianVersions(before.currentVersion, currentVersion) <= 0) continue;
    const isAll = architecture === null || architecture === "all";
    const name = isAll ? update.package : `${update.package}:${architecture}`;
    wanted.set(key, { key, source, argument: `${name}=${availableVersion}`, currentVersion });
  }
  return [...wanted.values()];
}

/** What apt prints of all that are to be had; `null` if none is. */
async function ask(
  { clock }: Pick<System, "clock">,
  commands: AptCommands,
  wanted: readonly Wanted[],
): Promise<Changelogs | null> {
  const startedMs = clock.monotonicMs();
  let names = wanted.map(({ argument }) => argument);
  for (let round = 0; round < MOST_ROUNDS && names.length > 0; round++) {
    const leftMs = TIME_MS - (clock.monotonicMs() - startedMs);
    if (leftMs < 1_000) return null;
    try {
      const { code, stdout, stderr } = await commands.fetchChangelogs(names, leftMs);
      if (code === 0) return parseChangelogs(stdout);
      const refused = new Set([...stderr.matchAll(UNAVAILABLE)].map(([, name]) => name));
      // Apt leaves the host's own architecture out.
      const others = names.filter((name) =>
        !refused.has(name) && !refused.has(name.replace(/:[^=]*/, ""))
      );
      if (others.length === names.length) return null;
      names = others;
    } catch (error) {
      if (error instanceof ScanError) return null;
      throw error;
    }
  }
  return null;
}

function entriesFor(
  { source, currentVersion }: Wanted,
  changelogs: Changelogs,
): v.InferOutput<typeof kept>["entries"] {
  const entries = changelogs.get(source);
  if (!entries) return null;
  return entries.filter(({ version }) => compareDebianVersions(version, currentVersion) > 0)
    .slice(0, MOST_ENTRIES).map(({ cves, advisories, ...entry }) => ({
      ...entry,
      cves: cves.slice(0, MOST_NAMES),
      advisories: advisories.slice(0, MOST_NAMES),
    }));
}

async function readCache(
  { files }: Pick<System, "files">,
  { path }: OwnDirectory,
): Promise<Readonly<Record<string, Kept>>> {
  try {
    const options = { maxBytes: LOCAL_LIMITS.maxLength };
    const text = await files.readText(PURPOSE, `${path}/${FILE}`, options);
    const read = text === undefined ? undefined : decodeJson(cache, text, LOCAL_LIMITS);
    return read?.ok ? read.value.changelogs : {};
  } catch (error) {
    if (error instanceof FileError) return {};
    throw error;
  }
}

async function writeCache(
  { files }: Pick<System, "files">,
  { path }: OwnDirectory,
  changelogs: Readonly<Record<string, Kept>>,
): Promise<void> {
  const text = JSON.stringify({ version: 1, changelogs });
  try {
    await files.writeText(PURPOSE, `${path}/${FILE}`, text, { mode: 0o600 });
  } catch (error) {
    // The next scan fetches them once more.
    if (!(error instanceof FileError)) throw error;
  }
}
