/**
 * The machine id, to which a RedFlag server binds an agent: 64 hex digits, found by the algorithm of
 * RedFlag's own agent (0.2.9, `internal/system/machine_id.go`), so that an identity can be taken over.
 */

import * as v from "valibot";
import { JsonFile } from "../json_file.ts";
import type { Files } from "../system/files.ts";
import type { Random, System } from "../system/system.ts";
import { windowsDirectory } from "../windows_directory.ts";

/** What an id is the SHA-256 of; `own`: nothing, it was drawn. */
export type MachineIdSource =
  | "dbus_machine_id"
  | "machine_id"
  | "product_uuid"
  | "device_model"
  | "cpu_serial"
  | "host_name"
  | "machine_guid"
  | "platform_uuid"
  | "own";

/** A machine id. */
export interface MachineId {
  /** 64 hex digits in lower case. It is no secret: other users of this host can compute it. */
  readonly id: string;
  readonly source: MachineIdSource;
  /** Whether other hosts may have the same one: it comes of a name, a model or a placeholder. */
  readonly isFallback: boolean;
}

/** What an id is computed from. */
interface RawId {
  readonly raw: string;
  readonly source: MachineIdSource;
  readonly isFallback: boolean;
}

type Host = Pick<
  System,
  "os" | "architecture" | "cryptography" | "files" | "machine" | "readEnvironment" | "runCommand"
>;

/** Largest file that is read; one with an id has up to 60 bytes. */
const MAX_BYTES = 4_096;

/** Longest output that is read; a Mac describes itself in about 2 KiB. */
const MAX_OUTPUT_BYTES = 65_536;

/** `/proc/cpuinfo` has up to 2 KiB for each processor. */
const MAX_CPU_INFO_BYTES = 1_048_576;

/** Time limit of each program. */
const PROGRAM_MS = 5_000;

/** Reads the id that RedFlag's agent has on this host. Never rejects, and takes up to 15 s. */
export async function readMachineId(host: Host): Promise<MachineId> {
  const { raw, source, isFallback } = await findRawId(host) ?? describeHost(host);
  const hash = await host.cryptography.sha256(new TextEncoder().encode(raw));
  return { id: hash.toHex(), source, isFallback };
}

async function findRawId(host: Host): Promise<RawId | undefined> {
  switch (host.os) {
    case "linux":
      return await findLinuxId(host);
    case "windows":
      return identifier("machine_guid", await readMachineGuid(host));
    case "macos":
      return identifier("platform_uuid", await readPlatformUuid(host));
  }
}

/**
 * Of the two files with a machine id, that of D-Bus is used if it can be read, even if it is empty.
 * RedFlag's agent combines the model of an ARM device with the id in `/etc/machine-id`, but comes to
 * that only when there is none.
 */
async function findLinuxId(host: Host): Promise<RawId | undefined> {
  const dbus = await readIdFile(host, "/var/lib/dbus/machine-id");
  if (dbus) return identifier("dbus_machine_id", dbus);
  const etc = await readIdFile(host, "/etc/machine-id");
  if (etc) return identifier("machine_id", etc);
  const uuid = trimSpace(await readKernelFile(host, "/sys/class/dmi/id/product_uuid"));
  if (uuid) return identifier("product_uuid", uuid);
  const model = await readKernelFile(host, "/proc/device-tree/model");
  const name = trimSpace(model?.replace(/^\0+|\0+$/g, ""));
  if (name) return { raw: `${name}:arm-device`, source: "device_model", isFallback: true };
  const cpuInfo = await readKernelFile(host, "/proc/cpuinfo", MAX_CPU_INFO_BYTES);
  const serial = cpuInfo === undefined ? null : parseCpuSerial(cpuInfo);
  if (serial !== null) {
    return { raw: `arm-serial:${serial}`, source: "cpu_serial", isFallback: false };
  }
  const hostName = await readIdFile(host, "/etc/hostname");
  if (!hostName) return undefined;
  return { raw: `${hostName}-linux-fallback`, source: "host_name", isFallback: true };
}

/** Go's names of the processors that it does not name like `uname -m`. */
const GO_ARCHITECTURES = new Map([["x86_64", "amd64"], ["aarch64", "arm64"]]);

