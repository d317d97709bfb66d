/** Reads one file out of a ZIP archive in memory. */

import { inflateRawSync } from "node:zlib";
import { BuildError } from "./build_error.ts";

const END_RECORD = 0x06054b50;
const END_RECORD_BYTES = 22;
const DIRECTORY_ENTRY = 0x02014b50;
const DIRECTORY_ENTRY_BYTES = 46;
const LOCAL_HEADER_BYTES = 30;

/** A base executable has about 90 MB. */
const MAX_FILE_BYTES = 500_000_000;

/**
 * The file of that name. Reads what https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT calls
 * methods 0 and 8 (stored, deflated), up to 500 MB; not ZIP64.
 *
 * @throws {BuildError} if the archive is damaged, or has no such file
 */
export function readZipFile(archive: Uint8Array, name: string): Uint8Array {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.byteLength);
  try {
    let at = archive.length - END_RECORD_BYTES;
    while (view.getUint32(at, true) !== END_RECORD) at--;
    const entries = view.getUint16(at + 10, true);
    at = view.getUint32(at + 16, true);
    for (let left = entries; left > 0; left--) {
      if (view.getUint32(at, true) !== DIRECTORY_ENTRY) break;
      const nameEnd = at + DIRECTORY_ENTRY_BYTES + view.getUint16(at + 28, true);
      const found = archive.subarray(at + DIRECTORY_ENTRY_BYTES, nameEnd);
      if (new TextDecoder().decode(found) === name) return readEntry(archive, view, at);
      at = nameEnd + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    }
  } catch (cause) {
    if (cause instanceof BuildError) throw cause;
    throw new BuildError("Cannot read ZIP archive: it is damaged", { cause });
  }
  throw new BuildError(`Cannot read ZIP archive: there is no "${name}" in it`);
}

function readEntry(archive: Uint8Array, view: DataView, at: number): Uint8Array {
  const method = view.getUint16(at + 10, true);
  const packedBytes = view.getUint32(at + 20, true);
  const sizeBytes = view.getUint32(at + 24, true);
  const headerAt = view.getUint32(at + 42, true);
  const start = headerAt + LOCAL_HEADER_BYTES + view.getUint16(headerAt + 26, true) +
    view.getUint16(headerAt + 28, true);
  const packed = archive.subarray(start, start + packedBytes);
  if (method === 0) return packed;
  if (method !== 8 || sizeBytes > MAX_FILE_BYTES) {
    throw new BuildError(`Cannot read ZIP archive: method ${method}, ${sizeBytes} bytes`);
  }
  const file = inflateRawSync(packed, { maxOutputLength: Math.max(1, sizeBytes) });
  if (file.length !== sizeBytes) throw new RangeError("file is cut off");
  return file;
}
