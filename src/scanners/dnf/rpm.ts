/** RPM packages: their versions in rpm's order, and the lists of them that rpm and dnf print. */

import { compareDigits, compareTexts, outputLines } from "../programs.ts";

export interface Evr {
  readonly epoch: string;
  readonly version: string;
  readonly release: string;
}

export interface RpmPackage extends Evr {
  readonly name: string;
  readonly architecture: string;
}

export interface InstalledRpm extends RpmPackage {
  readonly sourcePackage: string | null;
}

export interface AvailableRpm extends RpmPackage {
  readonly repository: string;
}

export interface OfferedRpm extends InstalledRpm, AvailableRpm {
  readonly sizeBytes: number | null;
  /** One line that describes the package. */
  readonly summary: string | null;
}

/** Packages in the order of the output, and the number of lines that could not be parsed. */
export interface PackageList<T> {
  readonly packages: readonly T[];
  readonly unparsed: number;
}

export const EMPTY_LIST: PackageList<never> = { packages: [], unparsed: 0 };

/** Identifies a package by name and architecture, whatever its version. */
export function packageKey({ name, architecture }: RpmPackage): string {
  return `${name}.${architecture}`;
}

/** Negative if `a` is older than `b`, positive if it is newer, 0 if rpm treats them as equal. */
export function compareEvr(a: Evr, b: Evr): number {
  return compareRpmParts(a.epoch, b.epoch) || compareRpmParts(a.version, b.version) ||
    compareRpmParts(a.release, b.release);
}

/** Formats `[epoch:]version-release`; an epoch of 0 is omitted. */
export function formatEvr({ epoch, version, release }: Evr): string {
  return `${epoch === "0" ? "" : `${epoch}:`}${version}-${release}`;
}

/** The pieces that rpm compares: `~`, `^`, digits, letters. Other characters only separate them. */
const PIECE = /~|\^|\d+|[A-Za-z]+/g;

/** Compares two epochs, versions or releases by the rules of rpm-version(7). */
export function compareRpmParts(a: string, b: string): number {
  if (a === b) return 0; // The usual case in two lists of the same packages.
  const [one, other] = [a.match(PIECE) ?? [], b.match(PIECE) ?? []];
  for (let index = 0; one[index] !== undefined || other[index] !== undefined; index++) {
    const order = comparePieces(one[index], other[index]);
    if (order !== 0) return order;
  }
  return 0;
}

/** An empty piece is the end of the text. */
function comparePieces(a = "", b = ""): number {
  return rank(a) - rank(b) || (/\d/.test(a) ? compareDigits(a, b) : compareTexts(a, b));
}

/** `~` sorts before the end, the end before `^`, `^` before letters, letters before digits. */
const RANKS = [/~/, /^$/, /\^/, /[A-Za-z]/, /\d/];

function rank(piece: string): number {
  return RANKS.findIndex((kind) => kind.test(piece));
}

/** Parses `name-[epoch:]version-release.architecture` from the right: a name may contain the separators. */
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

/** Parses `name.architecture` and `[epoch:]version-release`, two columns of dnf's tables. */
export function parseNameAndEvr(nameAndArchitecture: string, evr: string): RpmPackage | undefined {
  const dot = nameAndArchitecture.lastIndexOf(".");
  // Without this check a version without a release would use a dash of the name.
  if (dot === -1 || !/^[^-]+-[^-]+$/.test(evr)) return undefined;
  const name = nameAndArchitecture.slice(0, dot);
  return parseNevra(`${name}-${evr}${nameAndArchitecture.slice(dot)}`);
}

function isNevra({ name, epoch, version, release, architecture }: RpmPackage): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,254}$/.test(name) && /^\d{1,10}$/.test(epoch) &&
    [version, release].every((part) => /^[A-Za-z0-9_.+~^]{1,200}$/.test(part)) &&
    /^[a-z0-9_]{1,32}$/.test(architecture);
}

/** The format for `rpm -qa`, one line per package; rpm replaces the escapes. */
export const INSTALLED_FORMAT =
  "%{NAME}\\t%{EPOCHNUM}\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\t%{SOURCERPM}\\n";

