/** What says that a Debian host wants a restart: its own word, and the names of what is to be updated. */

import { quoteWords } from "../../redact.ts";
import { FileError } from "../../system/files.ts";
import type { System } from "../../system/system.ts";
import { isName } from "./name.ts";
import type { RebootHint, RebootState } from "../../update.ts";
import { joinNames } from "../../wording.ts";

/**
 * Kernels (Debian's, Ubuntu's for each cloud and board, Proxmox', the Raspberry Pi's), the Xen
 * hypervisor, their firmware, the C library, systemd, D-Bus and microcode take effect only with a
 * restart; apt itself does not tell of any.
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

/** Headers, tools and what is built for a kernel do not run before the next start either, and need none. */
const NO_KERNEL = /-(?:headers|tools|dbg|dbgsym|doc|cloud-tools|buildinfo)(?:-|$)/;

/** What is known of a package by its name. */
export function rebootHint(name: string): RebootHint | null {
  return WANTS_REBOOT.some((names) => names.test(name)) && !NO_KERNEL.test(name) ? "maybe" : null;
}

const PURPOSE = "look for a restart that is due";

/** One name a line, and names come again. */
const MAX_BYTES = 65_536;

/**
 * What writes the file when a package or a kernel asks for a restart. Where none of it is there, nobody
 * writes the file, and its absence says nothing.
 */
const HOOKS = [
  "/usr/share/update-notifier/notify-reboot-required",
  "/etc/kernel/postinst.d/update-notifier",
  "/etc/kernel/postinst.d/unattended-upgrades",
];

/**
 * Whether the host itself says that it wants a restart; `null`: it does not say. `hostDirectory` is put
 * before each path.
 */
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
  try {
    const text = await files.readText(PURPOSE, path, { maxBytes: MAX_BYTES }) ?? "";
    const names = text.split("\n").map((line) => line.trim()).filter(isName);
    return [...new Set(names)];
  } catch (error) {
    if (error instanceof FileError) return [];
    throw error;
  }
}
