import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  bestPackages,
  findWinget,
  isTooOld,
  listInstalled,
  listNoPackage,
  listPins,
  listUpgrades,
  saysNothingFound,
  type Winget,
  wingetAccount,
  wingetFailure,
  wingetNotRun,
  wingetPaths,
} from "../../../src/scanners/winget/program.ts";
import { ALIAS, ended, PACKAGES, WingetHost } from "./host.ts";
import { FileError } from "../../../src/system/files.ts";
import { ScanError, type ScanErrorReason } from "../../../src/scanners/scanner.ts";
import {
  CommandError,
  type CommandErrorReason,
  type RunOptions,
  type RunResult,
} from "../../../src/system/process.ts";
import { succeeded } from "../fixture.ts";

function packaged(version: string, architecture: string): string {
  return `Microsoft.DesktopAppInstaller_${version}_${architecture}__8wekyb3d8bbwe`;
}

Deno.test("bestPackages() returns nothing for no names and for junk", () => {
  const junk = [
    "",
    "Deleted",
    "Microsoft.DesktopAppInstaller_8wekyb3d8bbwe",
    "Microsoft.DesktopAppInstaller_1.22.11261.0_neutral_~_8wekyb3d8bbwe",
    "Microsoft.DesktopAppInstaller_1.22.11261.0_neutral_split.scale-100_8wekyb3d8bbwe",
    "Microsoft.DesktopAppInstaller_1.22.11261.0_x64__aaaaaaaaaaaaa",
    "Evil_Microsoft.DesktopAppInstaller_1.22.11261.0_x64__8wekyb3d8bbwe",
    "Microsoft.DesktopAppInstaller_1.22.11261.0_x64__8wekyb3d8bbwe.evil",
    "Microsoft.DesktopAppInstaller_1.22.11261.0_x64__8wekyb3d8bbwe\\evil",
    "Microsoft.DesktopAppInstaller_1.1234567890_x64__8wekyb3d8bbwe",
  ];
  assertEquals(bestPackages([], "x86_64"), []);
  assertEquals(bestPackages(junk, "x86_64"), []);
});

Deno.test("bestPackages() puts the numerically highest version of the host's architecture first", () => {
  const names = [
    packaged("1.9.25200.0", "x64"),
    packaged("1.22.11261.0", "x64"),
    packaged("1.22.9999.0", "x64"),
    packaged("1.29.1.0", "arm64"),
    packaged("1.22.11261.0", "x86"),
  ];
  assertEquals(bestPackages(names, "x86_64"), [
    packaged("1.22.11261.0", "x64"),
    packaged("1.22.9999.0", "x64"),
    packaged("1.9.25200.0", "x64"),
  ]);
  assertEquals(bestPackages(names, "aarch64"), [packaged("1.29.1.0", "arm64")]);
});

Deno.test("bestPackages() returns another architecture if there is no package for the host's", () => {
  const names = [packaged("1.21.0.0", "arm64"), packaged("1.22.0.0", "arm64")];
  assertEquals(bestPackages(names, "x86_64"), names.toReversed());
});

Deno.test("bestPackages() accepts names in any case, and versions of two to four numbers", () => {
  const shouted = packaged("1.22.0.0", "X64").toUpperCase();
  const names = [shouted, packaged("1.23", "arm64"), packaged("1.22.0.0.1", "x64")];
  assertEquals(bestPackages(names, "x86_64"), [shouted]);
  const short = [packaged("1.22", "x64"), packaged("1.22.0.1", "x64"), packaged("2", "x64")];
  assertEquals(bestPackages(short, "x86_64"), [
    packaged("1.22.0.1", "x64"),
    packaged("1.22", "x64"),
  ]);
});

Deno.test("wingetPaths() of a user is the alias, which it does not open", async () => {
  const host = new WingetHost();
  host.files.inspect = () => Promise.reject(new Error("looked at"));
  assertEquals(await wingetPaths(host), [ALIAS]);
});

Deno.test("wingetPaths() of SYSTEM is in the directory of the package", async () => {
  const host = new WingetHost();
  host.becomeSystem();
  assertEquals(await wingetPaths(host), []);
  host.addPackage("1.9.25200.0");
  const newest = host.addPackage("1.22.11261.0");
  assertEquals((await wingetPaths(host))[0], newest);
  host.environment.set("ProgramW6432", "D:\\Programs");
  assertEquals(await wingetPaths(host), []);
});

