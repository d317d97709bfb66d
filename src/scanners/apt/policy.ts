/** Reads `apt-cache policy NAME …`: which versions there are of a package, and from where. */

import { type AptName, isAptName, isVersion } from "./name.ts";
import { outputLines } from "../output_lines.ts";

/** A package file that offers a version, and the priority that the host's preferences give it. */
export interface OfferingFile {
  /** As apt names it: `http://mirror.example/debian bookworm/main amd64 Packages`. */
  readonly name: string;
  readonly priority: number;
}

/** One version of a package, with the package files that offer it. */
export interface OfferedVersion {
  readonly version: string;
  /** Of the version itself: a pin of the package outranks the files' own. */
  readonly priority: number;
  /** The part of the hosts that the distributor offers it to (`phased 10%`); `null`: to all. */
  readonly phasing: string | null;
  readonly files: readonly OfferingFile[];
}

/** What apt knows of a package. */
export interface PackagePolicy {
  readonly installed: string | null;
  /** The version that apt would install, by its priorities alone. */
  readonly candidate: string | null;
  readonly versions: readonly OfferedVersion[];
}

/** Policies by package. */
export interface Policies {
  readonly packages: ReadonlyMap<AptName, PackagePolicy>;
  readonly unparsed: number;
}

interface Draft {
  readonly name: AptName;
  installed: string | null | undefined;
  candidate: string | null | undefined;
  readonly versions: (OfferedVersion & { readonly files: OfferingFile[] })[];
}

/** Reads policies; a package whose installed version or candidate is not told is left out. */
export function parsePolicy(text: string): Policies {
  const { lines, dropped } = outputLines(text);
  const packages = new Map<AptName, PackagePolicy>();
  let unparsed = dropped;
  let draft: Draft | undefined;
  function finish() {
    if (!draft) return;
    const { name, installed, candidate, versions } = draft;
    if (installed === undefined || candidate === undefined) unparsed += 1;
    else packages.set(name, { installed, candidate, versions });
  }
  for (const line of lines) {
    if (line === "") continue;
    if (line.startsWith(" ")) {
      if (!draft || !addLine(draft, line)) unparsed += 1;
      continue;
    }
    finish();
    const name = line.slice(0, -1);
    draft = line.endsWith(":") && isAptName(name) ? emptyDraft(name) : undefined;
    if (!draft) unparsed += 1;
  }
  finish();
  return { packages, unparsed };
}

function emptyDraft(name: AptName): Draft {
  return { name, installed: undefined, candidate: undefined, versions: [] };
}

const VERSION_LINE = /^ (?:\*{3}| {3}) (\S+) (-?\d+)(?: \((phased \d{1,3}%)\))?$/;
const FILE_LINE = /^ {7,}(-?\d+) (\S.*)/;
const FIELD_INDENT = /^ {2}\S/;

/** Adds what the line tells; whether it was understood. How far it is set in says what it is. */
function addLine(draft: Draft, line: string): boolean {
  if (FIELD_INDENT.test(line)) return addField(draft, line);
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

/** A field that is not known here takes nothing from those that are. */
function addField(draft: Draft, line: string): boolean {
  const [field = "", value = ""] = line.trim().split(": ");
  if (field === "Installed") return (draft.installed = parseVersion(value)) !== undefined;
  if (field === "Candidate") return (draft.candidate = parseVersion(value)) !== undefined;
  return true;
}

function parseVersion(value: string): string | null | undefined {
  if (value === "(none)") return null;
  return isVersion(value) ? value : undefined;
}
