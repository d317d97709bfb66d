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
import { completeRows, needsLookup } from "../../../src/scanners/winget/listing.ts";
import { parseWingetUpgrades, type WingetUpgrade } from "../../../src/scanners/winget/upgrades.ts";
import { renderTable } from "./renderer.ts";

function scan(answer: Answer): Promise<ScanReport> {
  const host = new WingetHost();
  host.answer = answer;
  return runScan(host, wingetScanner(), {});
}

/** Names of packages that the server would be told to remove. */
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

/** Failures of the only source that is asked. */
const failures: fc.Arbitrary<RunResult | Error> = fc.oneof(
  // A failed source, in a language of winget or in another one.
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

/** Damaged answers: the source may have succeeded. */
const damages: fc.Arbitrary<RunResult | Error> = fc.oneof(
  // A failure that names no source.
  fc.constantFrom(WHOLE, readFixture("winget", "new_nothing.txt"))
    .map((answer) => succeeded(`Nie udało się otworzyć źródła.\r\n${answer}`)),
  // A missing row that winget counts, and a truncated answer.
  fc.nat(3).map((row) => {
    const lines = WHOLE.split("\r\n");
    const rows = lines.flatMap((line, at) => /^\S.*\d+\.\d+/.test(line) ? [at] : []);
    return succeeded(lines.toSpliced(rows[row % rows.length] ?? 2, 1).join("\r\n"));
  }),
  fc.integer({ min: 1, max: WHOLE.length - 3 }).map((at) => succeeded(WHOLE.slice(0, at))),
);

Deno.test("a damaged source leaves the list incomplete, removes no update, and is named", async () => {
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

Deno.test("no secret in the output of winget gets into a report", async () => {
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

/** A host with winget, and with the module, which lists these ids. */
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

Deno.test("a scan adds and marks updates that only the module lists, with a limit of one minute", async () => {
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

Deno.test("a scan by the module alone warns of missing updates, and says why winget has no list", async () => {
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

Deno.test("a scan does not hide a programming error in an additional query", async () => {
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

Deno.test("a scan lists pins only if one can matter, and if winget knows pins", async () => {
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

Deno.test("a scan names each source of winget, and is incomplete if one was not asked", async () => {
  const scanWith = (sources: RunResult | Error) =>
    scan((args, ...rest) =>
      args[0] === "source" ? sources : winget("v1.29.240", "new_three_tables.txt")(args, ...rest)
    );
  const report = await scanWith(succeeded(readFixture("winget", "sources_private.txt")));
  assertEquals(report.sources.map(({ name, result }) => [name, result]), [
    ["msstore", "not_asked"],
    ["winget", "ok"],
    ["winget-font", "not_asked"],
    ["contoso", "missing"],
  ]);
  assertEquals([report.result, report.updates.length, report.warnings], ["degraded", 4, [
    'contoso: its updates are not listed: Pennon asks the source "winget" alone',
  ]]);
  assert(!JSON.stringify(report).includes("S3cret"));
  const usual = await scanWith(succeeded(readFixture("winget", "sources_default.txt")));
  assertEquals([usual.result, usual.warnings], ["ok", []]);
  assertEquals(goneAfter(usual, { ...report, updates: [] }), []);
  for (
    const unknown of [succeeded("Name\r\n"), ended(1), new CommandError("x", { reason: "denied" })]
  ) {
    const doubtful = await scanWith(unknown);
    assertEquals([doubtful.result, doubtful.updates.length], ["degraded", 4]);
    assert(doubtful.warnings[0]?.startsWith("Which other sources winget has is not known: "));
  }
});

Deno.test("a scan lists the sources of an old winget without the option that it does not know", async () => {
  const host = new WingetHost();
  const listing = winget("v1.2.1", "new_three_tables.txt");
  host.answer = (args, ...rest) =>
    args.join(" ") === "source export --disable-interactivity"
      ? ended(0x8a150002)
      : listing(args, ...rest);
  const { result } = await runScan(host, wingetScanner(), {});
  assertEquals([host.asked.at(-1)?.slice(1), result], [["source", "export"], "ok"]);
});

const TITLES = ["Name", "Id", "Version", "Available", "Source"];

function row(extra: Partial<WingetUpgrade>): WingetUpgrade {
  return {
    name: "Contoso Tool",
    id: "Contoso.To…",
    version: "1.0",
    available: "1.1",
    source: null,
    state: "upgradable",
    ...extra,
  };
}

function listing(...rows: string[][]): string {
  return [...renderTable(TITLES, rows), ""].join("\r\n");
}

async function lookUp(rows: readonly WingetUpgrade[], answers: Record<string, string>) {
  const asked: string[] = [];
  const found = await completeRows(rows, (query) => {
    asked.push(query.join(" "));
    return Promise.resolve(answers[query.join(" ")] ?? null);
  });
  return { asked, ids: found.rows.map(({ id }) => id), ...found };
}

Deno.test("needsLookup() is true for truncated ids and versions, not for truncated names", () => {
  assertEquals(needsLookup(row({ id: "Contoso.Tool" })), false);
  assertEquals(needsLookup(row({ id: "Contoso.Tool", name: "Contoso T…" })), false);
  for (const extra of [{}, { version: "1.0…" }, { available: "1.…" }]) {
    assertEquals(needsLookup(row(extra)), true);
  }
});

Deno.test("completeRows() looks up the rest of an id, and leaves out rows without a result", async () => {
  const { rows } = parseWingetUpgrades(readFixture("winget", "old_cut_ids.txt"));
  const first = "--id Contoso.ProductWithAnIdThatGoesOnAndOn.ToTheEn";
  const { asked, ids, unknown } = await lookUp(rows, {
    [first]: readFixture("winget", "list_cut_id.txt"),
  });
  assertEquals(asked, [first, "--id Microsoft.DotNet.Runtime.PreviewOfTheNextVersi"]);
  assertEquals(ids, ["Contoso.ProductWithAnIdThatGoesOnAndOn.ToTheEndOfTheLine", "7zip.7zip"]);
  assertEquals(unknown.map(({ name }) => name), [
    "Microsoft .NET Runtime - 8.0.11 (x64) with an…",
  ]);
});

Deno.test("completeRows() accepts only a single package with the same name and version", async () => {
  const two = listing(
    ["Contoso Tool", "Contoso.Tool", "1.0", "1.1", ""],
    ["Contoso Toolbox", "Contoso.Toolbox", "3.0", "", ""],
  );
  const asked = "--id Contoso.To";
  assertEquals((await lookUp([row({})], { [asked]: two })).ids, ["Contoso.Tool"]);
  const same = listing(
    ["Contoso Tool", "Contoso.Tool", "1.0", "1.1", ""],
    ["Contoso Tool", "Contoso.Tools", "1.0", "1.1", ""],
  );
  assertEquals((await lookUp([row({})], { [asked]: same })).ids, []);
  const other = listing(["Contoso Tool", "Fabrikam.Tool", "1.0", "1.1", ""]);
  assertEquals((await lookUp([row({})], { [asked]: other })).ids, []);
  const stillCut = listing(["Contoso Tool", "Contoso.Tool…", "1.0", "1.1", ""]);
  assertEquals((await lookUp([row({})], { [asked]: stillCut })).ids, []);
});

Deno.test("completeRows() looks up the name if the id has no result", async () => {
  const { ids, asked } = await lookUp([row({})], {
    "--name Contoso Tool --exact": listing(["Contoso Tool", "Contoso.Tool", "1.0", "1.1", ""]),
  });
  assertEquals([ids, asked.length], [["Contoso.Tool"], 2]);
});

Deno.test("completeRows() completes versions, and returns no truncated one", async () => {
  const cut = row({ id: "Contoso.Tool", version: "1.0.123…", available: "1.1.0…" });
  const query = "--id Contoso.Tool --exact";
  const whole = listing(["Contoso Tool", "Contoso.Tool", "1.0.12345", "1.1.0.77", ""]);
  const { rows } = await lookUp([cut], { [query]: whole });
  assertEquals(rows.map(({ version, available }) => [version, available]), [[
    "1.0.12345",
    "1.1.0.77",
  ]]);
  const none = listing(["Contoso Tool", "Contoso.Tool", "1.0.12345", "", ""]);
  assertEquals((await lookUp([cut], { [query]: none })).rows, []);
});

Deno.test("completeRows() passes no id that looks like an option, and makes at most twenty lookups", async () => {
  const odd = await lookUp([row({ id: "--all…", name: "-x" }), row({ id: "…", name: "/y" })], {});
  assertEquals([odd.asked, odd.rows, odd.unknown.length], [[], [], 2]);
  const many = Array.from({ length: 30 }, (_, n) => row({ id: `Contoso.${n}…`, name: "cut…" }));
  const { asked, unknown } = await lookUp(many, {});
  assertEquals([asked.length, unknown.length], [20, 30]);
});

Deno.test("completeRows() matches a name or a version that is truncated in either answer", async () => {
  const asked = "--id Contoso.To";
  const found = async (cut: Partial<WingetUpgrade>, name: string, version: string) => {
    const answer = listing([name, "Contoso.Tool", version, "1.1", ""]);
    return (await lookUp([row(cut)], { [asked]: answer })).ids.length === 1;
  };
  assertEquals(await found({ name: "Contoso T…" }, "Contoso Tool", "1.0"), true);
  assertEquals(await found({}, "Contoso T…", "1.0"), true);
  assertEquals(await found({ name: "Contoso T…" }, "Contoso", "1.0"), false);
  assertEquals(await found({}, "Contoso Z…", "1.0"), false);
  assertEquals(await found({ version: "1.0.12…" }, "Contoso Tool", "1.0.123"), true);
  assertEquals(await found({ version: "1.0.123" }, "Contoso Tool", "1.0.12…"), true);
  assertEquals(await found({ version: "1.0.123" }, "Contoso Tool", "1.0.2…"), false);
});

Deno.test("completeRows() completes a version only if exactly one begins so", async () => {
  const query = "--id Contoso.Tool --exact";
  const id = "Contoso.Tool";
  const found = async (cut: Partial<WingetUpgrade>, ...listed: [string, string][]) => {
    const rows = listed.map((versions) => ["Contoso Tool", id, ...versions, ""]);
    const { rows: [completed] } = await lookUp([row({ id, ...cut })], {
      [query]: listing(...rows),
    });
    return completed && `${completed.version} ${completed.available}`;
  };
  assertEquals(await found({ version: "1.0.…" }, ["1.0.1", "1.1"]), "1.0.1 1.1");
  assertEquals(await found({ version: "1.0.…" }, ["1.0.1", "1.1"], ["1.0.1", "1.1"]), "1.0.1 1.1");
  assertEquals(await found({ version: "1.0.…" }, ["1.0.1", "1.1"], ["1.0.2", "1.1"]), undefined);
  assertEquals(await found({ version: "1.0.…" }, ["1.0.1", "1.1"], ["2.0", "1.1"]), "1.0.1 1.1");
  assertEquals(await found({ version: "1.0.…" }, ["1.0.1…", "1.1"]), undefined);
  assertEquals(await found({ available: "1.…" }, ["1.0", "1.1"], ["1.0", "1.2"]), undefined);
  assertEquals(await found({ available: "1.…" }, ["1.0", "1.1"], ["1.0", "2.2"]), "1.0 1.1");
  assertEquals(await found({ available: "1.…" }, ["1.0", "2.1"]), undefined);
});

Deno.test("completeRows() stops after the first result, and does not change complete rows", async () => {
  const whole = row({ id: "Contoso.Whole" });
  const cut = row({ id: "Contoso.Tool", version: "1.…" });
  const query = "--id Contoso.Tool --exact";
  const { asked, rows, unknown } = await lookUp([whole, cut], {
    [query]: listing(["Contoso Tool", "Contoso.Tool", "1.5", "1.6", ""]),
  });
  assertEquals([asked, rows, unknown], [[query], [whole, { ...cut, version: "1.5" }], []]);
});
