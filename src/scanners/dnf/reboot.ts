/** Restarts: which packages want one once they are new, and whether this host asks for one now. */

import * as v from "valibot";
import { findJson } from "./dnf5_json.ts";
import { outputLines } from "../output_lines.ts";
import type { RebootHint, RebootState } from "../../update.ts";
import { joinNames } from "../../wording.ts";

/**
 * `NEED_REBOOT` of dnf's `needs-restarting` (dnf-plugins-core, plugins/needs_restarting.py), "mostly
 * taken from https://access.redhat.com/solutions/27943"; dnf 5 asks for a restart for the same.
 */
const NEED_REBOOT: ReadonlySet<string> = new Set([
  "kernel",
  "kernel-core",
  "kernel-rt",
  "glibc",
  "linux-firmware",
  "systemd",
  "dbus",
  "dbus-broker",
  "dbus-daemon",
  "microcode_ctl",
]);

/**
 * Kernels under a name of their distributor's (Oracle's, Amazon's, the real-time and the automotive one,
 * ELRepo's), and the Xen hypervisor.
 */
const OTHER_KERNELS =
  /^(?:kernel-(?:uek|rt|64k|rt-64k|automotive|lt|ml|16k|lqx|longterm)(?:-core)?|kernel\d+\.\d+(?:-core)?|raspberrypi2?-kernel\d?|xen-hypervisor)$/;

/** What is known of a package; that an advisory suggests a restart is told by no command of dnf's. */
export function rebootHint(name: string): RebootHint | null {
  return NEED_REBOOT.has(name) || OTHER_KERNELS.test(name) ? "required" : null;
}

/** Where `needs-restarting` is named as what says so. */
const WHO = "dnf needs-restarting";

/** Packages that a reason names. */
const TOLD_PACKAGES = 5;

/**
 * Reads what `needs-restarting -r` prints; `null` if neither of its two sentences is there. Its exit
 * code says nothing by itself: it is 1 for every error as well.
 */
export function readRebootWords(stdout: string): RebootState | null {
  const { lines } = outputLines(`${stdout}\n`);
  const updated = lines.flatMap((line) =>
    /^ {2}\* ([A-Za-z0-9_.+-]{1,255})$/.exec(line)?.[1] ?? []
  );
  if (lines.some((line) => /^Reboot is required to fully utilize these updates/.test(line))) {
    return reboot(true, updated);
  }
  const isNot = lines.some((line) => /^Reboot should not be necessary/.test(line));
  return isNot ? reboot(false, []) : null;
}

const packageName = v.fallback(
  v.union([v.string(), v.pipe(v.object({ name: v.string() }), v.transform(({ name }) => name))]),
  "",
);

const answer = v.array(v.object({
  type: v.string(),
  reboot_required: v.boolean(),
  packages: v.fallback(v.array(packageName), []),
}));

/** Reads `needs-restarting --json` of dnf 5 (5.4.1 and later); `null` if it is not that. */
export function readRebootJson(stdout: string): RebootState | null {
  const result = v.safeParse(answer, findJson(stdout));
  const told = result.success ? result.output.find(({ type }) => type === "reboot") : undefined;
  if (told === undefined) return null;
  const names = told.packages.filter((name) => /^[\w.+:~^-]{1,300}$/.test(name));
  return reboot(told.reboot_required, names);
}

function reboot(isRequired: boolean, updated: readonly string[]): RebootState {
  if (!isRequired) return { isRequired, reason: `${WHO}: not necessary` };
  const names = updated.length > 0 ? `: ${joinNames(updated, TOLD_PACKAGES)}` : "";
  return { isRequired, reason: `${WHO}: updated since the host was started${names}` };
}