Deno.test("wingetPaths() is empty if no directory can be read, or if no variable names one", async () => {
  const host = new WingetHost();
  host.files.list = () => Promise.reject(new FileError("denied", { reason: "denied" }));
  assertEquals(await wingetPaths(host), []);
  const bare = new WingetHost();
  bare.environment.clear();
  const path = bare.addPackage("1.22.11261.0");
  assertEquals(await wingetPaths(bare), [path]);
  assertEquals(path.startsWith(PACKAGES), true);
  const looked: string[] = [];
  bare.files.list = (_, directory) => {
    looked.push(directory);
    return Promise.resolve([]);
  };
  await wingetPaths(bare);
  assertEquals(looked, [PACKAGES], "without LOCALAPPDATA there is no directory of aliases");
});

Deno.test("wingetPaths() finds the alias in any case, and packages in the programs directory", async () => {
  const host = new WingetHost();
  host.files.texts.clear();
  host.files.texts.set(ALIAS.replace("winget.exe", "WinGet.EXE"), "");
  assertEquals(await wingetPaths(host), [ALIAS]);
  host.files.texts.clear();
  const path = host.addPackage("1.22.11261.0").replace("C:\\Program Files", "E:\\Programs");
  host.files.texts.set(path, "");
  host.environment.set("ProgramFiles", "E:\\Programs");
  assertEquals(await wingetPaths(host), [path]);
  // For a 32-bit process that variable names another directory.
  host.environment.set("ProgramW6432", "E:\\Programs");
  host.environment.set("ProgramFiles", "E:\\Programs (x86)");
  assertEquals(await wingetPaths(host), [path]);
});

Deno.test("wingetAccount() distinguishes services from users", () => {
  const host = new WingetHost();
  const rows: readonly [profile: string, description: string, isService: boolean][] = [
    ["C:\\Users\\anna", 'the user "anna"', false],
    ["C:\\Users\\anna\\", 'the user "anna"', false],
    ["", 'the user "unknown"', false],
    ["C:\\Windows\\system32\\config\\systemprofile", "SYSTEM", true],
    ["c:\\WINDOWS\\System32\\Config\\SystemProfile\\", "SYSTEM", true],
    ["C:\\Windows\\ServiceProfiles\\LocalService", "LocalService", true],
    ["c:\\windows\\serviceprofiles\\NetworkService\\", "NetworkService", true],
    ["C:\\Users\\systemprofile", 'the user "systemprofile"', false],
    ["D:\\config\\systemprofiles", 'the user "systemprofiles"', false],
  ];
  for (const [profile, description, isService] of rows) {
    host.environment.set("USERPROFILE", profile);
    assertEquals(wingetAccount(host), { description, isService }, profile);
  }
  host.environment.delete("USERPROFILE");
  assertEquals(wingetAccount(host), { description: 'the user "unknown"', isService: false });
});

const TOO_OLD = 0x8a150002;
const NO_MATCH = 0x8a150014;
const NO_UPDATE = 0x8a15002b;

/** A winget that gives these answers, one per command, and repeats the last one. */
function stub(answers: readonly RunResult[], version: Winget["version"] = [1, 28]) {
  const asked: string[][] = [];
  const left = [...answers];
  const winget: Winget = {
    path: ALIAS,
    version,
    run(_action, args) {
      asked.push([...args]);
      return Promise.resolve((left.length > 1 ? left.shift() : left[0]) ?? succeeded(""));
    },
  };
  return { winget, asked };
}

const cutOff = { ...succeeded("x\r\n"), truncated: true };

async function failureOf(work: Promise<unknown>): Promise<[ScanErrorReason, string]> {
  const { reason, message } = await assertRejects(() => work, ScanError);
  return [reason, message];
}

Deno.test("findWinget() reads the major and minor version", async () => {
  const rows: readonly [said: string, version: Winget["version"]][] = [
    ["v1.29.240\r\n", [1, 29]],
    ["v1.5.441-preview\r\n", [1, 5]],
    ["Windows Package Manager v2.0\r\n", [2, 0]],
    ["1.29.240\r\n", null],
    ["v1\r\n", null],
    ["nonsense\r\n", null],
  ];
  for (const [said, version] of rows) {
    const host = new WingetHost();
    host.answer = () => succeeded(said);
    const winget = await findWinget(host, {});
    assertEquals([winget.path, winget.version], [ALIAS, version], said);
  }
});

