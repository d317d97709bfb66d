/** Reads a tar archive in the "ustar Interchange Format" (POSIX.1-2017, pax), its checksums too. */

/** A file of an archive. */
export interface ReadEntry {
  readonly name: string;
  readonly mode: number;
  readonly text: string;
}

/** Reads up to the first empty block. Throws an `Error` for what is no archive. */
export function readTar(bytes: Uint8Array): ReadEntry[] {
  const entries: ReadEntry[] = [];
  for (let at = 0; at < bytes.length;) {
    const head = bytes.subarray(at, at + 512);
    if (head.every((byte) => byte === 0)) return entries;
    const text = (from: number, length: number) =>
      new TextDecoder().decode(head.subarray(from, from + length)).replace(/\0.*$/s, "");
    if (text(257, 6) !== "ustar") throw new Error("no ustar header");
    const sum = head.reduce(
      (total, byte, index) => total + (index >= 148 && index < 156 ? 0x20 : byte),
      0,
    );
    if (parseInt(text(148, 8), 8) !== sum) throw new Error("wrong checksum");
    if (parseInt(text(108, 8), 8) + parseInt(text(116, 8), 8) !== 0) throw new Error("not root's");
    const sizeBytes = parseInt(text(124, 12), 8);
    const content = bytes.subarray(at + 512, at + 512 + sizeBytes);
    entries.push({
      name: text(0, 100),
      mode: parseInt(text(100, 8), 8),
      // A text may begin with what looks like a byte order mark.
      text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(content),
    });
    at += 512 + Math.ceil(sizeBytes / 512) * 512;
  }
  throw new Error("no end");
}
