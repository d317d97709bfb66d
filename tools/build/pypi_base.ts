/**
 * Base executables (`denort`) of the shipped Deno out of wheels on PyPI, for networks that do not
 * reach Deno's own download.
 */

import { BuildError } from "./build_error.ts";
import { sha256Of } from "./digest.ts";
import { elfEnd } from "./elf.ts";
import { withoutProgram } from "./mach_o.ts";
import { runTool } from "./run.ts";
import { SHIPPED_DENO, type ToolCommand } from "./shipped_deno.ts";

/** Each of its wheels holds one product of Deno 2.6.8's `deno compile`, and nothing else. */
const PACKAGE = "bids-validator-deno==2.4.0";
const PRODUCT_FOLDER = "bids_validator_deno-2.4.0.data/scripts";

const FOLDER = ".cache/denort";

/** A wheel has about 45 MB. */
const DOWNLOAD_TIMEOUT_MS = 900_000;
const UNPACK_TIMEOUT_MS = 120_000;

/** What to do where no base can be had, to follow "Next: ". */
export const BUILD_ELSEWHERE =
  "build where Deno can download its base executables, or name one of this target and of Deno " +
  `${SHIPPED_DENO} in DENORT_BIN`;

/** A wheel, and how its product becomes a base. */
export interface PypiBase {
  /** pip's name of the platform. */
  readonly platform: string;
  readonly wheelSha256: string;
  /** Of the base, not of the product. */
  readonly sha256: string;
  /** The name of the product's file. */
  readonly product: string;
  /** Returns the base, given the bytes of the product. */
  readonly extract: (product: Uint8Array) => Uint8Array;
}

/** By the triple of the target. */
export const PYPI_BASES: ReadonlyMap<string, PypiBase> = new Map<string, PypiBase>([
  ["x86_64-unknown-linux-gnu", {
    platform: "manylinux_2_28_x86_64",
    wheelSha256: "b6a7000b926323d25c6122ea4f92579eb7cd13790d5a2d90eb22fa069837a530",
    sha256: "23bd19ba48c11df327fca649a81c9d44f0111d9951c1e93ef05bacc219e7ecc3",
    product: "bids-validator-deno",
    extract: elfProper,
  }],
  ["aarch64-unknown-linux-gnu", {
    platform: "manylinux_2_28_aarch64",
    wheelSha256: "b4fdf1267c1da17402d143d6b4f963cf54117dec1525e9f68437f6ace3518219",
    sha256: "d2eded4f7a3c5f4ced2e034c29962fad8e5f26e06c27e5194e9f002ee7f40370",
    product: "bids-validator-deno",
    extract: elfProper,
  }],
  ["x86_64-pc-windows-msvc", {
    platform: "win_amd64",
    wheelSha256: "181cc80b792523970a134962e1f65ec0539b455fa5aaeef1d1e3a1b20a29c5eb",
    sha256: "b1fc534b06be2a244ac0ad88fd341708300bee745f05f3590a47e204e5d49b0c",
    product: "bids-validator-deno.exe",
    // The program in it is a resource, which `deno compile` replaces.
    extract: (product) => product,
  }],
  ["x86_64-apple-darwin", {
    platform: "macosx_10_13_x86_64",
    wheelSha256: "b9018593f9f768c0912001fb724374eff1034128374512e0da08ff727920c604",
    sha256: "b6e3fef70b2cd1ef02fbc28be53001d83b7b743adc2aa05dbd7e1b80592958fa",
    product: "bids-validator-deno",
    extract: withoutProgram,
  }],
  ["aarch64-apple-darwin", {
    platform: "macosx_11_0_arm64",
    wheelSha256: "a35622e2b0f5772fe08ba309e3eac9a3ad47cc4aecc37c4a6e93aea2b72f2849",
    sha256: "317fb10009af54a457bffaa42d0cff13f137d5806a87a2f582291694cda5c4a4",
    product: "bids-validator-deno",
    extract: withoutProgram,
  }],
]);

/** Deno appends the program to the ELF file of the base. */
function elfProper(product: Uint8Array): Uint8Array {
  return product.subarray(0, elfEnd(product));
}

/**
 * Makes the base in `.cache/` and returns its path and where it came from.
 *
 * The wheel is fetched once. Each call checks the wheel's SHA-256, extracts the base anew and checks
 * the SHA-256 of that.
 *
 * @throws {BuildError} if the wheel cannot be fetched or unpacked, or a SHA-256 differs
 */
