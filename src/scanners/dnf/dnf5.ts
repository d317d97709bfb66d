/** Dnf 5, of Fedora 41 and later: its commands, by what each version supports, and its answers. */

import * as v from "valibot";
import { LOCAL_LIMITS, parseJson } from "../../json.ts";
import { findCves, type RebootState } from "../../update.ts";
import { outputLines } from "../programs.ts";
import {
  type AdvisoryDetails,
  type AdvisoryRow,
  type CheckedUpdates,
  type DnfDialect,
  type DnfQuestion,
  type DnfVersion,
  isAdvisoryId,
  isAtLeast,
  isCveReference,
  type ListedRpm,
  MAX_ROW_LENGTH,
  type ObsoletingRpm,
  parseRebootText,
  readCheckUpdate,
  readSeverity,
  rebootState,
} from "./dialect.ts";
import {
  DEFAULT_EXPIRY_MS,
  type DnfRepositories,
  isSourceId,
  MAX_REPOSITORIES,
  REPOSITORY_ID,
} from "./repositories.ts";
import {
  isDnfChatter,
  OFFERED_FORMAT,
  type PackageList,
  parseNameAndEvr,
  parseNevra,
  parseOfferedRpms,
} from "./rpm.ts";

/** The first versions that print progress on stderr, and that print each answer as JSON. */
const PROGRESS_ON_STDERR: DnfVersion = [5, 2, 6];
const ADVISORIES_IN_JSON: DnfVersion = [5, 2, 4];
const DETAILS_IN_JSON: DnfVersion = [5, 2, 9];
const PACKAGES_IN_JSON: DnfVersion = [5, 4];
const RESTARTS_IN_JSON: DnfVersion = [5, 4, 1];

export function dnf5Dialect(version: DnfVersion): DnfDialect {
  const quiet = isAtLeast(version, PROGRESS_ON_STDERR) ? [] : ["-q"];
  const queryFormat = (format: string) => ["--queryformat", `${format}\n`];
  const listsInJson = isAtLeast(version, PACKAGES_IN_JSON);
  const listUpdates = (command: readonly string[], codes: readonly number[]) =>
    listsInJson
      ? { command: [...command, "--json"], codes, read: parseDnf5CheckUpgrade }
      : { command, codes, read: readCheckUpdate } satisfies DnfQuestion<CheckedUpdates>;
  return {
    // A repository without lists must not hide the others' updates; the sources name it.
    options: ["--setopt=*.skip_if_unavailable=1"],
    // Otherwise dnf copies root's lists, however old, and dates the copies as if just fetched.
    userOptions: ["--setopt=system_cachedir=/nonexistent"],
    privateListOptions: (directory) => [
      `--setopt=system_cachedir=${directory}`,
      "--setopt=*.countme=0",
    ],
    fetch: ["makecache"],
    // With -q, dnf does not name the repositories that it ignored.
    offered: {
      command: [...quiet, "repoquery", "--upgrades", "--latest-limit=1"]
        .concat(queryFormat(OFFERED_FORMAT)),
      codes: [0],
      read: parseOfferedRpms,
    },
    liftExcludes: ["--setopt=excludepkgs=", "--setopt=*.excludepkgs="],
    // No option lifts the locks alone: this one lifts locks, excludes and `includepkgs`.
    liftLocks: ["--setopt=disable_excludes=*"],
    locksActOn: "everything",
    advisories: isAtLeast(version, ADVISORIES_IN_JSON)
      ? { command: ["-q", "advisory", "list", "--json"], codes: [0], read: parseDnf5Advisories }
      : { command: ["-q", "advisory", "list"], codes: [0], read: parseDnf5AdvisoryTable },
    details: isAtLeast(version, DETAILS_IN_JSON)
      ? {
        command: ["-q", "advisory", "info", "--json"],
        codes: [0],
        read: parseDnf5AdvisoryDetails,
      }
      : null,
    // With --json it exits with 0 even if there are updates.
    updates: listUpdates(["-q", "check-upgrade"], [0, 100]),
    // `updates` lists a replacing package only if it is an update as well.
    replacing: listUpdates(["-q", "list", "--obsoletes"], [0]),
    repositories: {
      command: ["-q", "repo", "info", "--json"],
      codes: [0],
      read: parseDnf5Repositories,
    },
    securityFilter: (severity) =>
      severity === undefined ? ["--security"] : [`--advisory-severities=${severity}`],
    queryFormat,
    reboot: isAtLeast(version, RESTARTS_IN_JSON)
      ? { command: ["-q", "needs-restarting", "--json"], codes: [0, 1], read: parseRebootJson }
      : { command: ["-q", "needs-restarting"], codes: [0, 1], read: parseRebootText },
    systemCache: "/var/cache/libdnf5",
    userCache: ".cache/libdnf5",
  };
}

