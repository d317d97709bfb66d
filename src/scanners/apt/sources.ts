/**
 * The enabled sources of apt, as `apt-get --print-uris update` names them, and what their Release files
 * say, for example whether a source marks its security updates. Pure.
 */

import { outputLines, parseDate } from "../programs.ts";

/** An enabled source: a suite of an archive. */
export interface AptSource {
  /** `http://deb.debian.org/debian bookworm`, without a user part; a flat archive's address alone. */
  readonly name: string;
  /** Address of its Release file's directory, without a user part, with a slash at the end. */
  readonly address: string;
  /** The start of its file names in apt's directory of lists. */
  readonly prefix: string;
  /** File names of its package lists in that directory; none where it offers source code alone. */
  readonly lists: readonly string[];
}

const URI_LINE = /'(.+)' (\S+) \d+ ?\S*$/;
const RELEASE_FILE = /(?:In)?Release$/;

/** Parses `apt-get --print-uris update`: each source's Release file, and later the files it lists. */
export function parseSources(text: string): { sources: readonly AptSource[]; unparsed: number } {
  const { lines, dropped } = outputLines(text);
  const sources = new Map<string, AptSource & { readonly lists: string[] }>();
  const others: string[] = [];
  let unparsed = dropped;
  for (const line of lines) {
    if (!line.startsWith("'")) continue;
    const [, uri = "", file = ""] = URI_LINE.exec(line) ?? [];
    if (file === "" || file.includes("/")) {
      unparsed += 1;
    } else if (RELEASE_FILE.test(file)) {
      const address = withoutUser(uri).replace(/[^/]*$/, "");
      const prefix = file.replace(RELEASE_FILE, "");
      if (!sources.has(prefix)) {
        const [, site, suite] = /(.*)\/dists\/(.+)\//.exec(address) ?? [];
        const name = site === undefined ? address : `${site} ${suite}`;
        sources.set(prefix, { name, address, prefix, lists: [] });
      }
    } else others.push(file);
  }
  const longestFirst = [...sources.values()].toSorted((a, b) => b.prefix.length - a.prefix.length);
  for (const file of others) {
    if (!/_Packages$/.test(file)) continue;
    longestFirst.find(({ prefix }) => file.startsWith(prefix))?.lists.push(file);
  }
  return { sources: [...sources.values()], unparsed };
}

/** Removes the part between `//` and `@`, which apt itself shows only in the addresses it prints. */
function withoutUser(uri: string): string {
  return uri.replace(/^([^/]*:\/\/)[^/]*@/, "$1");
}

/** Whether the source is a medium (`cdrom:`), which can only be read while it is in a drive. */
export function isMedium({ address }: AptSource): boolean {
  return address.startsWith("cdrom:");
}

/** Whether updates can come from the source, and a fetch can get its lists. */
export function isAsked(source: AptSource): boolean {
  return source.lists.length > 0 && !isMedium(source);
}

/** The source that apt calls `SITE SUITE`, `SITE SUITE/COMPONENT` or (a flat archive) `SITE DIRECTORY/`. */
export function findSource(
  sources: ReadonlyMap<string, AptSource>,
  site: string,
  rest: string,
): AptSource | undefined {
  const flat = sources.get(`${site.replace(/\/$/, "")}/${rest}`);
  if (flat) return flat;
  let suite = rest;
  while (suite !== "") {
    const found = sources.get(`${site.replace(/\/$/, "")}/dists/${suite}/`);
    if (found) return found;
    suite = suite.slice(0, Math.max(0, suite.lastIndexOf("/")));
  }
  return undefined;
}

/** Indexes sources for `findSource`. */
export function byAddress(sources: readonly AptSource[]): ReadonlyMap<string, AptSource> {
  return new Map(sources.map((source) => [source.address, source]));
}

