/** Reads `apt-cache policy`: which release each package file belongs to, and which bring security. */

import { outputLines } from "./output_lines.ts";

/** What a package file's Release file says of it; `null` where it says nothing. */
export interface Release {
  readonly origin: string | null;
  readonly label: string | null;
  /** `stable-security`, `noble-updates`. */
  readonly suite: string | null;
  readonly version: string | null;
}

/** Releases by package file, the file named as in `OfferedVersion.files`. */
export interface Releases {
  readonly files: ReadonlyMap<string, Release>;
  readonly unparsed: number;
}

const FILE_LINE = /^ ?-?\d+ (\S.*)$/;
const RELEASE = "release ";

/** Reads the list of package files, up to the pinned packages. */
export function parseReleases(text: string): Releases {
  const { lines, dropped } = outputLines(text);
  const files = new Map<string, Release>();
  let unparsed = dropped;
  let file: string | undefined;
  for (const line of lines) {
    if (line === "Pinned packages:") break;
    if (line === "" || line === "Package files:") continue;
    const detail = line.trimStart();
    if (line.startsWith("     ") && file !== undefined) {
      if (detail.startsWith(RELEASE)) files.set(file, parseRelease(detail.slice(RELEASE.length)));
      else if (!detail.startsWith("origin ")) unparsed += 1;
      continue;
    }
    file = FILE_LINE.exec(line.replace(/^ +/, " "))?.[1];
    if (file === undefined) unparsed += 1;
  }
  return { files, unparsed };
}

/** `v=12,o=Debian,a=stable,…`, any of them missing; a value may itself hold a comma. */
function parseRelease(text: string): Release {
  const fields = new Map(text.split(/,(?=[a-z]=)/).map((field) => [field[0], field.slice(2)]));
  const value = (letter: string) => fields.get(letter) || null;
  return { origin: value("o"), label: value("l"), suite: value("a"), version: value("v") };
}

/**
 * Whether a release carries security fixes only, by the distributors' own marks: Debian's label and
 * suites (Devuan's too), Ubuntu's pockets, Ubuntu Pro's two archives. Never by a word in a package's
 * or a host's name.
 */
export function isSecurityRelease({ origin, label, suite }: Release): boolean {
  if (label === "Debian-Security") return true;
  switch (origin) {
    case "Debian":
    case "Devuan":
    case "Ubuntu":
      return suite?.endsWith("-security") ?? false;
    case "UbuntuESM":
      return suite?.endsWith("-infra-security") ?? false;
    case "UbuntuESMApps":
      return suite?.endsWith("-apps-security") ?? false;
    default:
      return false;
  }
}

/** A release in the words of apt's own simulation: `Debian:12.15/oldstable`; `null` if it has none. */
export function describeRelease({ label, suite, version }: Release): string | null {
  if (suite === null) return null;
  return `${label === null ? "" : `${label}:`}${version === null ? "" : `${version}/`}${suite}`;
}