Deno.test("findWinget() fails with the error of the best winget if none works", async () => {
  const host = new WingetHost();
  host.addPackage("1.22.0.0");
  host.answer = (_, program) => program === ALIAS ? ended(0xc0000135) : succeeded(" \r\n");
  const [reason, message] = await failureOf(findWinget(host, {}));
  assertEquals(reason, "not_available");
  assert(message.startsWith(`Cannot start winget ("${ALIAS}"): a DLL`), message);
  host.files.texts.delete(ALIAS);
  const [, silent] = await failureOf(findWinget(host, {}));
  assert(silent.endsWith("it printed nothing"), silent);
  host.files.texts.clear();
  assertEquals(await failureOf(findWinget(host, {})), [
    "not_available",
    "Cannot scan with winget: this account has none",
  ]);
});

Deno.test("findWinget() tries no other winget after it is aborted", async () => {
  const host = new WingetHost();
  host.addPackage("1.22.0.0");
  const stop = new AbortController();
  host.answer = () => {
    stop.abort();
    return ended(1);
  };
  await assertRejects(() => findWinget(host, { signal: stop.signal }), ScanError);
  assertEquals(host.asked.length, 1);
});

Deno.test("winget gets the rest of two minutes, and is not started without time left", async () => {
  const host = new WingetHost();
  const given: RunOptions[] = [];
  host.answer = (_, __, options) => {
    given.push(options);
    return succeeded("v1.29.240\r\n");
  };
  host.takesMs = 60_000;
  const { signal } = new AbortController();
  const winget = await findWinget(host, { signal });
  await winget.run("ask", ["one"]);
  assertEquals(await failureOf(winget.run("ask", ["two"])), [
    "transient",
    "Cannot ask: no end within 120 s",
  ]);
  const bounds = { maxOutputBytes: 8_388_608, signal };
  assertEquals(given, [{ timeoutMs: 120_000, ...bounds }, { timeoutMs: 60_000, ...bounds }]);
});

Deno.test("every command disables progress bars since winget 1.29", async () => {
  const rows: readonly [version: Winget["version"], isQuiet: boolean][] = [
    [null, false],
    [[0, 99], false],
    [[1, 28], false],
    [[1, 29], true],
    [[1, 30], true],
    [[2, 0], true],
  ];
  for (const [version, isQuiet] of rows) {
    const { winget, asked } = stub([succeeded("x\r\n")], version);
    await listUpgrades(winget);
    await listInstalled(winget, ["--id", "A.B"]);
    await listNoPackage(winget);
    await listPins(winget);
    assertEquals(asked.map((args) => args.includes("--no-progress")), Array(4).fill(isQuiet));
  }
});

Deno.test("listUpgrades() retries with fewer options until winget knows them all", async () => {
  const listings = [
    "upgrade --include-unknown --include-pinned --source winget --accept-source-agreements " +
    "--disable-interactivity",
    "upgrade --include-unknown --source winget --accept-source-agreements",
    "upgrade --source winget",
  ];
  for (const [tooOld, knowsPins] of [[0, true], [1, false], [2, false]] as const) {
    const answers = [...Array(tooOld).fill(ended(TOO_OLD)), succeeded("a list\r\n")];
    const { winget, asked } = stub(answers);
    const listed = await listUpgrades(winget);
    assertEquals(listed, { stdout: "a list\r\n", saysNothing: false, knowsPins });
    assertEquals(asked.map((args) => args.join(" ")), listings.slice(0, tooOld + 1));
  }
  const [reason, message] = await failureOf(listUpgrades(stub([ended(TOO_OLD)]).winget));
  assertEquals(reason, "permanent");
  assert(message.includes("it does not know the options"), message);
});

