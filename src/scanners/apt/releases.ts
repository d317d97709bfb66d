/** Reads Release files: what a source says of itself, and whether it marks security updates. Pure. */

import { outputLines } from "../output_lines.ts";

/** What a source's Release file says of it; `null` where it says nothing. */
export interface Release {
  readonly origin: string | null;
  readonly label: string | null;
  /** `stable-security`, `noble-updates`. */
  readonly suite: string | null;
  /** `bookworm-security`, `noble`. */
  readonly codename: string | null;
  readonly version: string | null;
  /** When the archive made it, and until when it vouches for it. */
  readonly dateMs: number | null;
  readonly validUntilMs: number | null;
  /** Its packages are installed only if somebody asks for them (backports, experimental). */
  readonly isNotAutomatic: boolean;
}

/** The fields come before the sums; a Release file of more than this before them is none. */
const MAX_HEAD_LENGTH = 65_536;

/** No field that is read here is longer. */
const MAX_VALUE_LENGTH = 300;

/** Reads the fields of a `Release` or `InRelease` file, which may be signed. */
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
    dateMs: parseDate(value("date")),
    validUntilMs: parseDate(value("valid-until")),
    isNotAutomatic: value("notautomatic")?.toLowerCase() === "yes",
  };
}

/** `Sat, 18 May 2025 09:12:13 UTC`. */
function parseDate(text: string | null): number | null {
  const ms = Date.parse(`${text}`);
  return Number.isNaN(ms) ? null : ms;
}

/**
 * Which of these package lists a Release file names as having anything in them. Paths as in
 * `main/binary-amd64/Packages`; the file names the packed ones as well.
 */
export function filledLists(text: string, paths: readonly string[]): Set<string> {
  const wanted = new Set(paths);
  const filled = new Set<string>();
  for (const line of text.split("\n")) {
    const [, size, path = ""] = /^ [0-9a-f]{32,128} +(\d{1,15}) (\S+?)\r?$/.exec(line) ?? [];
    // A packed list of nothing has a size, too: only the unpacked one's says.
    if (Number(size) > 0 && wanted.has(path)) filled.add(path);
  }
  return filled;
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

/**
 * Whether an update that this release brings is a security update or else would be marked as one: it
 * is a security release itself, or its distributor's security release is among `enabled`. Backports
 * have no security release of their own.
 */
export function marksSecurity(release: Release, enabled: readonly Release[]): boolean {
  if (isSecurityRelease(release)) return true;
  if (release.origin === null || isBackports(release)) return false;
  return enabled.some((other) => isSecurityRelease(other) && other.origin === release.origin);
}

function isBackports({ suite, codename, label }: Release): boolean {
  return label === "Debian Backports" || /-backports(-|$)/m.test(`${suite}\n${codename}`);
}

/** `bookworm` of `bookworm-security`; `null` where the release does not say. */
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
