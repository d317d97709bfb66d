/** Linux's own sources of facts: `os-release` and `df`. */

import type { Files } from "../system/files.ts";
import type { RunCommand } from "../system/process.ts";
import type { Disk } from "./host.ts";

/** os-release(5): the first that is there counts. */
const OS_RELEASE = ["/etc/os-release", "/usr/lib/os-release"];

/** The distribution's name and version for people; `undefined` if it does not tell. */
export async function readOsRelease(files: Files): Promise<string | undefined> {
  for (const path of OS_RELEASE) {
    try {
      const text = await files.readText("read os-release", path);
      if (text !== undefined) return describeRelease(parseOsRelease(text));
    } catch {
      // Not readable: the next one may be.
    }
  }
  return undefined;
}

/** The assignments of an os-release file; quotes and backslashes as in os-release(5). */
export function parseOsRelease(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const assignment = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line.trim());
    if (assignment !== null) found.set(assignment[1]!, unquote(assignment[2]!));
  }
  return found;
}

function unquote(value: string): string {
  const first = value[0];
  const isQuoted = value.length >= 2 && (first === '"' || first === "'") && value.endsWith(first);
  const inner = isQuoted ? value.slice(1, -1) : value;
  return first === "'" ? inner : inner.replace(/\\(.)/g, "$1");
}

function describeRelease(release: ReadonlyMap<string, string>): string | undefined {
  const name = release.get("NAME");
  const version = release.get("VERSION_ID");
  return release.get("PRETTY_NAME") ?? (name && version ? `${name} ${version}` : name);
}

/** File systems that are not on a disk, or are somebody's view of one. */
const VIRTUAL = /^(tmpfs|devtmpfs|ramfs|overlay|squashfs|efivarfs|iso9660|fuse\..*|nsfs|autofs)$/;

/** The host's disks, that of `/` first; `null` if `df` cannot be asked or says nothing usable. */
export async function listDisks(
  runCommand: RunCommand,
  timeoutMs: number,
): Promise<Disk[] | null> {
  const argv = ["/usr/bin/df", "--portability", "--print-type", "--block-size=1", "--local"];
  try {
    // df exits 1 when one file system refuses; it has told of the others then.
    const { stdout } = await runCommand(argv, { timeoutMs });
    const disks = parseDf(stdout);
    return disks.length === 0 ? null : disks;
  } catch {
    return null;
  }
}

/** Reads `df -PT --block-size=1`: seven columns, of which the last may hold blanks. */
export function parseDf(text: string): Disk[] {
  const disks: Disk[] = [];
  for (const line of text.split("\n")) {
    const fields = /^(\S+)\s+(\S+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(?:\d+%|-)\s+(\/.*)$/.exec(line);
    if (!fields) continue;
    const [, , fileSystem = "", total, used, , mount = ""] = fields;
    const totalBytes = Number(total);
    if (VIRTUAL.test(fileSystem) || totalBytes === 0) continue;
    disks.push({ mount: mount.trimEnd(), fileSystem, totalBytes, usedBytes: Number(used) });
  }
  return disks.sort((a, b) => Number(b.mount === "/") - Number(a.mount === "/"));
}
