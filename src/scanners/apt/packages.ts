/**
 * Packages in the words of apt and dpkg: names, versions and their order, and the parsers of
 * `dpkg-query` (installed packages), `apt-cache policy` (offered versions) and `apt-cache show`
 * (details). Pure.
 */

import { compareDigits, outputLines } from "../programs.ts";

/**
 * A package as apt writes it: the name alone for the host's own architecture and for packages of no
 * architecture, `name:architecture` for any other. It is unique on a host and never begins with "-".
 */
export type AptName = string;

const NAME = /^[A-Za-z0-9][A-Za-z0-9+._-]{0,254}$/;
const ARCHITECTURE = /^[a-z0-9][a-z0-9-]{0,63}$/;
const VERSION = /^[A-Za-z0-9.+~:_-]{1,255}$/;

/** Whether `text` can be a package's name without an architecture. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

export function isArchitecture(text: string): boolean {
  return ARCHITECTURE.test(text);
}

export function isVersion(text: string): boolean {
  return VERSION.test(text);
}

export function isAptName(text: string): boolean {
  const { name, architecture } = splitAptName(text);
  return isName(name) && (architecture === null || isArchitecture(architecture));
}

/** Splits off the architecture; `null` if there is none. */
export function splitAptName(aptName: AptName): { name: string; architecture: string | null } {
  const colon = aptName.indexOf(":");
  if (colon < 0) return { name: aptName, architecture: null };
  return { name: aptName.slice(0, colon), architecture: aptName.slice(colon + 1) };
}

/** Orders versions as dpkg does (deb-version(7)): negative if `a` is older than `b`, 0 if they are equal. */
export function compareDebianVersions(a: string, b: string): number {
  // Most calls compare the installed version with an identical candidate.
  if (a === b) return 0;
  const one = splitVersion(a);
  const other = splitVersion(b);
  return compareDigits(one.epoch, other.epoch) || comparePart(one.upstream, other.upstream) ||
    comparePart(one.revision, other.revision);
}

