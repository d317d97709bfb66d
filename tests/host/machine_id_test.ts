import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  chooseMachineId,
  type MachineId,
  MachineIdStore,
  parseCpuSerial,
  parseMachineGuid,
  parsePlatformUuid,
  readMachineId,
  type SavedMachineId,
} from "../../src/host/machine_id.ts";
import { CommandError, type RunOptions } from "../../src/system/process.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeSystem, seededRandom } from "../fakes/system.ts";

/** The vectors of the protocol's description. */
const MACHINE_ID = "0123456789abcdef0123456789abcdef";
const MACHINE_HASH = "3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9";
const GUID = "6F9619FF-8B86-D011-B42D-00CF4FC964FF";
const GUID_HASH = "eb5d763caa48b1c34811d53518e44981157d6cb454dad01ca009a056a0e32918";

const DBUS = "/var/lib/dbus/machine-id";
const ETC = "/etc/machine-id";
const OTHER_ID = "fedcba9876543210fedcba9876543210";

async function hash(raw: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(raw));
  return new Uint8Array(bytes).toHex();
}

/** A host with files, of which those of the kernel are read by `cat`, and with one program's output. */
class IdHost extends FakeSystem {
  readonly argvs: string[] = [];
  /** Of the program that is not `cat`. */
  output: { code?: number; stdout?: string; truncated?: boolean } | null = null;

  constructor(files: Readonly<Record<string, string>> = {}) {
    super();
    this.files.ofHost.clear();
    for (const [path, text] of Object.entries(files)) this.files.texts.set(path, text);
  }

  override runCommand = (argv: readonly string[], { maxOutputBytes = 0 }: RunOptions) => {
    this.argvs.push(argv.join(" "));
    const [program, path = ""] = argv;
    const nothing = { code: 0, stdout: "", stderr: "", truncated: false };
    if (program === "/usr/bin/cat") {
      const text = this.files.texts.get(path);
      if (text === undefined) return Promise.resolve({ ...nothing, code: 1 });
      const truncated = text.length > maxOutputBytes;
      return Promise.resolve({ ...nothing, stdout: text.slice(0, maxOutputBytes), truncated });
    }
    if (this.output !== null) return Promise.resolve({ ...nothing, ...this.output });
    return Promise.reject(new CommandError("Cannot run it", { reason: "not_found" }));
  };
}

/** The raw text whose hash the id must be, with the source and whether it is a fallback. */
async function assertId(
  host: FakeSystem,
  raw: string,
  source: MachineId["source"],
  isFallback = false,
): Promise<void> {
  assertEquals(await readMachineId(host), { id: await hash(raw), source, isFallback });
}

Deno.test("readMachineId() hashes the machine id without the white space around it", async () => {
  for (const around of ["", "\n", "\r\n", " \t\v\f\u0085\u00a0\n\n"]) {
    for (const [path, source] of [[DBUS, "dbus_machine_id"], [ETC, "machine_id"]] as const) {
      const host = new IdHost({ [path]: around + MACHINE_ID + around });
      assertEquals(await readMachineId(host), { id: MACHINE_HASH, source, isFallback: false });
      assertEquals(host.argvs, []);
    }
  }
});

Deno.test("readMachineId() prefers the file of D-Bus, unless it is empty, unreadable or too large", async () => {
  const both = (dbus: string) => new IdHost({ [DBUS]: dbus, [ETC]: `${MACHINE_ID}\n` });
  await assertId(both(OTHER_ID), OTHER_ID, "dbus_machine_id");
  for (const empty of ["", "\n", " \n\t "]) await assertId(both(empty), MACHINE_ID, "machine_id");
  await assertId(both(OTHER_ID.padEnd(4_096)), OTHER_ID, "dbus_machine_id");
  await assertId(both(OTHER_ID.padEnd(4_097)), MACHINE_ID, "machine_id");
  const pipe = both(OTHER_ID);
  pipe.files.kinds.set(DBUS, "fifo");
  await assertId(pipe, MACHINE_ID, "machine_id");
});

Deno.test("readMachineId() keeps what is in the file, and says where many hosts have the same", async () => {
  const placeholders = ["uninitialized", "0".repeat(32), "f".repeat(32), "x", `${MACHINE_ID} 1`];
  for (const raw of placeholders) {
    await assertId(new IdHost({ [DBUS]: raw }), raw, "dbus_machine_id", true);
    await assertId(new IdHost({ [DBUS]: "", [ETC]: raw }), raw, "machine_id", true);
  }
  for (const raw of [MACHINE_ID.toUpperCase(), GUID, GUID.toLowerCase()]) {
    await assertId(new IdHost({ [ETC]: raw }), raw, "machine_id");
  }
});

