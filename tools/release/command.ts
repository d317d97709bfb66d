/** Runs the programs that make packages, repositories and signatures. */

import { missingOnPath } from "../place/host.ts";
import { BuildError } from "../build/build_error.ts";

/** How one of them runs. */
interface CommandOptions {
  /** Added to this process's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** @default the project's directory */
  readonly directory?: string;
  /** @default ten minutes: a package of 90 MB takes half a minute to compress on a quiet machine */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 600_000;

/**
 * Runs a program to its end and returns its stdout.
 *
 * @throws {BuildError} with the end of its stderr, if it fails or cannot be started
 */
export async function mustRun(
  argv: readonly [string, ...string[]],
  options: CommandOptions = {},
): Promise<string> {
  const [program, ...args] = argv;
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const output = await new Deno.Command(program, {
    args,
    env: { LC_ALL: "C.UTF-8", TZ: "UTC", ...options.environment },
    cwd: options.directory ?? ".",
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(timeoutMs),
  }).output().catch((cause) => {
    throw new BuildError(`Cannot run "${program}": ${cause.message}`, { cause });
  });
  const decoder = new TextDecoder();
  if (output.success) return decoder.decode(output.stdout);
  const said = (decoder.decode(output.stderr) || decoder.decode(output.stdout)).trim();
  const end = said.split("\n").slice(-10).join("\n") || `exit ${output.code}`;
  throw new BuildError(`Cannot run "${argv.slice(0, 4).join(" ")}": ${end}`);
}

/** The Debian package that has a program, where its name differs. */
const DEBIAN_PACKAGES: Readonly<Record<string, string>> = {
  "apt-ftparchive": "apt-utils",
  createrepo_c: "createrepo-c",
  "dpkg-deb": "dpkg",
  gpg: "gnupg",
  rpmkeys: "rpm",
  rpmsign: "rpm",
  xz: "xz-utils",
};

/**
 * Makes sure that programs are on the path.
 *
 * @throws {BuildError} that names those that are missing, and what to install
 */
export async function requirePrograms(purpose: string, programs: readonly string[]): Promise<void> {
  const missing = await missingOnPath(programs);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((program) => DEBIAN_PACKAGES[program] ?? program))];
  throw new BuildError(
    `Cannot ${purpose}: this host lacks ${missing.join(", ")}\n` +
      `Next: apt-get install ${packages.join(" ")}`,
  );
}
