import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { ScanError, type ScanErrorReason } from "../../src/scanners/scanner.ts";
import type { ScanReport } from "../../src/scanners/run_scans.ts";
import type { ScanAnswer } from "../../src/scanners/scanner.ts";
import { scanWinupdate, winupdateScanner } from "../../src/scanners/winupdate.ts";
import { CommandError, type RunResult } from "../../src/system/process.ts";
import { settle } from "../fakes/clock.ts";
import { scanWith } from "../fakes/scan_with.ts";
import { readFixture, succeeded } from "./fixture.ts";
import { asRead, envelope, PowershellHost, scriptOf } from "./powershell_stub.ts";

/** What PowerShell prints for a fixture. */
function answered(name: string): RunResult {
  return succeeded(envelope(readFixture("winupdate", name)));
}

/** What a file says that PowerShell printed, byte for byte. */
function printed(name: string): RunResult {
  const file = new URL(`../fixtures/winupdate/${name}`, import.meta.url);
  return succeeded(asRead(Deno.readFileSync(file)));
}

/** A search that the agent ended with this code. */
function refused(hresult: string): RunResult {
  return succeeded(envelope(JSON.stringify({ error: { hresult, message: "" } })));
}

/** For each question, whether the update server was asked. */
function asked(host: PowershellHost): boolean[] {
  return host.asked.map((question) => scriptOf(question).includes("$online=$true"));
}

/** Scans, and lets virtual time pass until there is an answer; `tookMs` of it. */
async function scan(host: PowershellHost) {
  const startedMs = host.clock.monotonicMs();
  let end: { answer: ScanAnswer } | { error: unknown } | undefined;
  scanWinupdate(host, {}).then((answer) => end = { answer }, (error) => end = { error });
  await settle();
  while (end === undefined) await host.clock.advance(1_000);
  return { ...end, tookMs: host.clock.monotonicMs() - startedMs };
}

async function answerOf(host: PowershellHost): Promise<ScanReport> {
  const end = await scan(host);
  if ("error" in end) throw end.error;
  const { answer } = end;
  return await scanWith({ ...winupdateScanner(), scan: () => Promise.resolve(answer) }, host);
}

async function errorOf(host: PowershellHost): Promise<ScanError> {
  const end = await scan(host);
  assert("error" in end);
  assertInstanceOf(end.error, ScanError);
  return end.error;
}

Deno.test("scanWinupdate() tells what one search found", async () => {
  const host = new PowershellHost(answered("two.json"));
  const { updates, warnings, metadataAgeS } = await answerOf(host);
  assertEquals(updates.map(({ advisories }) => advisories), [["KB5070001"], ["KB2267602"]]);
  assertEquals([warnings, metadataAgeS, asked(host)], [[], 0, [true]]);
  assertEquals(host.asked[0]?.options.timeoutMs, 30 * 60_000);
});

Deno.test("scanWinupdate() has no updates only after a search that succeeded", async () => {
  const { updates, warnings } = await answerOf(new PowershellHost(answered("none.json")));
  assertEquals([updates, warnings], [[], []]);
});

const PRINTED = ["lf", "utf16", "bom", "clixml", "cp850", "narrow"];

for (const name of PRINTED) {
  Deno.test(`scanWinupdate() reads one update with an umlaut, printed as in ${name}`, async () => {
    const { updates } = await answerOf(new PowershellHost(printed(`stdout_${name}.txt`)));
    assertEquals(updates.map((update) => update.package), ["KB2267602"]);
    const title = "Security Intelligence-Update für Microsoft Defender Antivirus – KB2267602";
    assert(updates[0]?.description?.startsWith(title), updates[0]?.description ?? "");
  });
}

const REFUSED: readonly [string, ScanErrorReason][] = [
  ["twice", "permanent"],
  ["truncated", "permanent"],
  ["cut", "transient"],
];

for (const [name, reason] of REFUSED) {
  Deno.test(`scanWinupdate() refuses what was printed as in ${name}, and asks once`, async () => {
    const host = new PowershellHost(printed(`stdout_${name}.txt`));
    assertEquals([(await errorOf(host)).reason, asked(host)], [reason, [true]]);
  });
}

Deno.test("scanWinupdate() is degraded by errors, a restart that is due and a WSUS server", async () => {
  const { updates, warnings, result } = await answerOf(
    new PowershellHost(answered("wsus_incomplete.json")),
  );
  assertEquals([updates.length, warnings.length, result], [0, 3, "degraded"]);
  assert(warnings[0]?.startsWith("WSUS: Windows Update could not search everything: "));
});

Deno.test("scanWinupdate() of a WSUS host that has all that is approved answers a list that is whole", async () => {
  const nothing = JSON.stringify({ resultCode: 2, source: "wsus", updates: [] });
  const { warnings, result } = await answerOf(
    new PowershellHost(succeeded(envelope(nothing))),
  );
  assertEquals([warnings.length, result], [1, "ok"]);
});

