/** Reads `apt-cache show`: size, source and purpose of packages. */

import { isArchitecture, isName, isVersion } from "./name.ts";
import { outputLines } from "../output_lines.ts";

/** What a package file says of one version of a package. */
export interface PackageDetails {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly sourcePackage: string;
  readonly sizeBytes: number | null;
  readonly description: string | null;
}

/** Details in the order they came. */
export interface ShownPackages {
  readonly packages: readonly PackageDetails[];
  readonly unparsed: number;
}

/** Reads stanzas; one that does not say which package and version it is of is left out. */
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