/** `[epoch:]upstream[-revision]`; a missing epoch or revision counts as 0. */
function splitVersion(version: string): { epoch: string; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return {
    epoch: version.slice(0, Math.max(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? "" : rest.slice(dash + 1),
  };
}

/** Compares from the left, alternating between non-digits and digits. */
function comparePart(a: string, b: string): number {
  if (a === b) return 0;
  let [left, right] = [0, 0];
  while (left < a.length || right < b.length) {
    while (isText(a, left) || isText(b, right)) {
      const order = weight(a, left++) - weight(b, right++);
      if (order !== 0) return order;
    }
    const [leftEnd, rightEnd] = [digitsEnd(a, left), digitsEnd(b, right)];
    const order = compareDigits(a.slice(left, leftEnd), b.slice(right, rightEnd));
    if (order !== 0) return order;
    [left, right] = [leftEnd, rightEnd];
  }
  return 0;
}

function isText(part: string, at: number): boolean {
  return at < part.length && !isDigit(part.charCodeAt(at));
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function digitsEnd(part: string, from: number): number {
  let end = from;
  while (isDigit(part.charCodeAt(end))) end++;
  return end;
}

/** `~` sorts before the end and digits, these before letters, letters before everything else. */
function weight(part: string, at: number): number {
  if (!isText(part, at)) return 0;
  const code = part.charCodeAt(at);
  if (code === 126) return -1;
  const isLetter = (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
  return isLetter ? code : code + 256;
}

/** The format for `dpkg-query -W`, one line per package. */
export const INSTALLED_FORMAT = [
  "${binary:Package}",
  "${Version}",
  "${Architecture}",
  "${db:Status-Want}",
  "${db:Status-Status}",
  "${source:Package}",
  "${binary:Summary}",
].join("\\t") + "\\n";

export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Whether the administrator has marked it as hold (`apt-mark hold`). */
  readonly isHeld: boolean;
  readonly sourcePackage: string;
  readonly summary: string | null;
}

/** The packages on the host, by apt's name. */
export interface InstalledPackages {
  readonly packages: ReadonlyMap<AptName, InstalledPackage>;
  /** The host's own architecture; `null` if no package shows it. */
  readonly ownArchitecture: string | null;
  readonly unparsed: number;
}

/** dpkg's states in which a version of the package is in place, even if not yet configured. */
const IN_PLACE = new Set([
  "installed",
  "triggers-pending",
  "triggers-awaited",
  "half-configured",
  "half-installed",
  "unpacked",
]);

/** Parses lines of `INSTALLED_FORMAT`; omits packages of which only the configuration files remain. */
export function parseInstalled(text: string): InstalledPackages {
  const { lines, dropped } = outputLines(text);
  const rows = lines.filter((line) => line !== "").map(parseInstalledRow);
  const known = rows.filter((row) => row !== undefined);
  // dpkg omits the architecture where it is the host's own, unless several may be installed.
  const ownArchitecture =
    known.find(({ qualifier, architecture }) => qualifier === null && architecture !== "all")
      ?.architecture ?? null;
  const packages = new Map<AptName, InstalledPackage>();
  for (const { qualifier, isInPlace, ...installed } of known) {
    if (!isInPlace) continue;
    const isOwn = qualifier === null || qualifier === ownArchitecture;
    packages.set(isOwn ? installed.name : `${installed.name}:${qualifier}`, installed);
  }
  return { packages, ownArchitecture, unparsed: dropped + rows.length - known.length };
}

function parseInstalledRow(line: string) {
  const fields = line.split("\t");
  const [aptName = "", version = "", architecture = "", want, status = "", source = ""] = fields;
  const summary = fields.slice(6).join(" ").trim();
  const { name, architecture: qualifier } = splitAptName(aptName);
  if (fields.length < 7 || !isName(name) || !isArchitecture(architecture)) return undefined;
  if (qualifier !== null && !isArchitecture(qualifier)) return undefined;
  // After an aborted first installation dpkg may know no version.
  const isInPlace = IN_PLACE.has(status) && !(status === "half-installed" && version === "");
  // A package that was never installed, only selected, has no version.
  if (isInPlace && !isVersion(version)) return undefined;
  return {
    name,
    version,
    architecture,
    isHeld: want === "hold",
    sourcePackage: isName(source) ? source : name,
    summary: summary || null,
    qualifier,
    isInPlace,
  };
}

/** A package file that offers a version, and the priority that the host's preferences give it. */
interface OfferingFile {
  /** As apt names it: `http://mirror.example/debian bookworm/main amd64 Packages`. */
  readonly name: string;
  readonly priority: number;
}

/** One version of a package, with the package files that offer it. */
export interface OfferedVersion {
  readonly version: string;
  /** Priority of the version itself: a pin of the package outranks the files' own. */
  readonly priority: number;
  /** The share of hosts that the distributor offers it to (`phased 10%`); `null`: all. */
  readonly phasing: string | null;
  readonly files: readonly OfferingFile[];
}

export interface PackagePolicy {
  readonly installed: string | null;
  /** The version that apt would install, by its priorities alone. */
  readonly candidate: string | null;
  readonly versions: readonly OfferedVersion[];
}

export interface Policies {
  readonly packages: ReadonlyMap<AptName, PackagePolicy>;
  readonly unparsed: number;
}

interface PolicyDraft {
  readonly name: AptName;
  installed: string | null | undefined;
  candidate: string | null | undefined;
  readonly versions: (OfferedVersion & { readonly files: OfferingFile[] })[];
}

/** Parses `apt-cache policy NAME …`; omits a package without an installed version or candidate line. */
export function parsePolicy(text: string): Policies {
  const { lines, dropped } = outputLines(text);
  const packages = new Map<AptName, PackagePolicy>();
  let unparsed = dropped;
  let draft: PolicyDraft | undefined;
  function finish() {
    if (!draft) return;
    const { name, installed, candidate, versions } = draft;
    if (installed === undefined || candidate === undefined) unparsed += 1;
    else packages.set(name, { installed, candidate, versions });
  }
  for (const line of lines) {
    if (line === "") continue;
    if (line.startsWith(" ")) {
      if (!draft || !addPolicyLine(draft, line)) unparsed += 1;
      continue;
    }
    finish();
    const name = line.slice(0, -1);
    draft = line.endsWith(":") && isAptName(name)
      ? { name, installed: undefined, candidate: undefined, versions: [] }
      : undefined;
    if (!draft) unparsed += 1;
  }
  finish();
  return { packages, unparsed };
}

const VERSION_LINE = /^ (?:\*{3}| {3}) (\S+) (-?\d+)(?: \((phased \d{1,3}%)\))?$/;
const FILE_LINE = /^ {7,}(-?\d+) (\S.*)/;
const FIELD_INDENT = /^ {2}\S/;

/** Adds the line, whose kind its indentation shows, to the draft; returns whether it was parsed. */
function addPolicyLine(draft: PolicyDraft, line: string): boolean {
  if (FIELD_INDENT.test(line)) return addPolicyField(draft, line);
  const [, filePriority, name] = FILE_LINE.exec(line) ?? [];
  if (name !== undefined) {
    draft.versions.at(-1)?.files.push({ name, priority: Number(filePriority) });
    return draft.versions.length > 0;
  }
  const [, version, priority, phasing = null] = VERSION_LINE.exec(line) ?? [];
  if (version === undefined || !isVersion(version)) return false;
  draft.versions.push({ version, priority: Number(priority), phasing, files: [] });
  return true;
}

/** Unknown fields are ignored. */
function addPolicyField(draft: PolicyDraft, line: string): boolean {
  const [field = "", value = ""] = line.trim().split(": ");
  if (field === "Installed") return (draft.installed = parseVersion(value)) !== undefined;
  if (field === "Candidate") return (draft.candidate = parseVersion(value)) !== undefined;
  return true;
}

function parseVersion(value: string): string | null | undefined {
  if (value === "(none)") return null;
  return isVersion(value) ? value : undefined;
}

/** What a package file states about one version of a package. */
export interface PackageDetails {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly sourcePackage: string;
  readonly sizeBytes: number | null;
  readonly description: string | null;
}

/** Details in the order of the output. */
export interface ShownPackages {
  readonly packages: readonly PackageDetails[];
  readonly unparsed: number;
}

/** Parses the stanzas of `apt-cache show`; omits one without a package, version or architecture. */
export function parseShow(text: string): ShownPackages {
  const { lines, dropped } = outputLines(text);
  const packages: PackageDetails[] = [];
  let unparsed = dropped;
  let fields = new Map<string, string>();
  function finish() {
    if (fields.size === 0) return;
    const details = readDetails(fields);
    if (details) packages.push(details);
    else unparsed += 1;
    fields = new Map();
  }
  for (const line of lines) {
    if (line === "") finish();
    else if (!/^[ \t]/.test(line)) {
      const colon = line.indexOf(":");
      if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
      else unparsed += 1;
    }
  }
  finish();
  return { packages, unparsed };
}

function readDetails(fields: ReadonlyMap<string, string>): PackageDetails | undefined {
  const value = (field: string) => fields.get(field) ?? "";
  const [name, version, architecture] = [value("Package"), value("Version"), value("Architecture")];
  if (!isName(name) || !isVersion(version) || !isArchitecture(architecture)) return undefined;
  // `Source: name (version)` where the source has another version.
  const [source = ""] = value("Source").split(" ", 1);
  const size = value("Size");
  return {
    name,
    version,
    architecture,
    sourcePackage: isName(source) ? source : name,
    sizeBytes: /^\d{1,15}$/.test(size) ? Number(size) : null,
    description: value("Description-en") || value("Description") || null,
  };
}