Deno.test('listUpgrades() distinguishes "nothing found" from a failure by the exit code', async () => {
  for (const code of [NO_MATCH, NO_UPDATE]) {
    const { saysNothing, stdout } = await listUpgrades(stub([ended(code, "No.\r\n")]).winget);
    assertEquals([saysNothing, stdout], [true, "No.\r\n"]);
  }
  const [reason] = await failureOf(listUpgrades(stub([ended(0x8a150045, "x")]).winget));
  assertEquals(reason, "transient");
  assertEquals(await failureOf(listUpgrades(stub([cutOff]).winget)), [
    "permanent",
    "Cannot list updates with winget: the answer is too long",
  ]);
});

const UNATTENDED = "--source winget --accept-source-agreements --disable-interactivity";

Deno.test("listInstalled() returns the complete output of a successful search", async () => {
  const { winget, asked } = stub([succeeded("a list\r\n")]);
  assertEquals(await listInstalled(winget, ["--id", "A.B"]), "a list\r\n");
  assertEquals(asked.map((args) => args.join(" ")), [`list --id A.B ${UNATTENDED}`]);
  for (const useless of [ended(NO_MATCH, "x\r\n"), ended(1, "x\r\n"), cutOff]) {
    assertEquals(await listInstalled(stub([useless]).winget, []), null);
  }
});

Deno.test("listNoPackage() returns the complete output of a search that ended with no match", async () => {
  const output = "Nie znaleziono zainstalowanego pakietu.\r\n";
  const answerTo = (result: RunResult) => listNoPackage(stub([result]).winget);
  assertEquals(await answerTo(ended(NO_MATCH, output)), output);
  const useless: readonly RunResult[] = [
    succeeded(output),
    ended(NO_UPDATE, output),
    { ...ended(NO_MATCH, output), truncated: true },
  ];
  for (const result of useless) assertEquals(await answerTo(result), null);
});

Deno.test("listPins() returns the list, and null if winget is too old for pins", async () => {
  const { winget, asked } = stub([succeeded("a list\r\n")]);
  assertEquals(await listPins(winget), "a list\r\n");
  assertEquals(asked.map((args) => args.join(" ")), [`pin list ${UNATTENDED}`]);
  assertEquals(await listPins(stub([ended(NO_MATCH, "None.\r\n")]).winget), "None.\r\n");
  assertEquals(await listPins(stub([ended(TOO_OLD, "x\r\n")]).winget), null);
  const [reason, message] = await failureOf(listPins(stub([ended(0x8a150064)]).winget));
  assertEquals(reason, "transient");
  assert(message.startsWith("Cannot list winget's pins: "), message);
  assertEquals(await failureOf(listPins(stub([cutOff]).winget)), [
    "permanent",
    "Cannot list winget's pins: the answer is too long",
  ]);
});

const CODES: readonly [code: number, reason: ScanErrorReason][] = [
  [-1978335230, "permanent"],
  [-1978335162, "permanent"],
  [-1978335166, "permanent"],
  [-1978335217, "permanent"],
  [-1978335221, "permanent"],
  [-1978335211, "permanent"],
  [-1978335163, "transient"],
  [-1978335157, "transient"],
  [0x8a150044, "transient"],
  [0x8a15003b, "transient"],
  [0x8a150039, "transient"],
  [-1978335123, "transient"],
  [-1978335138, "permanent"],
  [-1978335174, "not_available"],
  [-1978335231, "transient"],
  [-1978335229, "transient"],
  [0x8a150005, "transient"],
  [0x8a15006a, "transient"],
  [0x80072ee7, "transient"],
  [0x80072efd, "transient"],
  [0x80072ee2, "transient"],
  [0x801901f4, "transient"],
  // A policy forbids the package; an update of App Installer; a full disk.
  [0x80073cff, "not_available"],
  [0x80073d01, "not_available"],
  [0x80073d00, "transient"],
  [0x80073d02, "transient"],
  [0x80073cf4, "transient"],
  [0x80070070, "transient"],
  // Unlisted codes, which have to repeat.
  [0x80073cf6, "transient"],
  [0x80073d19, "transient"],
  [0x80073d1e, "transient"],
  [0x80070005, "permanent"],
  [-1073741515, "not_available"],
  [0x80072efe, "transient"],
  [0x80072eff, "transient"],
  [0xc0000005, "transient"],
  [0xc0000409, "transient"],
  [0xc0000142, "transient"],
  [0xc000013a, "transient"],
  [0x40010004, "transient"],
  [0x8a15003f, "permanent"],
  [0x8a150016, "permanent"],
  [0x8a15000a, "permanent"],
  [0x8a150012, "permanent"],
  [0x8a150038, "permanent"],
  [0x8a15003e, "permanent"],
  [0x8a150064, "transient"],
  [0x80073cf5, "transient"],
  [0x80073cf8, "transient"],
  [0x80073cf0, "permanent"],
  [0x80073d1f, "permanent"],
  [0x80073cef, "transient"],
  [0x80073d20, "transient"],
  [0x8a15ffff, "transient"],
  [1, "transient"],
];

