import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import fc from "fast-check";
import { diffUpdates } from "../../src/commands/update_diff.ts";
import { ScanError, type ScanErrorReason } from "../../src/scanners/scanner.ts";
import { runScan, type ScanReport } from "../../src/scanners/run_scans.ts";
import type { ScanAnswer } from "../../src/scanners/scanner.ts";
import { scanWinupdate, winupdateScanner } from "../../src/scanners/winupdate.ts";
import { encodeUpdate } from "../../src/server/update_item.ts";
import { CommandError, type RunResult } from "../../src/system/process.ts";
import { settle } from "../fakes/clock.ts";
import { scanWith } from "../fakes/scan_with.ts";
import { SECRET, SECRET_URLS } from "../fakes/secret_urls.ts";
import { readFixture, succeeded } from "./fixture.ts";
import { asRead, envelope, PowershellHost, scriptOf } from "./powershell/stub.ts";

/** The output of PowerShell for a fixture. */
function answered(name: string): RunResult {
  return succeeded(envelope(readFixture("winupdate", name)));
}

/** Recorded output of PowerShell, byte by byte. */
function printed(name: string): RunResult {
  const file = new URL(`../fixtures/winupdate/${name}`, import.meta.url);
  return succeeded(asRead(Deno.readFileSync(file)));
}

/** A search that failed with this code. */
function refused(hresult: string): RunResult {
  return succeeded(envelope(JSON.stringify({ error: { hresult, message: "" } })));
}

/** For each run, whether it asked the update server. */
function asked(host: PowershellHost): boolean[] {
  return host.asked.map((question) => scriptOf(question).includes("$online=$true"));
}

/** Scans while virtual time advances; `tookMs` is the time until the answer. */
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

Deno.test("scanWinupdate() returns the result of one search", async () => {
  const host = new PowershellHost(answered("two.json"));
  const { updates, warnings, metadataAgeS } = await answerOf(host);
  assertEquals(updates.map(({ advisories }) => advisories), [["KB5070001"], ["KB2267602"]]);
  assertEquals([warnings, metadataAgeS, asked(host)], [[], 0, [true]]);
  assertEquals(host.asked[0]?.options.timeoutMs, 30 * 60_000);
});

Deno.test("scanWinupdate() returns an empty list only after a successful search", async () => {
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
  Deno.test(`scanWinupdate() rejects output as in ${name}, without a retry`, async () => {
    const host = new PowershellHost(printed(`stdout_${name}.txt`));
    assertEquals([(await errorOf(host)).reason, asked(host)], [reason, [true]]);
  });
}

Deno.test("scanWinupdate() reports errors, a required restart and a WSUS server", async () => {
  const { updates, warnings, result } = await answerOf(
    new PowershellHost(answered("wsus_incomplete.json")),
  );
  assertEquals([updates.length, warnings.length, result], [0, 3, "degraded"]);
  assert(warnings[0]?.startsWith("WSUS: Windows Update could not search everything: "));
});

Deno.test("scanWinupdate() of a WSUS host with all approved updates returns a complete list", async () => {
  const nothing = JSON.stringify({ resultCode: 2, source: "wsus", updates: [] });
  const { warnings, result } = await answerOf(
    new PowershellHost(succeeded(envelope(nothing))),
  );
  assertEquals([warnings.length, result], [1, "ok"]);
});

Deno.test("scanWinupdate() retries a transient failure after 30 s and after 120 s", async () => {
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
  // The remaining time decreases.
  assertEquals(twice.asked.map(({ options }) => options.timeoutMs), [
    1_800_000,
    1_770_000,
    1_650_000,
  ]);
});

Deno.test("scanWinupdate() retries while another search runs, and then fails as locked", async () => {
  const host = new PowershellHost(refused("0x80240009"));
  assertEquals((await errorOf(host)).reason, "locked");
  assertEquals(asked(host), [true, true, true]);
});

Deno.test("scanWinupdate() returns the result of the last search if no server can be reached", async () => {
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
    "The list is the result of Windows' last search, of 2026-11-24T03:12:45.000Z or later",
    "Microsoft Update: Cannot search for updates: the name of the update server or of the proxy " +
    "is not resolved (0x8024402C). Next: check the host's network, name resolution and proxy",
  ]);
  assertEquals(sources.map(({ name, result, metadataAgeS }) => [name, result, metadataAgeS]), [
    ["Microsoft Update", "failed", 3_600],
  ]);
});

