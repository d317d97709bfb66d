/**
 * The host's file systems on disks, and what kind of disk each is on: from `df` and `lsblk` on Linux,
 * elsewhere the system's own drive alone. What a program says is parsed strictly and bounded.
 */

import * as v from "valibot";
import { decodeJson } from "../json.ts";
import { stripControls } from "../strip_controls.ts";
import type { RunCommand } from "../system/process.ts";
import type { System } from "../system/system.ts";

/** A mounted file system. Sizes in bytes. */
export interface Mount {
  /** `/dev/sda1`, `C:`; `""`: unknown. */
  readonly device: string;
  /** `ext4`; `""`: unknown. */
  readonly fileSystem: string;
  readonly mount: string;
  readonly totalBytes: number;
  readonly usedBytes: number;
  /** For programs that are not root: less than what is not used. */
  readonly availableBytes: number;
}

/** What is known of the disk below a device. */
export type DiskType = "nvme" | "ssd" | "hdd" | "unknown";

const PROGRAM_MS = 5_000;

/** Output of each program that is read; both print about 100 bytes per mount or device. */
const MOST_OUTPUT_BYTES = 1_048_576;

/** More mounts than this are a host of containers, and no page to read. */
export const MOST_MOUNTS = 200;

/** File systems that are not on a disk, or show one that is already listed. */
const VIRTUAL = /^(tmpfs|devtmpfs|ramfs|overlay|squashfs|efivarfs|iso9660|fuse\..*|nsfs|autofs)$/;

/** The mounts of this host, that of the system first; empty where nothing is known. */
export async function findMounts(system: System, signal?: AbortSignal): Promise<readonly Mount[]> {
  const mounts = system.os === "linux" ? await listMounts(system.runCommand, signal) : null;
  if (mounts !== null) return mounts;
  const mount = systemDrive(system);
  const disk = system.machine.disk(mount);
  if (disk === null) return [];
  const { totalBytes, freeBytes: availableBytes } = disk;
  const device = system.os === "windows" ? mount.slice(0, 2) : "";
  const usedBytes = totalBytes - availableBytes;
  return [{ device, fileSystem: "", mount, totalBytes, usedBytes, availableBytes }];
}

/** The drive with the system on it. */
export function systemDrive(system: Pick<System, "os" | "readEnvironment">): string {
  return system.os === "windows" ? `${system.readEnvironment("SystemDrive") ?? "C:"}\\` : "/";
}

/** The mounts that `df` lists, that of `/` first; `null` if it fails or prints nothing usable. */
export async function listMounts(
  runCommand: RunCommand,
  signal?: AbortSignal,
): Promise<Mount[] | null> {
  const argv = ["/usr/bin/df", "--portability", "--print-type", "--block-size=1", "--local"];
  try {
    // df exits 1 when one file system refuses; it has printed the others then.
    const { stdout } = await runCommand(argv, optionsOf(signal));
    const mounts = parseDf(stdout);
    return mounts.length === 0 ? null : mounts;
  } catch {
    signal?.throwIfAborted();
    return null;
  }
}

function optionsOf(signal: AbortSignal | undefined) {
  const limits = { timeoutMs: PROGRAM_MS, maxOutputBytes: MOST_OUTPUT_BYTES };
  return signal === undefined ? limits : { ...limits, signal };
}

/** Reads `df -PT --block-size=1`: seven columns, of which the last may contain blanks. */
export function parseDf(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    const fields = /^(\S+)\s+(\S+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(?:\d+%|-)\s+(\/.*)$/.exec(line);
    if (!fields) continue;
    const [, device = "", fileSystem = "", total, used, available, mount = ""] = fields;
    const [totalBytes, usedBytes, availableBytes] = [total, used, available].map(Number);
    const isWhole = [totalBytes, usedBytes, availableBytes].every(Number.isSafeInteger);
    if (VIRTUAL.test(fileSystem) || !isWhole || !totalBytes) continue;
    mounts.push({
      device: stripControls(device),
      fileSystem: stripControls(fileSystem),
      mount: stripControls(mount.trimEnd()),
      totalBytes,
      usedBytes: usedBytes ?? 0,
      availableBytes: availableBytes ?? 0,
    });
  }
  return mounts.sort((a, b) => Number(b.mount === "/") - Number(a.mount === "/"))
    .slice(0, MOST_MOUNTS);
}

/** The kind of disk below each device that `lsblk` knows; empty if it fails or is too old for JSON. */
export async function findDiskTypes(
  runCommand: RunCommand,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, DiskType>> {
  const argv = ["/usr/bin/lsblk", "--json", "--paths", "--output", "NAME,ROTA,TRAN"];
  try {
    const { code, stdout } = await runCommand(argv, optionsOf(signal));
    return code === 0 ? parseLsblk(stdout) : new Map();
  } catch {
    signal?.throwIfAborted();
    return new Map();
  }
}

/** A device and those on it: partitions, volumes. `rota` is a text in util-linux before 2.33. */
interface Device {
  readonly name: string;
  readonly rota?: unknown;
  readonly tran?: unknown;
  readonly children?: readonly Device[] | undefined;
}

const device: v.GenericSchema<unknown, Device> = v.object({
  name: v.string(),
  rota: v.optional(v.unknown()),
  tran: v.optional(v.unknown()),
  children: v.optional(v.array(v.lazy(() => device))),
});

const devices = v.object({ blockdevices: v.array(device) });

/**
 * Reads `lsblk --json`. A device on several disks of different kinds is `unknown`; so is one of which
 * nothing is said.
 */
export function parseLsblk(text: string): ReadonlyMap<string, DiskType> {
  const read = decodeJson(devices, text);
  const types = new Map<string, DiskType>();
  const add = ({ name, rota, tran, children = [] }: Device, below: string | null) => {
    const transport = typeof tran === "string" ? tran : below;
    const own = typeOf(rota, transport);
    const before = types.get(name);
    types.set(name, before === undefined || before === own ? own : "unknown");
    for (const child of children) add(child, transport);
  };
  if (read.ok) { for (const one of read.value.blockdevices) add(one, null); }
  return types;
}

function typeOf(rota: unknown, transport: string | null): DiskType {
  if (transport === "nvme") return "nvme";
  if (rota === true || rota === "1") return "hdd";
  return rota === false || rota === "0" ? "ssd" : "unknown";
}
