/** Where a 64-bit little-endian ELF file ends, whatever was appended to it. */

import { BuildError } from "./build_error.ts";

const HEADER_BYTES = 64;

/**
 * The end of the section headers, which linkers put last: `e_shoff + e_shentsize * e_shnum`
 * (https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html).
 *
 * @throws {BuildError} if `bytes` do not begin an ELF file of that kind
 */
export function elfEnd(bytes: Uint8Array): number {
  const magic = [0x7f, 0x45, 0x4c, 0x46, /* 64 bits */ 2, /* little-endian */ 1];
  if (bytes.length < HEADER_BYTES || magic.some((byte, at) => bytes[at] !== byte)) {
    throw new BuildError("Cannot find end of ELF file: not a 64-bit little-endian one");
  }
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const sectionsAt = Number(header.getBigUint64(0x28, true));
  return sectionsAt + header.getUint16(0x3a, true) * header.getUint16(0x3c, true);
}
