import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { ScanError, type ScanErrorReason } from "../../src/scanners/scanner.ts";
import { wingetScanner } from "../../src/scanners/winget.ts";
import { CommandError, type RunResult } from "../../src/system/process.ts";
import { readFixture, succeeded } from "./fixture.ts";
import { ALIAS, type Answer, ended, winget, WingetHost } from "./winget/host.ts";
import { hasControls } from "../../src/strip_controls.ts";
import { scanWith } from "../fakes/scan_with.ts";
import { anyString } from "../fakes/texts.ts";

const MODULE =
  "C:\\Program Files\\WindowsPowerShell\\Modules\\Microsoft.WinGet.Client\\1.9.2\\x.psd1";
const PROGRAM = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe";
const PWSH = "C:\\Program Files\\PowerShell\\7\\pwsh.exe";

function hostWith(answer: Answer): WingetHost {
  const host = new WingetHost();
  host.answer = answer;
  return host;
}

function envelope(fixture: string): RunResult {
  const bytes = new TextEncoder().encode(readFixture("winget", fixture));
  const base64 = btoa(String.fromCharCode(...bytes));
  return succeeded(`\r\n<<<BEGIN>>>\r\n${base64}\r\n<<<END>>>\r\n`);
}

async function failure(host: WingetHost): Promise<[ScanErrorReason, string]> {
  const error = await assertRejects(() => scanWith(wingetScanner(), host, {}), ScanError);
  return [error.reason, error.message];
}

Deno.test("scan() does not hide a programming error behind a failed start", async () => {
  const host = hostWith(() => new TypeError("oops"));
  await assertRejects(() => scanWith(wingetScanner(), host, {}), TypeError, "oops");
});

Deno.test("scan() reads the table, and installs nothing", async () => {
  const host = hostWith(winget("v1.29.240", "language_ja.txt"));
  const { updates, warnings, metadataAgeS, scope } = await scanWith(wingetScanner(), host, {});
  assertEquals([updates.length, warnings, metadataAgeS], [6, [], null]);
  assertEquals(scope, `asked through "${ALIAS}" as the user "anna"`);
  const unattended = [
    "--source",
    "winget",
    "--accept-source-agreements",
    "--disable-interactivity",
    "--no-progress",
  ];
  assertEquals(host.asked, [
    [ALIAS, "--version"],
    [ALIAS, "upgrade", "--include-unknown", "--include-pinned", ...unattended],
    [ALIAS, "pin", "list", ...unattended],
    [ALIAS, "source", "export", "--disable-interactivity"],
  ]);
});

Deno.test("scan() does not disable progress bars before winget 1.29", async () => {
  for (const version of ["v1.28.190", "v1.29.20-preview", "v2.0.1", "nonsense"]) {
    const host = hostWith(winget(version, "new_nothing.txt"));
    assertEquals((await scanWith(wingetScanner(), host, {})).updates, []);
    const isNew = version.startsWith("v1.29") || version.startsWith("v2");
    assertEquals(host.asked[1]?.includes("--no-progress"), isNew, version);
  }
});

Deno.test("scan() retries an old winget with fewer options, and resets nothing", async () => {
  const old = winget("v1.2.10691", "report_explicit_four_columns.txt");
  const refused = succeeded(readFixture("winget", "report_option_unknown.txt"));
  const host = hostWith((args, ...rest) =>
    args.includes("--include-pinned") || args.includes("--include-unknown")
      ? { ...refused, code: -1978335230 }
      : old(args, ...rest)
  );
  assertEquals((await scanWith(wingetScanner(), host, {})).updates.length, 2);
  assertEquals(host.asked.at(-2), [ALIAS, "upgrade", "--source", "winget"]);
  assert(!host.asked.flat().some((word) => /reset|--all|--silent|--force/.test(word)));
  const stubborn = hostWith(winget("v1.2.10691", ended(-1978335230)));
  assertEquals((await failure(stubborn))[0], "permanent");
  assertEquals(stubborn.asked.length, 4);
});