/** What a source's Release file says; `null` where it says nothing. */
export interface Release {
  readonly origin: string | null;
  readonly label: string | null;
  /** `stable-security`, `noble-updates`. */
  readonly suite: string | null;
  /** `bookworm-security`, `noble`. */
  readonly codename: string | null;
  readonly version: string | null;
  /** When the archive published it, and until when it is valid. */
  readonly dateMs: number | null;
  readonly validUntilMs: number | null;
  /** Apt installs its packages only on request (backports, experimental). */
  readonly isNotAutomatic: boolean;
}

/** The fields precede the checksums; a file with more than this before them is not a Release file. */
const MAX_HEAD_LENGTH = 65_536;

/** No field that is read here is longer. */
const MAX_VALUE_LENGTH = 300;

/** Parses the fields of a `Release` or `InRelease` file, which may be signed. */
export function parseRelease(text: string): Release {
  const sums = text.search(/^(?:MD5Sum|SHA1|SHA256|SHA512):/m);
  const head = text.slice(0, Math.min(sums < 0 ? text.length : sums, MAX_HEAD_LENGTH));
  const fields = new Map<string, string>();
  for (const line of outputLines(`${head}\n`).lines) {
    const [, name = "", value = ""] = /^([A-Za-z][A-Za-z-]*):(.*)/.exec(line) ?? [];
    const key = name.toLowerCase();
    if (key === "" || fields.has(key)) continue;
    fields.set(key, value.trim().slice(0, MAX_VALUE_LENGTH));
  }
  const value = (name: string) => fields.get(name) || null;
  return {
    origin: value("origin"),
    label: value("label"),
    suite: value("suite"),
    codename: value("codename"),
    version: value("version"),
    // `Sat, 18 May 2025 09:12:13 UTC`.
    dateMs: parseDate(value("date") ?? ""),
    validUntilMs: parseDate(value("valid-until") ?? ""),
    isNotAutomatic: value("notautomatic")?.toLowerCase() === "yes",
  };
}

/** The package lists (`main/binary-amd64/Packages`) that are not empty according to a Release file. */
export function filledLists(text: string, paths: readonly string[]): Set<string> {
  const wanted = new Set(paths);
  const filled = new Set<string>();
  for (const line of text.split("\n")) {
    const [, size, path = ""] = /^ [0-9a-f]{32,128} +(\d{1,15}) (\S+?)\r?$/.exec(line) ?? [];
    // A packed list has a size even if it is empty: only the size of the unpacked list counts.
    if (Number(size) > 0 && wanted.has(path)) filled.add(path);
  }
  return filled;
}

/**
 * Whether a release carries security fixes only, by the distributors' own marks: Debian's label and
 * suites (Devuan's too), Ubuntu's pockets, Ubuntu Pro's two archives. Never by a word in the name of a
 * package or a host.
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

/**
 * Whether the absence of a security mark on this release means something: it is a security release
 * itself, or its distributor's security release is among `enabled`. Backports have no security release
 * of their own.
 */
export function marksSecurity(release: Release, enabled: readonly Release[]): boolean {
  if (isSecurityRelease(release)) return true;
  if (release.origin === null || isBackports(release)) return false;
  return enabled.some((other) => isSecurityRelease(other) && other.origin === release.origin);
}

function isBackports({ suite, codename, label }: Release): boolean {
  return label === "Debian Backports" || /-backports(-|$)/m.test(`${suite}\n${codename}`);
}

/** The origin with `bookworm` of `bookworm-security`; `null` where the release does not say. */
export function distributionOf({ origin, codename }: Release): string | null {
  if (origin === null || codename === null) return null;
  const base = codename.replace(/[-/](security|updates|backports|proposed|lts).*/, "");
  return `${origin} ${base}`;
}

/** A release in the words of apt's own simulation: `Debian:12.15/oldstable`; `null` if it has none. */
export function describeRelease({ label, suite, version }: Release): string | null {
  if (suite === null) return null;
  return `${label === null ? "" : `${label}:`}${version === null ? "" : `${version}/`}${suite}`;
}
