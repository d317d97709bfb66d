/** Which packages want a restart of the whole host once they are new, by dnf's own list. */

import type { RebootHint } from "./scanner.ts";

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

/** What is known of a package; that an advisory suggests a restart is told by no command of dnf's. */
export function rebootHint(name: string): RebootHint | null {
  return NEED_REBOOT.has(name) ? "required" : null;
}