Deno.test("scanWinupdate() limits the query for the last search to two minutes, and reports its age", async () => {
  const unreachable = refused("0x8024402C");
  const past = async (lastSearch: string | null) => {
    const json = JSON.stringify({
      ...JSON.parse(readFixture("winupdate", "cached.json")),
      lastSearch,
    });
    const host = new PowershellHost(
      unreachable,
      unreachable,
      unreachable,
      succeeded(envelope(json)),
    );
    host.clock.setNow(Date.UTC(2026, 10, 24, 4, 0, 0) - 150_000);
    const { warnings, metadataAgeS } = await answerOf(host);
    assertEquals(host.asked.at(-1)?.options, { timeoutMs: 120_000, maxOutputBytes: 33_554_432 });
    return [warnings[0], metadataAgeS];
  };
  const words = "The list is the result of Windows' last search";
  assertEquals(await past(null), [words, null]);
  assertEquals(await past("2026-11-24T03:59:59.4Z"), [
    `${words}, of 2026-11-24T03:59:59.400Z or later`,
    1,
  ]);
  // The clock was ahead at that time.
  assertEquals((await past("2026-11-24T05:00:00Z"))[1], 0);
});

Deno.test("scanWinupdate() does not accept an empty or failed result of the last search", async () => {
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
  Deno.test(`scanWinupdate() does not retry after ${name}`, async () => {
    const host = new PowershellHost(answer);
    const end = await scan(host);
    assert("error" in end && end.error instanceof ScanError);
    assertEquals([end.error.reason, asked(host), end.tookMs], [reason, [true], 0]);
  });
}

Deno.test("scanWinupdate() starts no retry with less than a minute left", async () => {
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

Deno.test("scanWinupdate() ends a pause when it is aborted", async () => {
  const host = new PowershellHost(refused("0x8024401C"));
  const stop = new AbortController();
  const rejected = assertRejects(() => scanWinupdate(host, { signal: stop.signal }), Error, "stop");
  await settle();
  assertEquals(host.clock.sleeping, 1);
  stop.abort(new Error("stop"));
  await rejected;
  assertEquals([host.clock.sleeping, asked(host)], [0, [true]]);
});

Deno.test("isAvailable() looks for the agent's library in the Windows directory", async () => {
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

Deno.test("scanWinupdate() passes its signal to each search", async () => {
  const host = new PowershellHost(refused("0x8024402C"));
  const { signal } = new AbortController();
  const scanned = scanWinupdate(host, { signal }).catch(() => {});
  for (let minute = 0; minute < 30; minute++) await host.clock.advance(60_000);
  await scanned;
  assert(asked(host).includes(false));
  assert(host.asked.every(({ options }) => options.signal === signal));
});

/** Names of packages that the server would be told to remove. */
function goneAfter(before: ScanReport, after: ScanReport): readonly string[] {
  const listOf = ({ updates, result }: ScanReport) => ({
    packageType: "windows_update" as const,
    items: updates.map((update) => encodeUpdate(update, "windows_update", "x86_64")),
    isWhole: result === "ok",
  });
  const options = { nowMs: 0, wantsAll: false };
  const { reported } = diffUpdates(listOf(before), undefined, options);
  return after.result === "failed" ? [] : diffUpdates(listOf(after), reported, options).removed;
}

/** The report of a scan, also of a failed one. */
async function reportOf(host: PowershellHost): Promise<ScanReport> {
  const end = await scan(host);
  const answering = () => "answer" in end ? Promise.resolve(end.answer) : Promise.reject(end.error);
  return await runScan(host, { ...winupdateScanner(), scan: answering }, {});
}

/** Whether an answer has no complete envelope. */
function isMute(answer: RunResult | Error): boolean {
  return answer instanceof Error || !answer.stdout.includes("<<<END>>>");
}

Deno.test("a damaged source leaves the list incomplete, removes no update, and is named", async () => {
  const whole = JSON.parse(readFixture("winupdate", "two.json"));
  const right = await reportOf(new PowershellHost(answered("two.json")));
  assertEquals([right.result, right.updates.length], ["ok", 2]);
  const warning = fc.constantFrom("0x8024401C", "0x80240438", "0x80131500")
    .map((hresult) => ({ context: 4, hresult, message: "" }));
  const lacking = fc.subarray(whole.updates as unknown[], { maxLength: 1 });
  const damaged = fc.oneof(
    // One of the sources did not answer; some updates are not in the list.
    fc.tuple(lacking, warning).map(([updates, one]) =>
      succeeded(envelope(JSON.stringify({ ...whole, resultCode: 3, updates, warnings: [one] })))
    ),
    lacking.map((updates) =>
      succeeded(envelope(JSON.stringify({ ...whole, resultCode: 3, updates })))
    ),
    // The server cannot be asked.
    fc.constantFrom("0x8024402C", "0x80244017", "0x80070422", "0x8024500C", "0x80131500")
      .map(refused),
    fc.nat(40).map((at) => succeeded(envelope(JSON.stringify(whole)).slice(0, at))),
    fc.constant(new CommandError("Cannot run: no end", { reason: "timeout" })),
  );
  await fc.assert(
    fc.asyncProperty(damaged, fc.boolean(), async (answer, hasPast) => {
      const past = hasPast ? answered("cached.json") : refused("0x80240438");
      const host = new PowershellHost(answer, answer, answer, past);
      const report = await reportOf(host);
      assert(report.result !== "ok");
      assertEquals(goneAfter(right, report), []);
      // Without an answer of PowerShell the servers are unknown.
      if (report.error && isMute(answer)) return assertEquals(report.sources, []);
      const bad = report.sources.filter(({ result }) => result !== "ok");
      assert(bad.length > 0, JSON.stringify(report));
      const said = report.error ? [report.error.message] : report.warnings;
      assert(said.some((text) => text.includes(bad[0]?.why ?? "?")), JSON.stringify(report));
    }),
    { numRuns: 150 },
  );
});

Deno.test("no secret in the output of Windows gets into a report", async () => {
  const whole = JSON.parse(readFixture("winupdate", "two.json"));
  for (const url of SECRET_URLS) {
    const warnings = [{ context: 4, hresult: "0x80131500", message: `no way to ${url}` }];
    const [first] = whole.updates;
    const driver = { provider: url, class: "", model: url, hardwareId: url };
    const odd = [
      { ...first, title: url, kb: [], description: url, severity: url },
      { ...first, type: 2, kb: [], driver },
    ];
    const values = [
      { ...whole, source: "wsus", server: url, resultCode: 3, warnings, updates: odd },
      { ...whole, source: url, updates: odd, reboot: { [url]: true } },
      { error: { hresult: "0x80131500", message: url }, source: "wsus", server: url },
      { error: { hresult: "0x80072EFD", message: url }, source: "wsus", server: url },
    ];
    const answers = [
      ...values.map((value) => succeeded(envelope(JSON.stringify(value)))),
      { code: 1, stdout: url, stderr: url, truncated: false },
      { code: 0, stdout: "", stderr: url, truncated: false },
      new CommandError(`Cannot run "${url}": no`, { reason: "failed" }),
    ];
    for (const answer of answers) {
      const report = JSON.stringify(await reportOf(new PowershellHost(answer)));
      assert(!report.includes(SECRET), report);
    }
  }
});
