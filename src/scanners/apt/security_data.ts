/**
 * The CVEs that security tools on this host have found in installed packages: debsecan's history and
 * the result of `pro cves`. Both may be older than the scan, so an entry is used only where it provably
 * still holds, and is provably fixed by the waiting version.
 */

import * as v from "valibot";
import { decodeJson, type JsonLimits, LOCAL_LIMITS } from "../../json.ts";
import type { System } from "../../system/system.ts";
import { isCve } from "../../update.ts";
import { unlessFileError } from "../private_files.ts";
import { outputLines } from "../programs.ts";
import { type AptPlaces, listFiles, modifiedMs } from "./lists.ts";
import { compareDebianVersions, splitAptName } from "./packages.ts";
import type { WaitingUpdate } from "./upgrade.ts";

/** A CVE in one version of a package. */
export interface KnownCve {
  readonly cve: string;
  /** The installed version that the tool examined; `null`: the one that is installed now. */
  readonly installedVersion: string | null;
  /** The version that fixes it; `null`: the newest one that its archive offers. */
  readonly fixedVersion: string | null;
}

/** The findings of one tool, by the names of packages, without architectures. */
export interface SecurityData {
  /** The tool, in words. */
  readonly origin: string;
  readonly cves: ReadonlyMap<string, readonly KnownCve[]>;
}

/** Where the data are, and the times that show whether they still hold. */
interface SecurityDataPlaces extends Pick<AptPlaces, "dpkgDirectory"> {
  /** Prefix of each path. */
  readonly hostDirectory: string;
  /** When the oldest of the package lists was fetched; `null`: unknown. */
  readonly listsFetchedMs: number | null;
}

const PURPOSE = "look up CVEs";

/** debsecan writes a line of some 30 bytes for each CVE of each package. */
const MAX_HISTORY_BYTES = 8_388_608;

/** `pro cves` includes all descriptions: some 5 MB on a host with everything installed. */
const RESULT_LIMITS: JsonLimits = { ...LOCAL_LIMITS, maxLength: 8_388_608 };

/** Series whose results are read: after an upgrade of the release the old one's remains. */
const MAX_SERIES = 4;

/** Reads all findings that still hold. */
export async function readSecurityData(
  system: Pick<System, "files">,
  places: SecurityDataPlaces,
): Promise<SecurityData[]> {
  const found = [
    { origin: "debsecan", cves: await readDebsecan(system, places) },
    { origin: "Ubuntu Pro's security data", cves: await readUbuntuPro(system, places) },
  ];
  return found.filter(({ cves }) => cves.size > 0);
}

/**
 * Reads the history of `debsecan --cron`: `CVE,package,F`, where `F` says that the archive has a fix. It
 * has no versions, so it holds only while no package has changed since, and the waiting version is the fix
 * only if the lists were fetched after it was written.
 */
async function readDebsecan(
  system: Pick<System, "files">,
  { hostDirectory, dpkgDirectory, listsFetchedMs }: SecurityDataPlaces,
): Promise<SecurityData["cves"]> {
  const path = `${hostDirectory}/var/lib/debsecan/history`;
  const text = await readIfThere(system, path, MAX_HISTORY_BYTES);
  const history = text === undefined ? null : parseHistory(text);
  const changedMs = await modifiedMs(system, `${dpkgDirectory}/status`);
  const holds = history !== null && changedMs !== null && listsFetchedMs !== null &&
    changedMs <= history.writtenMs && history.writtenMs <= listsFetchedMs;
  return holds ? history.cves : new Map();
}

/** Parses debsecan's history; `null` for another format, and for the first one, which has no time. */
export function parseHistory(
  text: string,
): { writtenMs: number; cves: ReadonlyMap<string, readonly KnownCve[]> } | null {
  const [heading, time = "", ...lines] = outputLines(text).lines;
  if (heading !== "VERSION 1" || !/^\d{1,11}$/.test(time)) return null;
  const cves = new Map<string, KnownCve[]>();
  for (const line of lines) {
    const [cve = "", name = "", fixed] = line.split(",");
    if (fixed !== "F" || !isCve(cve)) continue;
    push(cves, name, { cve, installedVersion: null, fixedVersion: null });
  }
  return { writtenMs: Number(time) * 1_000, cves };
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

/** Reads the results of `pro cves`, one per series of Ubuntu. */
async function readUbuntuPro(
  system: Pick<System, "files">,
  { hostDirectory }: SecurityDataPlaces,
): Promise<SecurityData["cves"]> {
  const directory = `${hostDirectory}/var/lib/ubuntu-advantage/vulnerability-data`;
  const cves = new Map<string, KnownCve[]>();
  const series = (await listFiles(system, directory, [""])).sort().slice(0, MAX_SERIES);
  for (const path of series) {
    const file = `${path}/cves/vulnerability-result.json`;
    const text = await readIfThere(system, file, RESULT_LIMITS.maxLength);
    for (const [name, cve] of text === undefined ? [] : parseProResult(text)) push(cves, name, cve);
  }
  return cves;
}

/** Parses a result of `pro cves`: the CVEs of each package for which there is a fix. */
export function parseProResult(text: string): [name: string, cve: KnownCve][] {
  const read = decodeJson(proResult, text, RESULT_LIMITS);
  if (!read.ok) return [];
  return Object.entries(read.value.packages).flatMap(([name, { current_version, cves }]) =>
    cves.flatMap(({ name: cve, fix_version }): [string, KnownCve][] =>
      fix_version === null || !isCve(cve)
        ? []
        : [[name, { cve, installedVersion: current_version, fixedVersion: fix_version }]]
    )
  );
}

/** An update, and the newest version of its package that any source offers. */
type FixingUpdate =
  & Pick<WaitingUpdate, "name" | "currentVersion" | "availableVersion">
  & { readonly newestVersion: string };

/** Returns the CVEs that an update fixes, each once. */
export function fixedCves({ cves }: SecurityData, update: FixingUpdate): string[] {
  const found = cves.get(splitAptName(update.name).name) ?? [];
  return [...new Set(found.filter((known) => isFixed(known, update)).map(({ cve }) => cve))];
}

function isFixed({ installedVersion, fixedVersion }: KnownCve, update: FixingUpdate): boolean {
  const { currentVersion, availableVersion, newestVersion } = update;
  if (installedVersion !== null && installedVersion !== currentVersion) return false;
  const version = fixedVersion ?? newestVersion;
  return compareDebianVersions(version, currentVersion) > 0 &&
    compareDebianVersions(version, availableVersion) <= 0;
}

function push(cves: Map<string, KnownCve[]>, name: string, cve: KnownCve): void {
  const known = cves.get(name);
  if (known === undefined) cves.set(name, [cve]);
  else known.push(cve);
}

function readIfThere(
  { files }: Pick<System, "files">,
  path: string,
  maxBytes: number,
): Promise<string | undefined> {
  return unlessFileError(() => files.readText(PURPOSE, path, { maxBytes }), undefined);
}
