/** Runs programs in the Windows place. */

import { fileURLToPath } from "node:url";
import { type AloneOptions, runAlone } from "../place/alone.ts";

/** The project's folder, on this host. */
export const PROJECT: string = fileURLToPath(new URL("../../", import.meta.url));

const ENTER = fileURLToPath(new URL("enter.sh", import.meta.url));

/** A program there. */
export interface Inside extends AloneOptions {
  readonly argv: readonly [string, ...string[]];
}

/** Runs `program` in the place at `root`, to its end or its time's; answers its exit code. */
export async function runInside(root: string, program: Inside): Promise<number> {
  return await runAlone(["/bin/sh", ENTER, root, PROJECT, ...program.argv], program);
}
