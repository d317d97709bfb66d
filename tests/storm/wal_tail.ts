/**
 * What a dead process left in a write-ahead log: how many pages wait to go into the database, and
 * how many belong to a transaction that was never finished. The format:
 * https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
 */

export interface WalTail {
  /** Pages of finished transactions; they may be in the database already. */
  readonly committed: number;
  /** Pages after the last end of a transaction: the process died in the middle of writing it. */
  readonly torn: number;
}

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/** Reads the bytes of a `-wal` file; frames of an earlier use of the file do not count. */
export function readWalTail(bytes: Uint8Array): WalTail {
  if (bytes.length < HEADER_BYTES) return { committed: 0, torn: 0 };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frameBytes = FRAME_HEADER_BYTES + view.getUint32(8);
  let committed = 0;
  let seen = 0;
  for (let at = HEADER_BYTES; at + FRAME_HEADER_BYTES <= bytes.length; at += frameBytes) {
    const isOfThisUse = view.getUint32(at + 8) === view.getUint32(16) &&
      view.getUint32(at + 12) === view.getUint32(20);
    if (!isOfThisUse) break;
    seen += 1;
    const endsTransaction = view.getUint32(at + 4) !== 0;
    if (endsTransaction && at + frameBytes <= bytes.length) committed = seen;
  }
  return { committed, torn: seen - committed };
}
