/** Reads lists of RPM packages: what is installed, and what dnf would bring. */

import { isDnfChatter } from "./chatter.ts";
import { outputLines } from "../output_lines.ts";
import type { Evr } from "./rpm_version.ts";

/** A package of one version. */
export interface RpmPackage extends Evr {
  readonly name: string;
  readonly architecture: string;
}

/** Which package it is, of whatever version. */
export function packageKey({ name, architecture }: RpmPackage): string {
  return `${name}.${architecture}`;
}

/** A package that is on the host. */
export interface InstalledRpm extends RpmPackage {
  readonly sourcePackage: string | null;
}

/** A package that a repository offers. */
export interface OfferedRpm extends InstalledRpm {
  readonly repository: string;
  readonly sizeBytes: number | null;
  /** One line on what it is for. */
  readonly summary: string | null;
}

/** Packages in the order they came, and how many lines were none. */
export interface PackageList<T> {
  readonly packages: readonly T[];
  readonly unparsed: number;
}

const NEVRA_FORMAT = ["name", "epoch", "version", "release", "arch"];

/** The format to ask `rpm -qa` for, one line a package. */
export const INSTALLED_FORMAT = ["NAME", "EPOCHNUM", "VERSION", "RELEASE", "ARCH", "SOURCERPM"]
  .map((tag) => `%{${tag}}`).join("\\t") + "\\n";

/**
 * The format to ask `dnf repoquery` for; dnf 4 ends the line by itself, dnf 5 does not. The tabs are
 * real ones: of `\t` dnf 4 makes one, and dnf 5.4 does not. The summary is free text, and so the last.
 */
export const OFFERED_FORMAT = [...NEVRA_FORMAT, "repoid", "downloadsize", "sourcerpm", "summary"]
  .map((tag) => `%{${tag}}`).join("\t");

/** Reads lines of `INSTALLED_FORMAT`; keys, which rpm lists as packages too, are left out. */
export function parseInstalled(text: string): PackageList<InstalledRpm> {
  return parseRows(text, (rest) => {
    const [source = ""] = rest;
    return rest.length === 1 ? { sourcePackage: sourceName(source) } : undefined;
  });
}

/** Reads lines of `OFFERED_FORMAT`. */
export function parseOffered(text: string): PackageList<OfferedRpm> {
  return parseRows(text, ([repository = "", size = "", source = "", ...words]) => {
    if (!/^\S{1,255}$/.test(repository) || words.length === 0) return undefined;
    return {
      repository,
      sizeBytes: /^\d{1,15}$/.test(size) ? Number(size) : null,
      sourcePackage: sourceName(source),
      summary: words.join(" ").trim() || null,
    };
  });
}

/** Reads lines of name, epoch, version, release, architecture and repository, parted by tabs. */
export function parseNames(text: string): PackageList<RpmPackage & { repository: string }> {
  return parseRows(text, ([repository = "", ...rest]) => {
    const isRow = /^\S{1,255}$/.test(repository) && rest.length === 0;
    return isRow ? { repository } : undefined;
  });
}

/** A line without a tab is no row: plugins print sentences of their own among them. */
function parseRows<T>(
  text: string,
  readRest: (fields: readonly string[]) => T | undefined,
): PackageList<RpmPackage & T> {
  const { lines, dropped } = outputLines(text);
  const packages: (RpmPackage & T)[] = [];
  let unparsed = dropped;
  for (const line of lines) {
    const fields = line.split("\t");
    const [name = "", epoch = "", version = "", release = "", architecture = ""] = fields;
    if (
      fields.length === 1 || isDnfChatter(line) ||
      (name === "gpg-pubkey" && architecture === "(none)")
    ) continue;
    const nevra = { name, epoch, version, release, architecture };
    const rest = readRest(fields.slice(NEVRA_FORMAT.length));
    if (!isNevra(nevra) || !rest) unparsed += 1;
    else packages.push({ ...nevra, ...rest });
  }
  return { packages, unparsed };
}

function sourceName(file: string): string | null {
  if (file.length > 1_000) return null;
  return /^(\S+)-[^-\s]+-[^-\s]+\.(?:no)?src\.rpm$/.exec(file)?.[1] ?? null;
}

/** Reads `name-[epoch:]version-release.architecture` from the right: a name may hold anything. */
export function parseNevra(text: string): RpmPackage | undefined {
  const dot = text.lastIndexOf(".");
  const beforeRelease = text.lastIndexOf("-", dot);
  const beforeVersion = text.lastIndexOf("-", beforeRelease - 1);
  if (beforeVersion === -1) return undefined;
  const [version = "", epoch = "0"] = text.slice(beforeVersion + 1, beforeRelease).split(":")
    .reverse();
  const nevra = {
    name: text.slice(0, beforeVersion),
    epoch,
    version,
    release: text.slice(beforeRelease + 1, dot),
    architecture: text.slice(dot + 1),
  };
  return isNevra(nevra) ? nevra : undefined;
}

/** Reads `name.architecture` and `[epoch:]version-release`, as dnf's tables have them. */
export function parseNameAndEvr(nameAndArchitecture: string, evr: string): RpmPackage | undefined {
  const dot = nameAndArchitecture.lastIndexOf(".");
  // A name in front of the version must not be able to borrow a dash from it.
  if (dot === -1 || !/^[^-]+-[^-]+$/.test(evr)) return undefined;
  const [name, architecture] = [
    nameAndArchitecture.slice(0, dot),
    nameAndArchitecture.slice(dot + 1),
  ];
  return parseNevra(`${name}-${evr}.${architecture}`);
}

function isNevra({ name, epoch, version, release, architecture }: RpmPackage): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}$/.test(name) && /^\d{1,10}$/.test(epoch) &&
    isVersionPart(version) && isVersionPart(release) && /^[a-z0-9_]{1,32}$/.test(architecture);
}

function isVersionPart(text: string): boolean {
  return /^[A-Za-z0-9_.+~^]{1,200}$/.test(text);
}