const UUID = "/sys/class/dmi/id/product_uuid";
const MODEL = "/proc/device-tree/model";
const CPU_INFO = "/proc/cpuinfo";
const HOST_NAME = "/etc/hostname";

/** Every fallback, in order: without the first ones each is the id. */
const FALLBACKS: readonly (readonly [
  path: string,
  text: string,
  raw: string,
  source: MachineId["source"],
  isFallback: boolean,
])[] = [
  [DBUS, `${MACHINE_ID}\n`, MACHINE_ID, "dbus_machine_id", false],
  [ETC, `${OTHER_ID}\n`, OTHER_ID, "machine_id", false],
  [UUID, `${GUID}\n`, GUID, "product_uuid", false],
  [
    MODEL,
    "Raspberry Pi 4 Model B Rev 1.4\0",
    "Raspberry Pi 4 Model B Rev 1.4:arm-device",
    "device_model",
    true,
  ],
  [CPU_INFO, "Serial\t\t: 10000000a1b2c3d4\n", "arm-serial:10000000a1b2c3d4", "cpu_serial", false],
  [HOST_NAME, "pi\n", "pi-linux-fallback", "host_name", true],
];

Deno.test("readMachineId() tries each fallback in order", async () => {
  for (const [at, [, , raw, source, isFallback]] of FALLBACKS.entries()) {
    const rest = FALLBACKS.slice(at).map(([path, text]) => [path, text] as const);
    await assertId(new IdHost(Object.fromEntries(rest)), raw, source, isFallback);
    // An empty file counts as little as an absent one.
    const emptied = FALLBACKS.slice(0, at).map(([path]) => [path, "\n"] as const);
    await assertId(new IdHost(Object.fromEntries([...emptied, ...rest])), raw, source, isFallback);
  }
});

Deno.test("readMachineId() ends with the name of the host, its system and its processor", async () => {
  const rows = [
    ["linux", "x86_64", "test-host", "test-host-linux-amd64"],
    ["linux", "aarch64", "test-host", "test-host-linux-arm64"],
    ["windows", "x86_64", "PC", "PC-windows-amd64"],
    ["macos", "aarch64", "mac.local", "mac.local-darwin-arm64"],
    ["linux", "riscv64", "", "unknown-linux-riscv64"],
  ] as const;
  for (const [os, architecture, name, raw] of rows) {
    const host = new FakeSystem();
    host.files.ofHost.clear();
    Object.assign(host, { os, architecture });
    host.machine = { ...host.machine, hostName: () => name };
    await assertId(host, raw, "host_name", true);
  }
});

Deno.test("readMachineId() refuses kernel files that are too large, and placeholders of firmware", async () => {
  const rest = { [HOST_NAME]: "pi" };
  const uuid = (text: string) => new IdHost({ [UUID]: text, ...rest });
  await assertId(uuid(GUID.padEnd(4_096)), GUID, "product_uuid");
  await assertId(uuid(GUID.padEnd(4_097)), "pi-linux-fallback", "host_name", true);
  const zeros = GUID.replace(/\w/g, "0");
  await assertId(uuid(zeros), zeros, "product_uuid", true);
  const cpuInfo = (sizeBytes: number) =>
    new IdHost({ [CPU_INFO]: `${"x".repeat(sizeBytes - 12)}\nSerial : 1a`, ...rest });
  await assertId(cpuInfo(1_048_576), "arm-serial:1a", "cpu_serial");
  await assertId(cpuInfo(1_048_577), "pi-linux-fallback", "host_name", true);
  await assertId(new IdHost({ [MODEL]: "\0\0", ...rest }), "pi-linux-fallback", "host_name", true);
});

Deno.test("parseCpuSerial() finds the first serial number that is not zero", () => {
  const rows: [text: string, serial: string | null][] = [
    ["", null],
    ["processor\t: 0\nSerial\t\t: 00000000abcdef12\nModel\t\t: Pi\n", "00000000abcdef12"],
    ["Serial\t\t: 0000000000000000\n", null],
    ["Serial: 0\nSerial: 1\n", "1"],
    ["Serial\n", null],
    ["Serial:\n", null],
    ["  Serial: 1\n", null],
    ["Serial: a:b \r\n", "a:b"],
    ["SerialNumber: 7\n", "7"],
  ];
  for (const [text, serial] of rows) assertEquals(parseCpuSerial(text), serial, text);
});

