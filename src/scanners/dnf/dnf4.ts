/** Dnf 4, of Red Hat Enterprise Linux 8 to 10 and Fedora up to 40: its commands and its answers. */

import { findCves } from "../../update.ts";
import { outputLines } from "../programs.ts";
import { parseLoadedPlugins } from "./configuration.ts";
import {
  type AdvisoryDetails,
  type AdvisoryRow,
  type DnfDialect,
  isAdvisoryId,
  isCveReference,
  parseRebootText,
  readCheckUpdate,
  readSeverity,
} from "./dialect.ts";
import {
  DEFAULT_EXPIRY_MS,
  type DnfRepositories,
  type DnfRepository,
  isSourceId,
  MAX_REPOSITORIES,
} from "./repositories.ts";
import {
  isDnfChatter,
  OFFERED_FORMAT,
  type PackageList,
  parseNevra,
  parseOfferedRpms,
} from "./rpm.ts";

export const dnf4Dialect: DnfDialect = {
  options: [
    // Every command locks, even to read, and would wait for the lock without limit.
    "--setopt=exit_on_lock=True",
    // A repository without lists must not hide the others' updates; the sources name it.
    "--setopt=*.skip_if_unavailable=1",
    "--color=never",
  ],
  userOptions: [],
  privateListOptions: (directory) => [`--setopt=cachedir=${directory}`, "--setopt=*.countme=0"],
  fetch: ["makecache"],
  // Without -q: only then does stderr name the repositories that dnf ignored. Without --latest-limit
  // dnf lists every newer version.
  offered: {
    command: ["repoquery", "--upgrades", "--latest-limit=1", "--qf", OFFERED_FORMAT],
    codes: [0],
    read: parseOfferedRpms,
  },
  liftExcludes: ["--setopt=excludepkgs=", "--setopt=*.excludepkgs="],
  liftLocks: ["--disableplugin=versionlock"],
  locksActOn: "updates",
  advisories: {
    command: ["-q", "updateinfo", "list", "--available"],
    codes: [0],
    read: parseDnf4Advisories,
  },
  details: {
    command: ["-q", "updateinfo", "info", "--available"],
    codes: [0],
    read: parseDnf4AdvisoryDetails,
  },
  updates: { command: ["-q", "check-update"], codes: [0, 100], read: readCheckUpdate },
  replacing: null,
  repositories: {
    // -v prints the cache directory; --all names the repositories that dnf ignores.
    command: ["-v", "repolist", "--all"],
    codes: [0],
    environment: { TZ: "UTC" },
    read: (stdout, _code, stderr) => parseDnf4Repositories(stdout, stderr),
  },
  securityFilter: (severity) =>
    severity === undefined
      ? ["--security"]
      : [`--sec-severity=${severity.charAt(0).toUpperCase()}${severity.slice(1)}`],
  queryFormat: (format) => ["--qf", format],
  reboot: {
    command: ["-q", "needs-restarting", "-r"],
    // 1 is "a restart is required", and every error as well.
    codes: [0, 1],
    read: parseRebootText,
  },
  systemCache: "/var/cache/dnf",
  userCache: null,
};

/** Dnf 4's types of advisories that are not about security. */
const OTHER_TYPES = new Set(["bugfix", "enhancement", "newpackage", "unknown"]);

const SECURITY_SUFFIX = "/Sec.";

/** Parses rows `id type package` of `updateinfo list`. Ids may contain spaces; other lines are sentences. */
export function parseDnf4Advisories(text: string): PackageList<AdvisoryRow> {
  const { lines, dropped } = outputLines(text);
  const rows = lines.filter((line) => !isDnfChatter(line)).map((line) => {
    const words = line.trim().split(/\s+/);
    const type = words.at(-2) ?? "";
    const isSecurity = type.endsWith(SECURITY_SUFFIX);
    const isType = isSecurity || OTHER_TYPES.has(type);
    const severity = isSecurity ? type.slice(0, -SECURITY_SUFFIX.length) : "";
    const nevra = parseNevra(words.at(-1) ?? "");
    return { id: words.slice(0, -2).join(" "), isType, isSecurity, severity, nevra };
  }).filter(({ isType, nevra }) => isType || nevra !== undefined);
  const packages = rows.flatMap(({ id, isType, isSecurity, severity, nevra }): AdvisoryRow[] =>
    nevra && isType && isAdvisoryId(id)
      ? [{ id, isSecurity, ...readSeverity(severity), package: nevra }]
      : []
  );
  return { packages, unparsed: dropped + rows.length - packages.length };
}

interface Block {
  readonly id: string;
  /** The field of the previous line. */
  label: string;
  severity: string;
  readonly listed: string[];
  readonly texts: string[];
}

/** The column of the colon after a right-aligned label; a line without a label continues a field. */
const COLON = 11;

/**
 * Parses the blocks of `label: text` lines of `updateinfo info`, each below a title between two rules.
 * It skips lines outside a block: `parseDnf4Advisories` determines which advisories exist.
 */
