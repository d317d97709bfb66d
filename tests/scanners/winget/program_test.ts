import { assert, assertEquals, assertRejects } from "@std/assert";
import { ScanError, type ScanErrorReason } from "../../../src/scanners/scanner.ts";
import {
  findWinget,
  learnNothingFound,
  listInstalled,
  listPins,
  listUpgrades,
  type Winget,
} from "../../../src/scanners/winget/program.ts";
import type { RunOptions, RunResult } from "../../../src/system/process.ts";
import { readFixture, succeeded } from "../fixture.ts";
import { ALIAS, ended, WingetHost } from "./host.ts";

const TOO_OLD = 0x8a150002;
const NO_MATCH = 0x8a150014;
const NO_UPDATE = 0x8a15002b;

/** A winget that gives these answers, one a question and the last one for ever. */
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

Deno.test("findWinget() reads major and minor of what winget says of its version", async () => {
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

Deno.test("findWinget() fails with the word of the best winget, where none works", async () => {
  const host = new WingetHost();
  host.addPackage("1.22.0.0");
  host.answer = (_, program) => program === ALIAS ? ended(0xc0000135) : succeeded(" \r\n");
  const [reason, message] = await failureOf(findWinget(host, {}));
  assertEquals(reason, "not_available");
  assert(message.startsWith(`Cannot start winget ("${ALIAS}"): a DLL`), message);
  host.files.texts.delete(ALIAS);
  const [, silent] = await failureOf(findWinget(host, {}));
  assert(silent.endsWith("it said nothing"), silent);
  host.files.texts.clear();
  assertEquals(await failureOf(findWinget(host, {})), [
    "not_available",
    "Cannot scan with winget: this account has none",
  ]);
});

Deno.test("findWinget() tries no other winget once it is called off", async () => {
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

Deno.test("a winget may take what is left of two minutes, and is not started without any", async () => {
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

Deno.test("every question leaves out progress since winget 1.29, which knows how", async () => {
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
    await learnNothingFound(winget);
    await listPins(winget);
    assertEquals(asked.map((args) => args.includes("--no-progress")), Array(4).fill(isQuiet));
  }
});

Deno.test("listUpgrades() asks with fewer options until winget knows them all", async () => {
  const listings = [
    "upgrade --include-unknown --include-pinned --source winget --accept-source-agreements " +
    "--disable-interactivity",
    "upgrade --include-unknown --source winget --accept-source-agreements",
    "upgrade --source winget",
  ];
  for (const [tooOld, knowsPins] of [[0, true], [1, false], [2, false]] as const) {
    const answers = [...Array(tooOld).fill(ended(TOO_OLD)), succeeded("a list\r\n")];
    const { winget, asked } = stub(answers);
    const told = await listUpgrades(winget);
    assertEquals(told, { stdout: "a list\r\n", saysNothing: false, knowsPins });
    assertEquals(asked.map((args) => args.join(" ")), listings.slice(0, tooOld + 1));
  }
  const [reason, message] = await failureOf(listUpgrades(stub([ended(TOO_OLD)]).winget));
  assertEquals(reason, "permanent");
  assert(message.includes("it does not know the options"), message);
});

Deno.test("listUpgrades() tells a code that says nothing was found from one of a failure", async () => {
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

Deno.test("listInstalled() answers what a search that succeeded said, and all of it", async () => {
  const { winget, asked } = stub([succeeded("a list\r\n")]);
  assertEquals(await listInstalled(winget, ["--id", "A.B"]), "a list\r\n");
  assertEquals(asked.map((args) => args.join(" ")), [`list --id A.B ${UNATTENDED}`]);
  for (const useless of [ended(NO_MATCH, "x\r\n"), ended(1, "x\r\n"), cutOff]) {
    assertEquals(await listInstalled(stub([useless]).winget, []), null);
  }
});

Deno.test("learnNothingFound() learns the one sentence that winget says of no package", async () => {
  const polish = "Nie znaleziono zainstalowanego pakietu.";
  const learn = (answer: RunResult) => learnNothingFound(stub([answer]).winget);
  assertEquals(await learn(ended(NO_MATCH, `\r - \r${polish}\r\n`)), polish);
  const table = readFixture("winget", "new_four_columns.txt");
  const useless: readonly RunResult[] = [
    succeeded(`${polish}\r\n`),
    ended(NO_UPDATE, `${polish}\r\n`),
    ended(NO_MATCH),
    ended(NO_MATCH, `Ups.\r\n${polish}\r\n`),
    ended(NO_MATCH, `${polish}\r\nUps`),
    ended(NO_MATCH, `${polish}\r\n\r\n${table}`),
    ended(NO_MATCH, `${polish}\r\n\r\nOdd:\r\nName Id\r\n--------\r\nGit  Git.Git\r\n`),
    { ...ended(NO_MATCH, `${polish}\r\n`), truncated: true },
  ];
  for (const answer of useless) assertEquals(await learn(answer), null, answer.stdout);
});

Deno.test("listPins() answers winget's list, and nothing where it is too old for pins", async () => {
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
