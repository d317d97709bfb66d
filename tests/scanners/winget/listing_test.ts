import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { diffUpdates } from "../../../src/commands/update_diff.ts";
import { runScan, type ScanReport } from "../../../src/scanners/run_scans.ts";
import { wingetScanner } from "../../../src/scanners/winget.ts";
import { encodeUpdate } from "../../../src/server/update_item.ts";
import { CommandError, type RunOptions, type RunResult } from "../../../src/system/process.ts";
import { SECRET, SECRET_URLS } from "../../fakes/secret_urls.ts";
import { readFixture, succeeded } from "../fixture.ts";
import { type Answer, ended, winget, WingetHost } from "./host.ts";

function scan(answer: Answer): Promise<ScanReport> {
  const host = new WingetHost();
  host.answer = answer;
  return runScan(host, wingetScanner(), {});
}

/** Names of packages that the server would be told of as waiting no more. */
function goneAfter(before: ScanReport, after: ScanReport): readonly string[] {
  const listOf = ({ updates, result }: ScanReport) => ({
    packageType: "winget" as const,
    items: updates.map((update) => encodeUpdate(update, "winget", "x86_64")),
    isWhole: result === "ok",
  });
  const options = { nowMs: 0, wantsAll: false };
  const { reported } = diffUpdates(listOf(before), undefined, options);
  return after.result === "failed" ? [] : diffUpdates(listOf(after), reported, options).removed;
}

const WHOLE = readFixture("winget", "new_three_tables.txt");

/** Ways in which the only source that is asked can fail. */
const failures: fc.Arbitrary<RunResult | Error> = fc.oneof(
  // A source that failed, in a language of winget's or in none.
  fc.constantFrom(
    "Failed in attempting to update the source: winget\r\n",
    "Fehler beim Versuch, die Quelle zu aktualisieren: winget\r\n",
    "搜索源时失败;结果将不包括在内： winget\r\n",
  ).chain((sentence) =>
    fc.constantFrom(
      succeeded(sentence),
      succeeded(sentence + WHOLE),
      succeeded(sentence + readFixture("winget", "new_nothing.txt")),
      ended(0x8a150014, sentence + readFixture("winget", "new_nothing.txt")),
    )
  ),
  fc.constantFrom(0x8a150045, 0x8a15000f, 0x80072efe, 0xc0000005, 1).map((code) => ended(code)),
  fc.constantFrom(
    new CommandError("Cannot run", { reason: "timeout" }),
    new CommandError("Cannot run", { reason: "failed" }),
  ),
);

/** Ways in which its answer can be: the source may have answered well. */
const damages: fc.Arbitrary<RunResult | Error> = fc.oneof(
  // A failure that names no source.
  fc.constantFrom(WHOLE, readFixture("winget", "new_nothing.txt"))
    .map((answer) => succeeded(`Nie udało się otworzyć źródła.\r\n${answer}`)),
  // A row that is gone although winget counts it, and an answer that was cut off.
  fc.nat(3).map((row) => {
    const lines = WHOLE.split("\r\n");
    const rows = lines.flatMap((line, at) => /^\S.*\d+\.\d+/.test(line) ? [at] : []);
    return succeeded(lines.toSpliced(rows[row % rows.length] ?? 2, 1).join("\r\n"));
  }),
  fc.integer({ min: 1, max: WHOLE.length - 3 }).map((at) => succeeded(WHOLE.slice(0, at))),
);

