/**
 * Whether a Debian host needs a reboot: the host's own `/run/reboot-required`, and a hint by the name of a
 * package that is to be updated.
 */

import { quoteWords } from "../../redact.ts";
import { FileError } from "../../system/files.ts";
import type { System } from "../../system/system.ts";
import type { RebootHint, RebootState } from "../../update.ts";
import { joinNames } from "../../wording.ts";
import { unlessFileError } from "./lists.ts";
import { isName } from "./packages.ts";

/**
 * Kernels (Debian's, Ubuntu's for each cloud and board, Proxmox', the Raspberry Pi's), the Xen
 * hypervisor, their firmware, the C library, systemd, D-Bus and microcode take effect only with a
 * reboot; apt itself marks none of them.
 */
const WANTS_REBOOT = [
  /^linux-image-./,
  /^linux-(?:generic|virtual|lowlatency|aws|azure|gcp|gke|gkeop|ibm|kvm|oracle)(?:-|$)/,
  /^linux-(?:oem|realtime|nvidia|intel|raspi|rpi|allwinner|starfive|xilinx|laptop)(?:-|$)/,
  /^xen-hypervisor-./,
  /^(?:proxmox|pve)-kernel-./,
  /^(?:raspberrypi-(?:kernel|bootloader)|rpi-eeprom|raspi-firmware)$/,
  /^(?:libc6|systemd|dbus|dbus-daemon|dbus-broker)$/,
  /^(?:amd64|intel)-microcode$/,
];

/** Headers, tools and other packages that belong to a kernel, and need no reboot. */
const NO_KERNEL = /-(?:headers|tools|dbg|dbgsym|doc|cloud-tools|buildinfo)(?:-|$)/;

/** Whether an update of the package may need a reboot, by its name alone. */
export function rebootHint(name: string): RebootHint | null {
  return WANTS_REBOOT.some((names) => names.test(name)) && !NO_KERNEL.test(name) ? "maybe" : null;
}

const PURPOSE = "look for a required reboot";

/** The file has one name per line, and names repeat. */
const MAX_BYTES = 65_536;

/** The programs that write `/run/reboot-required`; without any of them its absence means nothing. */
const HOOKS = [
  "/usr/share/update-notifier/notify-reboot-required",
  "/etc/kernel/postinst.d/update-notifier",
  "/etc/kernel/postinst.d/unattended-upgrades",
];

/** Reads whether the host asks for a reboot; `null`: unknown. `hostDirectory` is a prefix of each path. */
export async function readRebootState(
  { files }: Pick<System, "files">,
  hostDirectory: string = "",
): Promise<RebootState | null> {
  const file = `${hostDirectory}/run/reboot-required`;
  try {
    if (await files.inspect(PURPOSE, file)) {
      const names = await packagesIn(files, `${file}.pkgs`);
      const cause = names.length === 0 ? "" : `: ${joinNames(names)}`;
      return { isRequired: true, reason: quoteWords(`/run/reboot-required${cause}`, 300) };
    }
    for (const hook of HOOKS) {
      if (await files.inspect(PURPOSE, `${hostDirectory}${hook}`)) {
        return { isRequired: false, reason: "there is no /run/reboot-required" };
      }
    }
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
  }
  return null;
}

async function packagesIn(files: System["files"], path: string): Promise<string[]> {
  const options = { maxBytes: MAX_BYTES };
  const text = await unlessFileError(() => files.readText(PURPOSE, path, options), undefined);
  const names = (text ?? "").split("\n").map((line) => line.trim()).filter(isName);
  return [...new Set(names)];
}
