/**
 * Reads the headers and the resources of a 64-bit PE file, the format of Windows' programs
 * (https://learn.microsoft.com/en-us/windows/win32/debug/pe-format).
 */

import { BuildError } from "./build_error.ts";

/** What a file says of itself. */
export interface Pe {
  /** By its number if the build has no target for it. */
  readonly processor: string;
  /** `console`: it is given the terminal that it is started in, or a new one. */
  readonly subsystem: string;
  /** Every resource, whatever its language. */
  readonly resources: readonly PeResource[];
}

/** A piece of data in the file. */
export interface PeResource {
  /** A number as `#10`. */
  readonly type: string;
  readonly name: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

const SECTION_BYTES = 40;

/**
 * Reads them.
 *
 * @throws {BuildError} if `bytes` are not such a file, or it ends before what it announces
 */
export function readPe(bytes: Uint8Array): Pe {
  try {
    return read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new BuildError("Cannot read PE file: it is cut off", { cause });
  }
}

function read(view: DataView): Pe {
  const at = view.getUint16(0, true) === 0x5a4d ? view.getUint32(0x3c, true) : 0;
  if (at === 0 || view.getUint32(at, true) !== 0x4550 || view.getUint16(at + 24, true) !== 0x20b) {
    throw new BuildError("Cannot read PE file: not a 64-bit one");
  }
  const machine = view.getUint16(at + 4, true);
  const subsystem = view.getUint16(at + 24 + 68, true);
  const sections: Section[] = [];
  let sectionAt = at + 24 + view.getUint16(at + 20, true);
  for (let left = view.getUint16(at + 6, true); left > 0; left--) {
    sections.push({
      address: view.getUint32(sectionAt + 12, true),
      offset: view.getUint32(sectionAt + 20, true),
      sizeBytes: view.getUint32(sectionAt + 16, true),
    });
    sectionAt += SECTION_BYTES;
  }
  const resourcesAt = view.getUint32(at + 24 + 112 + 2 * 8, true);
  return {
    processor: machine === 0x8664 ? "x86_64" : `processor ${machine}`,
    subsystem: subsystem === 3 ? "console" : `subsystem ${subsystem}`,
    resources: resourcesAt === 0 ? [] : readResources(view, sections, resourcesAt),
  };
}

interface Section {
  readonly address: number;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** The tree has three levels: the type, the name, the language. */
function readResources(
  view: DataView,
  sections: readonly Section[],
  resourcesAt: number,
): PeResource[] {
  const root = fileOffset(sections, resourcesAt);
  const found: PeResource[] = [];
  for (const type of readDirectory(view, root, root)) {
    for (const name of readDirectory(view, root, type.at)) {
      for (const language of readDirectory(view, root, name.at)) {
        found.push({
          type: type.name,
          name: name.name,
          offset: fileOffset(sections, view.getUint32(language.at, true)),
          sizeBytes: view.getUint32(language.at + 4, true),
        });
      }
    }
  }
  return found;
}

/** The entries of one directory; `at` is where each leads to, in the file. */
function readDirectory(view: DataView, root: number, at: number): { name: string; at: number }[] {
  const count = view.getUint16(at + 12, true) + view.getUint16(at + 14, true);
  return Array.from({ length: count }, (_, index) => {
    const entry = at + 16 + index * 8;
    const name = view.getUint32(entry, true);
    return {
      name: name >= HIGH_BIT ? readName(view, root + name - HIGH_BIT) : `#${name}`,
      at: root + view.getUint32(entry + 4, true) % HIGH_BIT,
    };
  });
}

/** Set in a name that is no number, and in an offset of another directory. */
const HIGH_BIT = 0x80000000;

function readName(view: DataView, at: number): string {
  const units = Array.from(
    { length: view.getUint16(at, true) },
    (_, index) => view.getUint16(at + 2 + index * 2, true),
  );
  return String.fromCharCode(...units);
}

function fileOffset(sections: readonly Section[], address: number): number {
  const section = sections.find((candidate) =>
    address >= candidate.address && address < candidate.address + candidate.sizeBytes
  );
  if (!section) throw new BuildError(`Cannot read PE file: nothing is at address ${address}`);
  return address - section.address + section.offset;
}