Deno.test("a damaged source makes no list whole, ends no update, and is named", async () => {
  const right = await scan(winget("v1.29.240", "new_three_tables.txt"));
  assertEquals([right.result, right.updates.length], ["ok", 4]);
  await fc.assert(
    fc.asyncProperty(fc.boolean(), failures, damages, async (isSource, failure, other) => {
      const damage = isSource ? failure : other;
      const asked = winget("v1.29.240", succeeded(""));
      const damaged = await scan((args, ...rest) =>
        args[0] === "--version" ? asked(args, ...rest) : damage
      );
      assert(damaged.result !== "ok", JSON.stringify(damage));
      assertEquals(goneAfter(right, damaged), []);
      const said = damaged.error ? [damaged.error.message] : damaged.warnings;
      const failed = damaged.sources.find(({ name }) => name === "winget");
      assert(said.length > 0 && failed !== undefined, JSON.stringify(damaged));
      if (!isSource) return;
      assertEquals(failed.result, "failed");
      assert(said.some((text) => text.includes(failed.why ?? "?")), JSON.stringify(damaged));
    }),
    { numRuns: 300 },
  );
});

Deno.test("no secret in what winget says gets into a report", async () => {
  const table = readFixture("winget", "new_four_columns.txt");
  for (const url of SECRET_URLS) {
    const named = table.replace("7-Zip 23.01 (x64)", `See ${url}`.slice(0, 200));
    const answers: RunResult[] = [
      succeeded(`Failed in attempting to update the source: ${url}\r\n`),
      succeeded(`Failed in attempting to update the source: ${url}\r\n${table}`),
      succeeded(`${table}${url}\r\n`),
      succeeded(named),
      succeeded(`${url}\r\n${url}\r\n`),
      { code: 1, stdout: url, stderr: url, truncated: false },
    ];
    for (const answer of answers) {
      const report = await scan(winget("v1.29.240", answer));
      assert(!JSON.stringify(report).includes(SECRET), JSON.stringify(report));
    }
    const error = new CommandError(`Cannot run "${url}": no`, { reason: "failed" });
    assert(!JSON.stringify(await scan(() => error)).includes(SECRET), url);
  }
});

const MODULE =
  "C:\\Program Files\\WindowsPowerShell\\Modules\\Microsoft.WinGet.Client\\1.9.2\\x.psd1";

/** A host with the module, which lists these ids, beside a winget. */
function hostWith(answer: Answer, ids: readonly string[], options: RunOptions[] = []): WingetHost {
  const host = new WingetHost();
  host.files.texts.set(MODULE, "");
  const updates = ids.map((id) => ({ name: id, id, installed: "1.0", available: "1.1" }));
  const json = JSON.stringify({ packages: ids.length, updates });
  host.answer = (args, program, bounds) => {
    if (!program.endsWith("powershell.exe")) return answer(args, program, bounds);
    options.push(bounds);
    return succeeded(`<<<BEGIN>>>${btoa(json)}<<<END>>>`);
  };
  return host;
}

const SHORT = succeeded(
  readFixture("winget", "new_four_columns.txt").replace("2 upgrades", "3 upgrades"),
);

Deno.test("a scan adds what only the module lists, says so, and gives it a minute", async () => {
  const options: RunOptions[] = [];
  const host = hostWith(winget("v1.29.240", SHORT), ["7ZIP.7zip", "A.B"], options);
  const { updates, result } = await runScan(host, wingetScanner(), {});
  assertEquals(updates.map((update) => [update.package, update.stateReason ?? null]), [
    ["7zip.7zip", null],
    ["A.B", "listed by winget's PowerShell module only"],
    ["Microsoft.PowerShell", null],
  ]);
  assertEquals([result, options.map(({ timeoutMs }) => timeoutMs)], ["degraded", [60_000]]);
});

Deno.test("a scan by the module alone says that it may miss some, and why winget has no list", async () => {
  const host = hostWith(winget("v1.29.240", ended(0x8a150045)), ["A.B"]);
  const { updates, warnings, sources, scope } = await runScan(host, wingetScanner(), {});
  assertEquals(updates.map((update) => update.package), ["A.B"]);
  const why = "Cannot list updates with winget: a source could not be opened (0x8A150045)";
  assertEquals(warnings, [
    "The list is that of winget's PowerShell module, which is known to miss updates",
    `winget: ${why}`,
  ]);
  assertEquals(sources.map(({ name, result, why }) => [name, result, why]), [
    ["winget", "failed", why],
    ["msstore", "not_asked", null],
  ]);
  assertEquals(scope, 'asked through its PowerShell module as the user "anna"');
});

