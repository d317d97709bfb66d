/** Deno's own base executables (`denort`), from its own download. */

import { BuildError } from "./build_error.ts";
import { sha256Of } from "./digest.ts";
import { SHIPPED_DENO } from "./shipped_deno.ts";
import { readZipFile } from "./zip.ts";

const FOLDER = ".cache/denort";

/** Where Deno publishes them; `deno compile` fetches from there too. */
export const DENO_DOWNLOAD = `https://dl.deno.land/release/v${SHIPPED_DENO}`;

/**
 * The SHA-256 of `denort-TRIPLE.zip` of the shipped Deno, by triple. A release refuses a base that is
 * not here. It is empty: the download could not be reached where the version was chosen. Whoever
 * reaches it builds once, compares what the build prints with the `.sha256sum` that Deno's release on
 * GitHub has for the same file, and enters it.
 */
export const DENO_SHA256: ReadonlyMap<string, string> = new Map<string, string>([]);

/** About 40 MB. */
const DOWNLOAD_TIMEOUT_MS = 300_000;

/** A base as it was downloaded. */
export interface DenoBase {
  readonly path: string;
  /** Of the archive. */
  readonly sha256: string;
  readonly isPinned: boolean;
}

/** The download cannot be reached: another base may be taken. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
}

/**
 * Fetches the base of a target, once, into `.cache/`; each call checks the SHA-256 and extracts it anew.
 *
 * @throws {UnreachableError} if the archive is not there yet and cannot be downloaded
 * @throws {BuildError} if it is not the archive that is pinned, or damaged
 */
export async function fetchDenoBase(
  triple: string,
  options: {
    /** `null`: it was tried in vain. @default DENO_DOWNLOAD */
    download?: string | null;
    /** @default DENO_SHA256 */
    pins?: ReadonlyMap<string, string>;
  } = {},
): Promise<DenoBase> {
  const { download = DENO_DOWNLOAD, pins = DENO_SHA256 } = options;
  const archive = `${FOLDER}/deno-${SHIPPED_DENO}-${triple}.zip`;
  await Deno.mkdir(FOLDER, { recursive: true });
  const isThere = await Deno.stat(archive).then(() => true, () => false);
  if (!isThere) {
    if (download === null) throw new UnreachableError("Cannot download it: tried in vain before");
    await downloadArchive(`${download}/denort-${triple}.zip`, archive);
  }
  const sha256 = await sha256Of(archive);
  const pin = pins.get(triple);
  if (pin !== undefined && pin !== sha256) {
    await Deno.remove(archive);
    throw new BuildError(
      `Cannot trust "denort-${triple}.zip" of Deno ${SHIPPED_DENO}: ` +
        `its SHA-256 is "${sha256}" instead of "${pin}"`,
    );
  }
  const path = `${FOLDER}/denort-${SHIPPED_DENO}-${triple}`;
  const name = triple.includes("windows") ? "denort.exe" : "denort";
  await Deno.writeFile(path, readZipFile(await Deno.readFile(archive), name), { mode: 0o755 });
  return { path, sha256, isPinned: pin !== undefined };
}

async function downloadArchive(url: string, archive: string): Promise<void> {
  const unfinished = `${archive}.unfinished`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      throw new Error(`HTTP status ${response.status}`);
    }
    await Deno.writeFile(unfinished, response.body);
  } catch (cause) {
    await Deno.remove(unfinished).catch(() => {});
    const fact = cause instanceof Error ? cause.message : String(cause);
    throw new UnreachableError(`Cannot download "${url}": ${fact}`, { cause });
  }
  await Deno.rename(unfinished, archive);
}
