/**
 * The CVEs that security tools on this host have found in installed packages: debsecan's history and
 * the result of `pro cves`. Both were written at some time before the scan, so each entry is used only
 * where it provably still holds, and provably is closed by the version that waits.
 */

import * as v from "valibot";
import { decodeJson, type JsonLimits, LOCAL_LIMITS } from "../../json.ts";
import { FileError } from "../../system/files.ts";
import type { System } from "../../system/system.ts";
import { type AptPlaces, listFiles, modifiedMs } from "./lists.ts";
import { type AptName, splitAptName } from "./name.ts";
import { compareDebianVersions } from "./debian_version.ts";
import { outputLines } from "../output_lines.ts";

/** A CVE that one version of a package has. */
export interface KnownHole {
  readonly cve: string;
  /** The installed version that was looked at; `null`: the one that is installed now. */
  readonly installedVersion: string | null;
  /** The version that closes it; `null`: the newest one that its archive offers. */
  readonly fixedVersion: string | null;
}

/** What one tool found, by the names of packages, without architectures. */
export interface SecurityData {
  /** The tool, in words. */
  readonly origin: string;
  readonly holes: ReadonlyMap<string, readonly KnownHole[]>;
}

/** Where the data are, and the times that say whether they hold. */
export interface SecurityDataPlaces extends Pick<AptPlaces, "dpkgDirectory"> {
  /** Before each path. */
  readonly hostDirectory: string;
  /** When the oldest of the package lists was fetched; `null`: that is not known. */
  readonly listsFetchedMs: number | null;
}

const PURPOSE = "look up CVEs";

const CVE = /^CVE-\d{4}-\d{4,10}$/;

/** debsecan writes a line of some 30 bytes for each CVE of each package. */
const LONGEST_HISTORY_BYTES = 8_388_608;

/**
 * `pro cves` writes the descriptions of all CVEs along. A host with everything installed has some 5 MB;
 * what is longer is not worth its memory.
 */
const RESULT_LIMITS: JsonLimits = { ...LOCAL_LIMITS, maxLength: 8_388_608 };

/** Series whose results are read: after an upgrade of the release the old one's stays. */
const MOST_SERIES = 4;

/** Everything that is there and still holds. */
export async function readSecurityData(
  system: Pick<System, "files">,
  places: SecurityDataPlaces,
): Promise<SecurityData[]> {
  const found = [
    { origin: "debsecan", holes: await readDebsecan(system, places) },
    { origin: "Ubuntu Pro's security data", holes: await readUbuntuPro(system, places) },
  ];
  return found.filter(({ holes }) => holes.size > 0);
}

/**
 * The history that `debsecan --cron` keeps: `CVE,package,F`, where `F` says that the archive has a fix.
 * Without the versions it holds only while no package has changed since, and says that the waiting
 * version is the fix only if the lists were fetched after it.
 */
async function readDebsecan(
  system: Pick<System, "files">,
  { hostDirectory, dpkgDirectory, listsFetchedMs }: SecurityDataPlaces,
): Promise<SecurityData["holes"]> {
  const path = `${hostDirectory}/var/lib/debsecan/history`;
  const text = await readIfThere(system, path, LONGEST_HISTORY_BYTES);
  const history = text === null ? null : parseHistory(text);
  const changedMs = await modifiedMs(system, `${dpkgDirectory}/status`);
  const holds = history !== null && changedMs !== null && listsFetchedMs !== null &&
    changedMs <= history.writtenMs && history.writtenMs <= listsFetchedMs;
  return holds ? history.holes : new Map();
}

/** Reads debsecan's history; `null` where it is of another format, or of the first, which has no time. */
export function parseHistory(
  text: string,
): { writtenMs: number; holes: ReadonlyMap<string, readonly KnownHole[]> } | null {
  const [heading, time = "", ...lines] = outputLines(text).lines;
  if (heading !== "VERSION 1" || !/^\d{1,11}$/.test(time)) return null;
  const holes = new Map<string, KnownHole[]>();
  for (const line of lines) {
    const [cve = "", name = "", fixed] = line.split(",");
    if (fixed !== "F" || !CVE.test(cve)) continue;
    push(holes, name, { cve, installedVersion: null, fixedVersion: null });
  }
  return { writtenMs: Number(time) * 1_000, holes };
}

const proResult = v.object({
  packages: v.record(
    v.string(),
    v.object({
      current_version: v.string(),
      cves: v.array(v.object({ name: v.string(), fix_version: v.nullable(v.string()) })),
    }),
  ),
});

/** The results that `pro cves` keeps, one for each series of Ubuntu. */
async function readUbuntuPro(
  system: Pick<System, "files">,
  { hostDirectory }: SecurityDataPlaces,
): Promise<SecurityData["holes"]> {
  const folder = `${hostDirectory}/var/lib/ubuntu-advantage/vulnerability-data`;
  const holes = new Map<string, KnownHole[]>();
  const series = (await listFiles(system, folder, [""])).sort().slice(0, MOST_SERIES);
  for (const path of series) {
    const file = `${path}/cves/vulnerability-result.json`;
    const text = await readIfThere(system, file, RESULT_LIMITS.maxLength);
    for (const [name, hole] of text === null ? [] : parseProResult(text)) push(holes, name, hole);
  }
  return holes;
}

/** Reads a result of `pro cves`: the CVEs of each package for which there is a fix. */
export function parseProResult(text: string): [name: string, hole: KnownHole][] {
  const read = decodeJson(proResult, text, RESULT_LIMITS);
  if (!read.ok) return [];
  return Object.entries(read.value.packages).flatMap(([name, { current_version, cves }]) =>
    cves.flatMap(({ name: cve, fix_version }): [string, KnownHole][] =>
      fix_version === null || !CVE.test(cve)
        ? []
        : [[name, { cve, installedVersion: current_version, fixedVersion: fix_version }]]
    )
  );
}

/** An update, and the newest version of its package that any source offers. */
export interface ClosingUpdate {
  readonly name: AptName;
  readonly currentVersion: string;
  readonly availableVersion: string;
  readonly newestVersion: string;
}

/** The CVEs that an update closes, each once. */
export function closedHoles({ holes }: SecurityData, update: ClosingUpdate): string[] {
  const found = holes.get(splitAptName(update.name).name) ?? [];
  return [...new Set(found.filter((hole) => isClosed(hole, update)).map(({ cve }) => cve))];
}

function isClosed({ installedVersion, fixedVersion }: KnownHole, update: ClosingUpdate): boolean {
  const { currentVersion, availableVersion, newestVersion } = update;
  if (installedVersion !== null && installedVersion !== currentVersion) return false;
  const version = fixedVersion ?? newestVersion;
  return compareDebianVersions(version, currentVersion) > 0 &&
    compareDebianVersions(version, availableVersion) <= 0;
}

function push(holes: Map<string, KnownHole[]>, name: string, hole: KnownHole): void {
  const known = holes.get(name);
  if (known === undefined) holes.set(name, [hole]);
  else known.push(hole);
}

async function readIfThere(
  { files }: Pick<System, "files">,
  path: string,
  maxBytes: number,
): Promise<string | null> {
  try {
    return await files.readText(PURPOSE, path, { maxBytes }) ?? null;
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}