Deno.test("a scan hides no mistake of ours in what it asks besides the list", async () => {
  const listing = winget("v1.28.190", "old_cut_ids.txt", () => new TypeError("oops"));
  const rows: readonly Answer[] = [
    listing,
    (args, ...rest) =>
      args[0] === "pin" ? new TypeError("oops") : winget("v1.29.240", SHORT)(args, ...rest),
    (args, program, options) =>
      program.endsWith("powershell.exe")
        ? new TypeError("oops")
        : winget("v1.29.240", SHORT)(args, program, options),
  ];
  for (const answer of rows) {
    const host = new WingetHost();
    host.files.texts.set(MODULE, "");
    host.answer = answer;
    await assertRejects(() => wingetScanner().scan(host, {}), TypeError, "oops");
  }
});

Deno.test("a scan asks for pins only where one could matter, and where winget knows any", async () => {
  const asksForPins = async (version: string, listing: string | RunResult, tooOld = 0) => {
    const host = new WingetHost();
    let left = tooOld;
    const answer = winget(version, listing);
    host.answer = (args, ...rest) =>
      args[0] === "upgrade" && left-- > 0 ? ended(0x8a150002) : answer(args, ...rest);
    await runScan(host, wingetScanner(), {});
    return host.asked.some(([, word]) => word === "pin");
  };
  assertEquals(await asksForPins("v1.29.240", "new_four_columns.txt"), true);
  assertEquals(await asksForPins("v1.29.240", "new_explicit_alone.txt"), false);
  assertEquals(await asksForPins("v1.29.240", "new_nothing.txt"), false);
  assertEquals(await asksForPins("v1.2.1", "new_four_columns.txt", 1), false);
});

Deno.test("a scan names each source that winget has, and is not whole where one was not asked", async () => {
  const scanWith = (sources: RunResult | Error) =>
    scan((args, ...rest) =>
      args[0] === "source" ? sources : winget("v1.29.240", "new_three_tables.txt")(args, ...rest)
    );
  const told = await scanWith(succeeded(readFixture("winget", "sources_private.txt")));
  assertEquals(told.sources.map(({ name, result }) => [name, result]), [
    ["msstore", "not_asked"],
    ["winget", "ok"],
    ["winget-font", "not_asked"],
    ["contoso", "missing"],
  ]);
  assertEquals([told.result, told.updates.length, told.warnings], ["degraded", 4, [
    'contoso: its updates are not listed: Pennon asks the source "winget" alone',
  ]]);
  assert(!JSON.stringify(told).includes("S3cret"));
  const usual = await scanWith(succeeded(readFixture("winget", "sources_default.txt")));
  assertEquals([usual.result, usual.warnings], ["ok", []]);
  assertEquals(goneAfter(usual, { ...told, updates: [] }), []);
  for (
    const unknown of [succeeded("Name\r\n"), ended(1), new CommandError("x", { reason: "denied" })]
  ) {
    const doubtful = await scanWith(unknown);
    assertEquals([doubtful.result, doubtful.updates.length], ["degraded", 4]);
    assert(doubtful.warnings[0]?.startsWith("Which other sources winget has is not known: "));
  }
});

Deno.test("a scan asks an old winget for its sources without the option that it does not know", async () => {
  const host = new WingetHost();
  const listing = winget("v1.2.1", "new_three_tables.txt");
  host.answer = (args, ...rest) =>
    args.join(" ") === "source export --disable-interactivity"
      ? ended(0x8a150002)
      : listing(args, ...rest);
  const { result } = await runScan(host, wingetScanner(), {});
  assertEquals([host.asked.at(-1)?.slice(1), result], [["source", "export"], "ok"]);
});
