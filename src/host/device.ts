/**
 * The kind of device that this host is, as far as Linux says so in files that every user can read: a
 * container, a virtual machine, or a computer with a certain case. Elsewhere only the kind is given,
 * `server`, which is also what a RedFlag server assumes.
 */

import { stripControls } from "../strip_controls.ts";
import type { Files } from "../system/files.ts";
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

/** Collects the facts; never throws. A file that cannot be read counts as absent. */
export async function deviceFacts(system: Pick<System, "os" | "files">): Promise<Device> {
  if (system.os !== "linux") return { type: "server", model: null, distro: null };
  const { files } = system;
  const [vendor, product, chassis, tree, manager, release, ...marks] = await Promise.all([
    readLine(files, `${DMI}/sys_vendor`),
    readLine(files, `${DMI}/product_name`),
    readLine(files, `${DMI}/chassis_type`),
    readLine(files, "/proc/device-tree/model"),
    readLine(files, CONTAINER_MANAGER),
    readOsReleaseText(files),
    ...CONTAINER_MARKS.map((path) => isThere(files, path)),
  ]);
  const isContainer = manager !== null || marks.includes(true);
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

/** Longest file that is read, in bytes: each holds a line. */
const LINE_BYTES = 65_536;

/** The text of a file of one line, without blanks and the NUL at its end; `null`: none. */
async function readLine(files: Files, path: string): Promise<string | null> {
  try {
    const text = await files.readText("read a fact about the device", path, {
      maxBytes: LINE_BYTES,
    });
    return stripControls(text ?? "").trim() || null;
  } catch {
    return null; // Not readable: unknown.
  }
}

async function isThere(files: Files, path: string): Promise<boolean> {
  try {
    return await files.inspect("look for a container", path) !== undefined;
  } catch {
    return false;
  }
}
