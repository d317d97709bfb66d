/** The steps by which a place is made, each with its output in a log. */

import { endAllAlone, runAlone } from "./alone.ts";
import { proxies } from "./host.ts";
import { PlaceError } from "./place_error.ts";

/** Each step on a slow line. */
export const STEP_TIMEOUT_MS = 1_800_000;

/** Runs a step that answers an exit code; throws `PlaceError`, with the log's end, unless it is 0. */
export async function step(log: string, name: string, run: () => Promise<number>): Promise<void> {
  const code = await run();
  if (code === 0) return;
  const said = await Deno.readTextFile(log).catch(() => "");
  const end = said.trimEnd().split("\n").slice(-10).join("\n");
  throw failed(`Cannot make place: ${name} ended with ${code}\n${end}`);
}

/** An error for a step that did not work, after which nothing of it runs on. */
export function failed(message: string): PlaceError {
  endAllAlone();
  return new PlaceError(message, { reason: "failed" });
}

/** A Debian, or an Ubuntu, to be fetched. */
export interface DebianOptions {
  /** Where it is to be; what is there is removed. */
  readonly folder: string;
  readonly suite: string;
  /** Installed with it. */
  readonly packages: readonly string[];
  readonly log: string;
  /** @default Debian's own */
  readonly mirror?: string;
  /** The keys that the mirror's index is signed with. @default those of this host's Debian */
  readonly keyring?: string;
  /**
   * debootstrap's script. @default that of Debian's newest, which serves suites that this host's
   * debootstrap does not know yet
   */
  readonly script?: string;
  /** Only unpacks the packages, of this architecture: nothing of them runs. @default this host's, installed */
  readonly unpackOnly?: string;
}

/** Fetches a small Debian into a folder; throws `PlaceError`. */
export async function fetchDebian(options: DebianOptions): Promise<void> {
  const { folder, suite, packages, log, mirror = DEBIAN_MIRROR, keyring, script = "sid" } = options;
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.remove(log).catch(() => {});
  const flags = ["--variant=minbase"];
  if (packages.length > 0) flags.push(`--include=${packages.join(",")}`);
  if (options.unpackOnly !== undefined) flags.push("--foreign", `--arch=${options.unpackOnly}`);
  if (keyring !== undefined) flags.push(`--keyring=${keyring}`);
  const argv = ["debootstrap", ...flags, suite, folder, mirror, `${SCRIPTS}/${script}`];
  await step(
    log,
    "debootstrap",
    () => runAlone(argv, { environment: proxies(), logFile: log, timeoutMs: STEP_TIMEOUT_MS }),
  );
}

export const DEBIAN_MIRROR = "http://deb.debian.org/debian";
const SCRIPTS = "/usr/share/debootstrap/scripts";
