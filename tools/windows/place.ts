/**
 * Makes the Windows place, a folder with Debian 13, its Wine and Windows' Deno in it: everything the
 * first time, and what is not there yet after that.
 */

import { npmIntegrityOf } from "../build/digest.ts";
import { isThere, missingOnPath, proxies } from "../place/host.ts";
import { failed, fetchDebian, step, STEP_TIMEOUT_MS } from "../place/steps.ts";
import { runInside } from "./inside.ts";
import { DENO, DENO_VERSION, HOME, PREFIX, WINE, WINE_SERVER, wineEnvironment } from "./wine.ts";

/** Debian 12's Wine 8 does not run Deno. */
const SUITE = "trixie";
const PACKAGES = ["wine64", "wine", "gcc-mingw-w64-x86-64-win32"];

const DENO_PACKAGE = `@deno/win32-x64@${DENO_VERSION}`;
const DENO_ARCHIVE = `deno-win32-x64-${DENO_VERSION}.tgz`;
const DENO_INTEGRITY = "sha512-" +
  "qRGnmVz/Ea6UWPht/S3xFRK17UZ/ls38DSVfgGB17fpASLxPkksqzWUI/BzL9YYoOknYzfc94mySGyInZu/JXw==";

/** Another recipe makes another folder. */
const ROOT_NAME = "root-1";

/** What making it needs and tells. */
export interface PlaceOptions {
  /** Where it is to be. */
  readonly folder: string;
  /** The npm registry of this host. */
  readonly registry: string;
  tell(progress: string): void;
}

/**
 * Makes the place, or finds it made; answers its root.
 *
 * @throws {PlaceError} `missing` where this host cannot, `failed` where a step did not work
 */
export async function makePlace(options: PlaceOptions): Promise<string> {
  const root = `${options.folder}/${ROOT_NAME}`;
  if (!await isThere(root)) await makeRoot(root, options);
  if (!await isThere(`${root}${DENO}`)) await fetchDeno(root, options);
  if (!await isThere(`${root}${PREFIX}`)) await makePrefix(root, options);
  return root;
}

/** What the place is made with, where it is not made yet. */
export async function lacking(folder: string): Promise<string[]> {
  const lacks: string[] = [];
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return ["Linux on x86-64"];
  if (Deno.uid() !== 0) lacks.push("root");
  const programs = ["unshare", "chroot", "mount"];
  if (!await isThere(`${folder}/${ROOT_NAME}`)) programs.push("debootstrap");
  return [...lacks, ...await missingOnPath(programs)];
}

/** Under another name until it is whole. */
async function makeRoot(root: string, { folder, tell }: PlaceOptions): Promise<void> {
  const unfinished = `${root}.unfinished`;
  const log = `${folder}/log`;
  tell(`fetching Debian ${SUITE} (once)`);
  await fetchDebian({ folder: unfinished, suite: SUITE, packages: [], log });
  for (const name of ["/etc/resolv.conf", "/etc/hosts"]) {
    await Deno.copyFile(name, `${unfinished}${name}`).catch(() => {});
  }
  tell(`installing ${PACKAGES.join(", ")} in it (once)`);
  const install = ["install", "-y", "-qq", "--no-install-recommends", ...PACKAGES];
  for (const words of [["update", "-qq"], install, ["clean"]] as const) {
    await step(log, `apt-get ${words[0]}`, () =>
      runInside(unfinished, {
        argv: ["apt-get", ...words],
        environment: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8", ...proxies() },
        logFile: log,
        timeoutMs: STEP_TIMEOUT_MS,
      }));
  }
  await Deno.rename(unfinished, root);
}

async function fetchDeno(root: string, { folder, tell }: PlaceOptions): Promise<void> {
  tell(`fetching ${DENO_PACKAGE} from npm (once)`);
  await onHost("npm", ["pack", "--silent", "--pack-destination", folder, DENO_PACKAGE]);
  const archive = `${folder}/${DENO_ARCHIVE}`;
  const found = await npmIntegrityOf(archive);
  if (found !== DENO_INTEGRITY) {
    throw failed(`Cannot trust "${DENO_PACKAGE}": its integrity is "${found}"`);
  }
  await Deno.mkdir(`${root}${HOME}`, { recursive: true });
  await onHost("tar", ["-xzf", archive, "-C", folder, "package/deno.exe"]);
  await Deno.rename(`${folder}/package/deno.exe`, `${root}${DENO}`);
  await Deno.remove(`${folder}/package`, { recursive: true });
  await Deno.remove(archive);
}

async function makePrefix(root: string, { folder, registry, tell }: PlaceOptions): Promise<void> {
  tell("making Windows' folders and registry (once)");
  const prefix = `${PREFIX}.unfinished`;
  await Deno.remove(`${root}${prefix}`, { recursive: true }).catch(() => {});
  const log = `${folder}/log`;
  await step(log, "wineboot", () =>
    runInside(root, {
      // The server writes the registry at its end, which must not be a kill.
      argv: ["/bin/sh", "-c", `"$0" wineboot --init && "$1" --wait`, WINE, WINE_SERVER],
      environment: { ...wineEnvironment(registry), WINEPREFIX: prefix },
      logFile: log,
      timeoutMs: STEP_TIMEOUT_MS,
    }));
  await Deno.rename(`${root}${prefix}`, `${root}${PREFIX}`);
}

async function onHost(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, stdout: "null" })
    .output().catch((cause) => {
      throw failed(`Cannot run "${program}": ${cause.message}`);
    });
  if (success) return;
  throw failed(`Cannot run "${program} ${args[0]}": ${new TextDecoder().decode(stderr).trim()}`);
}
