/** Finds nfpm, the program that writes .deb and .rpm files. */

import { BuildError } from "../build/build_error.ts";
import { cacheFolder, isThere } from "../place/host.ts";
import { mustRun } from "./command.ts";

/** The version that the packages were tried with. */
const NFPM_VERSION = "2.45.2";

const MODULE = `github.com/goreleaser/nfpm/v2/cmd/nfpm@v${NFPM_VERSION}`;

/** Go compiles it in half a minute on a quiet machine. */
const INSTALL_TIMEOUT_MS = 900_000;

/**
 * The path of nfpm: `NFPM` in the environment, or the one in this user's cache, which Go installs
 * there once.
 *
 * @throws {BuildError} if there is none and Go cannot install it
 */
export async function findNfpm(): Promise<string> {
  const named = Deno.env.get("NFPM");
  if (named) return named;
  const directory = cacheFolder(`nfpm-${NFPM_VERSION}`);
  const path = `${directory}/nfpm`;
  if (await isThere(path)) return path;
  console.error(`installing nfpm ${NFPM_VERSION} into ${directory} (once)`);
  try {
    await mustRun(["go", "install", MODULE], {
      environment: { GOBIN: directory },
      timeoutMs: INSTALL_TIMEOUT_MS,
    });
  } catch (cause) {
    const fact = cause instanceof Error ? cause.message : String(cause);
    throw new BuildError(
      `Cannot install nfpm ${NFPM_VERSION}: ${fact}\n` +
        "Next: install a present Go (https://go.dev/dl/), or name nfpm's file in NFPM",
      { cause },
    );
  }
  return path;
}
