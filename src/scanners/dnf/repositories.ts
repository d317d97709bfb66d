/** Reads which repositories dnf has enabled, from where, and when it last fetched their lists. */

import * as v from "valibot";
import { findJson } from "./dnf5_json.ts";
import { parseLoadedPlugins } from "./plugins.ts";
import { outputLines } from "../output_lines.ts";

/** An enabled repository, as dnf itself has it after variables and overrides. */
export interface DnfRepository {
  readonly id: string;
  /** For people. Dnf 5 reports a repository's failures under this name. */
  readonly name: string;
  /** Where it is fetched from, with whatever secrets are in it; `null` if dnf does not say. */
  readonly url: string | null;
  /** Whether dnf has package lists of it. */
  readonly hasLists: boolean;
  /** When those were last found to be up to date; `null` if that is not known. */
  readonly fetchedMs: number | null;
  /** How long dnf is content with them (`metadata_expire`); `Infinity` is without an end. */
  readonly expiryMs: number;
}

/** What dnf said of its repositories. */
export interface DnfRepositories {
  readonly repositories: readonly DnfRepository[];
  /** Where dnf keeps their lists; `null` where it does not say. */
  readonly cacheDirectory: string | null;
  /** Plugins that it loads; none where it does not say (dnf 5). */
  readonly plugins: readonly string[];
}

/** More repositories are not looked at. */
const MOST_REPOSITORIES = 1_000;

/** How long dnf is content with a list where nobody says otherwise (dnf.conf(5)). */
const USUAL_EXPIRY_MS = 48 * 3_600_000;

/** Repositories that a plugin of dnf 4's makes of packages on this host: nobody offers updates there. */
const NO_SOURCES = ["_dnf_local"];

const ID = /^[A-Za-z0-9_.:-]{1,255}$/;

/**
 * Reads `-v repolist --all` of dnf 4, which was run with `TZ=UTC`. A repository without lists is told
 * there as disabled; its name is among those that dnf says on stderr that it ignores.
 */
export function parseDnf4Repositories(stdout: string, stderr: string): DnfRepositories | undefined {
  const { lines } = outputLines(stdout);
  const ignored = ignoredRepositories(stderr);
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
  const repositories = blocks.slice(0, MOST_REPOSITORIES).flatMap(({ id, fields }) => {
    const isEnabled = fields.get("Repo-status") !== "disabled" || ignored.has(id);
    return isEnabled ? [readBlock(id, fields, ignored.has(id))] : [];
  });
  const plugins = parseLoadedPlugins(lines);
  return { repositories: repositories.filter(isSource), cacheDirectory, plugins };
}

/** The repositories that dnf 4 left out, by its own word. */
export function ignoredRepositories(stderr: string): Set<string> {
  const told = outputLines(`${stderr}\n`).lines
    .map((line) => /^Ignoring repositories: (.+)/.exec(line)?.[1] ?? "");
  const ids = told.flatMap((list) => list.split(",")).map((id) => id.trim());
  return new Set(ids.filter((id) => ID.test(id) && !NO_SOURCES.includes(id)));
}

function readBlock(
  id: string,
  block: ReadonlyMap<string, string>,
  isIgnored: boolean,
): DnfRepository {
  const [kept = "", last = ""] = (block.get("Repo-expire") ?? "").split(/ \(last: |\)$/);
  const urls = ["Repo-metalink", "Repo-mirrors", "Repo-baseurl"].map((key) => block.get(key));
  return {
    id,
    name: block.get("Repo-name") ?? id,
    url: urls.find((url) => url !== undefined && url !== "") ?? null,
    hasLists: !isIgnored && last !== "unknown",
    fetchedMs: readDate(last),
    expiryMs: readExpiry(kept),
  };
}

function readExpiry(text: string): number {
  if (text === "Never") return Infinity;
  if (text === "Instant") return 0;
  const [, number] = /^([\d,.' ]{1,20}) second/.exec(text) ?? [];
  return number === undefined ? USUAL_EXPIRY_MS : Number(number.replace(/\D/g, "")) * 1_000;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul"]
  .concat("Aug", "Sep", "Oct", "Nov", "Dec");

/** `Sun Nov 29 19:08:52 2026`, or as glibc's C.UTF-8 had it: `Sun 29 Nov 2026 07:08:52 PM UTC`. */
function readDate(text: string): number | null {
  const month = MONTHS.findIndex((name) => new RegExp(`\\b${name}\\b`).test(text));
  const [, day] = /(?:^|[A-Za-z]) {1,3}(\d{1,2})(?= )/.exec(text) ?? [];
  const [, year] = /\b(\d{4})\b/.exec(text) ?? [];
  const [, hour, minute, second, half] = /\b(\d\d):(\d\d):(\d\d)(?: ([AP])M)?\b/.exec(text) ?? [];
  if (month < 0 || day === undefined || year === undefined || hour === undefined) return null;
  const hours = half === undefined ? Number(hour) : Number(hour) % 12 + (half === "P" ? 12 : 0);
  return Date.UTC(Number(year), month, Number(day), hours, Number(minute), Number(second));
}

const seconds = v.pipe(v.number(), v.integer());
const text = v.fallback(v.string(), "");

const toldRepository = v.object({
  id: v.pipe(v.string(), v.regex(ID)),
  name: text,
  is_enabled: v.fallback(v.boolean(), true),
  timestamp: seconds,
  metadata_expire: v.fallback(seconds, USUAL_EXPIRY_MS / 1_000),
  base_url: v.fallback(v.array(v.string()), []),
  metalink: text,
  mirrorlist: text,
});

/** Reads `repo info --json` of dnf 5; `undefined` if it is not that. */
export function parseDnf5Repositories(stdout: string): DnfRepositories | undefined {
  const list = stdout.trim() === "" ? [] : findJson(stdout);
  if (!Array.isArray(list)) return undefined;
  const read = list.slice(0, MOST_REPOSITORIES).map((item) => v.safeParse(toldRepository, item));
  // One that cannot be read may be one that is enabled.
  if (!read.every(({ success }) => success)) return undefined;
  const told = read.flatMap((result) => result.success ? [result.output] : []);
  const repositories = told.filter(({ is_enabled }) => is_enabled).map((one) => ({
    id: one.id,
    name: one.name || one.id,
    url: [one.metalink, one.mirrorlist, one.base_url.join(", ")].find((url) => url !== "") ?? null,
    hasLists: one.timestamp >= 0,
    fetchedMs: one.timestamp > 0 ? one.timestamp * 1_000 : null,
    expiryMs: one.metadata_expire < 0 ? Infinity : one.metadata_expire * 1_000,
  }));
  return { repositories: repositories.filter(isSource), cacheDirectory: null, plugins: [] };
}

function isSource({ id }: DnfRepository): boolean {
  return ID.test(id) && !NO_SOURCES.includes(id);
}
