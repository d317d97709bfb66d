/**
 * The kind of device that this host is, as far as Linux says so in files that every user can read: a
 * container, a virtual machine, or a computer with a certain case. Elsewhere only the kind is given,
 * `server`, which is also what a RedFlag server assumes.
 */

import { stripControls } from "../strip_controls.ts";
import type { Files } from "../system/files.ts";
import type { RunCommand } from "../system/process.ts";
import type { System } from "../system/system.ts";
import { parseOsRelease, readOsReleaseText } from "./host.ts";

/** What is known about the device. */
export interface Device {
  readonly type: "server" | "desktop" | "laptop" | "vm" | "container";
  /** As the manufacturer calls it; `null`: unknown. */
  readonly model: string | null;
  /** The id of the distribution: `debian`; `null`: unknown, or no Linux. */
  readonly distro: string | null;
}

/** Directory of the firmware's tables: https://docs.kernel.org/driver-api/firmware/index.html. */
const DMI = "/sys/class/dmi/id";

/** Files that container engines make: Docker, Podman. */
const CONTAINER_MARKS = ["/.dockerenv", "/run/.containerenv"];

/** systemd-nspawn, LXC and Podman name themselves here: https://systemd.io/CONTAINER_INTERFACE. */
const CONTAINER_MANAGER = "/run/systemd/container";

/** What hypervisors call themselves or their machines in the DMI tables, as systemd-detect-virt has it. */
const VIRTUAL_MACHINE =
  /\b(KVM|QEMU|VMware|VMW|innotek GmbH|VirtualBox|Xen|Bochs|Parallels|BHYVE|OpenStack|Amazon EC2|Google Compute Engine|Virtual Machine|RHEV Hypervisor|oVirt|Hyper-V)\b/i;

/** Chassis types of the SMBIOS specification (DSP0134, table 17). */
const LAPTOPS = new Set([8, 9, 10, 14, 30, 31, 32]);
const DESKTOPS = new Set([3, 4, 5, 6, 7, 13, 15, 16, 24, 35, 36]);

/** Time limit of each program. */
const PROGRAM_MS = 5_000;

/** Collects the facts; never throws. A file that cannot be read counts as absent. */
export async function deviceFacts(
  system: Pick<System, "os" | "files" | "runCommand">,
): Promise<Device> {
  if (system.os !== "linux") return { type: "server", model: null, distro: null };
  const { files, runCommand } = system;
  const [vendor, product, chassis, tree, isManaged, release, ...marks] = await Promise.all([
    readKernelLine(runCommand, `${DMI}/sys_vendor`),
    readKernelLine(runCommand, `${DMI}/product_name`),
    readKernelLine(runCommand, `${DMI}/chassis_type`),
    readKernelLine(runCommand, "/proc/device-tree/model"),
    isThere(files, CONTAINER_MANAGER),
    readOsReleaseText(files),
    ...CONTAINER_MARKS.map((path) => isThere(files, path)),
  ]);
  const isContainer = isManaged || marks.includes(true);
  const model = product ?? tree;
  const type = isContainer
    ? "container"
    : VIRTUAL_MACHINE.test(`${vendor ?? ""} ${product ?? ""}`)
    ? "vm"
    : ofChassis(Number(chassis ?? NaN));
  const id = release === undefined ? undefined : parseOsRelease(release).get("ID");
  return {
    type,
    // In a container these files describe the machine below it.
    model: isContainer ? null : model,
    distro: id ? stripControls(id) : null,
  };
}

function ofChassis(type: number): "laptop" | "desktop" | "server" {
  if (LAPTOPS.has(type)) return "laptop";
  return DESKTOPS.has(type) ? "desktop" : "server";
}

/** Longest line that is read, in bytes. */
const MAX_BYTES = 4_096;

/**
 * A file of the kernel that holds a line, without blanks and the NUL at its end; `null`: none. Through a
 * program: Deno opens nothing below `/proc` and `/sys` for a process that has not every permission.
 */
async function readKernelLine(runCommand: RunCommand, path: string): Promise<string | null> {
  try {
    const options = { timeoutMs: PROGRAM_MS, maxOutputBytes: MAX_BYTES };
    const { code, stdout } = await runCommand(["/usr/bin/cat", path], options);
    return code === 0 ? stripControls(stdout).trim() || null : null;
  } catch {
    return null; // Not readable, or no such program: unknown.
  }
}

async function isThere(files: Files, path: string): Promise<boolean> {
  try {
    return await files.inspect("look for a container", path) !== undefined;
  } catch {
    return false;
  }
}