/** The last resort: the name of this host, and Go's names of its system and its processor. */
function describeHost({ os, architecture, machine }: Host): RawId {
  const goOs = os === "macos" ? "darwin" : os;
  const goArchitecture = GO_ARCHITECTURES.get(architecture) ?? architecture;
  const raw = `${machine.hostName() || "unknown"}-${goOs}-${goArchitecture}`;
  return { raw, source: "host_name", isFallback: true };
}

/**
 * Placeholders (`uninitialized`, see machine-id(5), and zeros) are used by RedFlag's agent like any other
 * text, but many hosts have them.
 */
function identifier(source: MachineIdSource, raw: string | null): RawId | undefined {
  if (raw === null) return undefined;
  const digits = raw.replaceAll("-", "").toLowerCase();
  const isUnique = /^[0-9a-f]{32}$/.test(digits) && new Set(digits).size > 1;
  return { raw, source, isFallback: !isUnique };
}

/** The file without the white space around it; `undefined` if it is absent, unreadable or too large. */
async function readIdFile({ files }: Host, path: string): Promise<string | undefined> {
  try {
    return trimSpace(await files.readText("read the machine id", path, { maxBytes: MAX_BYTES }));
  } catch {
    return undefined;
  }
}

/**
 * A file of the kernel; `undefined` if it is absent, unreadable or too large. Through a program: Deno
 * opens nothing below `/proc` and `/sys` for a process that has not every permission.
 */
async function readKernelFile(
  { runCommand }: Host,
  path: string,
  maxOutputBytes = MAX_BYTES,
): Promise<string | undefined> {
  try {
    const options = { timeoutMs: PROGRAM_MS, maxOutputBytes };
    const { code, stdout, truncated } = await runCommand(["/usr/bin/cat", path], options);
    return code === 0 && !truncated ? stdout : undefined;
  } catch {
    return undefined;
  }
}

/** White space as Go's `strings.TrimSpace` has it. */
function trimSpace(text: string | undefined): string | undefined {
  return text?.replace(/^[\s\u0085]+|[\s\u0085]+$/g, "");
}

/** The serial number of an ARM processor in `/proc/cpuinfo`; zeros stand for none. */
export function parseCpuSerial(text: string): string | null {
  for (const line of text.split("\n")) {
    const serial = trimSpace(/^Serial[^:]*:([^]*)/.exec(line)?.[1]);
    if (serial && !/^0+$/.test(serial)) return serial;
  }
  return null;
}

/** The registry's `MachineGuid` as it is stored. */
async function readMachineGuid(host: Host): Promise<string | null> {
  const directory = windowsDirectory(host);
  if (directory === undefined) return null;
  return await readOutput(host, [
    `${directory}\\System32\\reg.exe`,
    "query",
    "HKLM\\SOFTWARE\\Microsoft\\Cryptography",
    "/v",
    "MachineGuid",
    "/reg:64",
  ], parseMachineGuid);
}

/** The `IOPlatformUUID` of a Mac. */
async function readPlatformUuid(host: Host): Promise<string | null> {
  const argv = ["/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice"];
  return await readOutput(host, argv, parsePlatformUuid);
}

async function readOutput(
  { runCommand }: Host,
  argv: readonly string[],
  parse: (stdout: string) => string | null,
): Promise<string | null> {
  try {
    const options = { timeoutMs: PROGRAM_MS, maxOutputBytes: MAX_OUTPUT_BYTES };
    const { code, stdout, truncated } = await runCommand(argv, options);
    return code === 0 && !truncated ? parse(stdout) : null;
  } catch {
    return null;
  }
}

/**
 * Reads the one value in the output of `reg.exe query`: `MachineGuid`, its type and its text, separated
 * by four blanks. `null` if it is not there exactly once, or is no printable ASCII.
 */
export function parseMachineGuid(stdout: string): string | null {
  return onlyMatch(stdout, /^ {4}MachineGuid {4}REG_SZ {4}([\x21-\x7e]{1,128})[ \t]*\r*$/gm);
}

/** Reads the output of `ioreg`; `null` if the id is not there exactly once. */
export function parsePlatformUuid(stdout: string): string | null {
  return onlyMatch(stdout, /^[ |]*"IOPlatformUUID" = "([\x21\x23-\x7e]{1,128})"\r?$/gm);
}