/** Lines that may begin a JSON text; later ones are not tried. */
const MAX_BEGINNINGS = 50;

/**
 * Finds the JSON value that begins with the first character of a line and ends with the last bracket
 * of `text`; `undefined` if there is none or it is cut off. Before 5.2.6, progress preceded it.
 */
export function findJson(text: string): unknown {
  const end = Math.max(text.lastIndexOf("]"), text.lastIndexOf("}")) + 1;
  // Dnf indents everything inside the outermost bracket.
  for (const { index } of text.matchAll(/^\ufeff?[[{]/gm).take(MAX_BEGINNINGS)) {
    const parsed = parseJson(text.slice(index, end).replace(/^\ufeff/, ""), LOCAL_LIMITS);
    if (parsed.ok) return parsed.value;
    // This line was chatter that looks like JSON; the answer may follow.
  }
  return undefined;
}

const text = v.fallback(v.string(), "");
const advisoryId = v.pipe(v.string(), v.transform((id) => id.trim()), v.check(isAdvisoryId));

const listedAdvisory = v.object({
  name: advisoryId,
  type: v.string(),
  severity: text,
  nevra: v.string(),
});

/** Parses `advisory list --json` (5.2.4 and later); `undefined` if it is not a list. */
export function parseDnf5Advisories(stdout: string): PackageList<AdvisoryRow> | undefined {
  const list = findJson(stdout);
  if (!Array.isArray(list)) return undefined;
  const packages = list.map((item) => {
    const result = v.safeParse(listedAdvisory, item);
    if (!result.success) return undefined;
    const { name, type, severity, nevra } = result.output;
    return advisoryRow(name, type, severity, nevra);
  }).filter((row) => row !== undefined);
  return { packages, unparsed: list.length - packages.length };
}

const TYPES = new Set("security bugfix enhancement newpackage recommended optional".split(" "));

/** Parses the table of `advisory list`: `name type severity package date time`. */
export function parseDnf5AdvisoryTable(stdout: string): PackageList<AdvisoryRow> {
  const { lines, dropped } = outputLines(stdout);
  // A line without a date and a time is a sentence and not a row.
  const rows = lines.filter((line) =>
    line.length <= MAX_ROW_LENGTH && !isDnfChatter(line) &&
    / \d{4}-\d\d-\d\d +\d\d:\d\d:\d\d\s*$/.test(line)
  );
  const packages = rows.map((line) => {
    const words = line.trim().split(/\s+/).slice(0, -2);
    const nevra = words.at(-1) ?? "";
    // An id may contain spaces; it ends before the first known type.
    const known = words.findIndex((word, index) => index > 0 && TYPES.has(word.toLowerCase()));
    const at = Math.max(1, known);
    const name = words.slice(0, at).join(" ");
    if (!isAdvisoryId(name)) return undefined;
    return advisoryRow(name, words[at] ?? "", words.slice(at + 1, -1).join(" "), nevra);
  }).filter((row) => row !== undefined);
  return { packages, unparsed: dropped + rows.length - packages.length };
}

function advisoryRow(
  id: string,
  type: string,
  severity: string,
  nevra: string,
): AdvisoryRow | undefined {
  const package_ = parseNevra(nevra);
  if (!package_) return undefined;
  const isSecurity = type.toLowerCase() === "security";
  // The severity of a bug is not the severity of a vulnerability.
  return { id, isSecurity, ...readSeverity(isSecurity ? severity : ""), package: package_ };
}

const describedAdvisory = v.object({
  Name: advisoryId,
  Title: text,
  Description: text,
  Severity: text,
  references: v.fallback(v.array(v.object({ Title: text, Id: text })), []),
});

/** Parses `advisory info --json` (5.2.9 and later): a list, before 5.3 an object; `undefined` if it is neither. */
export function parseDnf5AdvisoryDetails(stdout: string): AdvisoryDetails[] | undefined {
  const answer = v.safeParse(v.looseObject({}), findJson(stdout));
  if (!answer.success) return undefined;
  return Object.values(answer.output).flatMap((item) => {
    const result = v.safeParse(describedAdvisory, item);
    if (!result.success) return [];
    const { Name, Title, Description, Severity, references } = result.output;
    const listed = references.map(({ Id }) => Id).filter(isCveReference);
    const texts = [Title, Description, ...references.map(({ Title }) => Title)];
    return [{
      id: Name,
      ...readSeverity(Severity),
      listed: [...new Set(listed)],
      mentioned: [...new Set(findCves(texts.join("\n")))],
    }];
  });
}

const namedPackage = v.object({ name: v.string(), arch: v.string(), evr: v.string() });

const listedPackage = v.object({
  ...namedPackage.entries,
  repository: v.pipe(v.string(), v.regex(/^[!-~]{1,255}$/)),
});

const obsoletingPackage = v.object({
  ...listedPackage.entries,
  obsoletes: v.array(namedPackage),
});

const checkUpgradeAnswer = v.object({
  upgrades: v.optional(v.array(v.unknown()), []),
  obsoleting_packages: v.optional(v.array(v.unknown()), []),
});

/** Parses `check-upgrade --json` (5.4 and later); `undefined` if it is not that. */
export function parseDnf5CheckUpgrade(stdout: string): CheckedUpdates | undefined {
  const value = findJson(stdout);
  const result = v.safeParse(checkUpgradeAnswer, value);
  if (!result.success || Array.isArray(value)) return undefined;
  const { upgrades: listed, obsoleting_packages: replacing } = result.output;
  const upgrades = listed.map(readListed).filter((package_) => package_ !== undefined);
  const obsoletes = replacing.map(readObsoleting).filter((package_) => package_ !== undefined);
  const unparsed = listed.length - upgrades.length + replacing.length - obsoletes.length;
  return { upgrades, obsoletes, unparsed };
}

function readListed(value: unknown): ListedRpm | undefined {
  const result = v.safeParse(listedPackage, value);
  if (!result.success) return undefined;
  const package_ = readNamed(result.output);
  return package_ && { package: package_, repository: result.output.repository };
}

function readObsoleting(value: unknown): ObsoletingRpm | undefined {
  const result = v.safeParse(obsoletingPackage, value);
  const listed = readListed(value);
  if (!result.success || !listed) return undefined;
  const replaces = result.output.obsoletes.map(readNamed).filter((one) => one !== undefined);
  return replaces.length === 0 ? undefined : { ...listed, replaces };
}

function readNamed({ name, arch, evr }: v.InferOutput<typeof namedPackage>) {
  return parseNameAndEvr(`${name}.${arch}`, evr);
}

const seconds = v.pipe(v.number(), v.integer());

const repositoryInfo = v.object({
  id: v.pipe(v.string(), v.regex(REPOSITORY_ID)),
  name: text,
  is_enabled: v.fallback(v.boolean(), true),
  timestamp: seconds,
  metadata_expire: v.fallback(seconds, DEFAULT_EXPIRY_MS / 1_000),
  base_url: v.fallback(v.array(v.string()), []),
  metalink: text,
  mirrorlist: text,
});

/** Parses `repo info --json`; `undefined` if it is not that. */
export function parseDnf5Repositories(stdout: string): DnfRepositories | undefined {
  const list = stdout.trim() === "" ? [] : findJson(stdout);
  if (!Array.isArray(list)) return undefined;
  const result = v.safeParse(v.array(repositoryInfo), list.slice(0, MAX_REPOSITORIES));
  // An unreadable repository may be an enabled one, so the whole list is refused.
  if (!result.success) return undefined;
  const enabled = result.output.filter((one) => one.is_enabled && isSourceId(one.id));
  const repositories = enabled.map((one) => ({
    id: one.id,
    name: one.name || one.id,
    url: [one.metalink, one.mirrorlist, one.base_url.join(", ")].find((url) => url !== "") ?? null,
    hasLists: one.timestamp >= 0,
    fetchedMs: one.timestamp > 0 ? one.timestamp * 1_000 : null,
    expiryMs: one.metadata_expire < 0 ? Infinity : one.metadata_expire * 1_000,
  }));
  return { repositories, cacheDirectory: null, plugins: [] };
}

const packageName = v.fallback(
  v.union([v.string(), v.pipe(v.object({ name: v.string() }), v.transform(({ name }) => name))]),
  "",
);

const rebootAnswer = v.array(v.object({
  type: v.string(),
  reboot_required: v.boolean(),
  packages: v.fallback(v.array(packageName), []),
}));

/** Parses `needs-restarting --json` (5.4.1 and later); `null` if it is not that. */
export function parseRebootJson(stdout: string): RebootState | null {
  const result = v.safeParse(rebootAnswer, findJson(stdout));
  const found = result.success ? result.output.find(({ type }) => type === "reboot") : undefined;
  if (found === undefined) return null;
  const names = found.packages.filter((name) => /^[\w.+:~^-]{1,300}$/.test(name));
  return rebootState(found.reboot_required, names);
}