const FAILURES: readonly [what: string, answer: Answer, reason: ScanErrorReason][] = [
  ["there is no winget", () => new CommandError("x", { reason: "not_found" }), "not_available"],
  ["the alias leads nowhere", () => new CommandError("x", { reason: "failed" }), "not_available"],
  ["winget may not be run", () => new CommandError("x", { reason: "denied" }), "permanent"],
  ["winget hangs", () => new CommandError("x", { reason: "timeout" }), "transient"],
  ["a DLL is missing", () => ended(0xc0000135), "not_available"],
  ["winget prints nothing, not even its version", () => succeeded(""), "not_available"],
  ["Group Policy blocks it", winget("v1.28.1", ended(0x8a15003a)), "not_available"],
  ["there are no source data for the account", winget("v1.28.1", ended(0x8a15000f)), "permanent"],
  ["sources do not open", winget("v1.28.1", ended(0x8a150045)), "transient"],
  [
    "agreements are not accepted",
    winget("v1.6.1", ended(0x8a150046, readFixture("winget", "agreements.txt"))),
    "permanent",
  ],
  ["winget says nothing", winget("v1.28.1", succeeded("")), "not_available"],
  ["a source failed", winget("v1.28.1", "nothing_source_failed.txt"), "transient"],
  ["the table is not understood", winget("v1.28.1", "report_squeezed_french.txt"), "permanent"],
  [
    "the answer is too long",
    winget("v1.28.1", { ...succeeded("x"), truncated: true }),
    "permanent",
  ],
  ["every id is cut for good", winget("v1.28.1", cutForGood()), "permanent"],
];

function cutForGood(): RunResult {
  const lines = readFixture("winget", "old_cut_ids.txt").split("\r\n");
  return succeeded(lines.filter((line) => !line.startsWith("7-Zip")).join("\r\n"));
}

for (const [what, answer, reason] of FAILURES) {
  Deno.test(`scan() fails without an empty list when ${what}`, async () => {
    const [found, message] = await failure(hostWith(answer));
    assertEquals(found, reason, message);
    assert(message.startsWith("Cannot "), message);
  });
}

Deno.test("scan() returns no updates only if winget says so", async () => {
  const answers = [
    winget("v1.29.240", "new_nothing.txt"),
    winget("v1.29.240", ended(0x8a150014, "Kein Paket gefunden.\r\n")),
    winget("v1.29.240", ended(0x8a15002b)),
  ];
  for (const answer of answers) {
    const { updates, warnings } = await scanWith(wingetScanner(), hostWith(answer), {});
    assertEquals([updates, warnings], [[], []]);
  }
});

Deno.test("scan() doubts an empty list only after a list with updates", async () => {
  const scan = (fixture: string, lastCount: number) =>
    scanWith(wingetScanner(), hostWith(winget("v1.29.240", fixture)), { lastCount });
  const { updates, warnings } = await scan("new_nothing.txt", 40);
  assertEquals(updates, []);
  assertEquals(warnings, [
    'winget finds no updates as the user "anna", but found 40 in the last scan: ' +
    "the empty list counts once the next scan confirms it",
  ]);
  assertEquals((await scan("new_nothing.txt", 0)).warnings, []);
  assertEquals((await scan("new_four_columns.txt", 40)).warnings, []);
});

Deno.test("scan() looks up truncated rows, and names those without a result", async () => {
  const lookUp: Answer = (args) =>
    args.some((word) => word.startsWith("Contoso."))
      ? succeeded(readFixture("winget", "list_cut_id.txt"))
      : ended(0x8a150014);
  const host = hostWith(winget("v1.28.190", "old_cut_ids.txt", lookUp));
  const { updates, warnings } = await scanWith(wingetScanner(), host, {});
  assertEquals(updates.map((update) => update.package), [
    "Contoso.ProductWithAnIdThatGoesOnAndOn.ToTheEndOfTheLine",
    "7zip.7zip",
  ]);
  assertEquals(warnings.length, 1);
  assert(warnings[0]?.includes("Microsoft .NET Runtime"), warnings[0]);
  const hanging = hostWith(
    winget("v1.28.190", "old_cut_ids.txt", () => new CommandError("x", { reason: "timeout" })),
  );
  assertEquals((await scanWith(wingetScanner(), hanging, {})).updates.length, 1);
});