function onlyMatch(text: string, pattern: RegExp): string | null {
  const [first, second] = text.matchAll(pattern);
  return second === undefined ? first?.[1] ?? null : null;
}

/** What is kept about the machine id in the state directory. `null`: none. */
export interface SavedMachineId {
  /** The id that was drawn for this host. */
  readonly own: string | null;
  /** The id that the server has. */
  readonly registered: string | null;
}

/** The id that this host has now, and the one that the server knows it by. */
export interface MachineIdChoice {
  /** For a new registration. */
  readonly current: MachineId;
  /**
   * What the server has been told, and is still to be told: the id of a host can change, but the
   * server's record does not follow. `null` before a registration.
   */
  readonly registered: string | null;
}

/**
 * Chooses the id that this host has: the one that was found, unless other hosts may have it; then one of
 * its own, which is drawn once. Where the server has the one that was found, it stays.
 */
export function chooseMachineId(
  found: MachineId,
  saved: SavedMachineId,
  random: Random,
): { choice: MachineIdChoice; saved: SavedMachineId } {
  const { registered } = saved;
  if (!found.isFallback || found.id === registered) {
    return { choice: { current: found, registered }, saved };
  }
  const own = saved.own ?? drawId(random);
  const current: MachineId = { id: own, source: "own", isFallback: false };
  return {
    choice: { current, registered },
    saved: own === saved.own ? saved : { own, registered },
  };
}

function drawId(random: Random): string {
  const digits = "0123456789abcdef";
  return Array.from({ length: 64 }, () => digits[Math.floor(random() * digits.length)]).join("");
}

/** An id that a server accepts (RedFlag 0.2.9, `machine_binding.go`): printable, 16 to 64 characters. */
const registeredId = v.pipe(v.string(), v.regex(/^[\x21-\x7e]{16,64}$/));

const FILE = new JsonFile<SavedMachineId>({
  name: "machine.json",
  what: "the machine id",
  schema: "pennon.machine/1",
  value: v.object({
    own: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
    registered: v.nullable(registeredId),
  }),
});

const NOTHING_SAVED: SavedMachineId = { own: null, registered: null };

/**
 * Whether the state directory has an id that Pennon drew, as it does for a host without one of its own.
 * Throws `FileError`.
 */
export async function hasDrawnId(files: Files, stateDirectory: string): Promise<boolean> {
  return (await FILE.read(files, stateDirectory))?.own != null;
}

/** The machine id as the state directory has it. Only the process with the instance lock writes it. */
export class MachineIdStore {
  readonly #host: Host & Pick<System, "random">;
  readonly #stateDirectory: string;

  constructor(host: Host & Pick<System, "random">, stateDirectory: string) {
    this.#host = host;
    this.#stateDirectory = stateDirectory;
  }

  /**
   * Reads the id of this host; draws and saves one if it has none. Calls `onUnreadable` with the reason
   * if what was saved is lost. Throws `FileError`: an id that was not saved would change.
   */
  async load(onUnreadable: (why: string) => void): Promise<MachineIdChoice> {
    const found = await readMachineId(this.#host);
    const before = await this.#read(onUnreadable);
    const { choice, saved } = chooseMachineId(found, before, this.#host.random);
    if (saved !== before) await this.#write(saved);
    return choice;
  }

  /** As `load()`, but draws and saves nothing: `null` for a host whose id is still to be drawn. */
  async peek(): Promise<MachineIdChoice | null> {
    const before = await this.#read(() => {});
    const { choice, saved } = chooseMachineId(
      await readMachineId(this.#host),
      before,
      this.#host.random,
    );
    return saved === before ? choice : null;
  }

  /** Keeps the id that the server has now; `null` after the end of an enrolment. Throws `FileError`. */
  async saveRegistered(registered: string | null): Promise<void> {
    const saved = await this.#read(() => {});
    if (saved.registered !== registered) await this.#write({ ...saved, registered });
  }

  async #read(onUnreadable: (why: string) => void): Promise<SavedMachineId> {
    const { files } = this.#host;
    return await FILE.read(files, this.#stateDirectory, onUnreadable) ?? NOTHING_SAVED;
  }

  async #write(saved: SavedMachineId): Promise<void> {
    await FILE.write(this.#host.files, this.#stateDirectory, saved);
  }
}
