/** Reads what `dpkg-query` tells of the installed packages. */

import { type AptName, isArchitecture, isName, isVersion, splitAptName } from "./name.ts";
import { outputLines } from "../output_lines.ts";

/** The format to ask `dpkg-query -W` for, one line a package. */
export const INSTALLED_FORMAT = [
  "${binary:Package}",
  "${Version}",
  "${Architecture}",
  "${db:Status-Want}",
  "${db:Status-Status}",
  "${source:Package}",
  "${binary:Summary}",
].join("\\t") + "\\n";

/** A package that is on the host. */
export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** A person said that it stays as it is (`apt-mark hold`). */
  readonly isHeld: boolean;
  readonly sourcePackage: string;
  /** What it is for, in one line; `null` if dpkg does not know. */
  readonly summary: string | null;
}

/** The packages on the host, by apt's name for them. */
export interface InstalledPackages {
  readonly packages: ReadonlyMap<AptName, InstalledPackage>;
  /** The host's own architecture; `null` if no package tells it. */
  readonly ownArchitecture: string | null;
  readonly unparsed: number;
}

/** States of dpkg in which a version of the package is in place, if not yet configured. */
const IN_PLACE = new Set([
  "installed",
  "triggers-pending",
  "triggers-awaited",
  "half-configured",
  "half-installed",
  "unpacked",
]);

/** Reads lines of `INSTALLED_FORMAT`; packages of which only the settings are left are left out. */
export function parseInstalled(text: string): InstalledPackages {
  const { lines, dropped } = outputLines(text);
  const rows = lines.filter((line) => line !== "").map(parseRow);
  const known = rows.filter((row) => row !== undefined);
  // dpkg leaves the architecture out where it is the host's own, unless several may be installed.
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

function parseRow(line: string) {
  const fields = line.split("\t");
  const [aptName = "", version = "", architecture = "", want, status = "", source = ""] = fields;
  const summary = fields.slice(6).join(" ").trim();
  const { name, architecture: qualifier } = splitAptName(aptName);
  if (fields.length < 7 || !isName(name) || !isArchitecture(architecture)) return undefined;
  if (qualifier !== null && !isArchitecture(qualifier)) return undefined;
  // Of one whose first installation was broken off dpkg may know no version.
  const isInPlace = IN_PLACE.has(status) && !(status === "half-installed" && version === "");
  // What was only ever asked for has no version.
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
