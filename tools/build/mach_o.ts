/**
 * Reads the load commands of a 64-bit Mach-O file, and takes out the program that `deno compile` put in.
 *
 * `deno compile` (libsui) writes the program into the file itself, so that a signature can cover it. For
 * Apple's own processors that is a segment of its own, `__SUI`, before `__LINKEDIT`, which is always the
 * last one. For Intel's it is the end of the string table, after a mark. Format:
 * https://github.com/apple-oss-distributions/xnu/blob/main/EXTERNAL_HEADERS/mach-o/loader.h.
 */

import { createHash } from "node:crypto";
import { BuildError } from "./build_error.ts";

const MAGIC = 0xfeedfacf;
const HEADER_BYTES = 32;
const X86_64 = 0x01000007;
const ARM64 = 0x0100000c;

/** Numbers of load commands. */
const SYMTAB = 0x2;
const DYSYMTAB = 0xb;
const SEGMENT = 0x19;
const CODE_SIGNATURE = 0x1d;

/** Where the commands, besides segments, say file offsets of what is in `__LINKEDIT`. */
const OFFSETS_IN_COMMANDS: ReadonlyMap<number, readonly number[]> = new Map([
  [SYMTAB, [8, 16]],
  [DYSYMTAB, [32, 40, 48, 56, 64, 72]],
  // Dyld information, once "only".
  [0x22, [8, 16, 24, 32, 40]],
  [0x80000022, [8, 16, 24, 32, 40]],
  // A signature, split information, function starts, data in code, signing requirements, hints for
  // optimisation, the trie of exports and chained fixups: one offset each.
  ...[CODE_SIGNATURE, 0x1e, 0x26, 0x29, 0x2b, 0x2e, 0x80000033, 0x80000034]
    .map((command): [number, number[]] => [command, [8]]),
]);

/** A load command: its bytes, which may be changed. */
interface LoadCommand {
  readonly number: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
}

/** What a file says of itself. */
export interface MachO {
  readonly processor: "x86_64" | "arm64";
  /** In the order of the file. */
  readonly segments: readonly MachOSegment[];
  /** Where its signature is, if it has one. */
  readonly signature: { readonly offset: number; readonly sizeBytes: number } | null;
}

/** A part of the file and of memory. */
export interface MachOSegment {
  readonly name: string;
  readonly address: number;
  readonly offset: number;
  readonly sizeBytes: number;
}

/**
 * Reads the load commands.
 *
 * @throws {BuildError} if `bytes` are not a Mach-O file for one of these processors
 */
export function readMachO(bytes: Uint8Array): MachO {
  const commands = readCommands(bytes);
  const processor = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  if (processor !== X86_64 && processor !== ARM64) {
    throw new BuildError(`Cannot read Mach-O file: processor ${processor} is unknown`);
  }
  const signature = commands.find(({ number }) => number === CODE_SIGNATURE)?.view;
  return {
    processor: processor === ARM64 ? "arm64" : "x86_64",
    segments: commands.filter(({ number }) => number === SEGMENT).map(describeSegment),
    signature: signature
      ? { offset: signature.getUint32(8, true), sizeBytes: signature.getUint32(12, true) }
      : null,
  };
}

const EMBEDDED_SIGNATURE = 0xfade0cc0;
const CODE_DIRECTORY = 0xfade0c02;
const SHA256 = 2;

/**
 * Whether the signature has the SHA-256 of every page before it, which the kernel compares with a page
 * when it is first used. Says nothing of who signed: an ad-hoc signature is nobody's.
 *
 * The format, big-endian, is in
 * https://github.com/apple-oss-distributions/xnu/blob/main/osfmk/kern/cs_blobs.h.
 *
 * @throws {BuildError} if there is no signature, or not one of that kind
 */