Deno.test("scan() as SYSTEM runs the newest package, and states its scope", async () => {
  const host = hostWith(winget("v1.28.190", "new_nothing.txt"));
  host.becomeSystem();
  assertEquals(await wingetScanner().isAvailable(host), false);
  assertEquals((await failure(host))[0], "not_available");
  host.addPackage("1.9.25200.0");
  const newest = host.addPackage("1.22.11261.0");
  assertEquals(await wingetScanner().isAvailable(host), true);
  const { warnings, scope } = await scanWith(wingetScanner(), host, {});
  assertEquals([warnings, scope], [
    [],
    `asked through "${newest}" as SYSTEM, which sees only what is installed for the whole machine`,
  ]);
});

Deno.test("scan() runs the next winget if the first does not start", async () => {
  const works = winget("v1.22.1", "new_four_columns.txt");
  const host = hostWith((args, program, options) =>
    program.includes("_1.23.") ? ended(0xc0000135) : works(args, program, options)
  );
  host.becomeSystem();
  host.addPackage("1.23.0.0");
  const older = host.addPackage("1.22.0.0");
  assertEquals((await scanWith(wingetScanner(), host, {})).updates.length, 2);
  assertEquals(host.asked.at(-1)?.[0], older);
});

Deno.test("scan() asks the module only if the list is incomplete, which it stays", async () => {
  const scan = async (text: Answer, module: RunResult) => {
    const host = hostWith((args, program, options) =>
      program === PROGRAM ? module : text(args, program, options)
    );
    host.files.texts.set(MODULE, "");
    const { updates, result, warnings, sources } = await scanWith(wingetScanner(), host, {});
    const isAsked = host.asked.some(([program]) => program === PROGRAM);
    const failed = sources.filter(({ result }) => result === "failed").map(({ name }) => name);
    return { names: updates.map((update) => update.package), result, warnings, isAsked, failed };
  };
  const two = envelope("module_two.json");
  const whole = await scan(winget("v1.29.240", "new_four_columns.txt"), two);
  assertEquals([whole.result, whole.isAsked], ["ok", false]);
  const listed = readFixture("winget", "new_four_columns.txt");
  const short = succeeded(listed.replace("2 upgrades", "3 upgrades"));
  const gappy = await scan(winget("v1.29.240", short), two);
  assertEquals([gappy.result, gappy.names], ["degraded", [
    "7zip.7zip",
    "Microsoft.PowerShell",
    "Microsoft.WindowsTerminal",
  ]]);
  assertEquals(gappy.warnings, ["winget counts 3, 2 could be read"]);
  const alone = await scan(winget("v1.29.240", ended(0x8a150045)), two);
  assertEquals(alone.names, ["Microsoft.PowerShell", "Microsoft.WindowsTerminal"]);
  assertEquals([alone.result, alone.failed], ["degraded", ["winget"]]);
  for (const module of [envelope("module_none.json"), envelope("module_error.json"), ended(1)]) {
    const broken = scan(winget("v1.29.240", ended(0x8a150045)), module);
    const { message } = await assertRejects(() => broken, ScanError);
    assert(message.includes("0x8A150045"), message);
    assertEquals((await scan(winget("v1.29.240", short), module)).names.length, 2);
  }
});