export async function fetchPypiBase(
  base: PypiBase,
  onProgress: (progress: string) => void,
): Promise<{ path: string; origin: string }> {
  const python = await findPython();
  const wheel = `${FOLDER}/${base.platform}.whl`;
  if (!await hasSha256(wheel, base.wheelSha256)) {
    onProgress(`fetching ${PACKAGE} for ${base.platform} from PyPI (45 MB, once)`);
    await fetchWheel(python, base, wheel);
  }
  const path = `${FOLDER}/denort-${SHIPPED_DENO}-${base.platform}`;
  await extractBase(python, base, { wheel, path });
  const origin = `${PACKAGE} from PyPI, ${base.platform}, SHA-256 ${base.sha256}`;
  return { path, origin };
}

/** The first Python that has pip; pip alone is not enough, because Python also unpacks the wheel. */
async function findPython(): Promise<ToolCommand> {
  const facts: string[] = [];
  for (const program of ["python3", "python"]) {
    const { success, output } = await runTool(program, ["-m", "pip", "--version"], {
      timeoutMs: UNPACK_TIMEOUT_MS,
    });
    if (success) return [program];
    facts.push(`"${program} -m pip": ${lastLine(output)}`);
  }
  throw new BuildError(
    `Cannot fetch base from PyPI: this host has no Python with pip (${facts.join("; ")})\n` +
      `Next: install both (Debian: apt-get install python3 python3-pip), or ${BUILD_ELSEWHERE}`,
  );
}

async function fetchWheel([python]: ToolCommand, base: PypiBase, wheel: string): Promise<void> {
  const folder = `${FOLDER}/download`;
  await removeIfThere(folder);
  await Deno.mkdir(folder, { recursive: true });
  try {
    const options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-cache-dir"];
    const { success, output } = await runTool(python, [
      ...["-m", "pip", "download", ...options],
      // A wheel is only unpacked: pip runs no code of it.
      ...["--no-deps", "--only-binary", ":all:", "--platform", base.platform],
      ...["--dest", folder, PACKAGE],
    ], { timeoutMs: DOWNLOAD_TIMEOUT_MS });
    if (!success) {
      throw new BuildError(
        `Cannot fetch "${PACKAGE}" with pip: ${lastLine(output)}\n` +
          `Next: let pip reach PyPI or a mirror of it, or ${BUILD_ELSEWHERE}`,
      );
    }
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    const [name = ""] = names;
    await expectSha256(`${folder}/${name}`, base.wheelSha256);
    await Deno.rename(`${folder}/${name}`, wheel);
  } finally {
    await removeIfThere(folder);
  }
}

/** Python's `zipfile` unpacks the wheel: it is there where pip is, and Deno has no reader of ZIP. */
async function extractBase(
  [python]: ToolCommand,
  base: PypiBase,
  { wheel, path }: { wheel: string; path: string },
): Promise<void> {
  const folder = `${FOLDER}/unpacked`;
  await removeIfThere(folder);
  try {
    const { success, output } = await runTool(python, ["-m", "zipfile", "-e", wheel, folder], {
      timeoutMs: UNPACK_TIMEOUT_MS,
    });
    if (!success) throw new BuildError(`Cannot unpack "${wheel}": ${lastLine(output)}`);
    const product = await Deno.readFile(`${folder}/${PRODUCT_FOLDER}/${base.product}`);
    await Deno.writeFile(path, base.extract(product), { mode: 0o755 });
    await expectSha256(path, base.sha256);
  } catch (error) {
    await removeIfThere(path);
    throw error;
  } finally {
    await removeIfThere(folder);
  }
}

async function expectSha256(path: string, expected: string): Promise<void> {
  const found = await sha256Of(path);
  if (found === expected) return;
  throw new BuildError(
    `Cannot trust "${path}" of "${PACKAGE}": its SHA-256 is "${found}" instead of "${expected}"`,
  );
}

async function hasSha256(path: string, expected: string): Promise<boolean> {
  try {
    return await sha256Of(path) === expected;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

/** The error in what a tool of Python printed. */
function lastLine(output: string): string {
  return output.trim().split("\n").at(-1) ?? "";
}
