/**
 * The agent's own directory for apt: what apt reads and writes there instead of on the host. A scan
 * changes nothing outside of it.
 */

import { FileError } from "../../system/files.ts";
import type { System } from "../../system/system.ts";

/** A directory that is ready for apt. */
export interface OwnDirectory {
  readonly path: string;
}

/** The folders that apt wants to be there: without `partial` it fetches nothing. */
const FOLDERS = [
  "",
  "/lists",
  "/lists/partial",
  "/releases/partial",
  "/cache",
  "/cache/archives/partial",
];

const ASK = "ask.conf";
const RELEASES_ONLY = "releases.conf";

/**
 * Hosts have programs run when apt has decided on an upgrade or has fetched lists: a scan is neither,
 * and what they do (a stamp that says that the host's lists are young) would be untrue.
 */
const WITHOUT_HOOKS = [
  "AptCli::Hooks",
  "APT::Update::Pre-Invoke",
  "APT::Update::Post-Invoke",
  "APT::Update::Post-Invoke-Success",
].map((list) => `#clear ${list};\n`).join("");

/** With no list to fetch beside the Release file, `update` asks each source whether it has news. */
const WITHOUT_LISTS = `${WITHOUT_HOOKS}#clear Acquire::IndexTargets;\n`;

/**
 * Makes the directory and what is in it, or says why it cannot. Apt runs in another working directory
 * than the agent: to it a relative path would be another place.
 */
export async function prepareOwnDirectory(
  { files }: Pick<System, "files">,
  cacheDirectory: string | undefined,
): Promise<OwnDirectory | string> {
  if (!cacheDirectory?.startsWith("/")) return "there is no directory of the agent's own";
  const path = `${cacheDirectory}/apt`;
  const purpose = "prepare the directory for apt";
  try {
    // Written last: where it is as it should be, so is all else.
    if (await files.readText(purpose, `${path}/${ASK}`) === WITHOUT_HOOKS) return { path };
    for (const folder of FOLDERS) {
      await files.makeDirectory(purpose, `${path}${folder}`, { mode: 0o700 });
    }
    for (const [name, text] of [[RELEASES_ONLY, WITHOUT_LISTS], [ASK, WITHOUT_HOOKS]] as const) {
      await files.writeText(purpose, `${path}/${name}`, text, { mode: 0o600 });
    }
    return { path };
  } catch (error) {
    if (error instanceof FileError) return error.message;
    throw error;
  }
}

/** Settings for questions about the host's own lists. */
export function hostSettings({ path }: OwnDirectory, cacheFile: string | null): string[] {
  return [
    "-c",
    `${path}/${ASK}`,
    // Apt tells nothing of a download that is there already.
    ...option("Dir::Cache::archives", `${path}/cache/archives/`),
    ...cacheFile === null ? [] : cacheOptions(cacheFile),
  ];
}

/** Settings that have apt look into lists of the agent's own; as root it would lower its rights, and fail. */
export function privateSettings({ path }: OwnDirectory): string[] {
  return [
    "-c",
    `${path}/${ASK}`,
    ...option("Dir::State::lists", `${path}/lists/`),
    ...option("Dir::Cache", `${path}/cache/`),
    ...cacheOptions(privateCacheFile({ path })),
    ...option("APT::Sandbox::User", "root"),
  ];
}

/** Settings that have apt fetch nothing but Release files, beside all lists. */
export function releaseSettings({ path }: OwnDirectory): string[] {
  return [
    "-c",
    `${path}/${RELEASES_ONLY}`,
    ...option("Dir::State::lists", `${path}/releases/`),
    ...option("Dir::Cache", `${path}/cache/`),
    ...option("APT::Sandbox::User", "root"),
  ];
}

function option(name: string, value: string): string[] {
  return ["-o", `${name}=${value}`];
}

/** Where a host keeps none (as images for containers do), every apt process would build it anew. */
function cacheOptions(file: string): string[] {
  return [
    ...option("Dir::Cache::pkgcache", file),
    ...option("Dir::Cache::srcpkgcache", file.replace(/pkgcache\.bin$/, "srcpkgcache.bin")),
  ];
}

/** Apt's cache of the agent's own lists. */
export function privateCacheFile({ path }: OwnDirectory): string {
  return `${path}/cache/pkgcache.bin`;
}

/** Apt's cache of the host's lists, where the host keeps none. */
export function hostCacheFile({ path }: OwnDirectory): string {
  return `${path}/cache/host-pkgcache.bin`;
}