Deno.test("scan() finds the module in the directories of both PowerShells", async () => {
  const places: [directory: string, program: string, isService: boolean][] = [
    ["C:\\Program Files\\WindowsPowerShell\\Modules", PROGRAM, false],
    ["C:\\Program Files\\WindowsPowerShell\\Modules", PWSH, true],
    ["C:\\Users\\anna\\Documents\\WindowsPowerShell\\Modules", PROGRAM, false],
    ["C:\\Program Files\\PowerShell\\Modules", PWSH, false],
    ["C:\\Program Files\\PowerShell\\Modules", PWSH, true],
    ["C:\\Program Files\\PowerShell\\7\\Modules", PWSH, true],
    ["C:\\Users\\anna\\Documents\\PowerShell\\Modules", PWSH, false],
  ];
  for (const [directory, expected, isService] of places) {
    const host = hostWith((args, program) =>
      program.endsWith("winget.exe")
        ? args[0] === "--version" ? succeeded("v1.29.240\r\n") : ended(0x8a150045)
        : envelope("module_one.json")
    );
    if (isService) {
      host.becomeSystem();
      host.addPackage("1.22.0.0");
    }
    host.files.texts.set(`${directory}\\Microsoft.WinGet.Client\\1.9.2\\x.psd1`, "");
    const { updates } = await scanWith(wingetScanner(), host, {});
    assertEquals([host.asked.at(-1)?.[0], updates.length], [expected, 1], directory);
  }
});

const PINS = [
  "Name              Id                   Version Source Pin type  Pinned version",
  "-------------------------------------------------------------------------------",
  "7-Zip 23.01 (x64) 7zip.7zip            23.01   winget Pinning",
  "PowerShell 7-x64  Microsoft.PowerShell 7.4.5.0 winget Gating    7.*",
  "",
].join("\r\n");

Deno.test("scan() reads pins from winget's list in any language", async () => {
  const scan = async (pins: RunResult | Error) => {
    const text = winget("v1.29.240", "new_four_columns.txt");
    const host = hostWith((args, ...rest) => args[0] === "pin" ? pins : text(args, ...rest));
    const { updates, result, warnings } = await scanWith(wingetScanner(), host, {});
    return { states: updates.map(({ state }) => state), result, warnings, updates };
  };
  const pinned = await scan(succeeded(PINS));
  assertEquals([pinned.result, pinned.states], ["ok", ["pinned", "upgradable"]]);
  assertEquals(pinned.updates[0]?.stateReason, "winget pin list: Pinning");
  const german = PINS.replace("Name    ", "Name    ").replace("Pin type", "Anheften");
  assertEquals((await scan(succeeded(german))).states, ["pinned", "upgradable"]);
  for (const none of [succeeded("There are no pins.\r\n"), ended(0x8a150002)]) {
    const { states, result, warnings } = await scan(none);
    assertEquals([states, result, warnings], [["upgradable", "upgradable"], "ok", []]);
  }
  const failed = await scan(ended(0x8a150064));
  assertEquals([failed.result, failed.warnings.length], ["ok", 1]);
  assert(failed.warnings[0]?.startsWith("Which of the packages are pinned is not known: "));
});

Deno.test('scan() learns the sentence for "nothing found" of a winget in any language', async () => {
  const polish = "Nie znaleziono zainstalowanego pakietu.\r\n";
  const scan = (said: string, list: RunResult) => {
    const host = hostWith(winget("v1.29.240", succeeded(said), () => list));
    return scanWith(wingetScanner(), host, {});
  };
  const { updates, result } = await scan(polish, ended(0x8a150014, polish));
  assertEquals([updates, result], [[], "ok"]);
  const failed = "Nie udało się otworzyć źródła: winget\r\n";
  for (
    const list of [
      ended(0x8a150014, polish),
      ended(0x8a150014, failed + polish),
      ended(0, failed),
      ended(0x8a150045, failed),
      ended(0x8a150014),
    ]
  ) {
    const error = await assertRejects(() => scan(failed, list), ScanError);
    assertEquals(error.reason, "transient");
  }
});

Deno.test("scan() as SYSTEM asks the module in PowerShell 7 alone", async () => {
  const text = winget("v1.29.240", ended(0x8a15000f));
  const host = hostWith((args, program, options) => {
    if (program === PWSH) return envelope("module_one.json");
    return text(args, program, options);
  });
  host.becomeSystem();
  host.addPackage("1.22.0.0");
  host.files.texts.set(MODULE, "");
  const { updates, result, scope } = await scanWith(wingetScanner(), host, {});
  assertEquals(updates.map((update) => update.package), ["Microsoft.PowerShell"]);
  assertEquals([host.asked.at(-1)?.[1], result], ["-MTA", "degraded"]);
  assert(scope?.startsWith("asked through its PowerShell module as SYSTEM, which "), scope);
});

