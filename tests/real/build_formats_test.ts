import { assert, assertEquals, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import { BuildError } from "../../tools/build/build_error.ts";
import { elfEnd, elfProcessor, neededGlibc } from "../../tools/build/elf.ts";
import { describeExecutable } from "../../tools/build/inspect.ts";
import {
  findAppendedProgram,
  hasSignedPages,
  readMachO,
  withoutProgram,
} from "../../tools/build/mach_o.ts";
import { readPe } from "../../tools/build/pe.ts";
import { describeTarget, type Target } from "../../tools/build/targets.ts";
import { readZipFile } from "../../tools/build/zip.ts";

const TEXT = new TextEncoder();

/** Numbers written one after the other, each in as many bytes as it says. */
function bytesOf(...parts: (Uint8Array | string | [value: number, bytes: 1 | 2 | 4 | 8])[]) {
  const pieces = parts.map((part) => {
    if (part instanceof Uint8Array) return part;
    // Letters are bytes: a signature is one of them too.
    if (typeof part === "string") return Uint8Array.from(part, (letter) => letter.charCodeAt(0));
    const [value, sizeBytes] = part;
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, BigInt(value), true);
    return new Uint8Array(view.buffer, 0, sizeBytes);
  });
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** An ELF file that asks for these versions: a header, names, requirements, two section headers. */
function elf({ machine = 62, versions }: { machine?: number; versions: readonly string[] }) {
  const names = `\0${versions.map((version) => `${version}\0`).join("")}`;
  let nameAt = 1;
  const wanted = versions.map((version, index) => {
    const entry = bytesOf([0, 4], [0, 2], [index, 2], [nameAt, 4], [16, 4]);
    nameAt += version.length + 1;
    return entry;
  });
  const needsAt = 64 + names.length;
  const needs = bytesOf([1, 2], [versions.length, 2], [0, 4], [16, 4], [0, 4], ...wanted);
  const header = new Uint8Array(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  const view = new DataView(header.buffer);
  view.setUint16(0x12, machine, true);
  view.setBigUint64(0x28, BigInt(needsAt + needs.length), true);
  view.setUint16(0x3a, 64, true);
  view.setUint16(0x3c, 2, true);
  const section = (type: number, offset: number, link: number, info: number) =>
    bytesOf([0, 4], [type, 4], [0, 8], [0, 8], [offset, 8], [0, 8], [link, 4], [info, 4], [0, 8], [
      0,
      8,
    ]);
  return bytesOf(header, names, needs, section(3, 64, 0, 0), section(0x6ffffffe, needsAt, 0, 1));
}

Deno.test("elfEnd() is the end of the section headers, whatever comes behind", () => {
  const file = elf({ versions: [] });
  assertEquals(elfEnd(bytesOf(file, "the program")), file.length);
  assertThrows(() => elfEnd(file.subarray(0, 63)), BuildError);
  const bigEndian = file.slice();
  bigEndian[5] = 2;
  assertThrows(() => elfEnd(bigEndian), BuildError);
  assertThrows(() => elfEnd(TEXT.encode("MZ".repeat(50))), BuildError);
});

Deno.test("neededGlibc() is the newest version, by number and not by letter", () => {
  const rows: [versions: string[], newest: [number, number] | null][] = [
    [[], null],
    [["GCC_3.0", "OTHER_9.9"], null],
    [["GLIBC_2.2.5"], [2, 2]],
    [["GLIBC_2.9", "GLIBC_2.27", "GCC_4.2.0", "GLIBC_2.3.4"], [2, 27]],
    [["GLIBC_3.0", "GLIBC_2.40"], [3, 0]],
  ];
  for (const [versions, newest] of rows) assertEquals(neededGlibc(elf({ versions })), newest);
  const file = elf({ versions: ["GLIBC_2.27"] });
  assertThrows(() => neededGlibc(file.subarray(0, 100)), BuildError, "cut off");
});

Deno.test("elfEnd() and neededGlibc() read a file of the system", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const bytes = await Deno.readFile("/bin/true");
  assertEquals(elfEnd(bytes), bytes.length);
  assertEquals(elfProcessor(bytes), Deno.build.arch === "x86_64" ? "x86_64" : "arm64");
  const [major, minor] = neededGlibc(bytes) ?? [];
  assertEquals(major, 2);
  assert(minor! >= 2 && minor! < 100);
});

const X86_64 = 0x01000007;
const ARM64 = 0x0100000c;

/** A command for a segment of the same size in the file and in memory. */
function segment(name: string, offset: number, sizeBytes: number): Uint8Array {
  const rest = new Uint8Array(72 - 56);
  const address: [number, 8] = [0x10000 + offset, 8];
  return bytesOf([0x19, 4], [72, 4], name.padEnd(16, "\0"), address, [sizeBytes, 8], [offset, 8], [
    sizeBytes,
    8,
  ], rest);
}

/** A file of 1 kB of headers, a text of 16 bytes, perhaps a program, symbols, strings, a signature. */
function machO(
  processor: number,
  { program = "", appended = "", signature = "" },
): Uint8Array {
  const headBytes = 1_024;
  const text = "the text, 16 b. ";
  const linkAt = headBytes + text.length + program.length;
  const strings = `strings\0${appended}`;
  const symtab = bytesOf([2, 4], [24, 4], [linkAt, 4], [1, 4], [linkAt + 16, 4], [
    strings.length,
    4,
  ]);
  const link = `16 bytes of table${strings}`.slice(0, 16) + strings + signature;
  const commands = [
    segment("__TEXT", 0, headBytes + text.length),
    ...program ? [segment("__SUI", headBytes + text.length, program.length)] : [],
    segment("__LINKEDIT", linkAt, link.length),
    symtab,
    ...signature
      ? [bytesOf([0x1d, 4], [16, 4], [linkAt + 16 + strings.length, 4], [signature.length, 4])]
      : [],
  ];
  const head = bytesOf(
    [0xfeedfacf, 4],
    [processor, 4],
    [0, 8],
    [commands.length, 4],
    [
      commands.reduce((sum, { length }) => sum + length, 0),
      4,
    ],
    [0, 8],
    ...commands,
  );
  return bytesOf(head, new Uint8Array(headBytes - head.length), text, program, link);
}

/** A file for arm64 with a program and an ad-hoc signature of its pages of 256 bytes. */
function signed(program: string): Uint8Array {
  const bigEndian = (...numbers: number[]) =>
    bytesOf(...numbers.map((number) => bytesOf([number, 4]).reverse()));
  const pages = 5;
  const signature = (limit: number, hashes: Uint8Array) =>
    bytesOf(
      bigEndian(0xfade0cc0, 0, 1, 0, 20),
      bigEndian(0xfade0c02, 0, 0, 0, 44, 0, 0, pages, limit),
      new Uint8Array([32, 2, 0, 8]),
      new Uint8Array(4),
      hashes,
    );
  const letters = (bytes: Uint8Array) => String.fromCharCode(...bytes.map((byte) => byte));
  const unsigned = machO(ARM64, { program, signature: letters(signature(0, new Uint8Array(160))) });
  const limit = readMachO(unsigned).signature!.offset;
  const hashes = Array.from(
    { length: pages },
    (_, page) =>
      createHash("sha256")
        .update(unsigned.subarray(page * 256, Math.min(limit, page * 256 + 256))).digest(),
  );
  const file = unsigned.slice();
  file.set(signature(limit, bytesOf(...hashes)), limit);
  return file;
}

Deno.test("hasSignedPages() notices a changed byte, and a signature that ends too early", () => {
  const file = signed("d3n0l4nd");
  const { offset } = readMachO(file).signature!;
  assertEquals(Math.ceil(offset / 256), 5);
  assert(hasSignedPages(file));
  // The last byte before the signature, the first of the file's text, one of the hashes.
  for (const at of [offset - 1, 1_024, offset + 64]) {
    const changed = file.slice();
    changed[at]! ^= 1;
    assert(!hasSignedPages(changed), `byte ${at}`);
  }
  const early = file.slice();
  new DataView(early.buffer).setUint32(offset + 20 + 28, 4);
  assert(!hasSignedPages(early));
  assertThrows(() => hasSignedPages(machO(ARM64, {})), BuildError, "there is none");
  assertThrows(() => hasSignedPages(machO(ARM64, { signature: "s" })), BuildError, "there is none");
});

Deno.test("withoutProgram() of arm64 is the file that had no segment with a program", () => {
  const signature = "signature";
  const product = machO(ARM64, { program: "d3n0l4nd and more", signature });
  assertEquals(readMachO(product).segments.map(({ name }) => name), [
    "__TEXT",
    "__SUI",
    "__LINKEDIT",
  ]);
  const base = withoutProgram(product);
  assertEquals(base, machO(ARM64, { signature }));
  assertEquals(readMachO(base).signature, { offset: 1_064, sizeBytes: 9 });
  assertThrows(() => withoutProgram(base), BuildError, 'no segment "__SUI"');
});

/** As libsui appends it. */
function appendix(program: string): string {
  const length = String.fromCharCode(program.length, 0, 0, 0, 0, 0, 0, 0);
  return `<~sui-data~>hash${length}${program}`;
}

Deno.test("withoutProgram() of x64 ends before the program, and drops the signature", () => {
  const product = machO(X86_64, { appended: appendix("d3n0l4nd!"), signature: "signature" });
  const { offset, sizeBytes } = findAppendedProgram(product)!;
  assertEquals(new TextDecoder().decode(product.subarray(offset, offset + sizeBytes)), "d3n0l4nd!");
  const base = withoutProgram(product);
  const expected = machO(X86_64, {});
  // In memory it is whole pages.
  new DataView(expected.buffer).setBigUint64(32 + 72 + 32, 4_096n, true);
  assertEquals(base, expected);
  assertEquals(findAppendedProgram(base), null);
  assertThrows(() => withoutProgram(base), BuildError, "there is none");
});

Deno.test("readMachO() refuses what is cut off, and other formats", () => {
  const file = machO(ARM64, {});
  for (const length of [0, 31, 32, 60, 150]) {
    assertThrows(() => readMachO(file.subarray(0, length)), BuildError, "Cannot read Mach-O");
  }
  assertThrows(() => readMachO(elf({ versions: [] })), BuildError, "not a 64-bit");
  assertThrows(() => readMachO(machO(7, {})), BuildError, "processor 7");
});

/** A PE file with one resource of this name: a DOS header, headers, a section with the tree and data. */
function pe({ subsystem = 3, name = "D3N0L4ND", program = "d3n0l4nd", machine = 0x8664 }) {
  const letters = [...name].map((letter): [number, 2] => [letter.charCodeAt(0), 2]);
  const directory = (named: number, ids: number) => bytesOf([0, 8], [0, 4], [named, 2], [ids, 2]);
  const tree = bytesOf(
    ...[directory(0, 1), bytesOf([10, 4], [0x80000000 + 24, 4])],
    ...[directory(1, 0), bytesOf([0x80000000 + 88, 4], [0x80000000 + 48, 4])],
    ...[directory(0, 1), bytesOf([0x409, 4], [72, 4])],
    bytesOf([0x1000 + 128, 4], [program.length, 4], [0, 8]),
    bytesOf([name.length, 2], ...letters),
  );
  const sectionBytes = 128 + program.length;
  const optional = new Uint8Array(240);
  const view = new DataView(optional.buffer);
  view.setUint16(0, 0x20b, true);
  view.setUint16(68, subsystem, true);
  view.setUint32(112 + 16, 0x1000, true);
  const section = bytesOf(
    ".rsrc\0\0\0",
    [sectionBytes, 4],
    [0x1000, 4],
    [sectionBytes, 4],
    [
      512,
      4,
    ],
    [0, 8],
    [0, 8],
  );
  const dos = new Uint8Array(64);
  dos.set(TEXT.encode("MZ"));
  new DataView(dos.buffer).setUint32(0x3c, 64, true);
  const coff = bytesOf([machine, 2], [1, 2], [0, 4], [0, 8], [240, 2], [0, 2]);
  const head = bytesOf(dos, "PE\0\0", coff, optional, section);
  const gap = new Uint8Array(512 - head.length);
  return bytesOf(head, gap, tree, new Uint8Array(128 - tree.length), program);
}

Deno.test("readPe() finds the subsystem and the resource with the program", () => {
  const file = pe({});
  const { processor, subsystem, resources } = readPe(file);
  assertEquals([processor, subsystem], ["x86_64", "console"]);
  assertEquals(resources, [{ type: "#10", name: "D3N0L4ND", offset: 640, sizeBytes: 8 }]);
  for (const length of [0, 1, 63, 100, 400, 530]) {
    assertThrows(() => readPe(file.subarray(0, length)), BuildError, "Cannot read PE file");
  }
});

Deno.test("describeExecutable() refuses a file that its target could not run", () => {
  const program = "d3n0l4nd";
  const glibc = (version: string) => bytesOf(elf({ versions: [`GLIBC_${version}`] }), program);
  const rows: [target: string, file: Uint8Array, fact: string | null][] = [
    ["linux-x64", glibc("2.27"), null],
    ["linux-x64", glibc("2.28"), "it asks for glibc 2.28, newer than 2.27"],
    ["linux-x64", elf({ versions: ["GLIBC_2.27"] }), "no program behind"],
    ["linux-x64", bytesOf(elf({ versions: [] }), program), "no version of glibc"],
    ["linux-arm64", glibc("2.27"), "it is for x86_64"],
    [
      "linux-arm64",
      bytesOf(elf({ versions: ["GLIBC_2.17"], machine: 183 }), program),
      null,
    ],
    ["windows-x64", pe({}), null],
    ["windows-x64", pe({ subsystem: 2 }), "its subsystem is subsystem 2"],
    ["windows-x64", pe({ machine: 0xaa64 }), "it is for processor 43620"],
    ["windows-x64", pe({ name: "ICON" }), "no resource with the program"],
    ["windows-x64", pe({ program: "something" }), "is none"],
    ["macos-arm64", signed(program), null],
    ["macos-arm64", signed("something"), "is none"],
    ["macos-arm64", signed(program).with(1_025, 0), "its signature is of another file"],
    ["macos-arm64", machO(ARM64, { program }), "it is not signed"],
    ["macos-arm64", machO(ARM64, { signature: "s" }), "there is no program in it"],
    ["macos-arm64", machO(X86_64, { appended: appendix(program) }), "it is for x86_64"],
    ["macos-x64", machO(X86_64, { appended: appendix(program) }), null],
    ["macos-x64", machO(X86_64, {}), "there is no program in it"],
    ["macos-x64", machO(X86_64, { appended: appendix("something") }), "is none"],
  ];
  for (const [name, file, fact] of rows) {
    const target = describeTarget(name) as Target;
    if (fact === null) describeExecutable(file, target);
    else assertThrows(() => describeExecutable(file, target), BuildError, fact, name);
  }
});

/** An archive of one file, as every packer writes it. */
function zip(name: string, content: string, method: 0 | 8): Uint8Array {
  const packed = method === 8 ? deflateRawSync(TEXT.encode(content)) : TEXT.encode(content);
  const sizes: [number, 4][] = [[packed.length, 4], [content.length, 4]];
  const common = bytesOf([20, 2], [0, 2], [method, 2], [0, 4], [0, 4], ...sizes, [name.length, 2], [
    0,
    2,
  ]);
  const local = bytesOf([0x04034b50, 4], common, name, packed);
  const entry = bytesOf([0x02014b50, 4], [20, 2], common, [0, 2], [0, 4], [0, 8], name);
  return bytesOf(local, entry, [0x06054b50, 4], [0, 4], [1, 2], [1, 2], [entry.length, 4], [
    local.length,
    4,
  ], [0, 2]);
}

Deno.test("readZipFile() unpacks the file, packed or not, and nothing that is damaged", () => {
  for (const method of [0, 8] as const) {
    const archive = zip("denort", "the base ".repeat(100), method);
    assertEquals(
      new TextDecoder().decode(readZipFile(archive, "denort")),
      "the base ".repeat(100),
    );
    assertThrows(() => readZipFile(archive, "other"), BuildError, 'no "other" in it');
    assertThrows(() => readZipFile(archive.subarray(0, 30), "denort"), BuildError, "damaged");
    assertThrows(() => readZipFile(new Uint8Array(), "denort"), BuildError, "damaged");
  }
});
