/** What every part of a release says of itself: version, commit and time. */

import { BuildError } from "../build/build_error.ts";
import { mustRun } from "./command.ts";

export interface ReleaseFacts {
  /** A semantic version. */
  readonly version: string;
  /** The Git commit, 40 hexadecimal digits. */
  readonly commit: string;
  /** When that commit was made: the time of every file in a package, in seconds since the epoch. */
  readonly epochS: number;
}

const VERSION = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?$/;

/**
 * Reads them from `deno.json` and Git. `SOURCE_DATE_EPOCH` replaces the time of the commit
 * (https://reproducible-builds.org/specs/source-date-epoch/), and `version` the version.
 *
 * @throws {BuildError} if one of them is missing or malformed
 */
export async function readReleaseFacts(version?: string): Promise<ReleaseFacts> {
  const manifest = JSON.parse(await Deno.readTextFile("deno.json"));
  const chosen = version ?? String(manifest.version);
  if (!VERSION.test(chosen)) {
    throw new BuildError(`Cannot release "${chosen}": not a version such as 1.2.3`, {
      exitCode: 2,
    });
  }
  const log = await mustRun(["git", "log", "-1", "--format=%H %ct"]);
  const [commit = "", committed = ""] = log.trim().split(" ");
  const epoch = Deno.env.get("SOURCE_DATE_EPOCH") ?? committed;
  if (!/^\d{1,11}$/.test(epoch)) {
    throw new BuildError(`Cannot read SOURCE_DATE_EPOCH: "${epoch}" is no number of seconds`, {
      exitCode: 2,
    });
  }
  return { version: chosen, commit, epochS: Number(epoch) };
}

/** The instant of these facts as ISO 8601 writes it, in whole seconds: `2026-11-30T15:00:00Z`. */
export function isoTime({ epochS }: ReleaseFacts): string {
  return new Date(epochS * 1_000).toISOString().replace(".000Z", "Z");
}
