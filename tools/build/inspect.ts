/**
 * Looks into a new executable: is it for its target, does it ask for no newer C library than the project
 * promises, is the program in it where the target's loader expects it? Those for other systems are not
 * run where they are built.
 */

import { BuildError } from "./build_error.ts";
import { elfEnd, elfProcessor, neededGlibc } from "./elf.ts";
import { findAppendedProgram, hasSignedPages, PROGRAM_SEGMENT, readMachO } from "./mach_o.ts";
import { readPe } from "./pe.ts";
import type { Target } from "./targets.ts";

/** The oldest glibc that the Linux executables run on; packages declare it (`libc6 (>= 2.27)`). */
export const OLDEST_GLIBC = [2, 27] as const;

/** libsui's name of the resource with the program. */
const PROGRAM_RESOURCE = "D3N0L4ND";

/** What `deno compile` begins the program with, and ends it with. */
const PROGRAM_MAGIC = new TextEncoder().encode("d3n0l4nd");

/**
 * A line about the file.
 *
 * @throws {BuildError} if it is not what the target needs
 */
export async function inspectExecutable(target: Target): Promise<string> {
  return describeExecutable(await Deno.readFile(target.file), target);
}

/** The same of a file in memory. */
export function describeExecutable(bytes: Uint8Array, target: Target): string {
  switch (target.os) {
    case "linux":
      return describeElf(bytes, target);
    case "windows":
      return describePe(bytes, target);
    case "macos":
      return describeMachO(bytes, target);
  }
}

function describeElf(bytes: Uint8Array, target: Target): string {
  const processor = elfProcessor(bytes);
  expect(target, processor === target.processor, `it is for ${processor}`);
  const glibc = neededGlibc(bytes);
  if (glibc === null) throw refusal(target, "it asks for no version of glibc");
  const [major, minor] = glibc;
  const [oldestMajor, oldestMinor] = OLDEST_GLIBC;
  expect(
    target,
    major === oldestMajor && minor <= oldestMinor,
    `it asks for glibc ${major}.${minor}, newer than ${OLDEST_GLIBC.join(".")}`,
  );
  const programBytes = bytes.length - elfEnd(bytes);
  expect(target, programBytes > 0, "there is no program behind the ELF file");
  return `ELF, ${processor}, glibc ${major}.${minor} or newer; program of ${programBytes} bytes`;
}

function describePe(bytes: Uint8Array, target: Target): string {
  const { processor, subsystem, resources } = readPe(bytes);
  expect(target, processor === target.processor, `it is for ${processor}`);
  expect(target, subsystem === "console", `its subsystem is ${subsystem}`);
  const program = resources.find(({ name }) => name === PROGRAM_RESOURCE);
  if (!program) throw refusal(target, "there is no resource with the program");
  expectProgram(target, bytes.subarray(program.offset, program.offset + program.sizeBytes));
  return `PE, ${processor}, console; program of ${program.sizeBytes} bytes in resource ${program.name}`;
}

function describeMachO(bytes: Uint8Array, target: Target): string {
  const { processor, segments, signature } = readMachO(bytes);
  expect(target, processor === target.processor, `it is for ${processor}`);
  const last = segments.at(-1);
  expect(target, last?.name === "__LINKEDIT", `its last segment is "${last?.name}"`);
  const program = processor === "arm64"
    ? segments.find(({ name }) => name === PROGRAM_SEGMENT) ?? null
    : findAppendedProgram(bytes);
  if (program === null) throw refusal(target, "there is no program in it");
  expectProgram(target, bytes.subarray(program.offset, program.offset + program.sizeBytes));
  // The kernel starts nothing without one on Apple's own processors. On Intel's it does.
  if (processor === "arm64") {
    expect(target, signature !== null, "it is not signed");
    expect(target, hasSignedPages(bytes), "its signature is of another file");
  }
  const signed = signature ? `ad-hoc signature of ${signature.sizeBytes} bytes` : "not signed";
  return `Mach-O, ${processor}, ${signed}; program of ${program.sizeBytes} bytes`;
}

function expectProgram(target: Target, program: Uint8Array): void {
  const isThere = PROGRAM_MAGIC.every((byte, at) => program[at] === byte);
  expect(target, isThere, "what stands in the place of the program is none");
}

function expect(target: Target, holds: boolean, fact: string): void {
  if (!holds) throw refusal(target, fact);
}

function refusal(target: Target, fact: string): BuildError {
  return new BuildError(`Cannot use "${target.file}" for ${target.name}: ${fact}`);
}
