/** Archives of small files: tar (POSIX.1-2017, pax, "ustar Interchange Format"), and gzip around it. Pure. */

/** One file of an archive. */
export interface ArchiveEntry {
  /** Its path in the archive, ASCII, at most 100 characters. */
  readonly name: string;
  readonly text: string;
}

const BLOCK_BYTES = 512;

/** Longest name that a header holds without a prefix. */
const LONGEST_NAME = 100;

/** Makes a tar archive; every file is for its user alone. Throws `RangeError` for a name that does not fit. */
export function makeTar(entries: readonly ArchiveEntry[], modifiedMs: number): Uint8Array {
  const blocks = entries.flatMap(({ name, text }) => {
    const content = new TextEncoder().encode(text);
    const padding = new Uint8Array(-content.length & (BLOCK_BYTES - 1));
    return [header(name, content.length, modifiedMs), content, padding];
  });
  // Two blocks of zeros end an archive.
  return concatenate([...blocks, new Uint8Array(2 * BLOCK_BYTES)]);
}

function header(name: string, sizeBytes: number, modifiedMs: number): Uint8Array {
  if (!/^[\x21-\x7e]+$/.test(name) || name.length > LONGEST_NAME) {
    throw new RangeError(`Cannot archive "${name}": no such name fits a header`);
  }
  const bytes = new Uint8Array(BLOCK_BYTES);
  const put = (at: number, text: string) => bytes.set(new TextEncoder().encode(text), at);
  const putNumber = (at: number, length: number, value: number) =>
    put(at, Math.floor(value).toString(8).padStart(length - 1, "0"));
  put(0, name);
  putNumber(100, 8, 0o600);
  putNumber(108, 8, 0);
  putNumber(116, 8, 0);
  putNumber(124, 12, sizeBytes);
  putNumber(136, 12, Math.max(0, modifiedMs / 1_000));
  put(148, " ".repeat(8)); // The checksum counts as blanks.
  put(156, "0");
  put(257, "ustar\0" + "00");
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return bytes;
}

/** Compresses bytes with gzip (RFC 1952). */
export async function gzip(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([new Uint8Array(bytes)]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