export function parseDnf4AdvisoryDetails(text: string): AdvisoryDetails[] {
  const found: AdvisoryDetails[] = [];
  let title = "";
  let block: Block | undefined;
  const end = () => {
    if (block) {
      const { id, severity, listed, texts } = block;
      const mentioned = [...new Set(findCves(texts.join("\n")))];
      found.push({ id, ...readSeverity(severity), listed, mentioned });
    }
    block = undefined;
  };
  for (const line of outputLines(text).lines) {
    const label = line.slice(0, COLON).trim();
    const isField = line[COLON] === ":" && /^\s*[A-Z]?[A-Za-z ]*$/.test(line.slice(0, COLON));
    // The cut may fall inside a surrogate pair.
    const value = line.slice(COLON + 2).toWellFormed();
    if (/^={79}$/.test(line)) end();
    else if (!isField) title = line;
    else if (label === "Update ID") {
      end();
      const id = value.trim().replace(/\s+/g, " ");
      if (isAdvisoryId(id)) block = { id, label, severity: "", listed: [], texts: [title] };
      title = "";
    } else if (block) {
      block.label = label || block.label;
      if (label === "Severity") block.severity = value;
      if (block.label === "CVEs" && isCveReference(value.trim())) block.listed.push(value.trim());
      if (block.label === "Bugs" || block.label === "Description") block.texts.push(value);
    }
  }
  end();
  return found;
}

/**
 * Parses `-v repolist --all`, run with `TZ=UTC`. Dnf prints a repository without lists as disabled;
 * stderr names it among the repositories that dnf ignores.
 */
export function parseDnf4Repositories(stdout: string, stderr: string): DnfRepositories | undefined {
  const { lines } = outputLines(stdout);
  const ignored = parseIgnoredRepositories(stderr);
  const blocks: { id: string; fields: Map<string, string> }[] = [];
  let cacheDirectory: string | null = null;
  for (const line of lines) {
    const [, key = "", value = ""] = /^([A-Za-z-]{1,40}) {0,40}: (.{1,4000})$/.exec(line) ?? [];
    if (key === "cachedir" && blocks.length === 0) cacheDirectory = value.trim();
    if (key === "Repo-id") blocks.push({ id: value.trim(), fields: new Map() });
    blocks.at(-1)?.fields.set(key, value.trim());
  }
  const isAnswer = cacheDirectory !== null || blocks.length > 0 ||
    /^No repositories available/m.test(`${stdout}\n${stderr}`);
  if (!isAnswer) return undefined;
  const repositories = blocks.slice(0, MAX_REPOSITORIES).flatMap(({ id, fields }) => {
    const isEnabled = fields.get("Repo-status") !== "disabled" || ignored.has(id);
    return isEnabled && isSourceId(id) ? [readBlock(id, fields, ignored.has(id))] : [];
  });
  return { repositories, cacheDirectory, plugins: parseLoadedPlugins(lines) };
}

/** Parses the ids of the repositories that dnf 4 reports as ignored. */
export function parseIgnoredRepositories(stderr: string): Set<string> {
  const lists = outputLines(`${stderr}\n`).lines
    .map((line) => /^Ignoring repositories: (.+)/.exec(line)?.[1] ?? "");
  const ids = lists.flatMap((list) => list.split(",")).map((id) => id.trim());
  return new Set(ids.filter(isSourceId));
}

function readBlock(
  id: string,
  block: ReadonlyMap<string, string>,
  isIgnored: boolean,
): DnfRepository {
  const [expiry = "", last = ""] = (block.get("Repo-expire") ?? "").split(/ \(last: |\)$/);
  const urls = ["Repo-metalink", "Repo-mirrors", "Repo-baseurl"].map((key) => block.get(key));
  return {
    id,
    name: block.get("Repo-name") ?? id,
    url: urls.find((url) => url !== undefined && url !== "") ?? null,
    hasLists: !isIgnored && last !== "unknown",
    fetchedMs: parseDate(last),
    expiryMs: parseExpiry(expiry),
  };
}

function parseExpiry(text: string): number {
  if (text === "Never") return Infinity;
  if (text === "Instant") return 0;
  const [, number] = /^([\d,.' ]{1,20}) second/.exec(text) ?? [];
  return number === undefined ? DEFAULT_EXPIRY_MS : Number(number.replace(/\D/g, "")) * 1_000;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** `Sun Nov 29 19:08:52 2026`, or in glibc's older C.UTF-8 `Sun 29 Nov 2026 07:08:52 PM UTC`. */
function parseDate(text: string): number | null {
  const month = MONTHS.findIndex((name) => new RegExp(`\\b${name}\\b`).test(text));
  const [, day] = /(?:^|[A-Za-z]) {1,3}(\d{1,2})(?= )/.exec(text) ?? [];
  const [, year] = /\b(\d{4})\b/.exec(text) ?? [];
  const [, hour, minute, second, half] = /\b(\d\d):(\d\d):(\d\d)(?: ([AP])M)?\b/.exec(text) ?? [];
  if (month < 0 || day === undefined || year === undefined || hour === undefined) return null;
  const hours = half === undefined ? Number(hour) : Number(hour) % 12 + (half === "P" ? 12 : 0);
  return Date.UTC(Number(year), month, Number(day), hours, Number(minute), Number(second));
}
