/** Reads what the build must know of a 64-bit little-endian ELF file. */

import { BuildError } from "./build_error.ts";

const HEADER_BYTES = 64;

/**
 * Where the file ends, whatever was appended to it: the end of the section headers, which linkers put
 * last, `e_shoff + e_shentsize * e_shnum` (https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html).
 *
 * @throws {BuildError} if `bytes` do not begin an ELF file of that kind
 */
export function elfEnd(bytes: Uint8Array): number {
  const { sectionsAt, sectionBytes, sections } = readHeader(bytes);
  return sectionsAt + sectionBytes * sections;
}

/**
 * The newest version of glibc that one of the symbols asks for: `[2, 27]` of `GLIBC_2.27`; `null` if
 * none asks for any. The loader refuses the program where the C library is older.
 *
 * Reads the version requirements (`.gnu.version_r`), as
 * https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html
 * describes them.
 *
 * @throws {BuildError} if `bytes` are not such a file, or it ends before what it announces
 */
export function neededGlibc(bytes: Uint8Array): [major: number, minor: number] | null {
  const { sectionsAt, sectionBytes, sections } = readHeader(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    let newest: [number, number] | null = null;
    for (let index = 0; index < sections; index++) {
      const at = sectionsAt + index * sectionBytes;
      if (view.getUint32(at + 4, true) !== VERSION_REQUIREMENTS) continue;
      const offset = Number(view.getBigUint64(at + 0x18, true));
      const libraries = view.getUint32(at + 0x2c, true);
      const names = sectionsAt + view.getUint32(at + 0x28, true) * sectionBytes;
      const namesAt = Number(view.getBigUint64(names + 0x18, true));
      for (const name of requirements(view, { offset, libraries, namesAt })) {
        const [, major, minor] = /^GLIBC_(\d+)\.(\d+)/.exec(name) ?? [];
        if (major === undefined || minor === undefined) continue;
        const version: [number, number] = [Number(major), Number(minor)];
        if (newest === null || isNewer(version, newest)) newest = version;
      }
    }
    return newest;
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new BuildError("Cannot read symbol versions of ELF file: it is cut off", { cause });
  }
}

/** The processor that it is for: `e_machine`, by its number if the build has no target for it. */
export function elfProcessor(bytes: Uint8Array): string {
  const { machine } = readHeader(bytes);
  return machine === 62 ? "x86_64" : machine === 183 ? "arm64" : `processor ${machine}`;
}

/** `sh_type` of a section of version requirements. */
const VERSION_REQUIREMENTS = 0x6ffffffe;

/** The names of the versions that are asked for of all libraries. */
function* requirements(
  view: DataView,
  { offset, libraries, namesAt }: { offset: number; libraries: number; namesAt: number },
): Generator<string> {
  let libraryAt = offset;
  for (let library = 0; library < libraries; library++) {
    let at = libraryAt + view.getUint32(libraryAt + 8, true);
    for (let left = view.getUint16(libraryAt + 2, true); left > 0; left--) {
      yield readName(view, namesAt + view.getUint32(at + 8, true));
      at += view.getUint32(at + 12, true);
    }
    libraryAt += view.getUint32(libraryAt + 12, true);
  }
}

/** A name of ASCII letters that ends with a zero. */
function readName(view: DataView, at: number): string {
  let name = "";
  for (let byte = view.getUint8(at); byte !== 0; byte = view.getUint8(at + name.length)) {
    name += String.fromCharCode(byte);
  }
  return name;
}

function isNewer(one: readonly [number, number], other: readonly [number, number]): boolean {
  return one[0] > other[0] || (one[0] === other[0] && one[1] > other[1]);
}

function readHeader(bytes: Uint8Array) {
  const magic = [0x7f, 0x45, 0x4c, 0x46, /* 64 bits */ 2, /* little-endian */ 1];
  if (bytes.length < HEADER_BYTES || magic.some((byte, at) => bytes[at] !== byte)) {
    throw new BuildError("Cannot read ELF file: not a 64-bit little-endian one");
  }
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  return {
    machine: header.getUint16(0x12, true),
    sectionsAt: Number(header.getBigUint64(0x28, true)),
    sectionBytes: header.getUint16(0x3a, true),
    sections: header.getUint16(0x3c, true),
  };
}