export function hasSignedPages(file: Uint8Array): boolean {
  const { signature } = readMachO(file);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const at = signature?.offset ?? -1;
  if (at < 0 || at + 20 > file.length || view.getUint32(at) !== EMBEDDED_SIGNATURE) {
    throw new BuildError("Cannot read signature of Mach-O file: there is none");
  }
  // The directory of the code comes first.
  const directory = at + view.getUint32(at + 16);
  if (directory + 44 > file.length || view.getUint32(directory) !== CODE_DIRECTORY) {
    throw new BuildError("Cannot read signature of Mach-O file: it has no directory of the code");
  }
  const hashesAt = directory + view.getUint32(directory + 16);
  const pages = view.getUint32(directory + 28);
  const limit = view.getUint32(directory + 32);
  const hashBytes = view.getUint8(directory + 36);
  const pageBytes = 2 ** view.getUint8(directory + 39);
  if (view.getUint8(directory + 37) !== SHA256 || hashBytes !== 32) {
    throw new BuildError("Cannot read signature of Mach-O file: its hashes are not SHA-256");
  }
  // Everything up to the signature, or it covers less than is run.
  if (limit !== at || pages !== Math.ceil(limit / pageBytes)) return false;
  for (let page = 0; page < pages; page++) {
    const content = file.subarray(page * pageBytes, Math.min((page + 1) * pageBytes, limit));
    const hash = createHash("sha256").update(content).digest();
    const start = hashesAt + page * hashBytes;
    if (!hash.equals(file.subarray(start, start + hashBytes))) return false;
  }
  return true;
}

/** The file as it was before `deno compile`; throws `BuildError` if there is no program in it. */
export function withoutProgram(product: Uint8Array): Uint8Array {
  return readMachO(product).processor === "arm64"
    ? withoutSegment(product)
    : withoutAppendix(product);
}

/** The segment with the program. */
export const PROGRAM_SEGMENT = "__SUI";
const LINKEDIT = "__LINKEDIT";

/** Takes the segment out; what comes after it moves to the front, in the file and in memory. */
function withoutSegment(product: Uint8Array): Uint8Array {
  const commands = readCommands(product);
  const program = findSegment(commands, PROGRAM_SEGMENT);
  const start = getLong(program.view, FILE_OFFSET);
  const sizeBytes = getLong(program.view, FILE_SIZE);
  const end = start + sizeBytes;
  for (const { number, view } of commands) {
    for (const at of OFFSETS_IN_COMMANDS.get(number) ?? []) {
      const offset = view.getUint32(at, true);
      if (offset >= end) view.setUint32(at, offset - sizeBytes, true);
    }
  }
  const { view } = findSegment(commands, LINKEDIT);
  setLong(view, ADDRESS, getLong(view, ADDRESS) - getLong(program.view, MEMORY_SIZE));
  setLong(view, FILE_OFFSET, getLong(view, FILE_OFFSET) - sizeBytes);
  const before = product.subarray(0, start);
  const after = product.subarray(end);
  return withCommands(commands.filter((command) => command !== program), before, after);
}

/** Stands before the program. */
const MARK = new TextEncoder().encode("<~sui-data~>");

const PAGE_BYTES = 4_096;

/** Where the program is that stands in the string table: its length and its bytes; `null` if there is none. */
export function findAppendedProgram(
  file: Uint8Array,
): { offset: number; sizeBytes: number } | null {
  const symbols = readCommands(file).find(({ number }) => number === SYMTAB)?.view;
  const mark = symbols ? indexOf(file, MARK, symbols.getUint32(16, true)) : -1;
  // Between the mark and the length are 4 bytes, a hash of its name.
  const lengthAt = mark + MARK.length + 4;
  if (mark < 0 || lengthAt + 8 > file.length) return null;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  return { offset: lengthAt + 8, sizeBytes: getLong(view, lengthAt) };
}