/** What reg.exe of Windows 11 prints to a pipe; its words are the same in every language. */
const REG = "\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Cryptography\r\n" +
  `    MachineGuid    REG_SZ    ${GUID}\r\n\r\n`;

Deno.test("readMachineId() asks Windows for the 64-bit view of its registry", async () => {
  const host = new IdHost({ [ETC]: MACHINE_ID });
  host.os = "windows";
  host.environment.set("SystemRoot", "D:\\Windows");
  host.output = { stdout: REG };
  const expected = { id: GUID_HASH, source: "machine_guid", isFallback: false } as const;
  assertEquals(await readMachineId(host), expected);
  assertEquals(host.argvs, [
    "D:\\Windows\\System32\\reg.exe query HKLM\\SOFTWARE\\Microsoft\\Cryptography " +
    "/v MachineGuid /reg:64",
  ]);
  const failures: IdHost["output"][] = [
    { code: 1, stdout: REG },
    { stdout: REG, truncated: true },
    { stdout: "" },
    // In French, to stderr; nothing of it reaches stdout.
    { code: 1, stdout: "\r\n" },
    null,
  ];
  for (const output of failures) {
    host.output = output;
    await assertId(host, "test-host-windows-amd64", "host_name", true);
  }
  host.output = { stdout: REG };
  host.environment.set("SystemRoot", "\\\\server\\share");
  await assertId(host, "test-host-windows-amd64", "host_name", true);
  assertEquals(host.argvs.length, 1 + failures.length);
});

Deno.test("parseMachineGuid() takes one value, as it is stored", () => {
  const line = (value: string) => `    MachineGuid    REG_SZ    ${value}`;
  const rows: [text: string, guid: string | null][] = [
    [REG, GUID],
    [REG.replaceAll("\r\n", "\n"), GUID],
    [REG.replaceAll("\r\n", "\r\r\n"), GUID],
    [line("abc").trimEnd(), "abc"],
    [line(`${"x".repeat(128)}`), "x".repeat(128)],
    [line(`${"x".repeat(129)}`), null],
    [line("a b"), null],
    [line("caf\u00e9"), null],
    [line(""), null],
    [`${line("a")}\n${line("b")}`, null],
    ["    MachineGuid    REG_BINARY    00", null],
    ["MachineGuid    REG_SZ    a", null],
    ["    MachineGuid2    REG_SZ    a", null],
    ["ERREUR : le système n'a pas trouvé la clé ou la valeur de Registre spécifiée.", null],
    ["", null],
  ];
  for (const [text, guid] of rows) assertEquals(parseMachineGuid(text), guid, text);
});

/** What ioreg prints on a Mac, shortened. */
const IOREG =
  `+-o J316sAP  <class IOPlatformExpertDevice, id 0x100000223, registered, matched, active>
    {
      "compatible" = <"J316sAP","MacBookPro18,1","AppleARM">
      "IOPlatformSerialNumber" = "C02XXXXXXXXX"
      "IOPlatformUUID" = "${GUID}"
      "IOBusyInterest" = "IOCommand is not serializable"
    }

`;

Deno.test("readMachineId() asks a Mac for its platform's UUID", async () => {
  const host = new IdHost({ [ETC]: MACHINE_ID });
  host.os = "macos";
  host.output = { stdout: IOREG };
  assertEquals(await readMachineId(host), {
    id: GUID_HASH,
    source: "platform_uuid",
    isFallback: false,
  });
  assertEquals(host.argvs, ["/usr/sbin/ioreg -rd1 -c IOPlatformExpertDevice"]);
  host.output = { stdout: IOREG.replace("UUID", "ID") };
  await assertId(host, "test-host-darwin-amd64", "host_name", true);
});

Deno.test("parsePlatformUuid() takes one id", () => {
  assertEquals(parsePlatformUuid(IOREG), GUID);
  assertEquals(parsePlatformUuid(`    | "IOPlatformUUID" = "a"`), "a");
  for (const text of ["", IOREG + IOREG, `"IOPlatformUUID" = ""`, `"IOPlatformUUID" = "a" "b"`]) {
    assertEquals(parsePlatformUuid(text), null, text);
  }
});

const usable: MachineId = { id: MACHINE_HASH, source: "machine_id", isFallback: false };
const fallback: MachineId = { id: GUID_HASH, source: "host_name", isFallback: true };
const NOTHING: SavedMachineId = { own: null, registered: null };