/** Codes of which only the failure is known. */
const UNKNOWN: readonly number[] = [0x80073cef, 0x80073d20, 0x8a15ffff, 1];

for (const [code, reason] of CODES) {
  Deno.test(`wingetFailure() maps ${code} to ${reason}, signed or not`, () => {
    for (const number of [code | 0, code >>> 0]) {
      const error = wingetFailure("list updates", number);
      assertEquals(error.reason, reason);
      const hex = (code >>> 0).toString(16).toUpperCase().padStart(8, "0");
      assert(error.message.startsWith("Cannot list updates: "), error.message);
      assert(error.message.includes(`(0x${hex})`), error.message);
      assertEquals(error.message.includes(": it failed ("), UNKNOWN.includes(code), error.message);
    }
  });
}

Deno.test("wingetFailure() says what an operator can do", () => {
  assertEquals(
    wingetFailure("list updates", -1978335217).message,
    "Cannot list updates: the source's data is missing for this account (0x8A15000F). " +
      "Next: run `winget source update` as the same account",
  );
  for (
    const [code, advice] of [[0x8a15003f, "winget source list"], [0x8a150016, "App Installer"]]
  ) {
    const { message } = wingetFailure("list updates", Number(code));
    assert(message.includes(String(advice)), message);
  }
});

Deno.test("wingetFailure() advises to repair App Installer only if its package is broken", () => {
  const advice = (code: number) => wingetFailure("list updates", code).message.split("Next: ")[1];
  const broken = [
    ...[0x80073cf0, 0x80073cf2, 0x80073cf3, 0x80073cfc, 0x80073cfd, 0x80073cfe, 0x80073d03],
    ...[0x80073d04, 0x80073d07, 0x80073d09, 0x80073d10, 0x80073d13, 0x80073d1f],
  ];
  for (const code of broken) {
    assertEquals(advice(code), "repair App Installer for this account", code.toString(16));
    assertEquals(wingetFailure("x", code).reason, "permanent");
  }
  for (const code of [0x80073cf1, 0x80073cf9, 0x80073d0d, 0x80073d1e]) {
    assertEquals(advice(code), "if it stays so, repair App Installer for this account");
    assertEquals(wingetFailure("x", code).reason, "transient");
  }
  for (const code of [0x80073d00, 0x80073d02, 0x80073cf5, 0x80073cf8]) {
    assertEquals(advice(code), undefined);
  }
  for (const code of [0x80073cf4, 0x80070070]) {
    assertEquals(advice(code), "free space on the system drive");
  }
  for (const code of [0x80073cff, 0x80073d01]) {
    assertEquals(advice(code)?.includes("policies"), true);
  }
});

Deno.test("saysNothingFound() and isTooOld() accept their codes, signed or not", () => {
  assertEquals([-1978335212, 0x8a150014, -1978335189].map(saysNothingFound), [true, true, true]);
  assertEquals([0, 1, -1978335230].map(saysNothingFound), [false, false, false]);
  assertEquals([-1978335230, 0x8a150002, -1978335231].map(isTooOld), [true, true, false]);
});

Deno.test("wingetNotRun() distinguishes a missing winget from one that hangs", () => {
  const reasons: [CommandErrorReason, ScanErrorReason][] = [
    ["not_found", "not_available"],
    ["failed", "not_available"],
    ["denied", "permanent"],
    ["timeout", "transient"],
    ["aborted", "transient"],
  ];
  for (const [reason, expected] of reasons) {
    const error = new CommandError("Cannot run", { reason });
    assertEquals(wingetNotRun("list updates", error).reason, expected);
  }
});