/**
 * Formats for `dnf repoquery`; dnf 4 adds the line end, dnf 5 does not. The tabs are literal, because
 * dnf 4 replaces `\t` and dnf 5.4 does not. The summary is free text and therefore the last field.
 */
export const AVAILABLE_FORMAT = "%{name}\t%{epoch}\t%{version}\t%{release}\t%{arch}\t%{repoid}";
export const OFFERED_FORMAT = `${AVAILABLE_FORMAT}\t%{downloadsize}\t%{sourcerpm}\t%{summary}`;

/** Parses lines of `INSTALLED_FORMAT`; skips public keys, which rpm lists as packages. */
export function parseInstalledRpms(text: string): PackageList<InstalledRpm> {
  return parseRows(text, (rest) => {
    const [source = ""] = rest;
    return rest.length === 1 ? { sourcePackage: sourceName(source) } : undefined;
  });
}

export function parseOfferedRpms(text: string): PackageList<OfferedRpm> {
  return parseRows(text, ([repository = "", size = "", source = "", ...words]) => {
    if (!REPOSITORY.test(repository) || words.length === 0) return undefined;
    return {
      repository,
      sizeBytes: /^\d{1,15}$/.test(size) ? Number(size) : null,
      sourcePackage: sourceName(source),
      summary: words.join(" ").trim() || null,
    };
  });
}

export function parseAvailableRpms(text: string): PackageList<AvailableRpm> {
  return parseRows(text, ([repository = "", ...rest]) => {
    const isRow = REPOSITORY.test(repository) && rest.length === 0;
    return isRow ? { repository } : undefined;
  });
}

const REPOSITORY = /^\S{1,255}$/;

/** A line without a tab is not a row: plugins print sentences among the rows. */
function parseRows<T>(
  text: string,
  parseRest: (fields: readonly string[]) => T | undefined,
): PackageList<RpmPackage & T> {
  const { lines, dropped } = outputLines(text);
  const packages: (RpmPackage & T)[] = [];
  let unparsed = dropped;
  for (const line of lines) {
    const fields = line.split("\t");
    const [name = "", epoch = "", version = "", release = "", architecture = "", ...more] = fields;
    if (
      fields.length === 1 || isDnfChatter(line) ||
      (name === "gpg-pubkey" && architecture === "(none)")
    ) continue;
    const nevra = { name, epoch, version, release, architecture };
    const rest = parseRest(more);
    if (!isNevra(nevra) || !rest) unparsed += 1;
    else packages.push({ ...nevra, ...rest });
  }
  return { packages, unparsed };
}

function sourceName(file: string): string | null {
  if (file.length > 1_000) return null;
  return /^(\S+)-[^-\s]+-[^-\s]+\.(?:no)?src\.rpm$/.exec(file)?.[1] ?? null;
}

/** Lines that dnf and its plugins print on stdout besides the answer. */
const CHATTER = [
  /^\s*$/,
  /^Updating Subscription Management repositories\./,
  /^Unable to read consumer identity/,
  /^This system is (not )?registered /,
  /^Not root, Subscription Management repositories not updated/,
  /^(Loaded plugins|Last metadata expiration check): /,
  /^(Updating and loading repositories:|Repositories loaded\.)$/,
  // "Security: kernel-core-5.14.0-427.el9.x86_64 is an installed security update"
  /^Security: \S+ is (an installed security update|the currently running version)$/,
  /^No security updates needed, but \d+ updates?(?:\(s\))? available$/,
  // Progress: "updates   1.1 MB/s | 2.9 kB     00:00", " Fedora 41   100% |  36.6 KiB/s | …".
  /^[^\t]{1,200}\s[\d.]+ +[kMG]?i?B\/s \| /,
  /^[^\t]{1,200}\s(\d{1,3}|\?\?\?)% \| /,
];

/** Whether a line of up to 400 characters is known not to be part of an answer. */
export function isDnfChatter(line: string): boolean {
  return line.length <= 400 && CHATTER.some((pattern) => pattern.test(line));
}