Deno.test("scanWinupdate() repeats a search that failed in passing, after 30 s and after 120 s", async () => {
  const once = new PowershellHost(refused("0x80240438"), answered("two.json"));
  const first = await scan(once);
  assert("answer" in first && first.answer.gaps.length === 0);
  assertEquals([first.tookMs, asked(once)], [30_000, [true, true]]);
  const twice = new PowershellHost(
    refused("0x8024401C"),
    refused("0x80244007"),
    answered("two.json"),
  );
  const second = await scan(twice);
  assert("answer" in second);
  assertEquals([second.tookMs, asked(twice)], [150_000, [true, true, true]]);
  // The time that is left grows shorter.
  assertEquals(twice.asked.map(({ options }) => options.timeoutMs), [
    1_800_000,
    1_770_000,
    1_650_000,
  ]);
});

Deno.test("scanWinupdate() waits for another search to end, and says locked if it does not", async () => {
  const host = new PowershellHost(refused("0x80240009"));
  assertEquals((await errorOf(host)).reason, "locked");
  assertEquals(asked(host), [true, true, true]);
});

Deno.test("scanWinupdate() tells what Windows found before where no server can be reached", async () => {
  const unreachable = refused("0x8024402C");
  const host = new PowershellHost(
    unreachable,
    unreachable,
    unreachable,
    answered("cached.json"),
  );
  host.clock.setNow(Date.UTC(2026, 10, 24, 4, 12, 45) - 150_000);
  const { updates, warnings, metadataAgeS, sources } = await answerOf(host);
  assertEquals(asked(host), [true, true, true, false]);
  assertEquals([updates.length, metadataAgeS], [1, 3_600]);
  assertEquals(warnings, [
    "The list is what Windows found the last time, of 2026-11-24T03:12:45.000Z or later",
    "Microsoft Update: Cannot search for updates: the name of the update server or of the proxy " +
    "is not resolved (0x8024402C). Next: check the host's network, name resolution and proxy",
  ]);
  assertEquals(sources.map(({ name, result, metadataAgeS }) => [name, result, metadataAgeS]), [
    ["Microsoft Update", "failed", 3_600],
  ]);
});

Deno.test("scanWinupdate() takes no empty or failed look into the past for no updates", async () => {
  const unreachable = refused("0x80072EE2");
  for (const past of [answered("none.json"), answered("null.json"), refused("0x80240001")]) {
    const host = new PowershellHost(unreachable, unreachable, unreachable, past);
    const error = await errorOf(host);
    assertEquals(error.reason, "transient");
    assert(error.message.includes("0x80072EE2"), error.message);
  }
});

const ONCE: readonly [string, RunResult | Error, ScanErrorReason][] = [
  ["a service that is disabled", answered("error_disabled.json"), "not_available"],
  ["a proxy that refuses", refused("0x8024401B"), "permanent"],
  ["an answer that is not understood", answered("null.json"), "permanent"],
  [
    "a search that takes too long",
    new CommandError("Cannot run: no end within 1800000 ms", { reason: "timeout" }),
    "transient",
  ],
];

for (const [name, answer, reason] of ONCE) {
  Deno.test(`scanWinupdate() does not ask again after ${name}`, async () => {
    const host = new PowershellHost(answer);
    const end = await scan(host);
    assert("error" in end && end.error instanceof ScanError);
    assertEquals([end.error.reason, asked(host), end.tookMs], [reason, [true], 0]);
  });
}

Deno.test("scanWinupdate() begins no repetition that could not take a minute", async () => {
  for (const [leftMs, repetitions] of [[90_000, 1], [89_999, 0]] as const) {
    const host = new PowershellHost();
    const slow = () => host.clock.advance(1_800_000 - leftMs).then(() => refused("0x8024401C"));
    const run = host.runCommand;
    host.answers = [refused("0x8024401C")];
    host.runCommand = async (argv, options) => {
      const result = await run(argv, options);
      return host.asked.length === 1 ? await slow() : result;
    };
    await errorOf(host);
    assertEquals(asked(host).filter((online) => online).length, 1 + repetitions);
  }
});

Deno.test("scanWinupdate() ends a pause when it is asked to stop", async () => {
  const host = new PowershellHost(refused("0x8024401C"));
  const stop = new AbortController();
  const rejected = assertRejects(() => scanWinupdate(host, { signal: stop.signal }), Error, "stop");
  await settle();
  assertEquals(host.clock.sleeping, 1);
  stop.abort(new Error("stop"));
  await rejected;
  assertEquals([host.clock.sleeping, asked(host)], [0, [true]]);
});

Deno.test("isAvailable() looks for the agent's library in Windows' folder", async () => {
  const host = new PowershellHost();
  const { isAvailable } = winupdateScanner();
  assertEquals(await isAvailable(host), false);
  host.files.texts.set("C:\\WINDOWS\\System32\\wuapi.dll", "");
  assertEquals(await isAvailable(host), true);
  host.environment.set("SystemRoot", "nowhere");
  assertEquals(await isAvailable(host), false);
  host.environment.set("SystemRoot", "C:\\WINDOWS");
  host.files.fail("look for Windows Update", "denied");
  assertEquals(await isAvailable(host), false);
});

Deno.test("scanWinupdate() ends each search with its own signal, that in what is kept too", async () => {
  const host = new PowershellHost(refused("0x8024402C"));
  const { signal } = new AbortController();
  const scanned = scanWinupdate(host, { signal }).catch(() => {});
  for (let minute = 0; minute < 30; minute++) await host.clock.advance(60_000);
  await scanned;
  assert(asked(host).includes(false));
  assert(host.asked.every(({ options }) => options.signal === signal));
});