Deno.test("scan() that is aborted ends every command", async () => {
  const stop = new AbortController();
  const host = hostWith((args, program) => {
    if (program === PROGRAM) return succeeded("");
    if (args[0] === "--version") return succeeded("v1.28.190\r\n");
    if (args[0] === "upgrade") return succeeded(readFixture("winget", "old_cut_ids.txt"));
    stop.abort();
    return new CommandError("Cannot run: asked to stop", { reason: "aborted" });
  });
  await assertRejects(() => scanWith(wingetScanner(), host, { signal: stop.signal }), ScanError);
  assertEquals(host.asked.length, 3);
});

Deno.test("scan() limits all commands of winget together to two minutes", async () => {
  const left: number[] = [];
  const host = hostWith((args, program, options) => {
    left.push(options.timeoutMs);
    return winget("v1.28.190", "old_cut_ids.txt", () => ended(1))(args, program, options);
  });
  host.takesMs = 50_000;
  const { updates } = await scanWith(wingetScanner(), host, {});
  assertEquals(left, [120_000, 70_000, 20_000]);
  assertEquals(updates.length, 1);
});

Deno.test("scan() of any output returns a list or throws ScanError, and no output is not a list", async () => {
  const fixtures = ["language_fr.txt", "old_cut_ids.txt", "new_three_tables.txt"];
  const output = fc.oneof(
    anyString({ maxLength: 200 }),
    fc.array(
      fc.constantFrom(
        "Name Id Version Available",
        "-------------------------",
        "a    b  1       2",
        "1 upgrades available.",
        "Nichts gefunden.",
        "Name Id",
        "",
        "\r - \r",
      ),
      { maxLength: 6 },
    ).map((lines) => lines.join("\r\n")),
    fc.tuple(fc.constantFrom(...fixtures), fc.nat(900), fc.string({ maxLength: 9 }))
      .map(([name, at, text]) => {
        const whole = readFixture("winget", name);
        return whole.slice(0, at) + text + whole.slice(at + 2);
      }),
  );
  await fc.assert(
    fc.asyncProperty(output, fc.constantFrom(0, 1, -1978335212), async (stdout, code) => {
      const host = hostWith(winget("v1.29.240", { ...ended(code, stdout) }, () => ended(1)));
      try {
        const { updates, warnings } = await scanWith(wingetScanner(), host, {});
        const isSilent = stdout.trim() === "" && code === 0;
        assert(updates.length > 0 || !isSilent, JSON.stringify(stdout));
        const texts = [...updates.flatMap((update) => Object.values(update)), ...warnings].join("");
        assert(!hasControls(texts), texts);
      } catch (error) {
        assert(error instanceof ScanError, String(error));
        assert(!hasControls(error.message), error.message);
      }
    }),
    { numRuns: 400 },
  );
});

Deno.test("isAvailable() is true for the alias of a user", async () => {
  const host = new WingetHost();
  assertEquals(await wingetScanner().isAvailable(host), true);
  host.files.texts.delete(ALIAS);
  assertEquals(await wingetScanner().isAvailable(host), false);
});

Deno.test("scan() passes its signal to all processes, including PowerShell", async () => {
  const { signal } = new AbortController();
  const given: (AbortSignal | undefined)[] = [];
  const record = (answer: Answer): WingetHost =>
    hostWith((args, program, options) => {
      given.push(options.signal);
      return answer(args, program, options);
    });
  await scanWith(wingetScanner(), record(winget("v1.28.190", "old_cut_ids.txt")), { signal });
  const ofProgram = given.length;
  const host = record((_, program) =>
    program === PROGRAM
      ? envelope("module_two.json")
      : new CommandError("Cannot run", { reason: "not_found" })
  );
  host.files.texts.set(MODULE, "");
  host.files.texts.set(PROGRAM, "");
  await scanWith(wingetScanner(), host, { signal });
  assertEquals([ofProgram > 2, given.length], [true, ofProgram + 2]);
  assert(given.every((each) => each === signal));
});
