/** Chooses the base executable of a target, and says what speaks against a release on it. */

import { resolve } from "node:path";
import type { Build } from "../../src/version.ts";
import { BuildError } from "./build_error.ts";
import type { SourceState } from "./commit.ts";
import { fetchDenoBase, UnreachableError } from "./deno_base.ts";
import { BUILD_ELSEWHERE, fetchPypiBase, PYPI_BASES } from "./pypi_base.ts";
import { SHIPPED_DENO } from "./shipped_deno.ts";
import type { Target } from "./targets.ts";

/** What an executable is compiled onto. */
export interface Base {
  readonly path: string;
  readonly kind: Build["base"];
  /** For a person: where it came from. */
  readonly origin: string;
  /** Its SHA-256 is written in the sources of the build. */
  readonly isPinned: boolean;
}

/**
 * The base that `DENORT_BIN` names, else Deno's own download, else the one from PyPI.
 *
 * @throws {BuildError} if there is none, or one is not the file that is pinned
 */
export async function obtainBase(
  target: Target,
  { named, isReachable, onProgress }: {
    /** The value of `DENORT_BIN`. */
    named: string | undefined;
    /** Deno's download has not been tried in vain for another target: that may take minutes. */
    isReachable: boolean;
    onProgress: (progress: string) => void;
  },
): Promise<Base> {
  if (named !== undefined) {
    return {
      path: resolve(named),
      kind: "named",
      origin: `DENORT_BIN, ${named}`,
      isPinned: false,
    };
  }
  try {
    const { path, sha256, isPinned } = await fetchDenoBase(
      target.triple,
      isReachable ? {} : { download: null },
    );
    const pin = isPinned ? "pinned" : "not pinned";
    const origin = `Deno's own download, SHA-256 of its archive ${sha256}, ${pin}`;
    return { path: resolve(path), kind: "deno", origin, isPinned };
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error;
    if (isReachable) onProgress(`Deno's own base cannot be had: ${error.message}`);
  }
  const base = PYPI_BASES.get(target.triple);
  if (!base) {
    throw new BuildError(
      `Cannot compile for "${target.triple}": there is no base\nNext: ${BUILD_ELSEWHERE}`,
    );
  }
  const { path, origin } = await fetchPypiBase(base, onProgress);
  return { path: resolve(path), kind: "pypi", origin, isPinned: true };
}

/** Why a release must not be made of these sources on this base; empty: it may. */
export function releaseObjections(
  base: Base,
  source: SourceState,
  { allowForeignBase }: { allowForeignBase: boolean },
): string[] {
  const objections: string[] = [];
  if (source.commit === null) objections.push("the sources are not in a clone");
  if (source.isDirty) objections.push("the sources differ from their commit");
  if (base.kind !== "deno") {
    if (!allowForeignBase) {
      objections.push(
        `the base is not Deno's own (${base.origin}); --allow-foreign-base allows it`,
      );
    }
  } else if (!base.isPinned) {
    objections.push(
      `the SHA-256 of Deno ${SHIPPED_DENO}'s base is not pinned in tools/build/deno_base.ts ` +
        `(${base.origin})`,
    );
  }
  return objections;
}