Deno.test("chooseMachineId() takes what was found, and draws an id where that is a fallback", () => {
  const random = seededRandom(7);
  assertEquals(chooseMachineId(usable, NOTHING, random), {
    choice: { current: usable, registered: null },
    saved: NOTHING,
  });
  const drawn = chooseMachineId(fallback, NOTHING, random);
  const { id } = drawn.choice.current;
  assert(/^[0-9a-f]{64}$/.test(id) && new Set(id).size > 8, id);
  const current: MachineId = { id, source: "own", isFallback: false };
  const saved = { own: id, registered: null };
  assertEquals(drawn, { choice: { current, registered: null }, saved });
  const again = chooseMachineId(fallback, saved, random);
  assertEquals(again, { choice: { current, registered: null }, saved });
  assert(again.saved === saved, "nothing is to be saved");
});

Deno.test("chooseMachineId() never hides that the server has another id", () => {
  const hex = fc.string({
    unit: fc.constantFrom(..."0123456789abcdef"),
    minLength: 64,
    maxLength: 64,
  });
  const ids = fc.constantFrom(MACHINE_HASH, GUID_HASH, "a".repeat(64));
  const saves = fc.record({
    own: fc.option(fc.oneof(ids, hex)),
    registered: fc.option(fc.oneof(ids, hex)),
  });
  fc.assert(
    fc.property(fc.constantFrom(usable, fallback), saves, fc.integer(), (found, saved, seed) => {
      const { choice, saved: after } = chooseMachineId(found, saved, seededRandom(seed));
      assertEquals(choice.registered, saved.registered);
      assertEquals(after.registered, saved.registered);
      // An id that was drawn stays.
      if (saved.own !== null) assertEquals(after.own, saved.own);
      const isTaken = !found.isFallback || saved.registered === found.id;
      assertEquals(choice.current.id, isTaken ? found.id : after.own);
      assertEquals(choice.current.source, isTaken ? found.source : "own");
      // The same once more.
      assertEquals(chooseMachineId(found, after, seededRandom(seed + 1)).choice, choice);
    }),
  );
});

Deno.test("load() keeps an id of its own over restarts, readable for the agent alone", async () => {
  const host = new IdHost({ [HOST_NAME]: "pi" });
  const load = () =>
    new MachineIdStore(host, "/state").load((why) => {
      throw new Error(why);
    });
  const first = await load();
  assertEquals(first.current.source, "own");
  assertEquals(host.files.modes.get("/state/machine.json"), 0o600);
  assertEquals(await load(), first);
  await new MachineIdStore(host, "/state").saveRegistered(first.current.id);
  // The host gets a machine id later: the server is still to be told the one that it has.
  host.files.texts.set(ETC, MACHINE_ID);
  assertEquals(await load(), { current: usable, registered: first.current.id });
  host.files.texts.delete(ETC);
  assertEquals((await load()).current, first.current);
});

Deno.test("load() saves nothing where the host has an id", async () => {
  const host = new IdHost({ [ETC]: MACHINE_ID });
  const store = new MachineIdStore(host, "/state");
  assertEquals(await store.load(() => {}), { current: usable, registered: null });
  assertEquals(host.files.texts.has("/state/machine.json"), false);
  await store.saveRegistered(MACHINE_HASH);
  assertEquals(await store.load(() => {}), { current: usable, registered: MACHINE_HASH });
  // A machine id that changes does not change what the server is told.
  host.files.texts.set(ETC, OTHER_ID);
  const changed = await store.load(() => {});
  assertEquals([changed.current.id, changed.registered], [await hash(OTHER_ID), MACHINE_HASH]);
  await store.saveRegistered(null);
  assertEquals((await store.load(() => {})).registered, null);
});

Deno.test("load() fails rather than use an id that it cannot save", async () => {
  const host = new IdHost();
  host.files.fail("save the machine id", "full");
  const load = () => new MachineIdStore(host, "/state").load(() => {});
  await assertRejects(load, FileError, "Cannot save the machine id");
  host.files.heal("save the machine id");
  assertEquals((await load()).current.source, "own");
});

Deno.test("load() says that what was saved is lost", async () => {
  const host = new IdHost();
  const store = new MachineIdStore(host, "/state");
  const first = await store.load(() => {});
  const saved = host.files.texts.get("/state/machine.json") ?? "";
  const damages = [
    "",
    "{}",
    saved.slice(9),
    saved.replace(first.current.id, "x".repeat(64)),
    saved.replace("null", '"short"'),
  ];
  for (const damaged of damages) {
    host.files.texts.set("/state/machine.json", damaged);
    const faults: string[] = [];
    const { current } = await store.load((why) => faults.push(why));
    assertEquals([faults.length, current.source, current.id === first.current.id], [
      1,
      "own",
      false,
    ]);
  }
});