/** Ends the file before the mark; what came after the program is the signature, which goes too. */
function withoutAppendix(product: Uint8Array): Uint8Array {
  const commands = readCommands(product);
  const symbols = commands.find(({ number }) => number === SYMTAB)?.view;
  if (!symbols) throw new BuildError("Cannot read Mach-O file: it has no symbol table");
  const stringsAt = symbols.getUint32(16, true);
  const end = indexOf(product, MARK, stringsAt);
  if (end < 0) throw new BuildError("Cannot take program out of Mach-O file: there is none");
  symbols.setUint32(20, end - stringsAt, true);
  const { view } = findSegment(commands, LINKEDIT);
  const sizeBytes = end - getLong(view, FILE_OFFSET);
  setLong(view, FILE_SIZE, sizeBytes);
  setLong(view, MEMORY_SIZE, Math.ceil(sizeBytes / PAGE_BYTES) * PAGE_BYTES);
  const kept = commands.filter(({ number }) => number !== CODE_SIGNATURE);
  return withCommands(kept, product.subarray(0, end), new Uint8Array());
}

/** Places in a command that describes a segment. */
const ADDRESS = 24;
const MEMORY_SIZE = 32;
const FILE_OFFSET = 40;
const FILE_SIZE = 48;

function describeSegment({ bytes, view }: LoadCommand): MachOSegment {
  return {
    name: new TextDecoder().decode(bytes.subarray(8, 24)).replace(/\0.*$/, ""),
    address: getLong(view, ADDRESS),
    offset: getLong(view, FILE_OFFSET),
    sizeBytes: getLong(view, FILE_SIZE),
  };
}

function findSegment(commands: readonly LoadCommand[], name: string): LoadCommand {
  const found = commands.find((command) =>
    command.number === SEGMENT && describeSegment(command).name === name
  );
  if (found) return found;
  throw new BuildError(`Cannot take program out of Mach-O file: it has no segment "${name}"`);
}

/** Copies of all load commands. */
function readCommands(bytes: Uint8Array): LoadCommand[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES || view.getUint32(0, true) !== MAGIC) {
    throw new BuildError("Cannot read Mach-O file: not a 64-bit little-endian one");
  }
  const commands: LoadCommand[] = [];
  let at = HEADER_BYTES;
  for (let left = view.getUint32(16, true); left > 0; left--) {
    const sizeBytes = at + 8 <= bytes.length ? view.getUint32(at + 4, true) : 0;
    if (sizeBytes < 8 || at + sizeBytes > bytes.length) {
      throw new BuildError("Cannot read Mach-O file: its load commands are cut off");
    }
    const copy = bytes.slice(at, at + sizeBytes);
    commands.push({
      number: view.getUint32(at, true),
      bytes: copy,
      view: new DataView(copy.buffer),
    });
    at += sizeBytes;
  }
  return commands;
}

/** The file with these load commands; where there were more, zeros fill the place. */
function withCommands(
  commands: readonly LoadCommand[],
  before: Uint8Array,
  after: Uint8Array,
): Uint8Array {
  const file = new Uint8Array(before.length + after.length);
  file.set(before);
  file.set(after, before.length);
  const view = new DataView(file.buffer);
  const end = HEADER_BYTES + view.getUint32(20, true);
  const sizeBytes = commands.reduce((sum, { bytes }) => sum + bytes.length, 0);
  view.setUint32(16, commands.length, true);
  view.setUint32(20, sizeBytes, true);
  file.fill(0, HEADER_BYTES, end);
  let at = HEADER_BYTES;
  for (const { bytes } of commands) {
    file.set(bytes, at);
    at += bytes.length;
  }
  return file;
}

function indexOf(bytes: Uint8Array, wanted: Uint8Array, from: number): number {
  const [first = 0] = wanted;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}

/** Offsets in files of less than 2^53 bytes. */
function getLong(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

function setLong(view: DataView, at: number, value: number): void {
  view.setBigUint64(at, BigInt(value), true);
}
