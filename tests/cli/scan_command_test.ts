import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { RunCommand } from "../../src/system/process.ts";
import { settle } from "../fakes/clock.ts";
import { FakeSystem } from "../fakes/system.ts";
import { AptHost, captured as answerOf, questionOf } from "../scanners/apt/host.ts";
import { succeeded } from "../scanners/fixture.ts";
import { runCli } from "./run_cli.ts";
import { scanAsCsv, scanAsJson, scanAsText } from "../../src/cli/scan_command.ts";
import { apt, dnf, libssl, tool } from "./scan_reports.ts";
import type { ScanReport } from "../../src/scanners/run_scans.ts";
import type { Update } from "../../src/update.ts";

/** A host with apt, whose programs are run so. */
function withApt(runCommand: RunCommand): FakeSystem {
  const system = new AptHost();
  system.runCommand = runCommand;
  return system;
}

/** What apt and dpkg answered on a made host. */
function captured(argv: readonly string[]): string {
  return answerOf(questionOf(argv));
}

const broken: RunCommand = () =>
  Promise.resolve({ code: 100, stdout: "", stderr: "E: broken\u001b[2J", truncated: false });

Deno.test("scan --only accepts names with and without blanks around them", async () => {
  const { code, out } = await runCli(new FakeSystem(), "scan", "--only", " dnf , apt", "--json");
  assertEquals(code, 1);
  const names = JSON.parse(out).scanners.map(({ name }: { name: string }) => name);
  assertEquals(names, ["dnf", "apt"]);
});

Deno.test("scan --only returns 0 if all scanners are on the host, and else names the absent ones", async () => {
  const host = withApt((argv) => Promise.resolve(succeeded(captured(argv))));
  const apt = await runCli(host, "scan", "--only", "apt");
  assertEquals([apt.code, apt.err.includes("is not on this host")], [0, false]);
  const both = await runCli(host, "scan", "--only", "apt,dnf");
  assertEquals(both.code, 1);
  assertStringIncludes(both.err, "pennon: Cannot scan with dnf: it is not on this host\n");
  assert(!both.err.includes("Cannot scan with apt"), both.err);
  host.environment.set("PENNON_SCANNERS_ENABLED", ",");
  assertEquals((await runCli(host, "scan", "--only", "apt")).code, 0);
});

Deno.test("scan asks only the configured scanners, and reports no absent one without --only", async () => {
  const system = new FakeSystem();
  system.environment.set("PENNON_SCANNERS_ENABLED", "dnf");
  const { code, out } = await runCli(system, "scan", "--json");
  const names = JSON.parse(out).scanners.map(({ name }: { name: string }) => name);
  assertEquals([code, names], [1, ["dnf"]]);
});

Deno.test("scan returns 1 and says why if there is nothing to ask", async () => {
  const rows: [enabled: string | null, says: string][] = [
    [null, "pennon: Cannot scan: no package manager that Pennon knows is on this host\n"],
    ["dnf,winget", "pennon: Cannot scan: none of scanners.enabled is on this host: dnf, winget\n"],
    [",", "pennon: Cannot scan: scanners.enabled is empty. Next: "],
  ];
  for (const [enabled, says] of rows) {
    const system = new FakeSystem();
    if (enabled !== null) system.environment.set("PENNON_SCANNERS_ENABLED", enabled);
    for (const how of [[], ["--json"], ["--csv"], ["--security-only"]]) {
      const { code, err } = await runCli(system, "scan", ...how);
      assertEquals(code, 1);
      assertStringIncludes(err, says);
    }
  }
  // One named scanner that is absent is one message, not two.
  const { code, err } = await runCli(new FakeSystem(), "scan", "--only", "apt");
  assertEquals([code, err], [1, "pennon: Cannot scan with apt: it is not on this host\n"]);
});

Deno.test("scan --security-only and --fail-on on a host with apt", async () => {
  const host = () => withApt((argv) => Promise.resolve(succeeded(captured(argv))));
  const all = JSON.parse((await runCli(host(), "scan", "--json")).out);
  const filtered = JSON.parse((await runCli(host(), "scan", "--json", "--security-only")).out);
  const [before] = all.scanners;
  const [after] = filtered.scanners;
  const security = before.updates.filter((update: Update) => update.security === true);
  assert(security.length > 0 && security.length < before.updates.length, "the host has both");
  assertEquals([all.filter, before.not_shown], [null, 0]);
  assertEquals(filtered.filter, "security");
  assertEquals(after.updates, security);
  assertEquals(after.not_shown, before.updates.length - security.length);
  const csv = (await runCli(host(), "scan", "--csv", "--security-only")).out;
  assertEquals(csv.trimEnd().split("\n").length, security.length + 1);
  const text = await runCli(host(), "scan", "--security-only");
  assertEquals(text.code, 0);
  assertStringIncludes(text.out, `Not shown: ${after.not_shown} updates without a known`);
  assertStringIncludes(text.out, `apt: ${before.updates.length} updates, ${security.length} sec`);
  const failing = await runCli(host(), "scan", "--fail-on", "any,security");
  assertEquals(failing.code, 1);
  assertStringIncludes(failing.err, `pennon: --fail-on security: ${security.length} security upd`);
  assertStringIncludes(failing.err, `pennon: --fail-on any: ${before.updates.length} updates\n`);
});

Deno.test("scan prints the reason of a failure with the scanner's name, and steers no terminal", async () => {
  const { code, err } = await runCli(withApt(broken), "scan");
  assertEquals(code, 1);
  assertStringIncludes(err, "pennon: apt: ");
  // deno-lint-ignore no-control-regex
  assert(!/\u001b/.test(err), err);
});

Deno.test("scan shows its progress, and clears it at the end", async () => {
  const system = withApt(broken);
  const shown: string[] = [];
  system.terminal.showProgress = (text) => void shown.push(text);
  await runCli(system, "scan");
  assertEquals(shown, ["Asking apt ...", ""]);
  shown.length = 0;
  const bare = new FakeSystem();
  bare.terminal.showProgress = (text) => void shown.push(text);
  await runCli(bare, "scan");
  assertEquals(shown, [""], "nothing is asked");
});

Deno.test("scan does not mention absent package managers if there is one", async () => {
  assert(!(await runCli(withApt(broken), "scan")).err.includes("no package manager"));
});

Deno.test("scan downloads package lists with --refresh only", async () => {
  const asked = async (...words: string[]) => {
    const commands: string[] = [];
    const system = withApt((argv, options) => {
      commands.push(questionOf(argv));
      return questionOf(argv) === "sources"
        ? Promise.resolve(succeeded(captured(argv)))
        : broken(argv, options);
    });
    system.machine = { ...system.machine, userId: () => 0 };
    await runCli(system, "scan", "--only", "apt", ...words);
    return commands.includes("update");
  };
  assertEquals([await asked("--refresh"), await asked()], [true, false]);
});

Deno.test("scan fits the terminal, and is complete in a pipe", async () => {
  const widest = async (isTerminal: boolean) => {
    const host = withApt((argv) => Promise.resolve(succeeded(captured(argv))));
    host.terminal.stdoutIsTerminal = isTerminal;
    host.terminal.width = 60;
    const { out } = await runCli(host, "scan", "--only", "apt");
    const table = out.split("\n\n")[0] ?? "";
    // Colours take no columns.
    // deno-lint-ignore no-control-regex
    const shown = table.replaceAll(/\x1b\[[\d;]*m/g, "");
    assertEquals(shown !== table, isTerminal);
    return Math.max(...shown.split("\n").map((line) => line.length));
  };
  assert(await widest(true) <= 60);
  assert(await widest(false) > 60);
});

Deno.test("scan in CSV has its heading, and no table", async () => {
  const { out } = await runCli(withApt(broken), "scan", "--csv");
  assert(out.startsWith("scanner,package,current_version,"), out);
});

Deno.test("scan ends its programs at Ctrl-C, and removes its signal listener", async () => {
  let stopped = false;
  const system = withApt((_, { signal }) =>
    new Promise((_resolve, reject) =>
      signal?.addEventListener("abort", () => {
        stopped = true;
        reject(signal.reason);
      })
    )
  );
  const scanning = runCli(system, "scan");
  for (let turn = 0; turn < 100 && system.stopListeners.size === 0; turn++) await settle();
  await settle();
  system.stopListeners.forEach((listener) => listener("SIGINT"));
  const { code, err } = await scanning;
  assertEquals([code, stopped, system.stopListeners.size], [130, true, 0]);
  assertEquals(err.split("\n").at(-2), "pennon: interrupted");
});

Deno.test("scanAsJson() has the fields of the contract, also for absent scanners", () => {
  const answer = { reports: [apt, dnf], names: ["apt", "dnf", "winget"], host: "h", startedMs: 0 };
  const json = JSON.parse(scanAsJson(answer));
  assertEquals(scanAsJson(answer), JSON.stringify(json, null, 2), "for a person to read, too");
  assertEquals(json.schema, "pennon.scan/1");
  assertEquals(json.scanned_at, "1970-01-01T00:00:00.000Z");
  const [first, second, third] = json.scanners;
  assertEquals([first.available, first.result, first.error], [true, "ok", null]);
  assertEquals([second.available, second.result], [true, "failed"]);
  assertEquals([third.available, third.error.reason], [false, "not_available"]);
  const required = [
    "package",
    "current_version",
    "available_version",
    "architecture",
    "source",
    "state",
    "severity",
    "severity_reason",
    "security",
    "cves",
    "advisories",
    "size_bytes",
    "description",
  ];
  for (const field of required) assert(field in first.updates[0], field);
});

Deno.test("scanAsJson() has each field of a scan and of an update, in its place", () => {
  const update: Update = {
    ...tool,
    severity: "important",
    severityReason: "the advisory says so",
    security: null,
    state: "held",
    stateReason: "version lock",
    cves: ["CVE-2026-1"],
    cveSources: ["Debian changelog"],
    advisories: ["DSA-1"],
    description: "A tool",
    sourcePackage: "tools",
    reboot: "required",
  };
  const report: ScanReport = {
    ...apt,
    warnings: ["old lists"],
    sources: [{
      name: "main",
      url: "http://deb.test/debian",
      result: "old",
      why: "its lists are old",
      metadataAgeS: 90,
      expiresAtMs: 1_000,
      marksSecurity: true,
    }],
    scope: "asked as root",
    reboot: { isRequired: true, reason: "a new kernel" },
    updates: [update],
  };
  const answer = { reports: [report], names: ["apt", "dnf"], host: "h", startedMs: 86_400_000 };
  assertEquals(JSON.parse(scanAsJson(answer)), {
    schema: "pennon.scan/1",
    host: "h",
    scanned_at: "1970-01-02T00:00:00.000Z",
    filter: null,
    reboot_required: { required: true, reason: "a new kernel" },
    scanners: [
      {
        name: "apt",
        available: true,
        result: "ok",
        duration_ms: 1_200,
        error: null,
        warnings: ["old lists"],
        sources: [{
          name: "main",
          url: "http://deb.test/debian",
          result: "old",
          why: "its lists are old",
          metadata_age_s: 90,
          expires_at: "1970-01-01T00:00:01.000Z",
          tells_security: true,
        }],
        metadata_age_s: 60,
        scope: "asked as root",
        not_shown: 0,
        updates: [{
          package: "tool",
          current_version: "1.0",
          available_version: "1.1",
          architecture: "amd64",
          source: "Debian:12/stable",
          state: "held",
          state_reason: "version lock",
          severity: "important",
          severity_reason: "the advisory says so",
          security: null,
          cves: ["CVE-2026-1"],
          cve_sources: ["Debian changelog"],
          advisories: ["DSA-1"],
          size_bytes: 1_024,
          description: "A tool",
          source_package: "tools",
          reboot: "required",
        }],
      },
      {
        name: "dnf",
        available: false,
        result: "failed",
        duration_ms: 0,
        error: { reason: "not_available", message: "Cannot scan with dnf: it is not on this host" },
        warnings: [],
        sources: [],
        metadata_age_s: null,
        not_shown: 0,
        updates: [],
      },
    ],
  });
  assertEquals("scope" in JSON.parse(scanAsJson({ ...answer, reports: [apt] })).scanners[0], false);
});

Deno.test("scanAsCsv() disarms each way a formula begins, and nothing else", () => {
  const cell = (text: string) =>
    scanAsCsv([{ ...apt, updates: [{ ...tool, package: text }] }]).split("\n")[1]?.split(",")[1];
  const rows = [["=1", "'=1"], ["+1", "'+1"], ["-1", "'-1"], ["@a", "'@a"]];
  for (const [text = "", shown] of [...rows, ["a=1", "a=1"], ["a-1", "a-1"], ["", ""]]) {
    assertEquals(cell(text), shown);
  }
  // Where a semicolon ends a cell, what is behind it begins one.
  const forms = ["\uff1d", "\ufe66", "\ufe62", "\ufe63", "\ufe6b", "\u2212", "\u2013", "\u207a"];
  for (const sign of ["=", "+", "-", "@", ...forms]) {
    assertEquals(cell(`${sign}1`), `'${sign}1`);
    assertEquals(cell(`x;${sign}1`), `"x;'${sign}1"`);
    assertEquals(cell(`x; \u2800${sign}1`), `"x; \u2800'${sign}1"`);
  }
  assertEquals(cell("x;y"), '"x;y"');
  assertEquals(cell('a"b'), '"a""b"');
  assertEquals(cell("a\u001bb"), "ab");
  const many = { ...tool, cves: ["CVE-1", "CVE-2"], advisories: ["A-1", "A-2"], security: null };
  assertEquals(
    scanAsCsv([{ ...apt, updates: [many] }]).split("\n")[1],
    "apt,tool,1.0,1.1,amd64,Debian:12/stable,upgradable,,,CVE-1 CVE-2,A-1 A-2,1024",
  );
});

Deno.test("scanAsCsv() quotes, and disarms what a spreadsheet would calculate", () => {
  const evil = { ...tool, package: '=cmd|"x"', source: "A, B", sizeBytes: null };
  assertEquals(scanAsCsv([{ ...apt, updates: [evil] }]).split("\n"), [
    "scanner,package,current_version,available_version,architecture,source,state,severity," +
    "security,cves,advisories,size_bytes",
    `apt,"'=cmd|""x""",1.0,1.1,amd64,"A, B",upgradable,,false,,,`,
  ]);
});

Deno.test("scanAsText() puts important updates first, and totals last", async () => {
  assertEquals((await scanAsText([apt, dnf], { width: 80, machine: "x86_64" })).split("\n"), [
    "PACKAGE   INSTALLED  AVAILABLE  SECURITY  STATE        SIZE  REBOOT",
    "libssl3   1.0        1.1        yes       upgradable  2 KiB  -",
    "tool      1.0        1.1        no        upgradable  1 KiB  -",
    "aaa-held  1.0        1.1        no        held            -  -",
    "",
    "apt: 3 updates, 1 security, 3 KiB to download",
    "dnf: failed",
  ]);
});

Deno.test("scanAsText() calls sizes of Windows Update upper bounds", async () => {
  const windows = { ...apt, name: "winupdate", updates: [tool] } as const;
  assertEquals(
    (await scanAsText([windows], { width: 80, machine: "x86_64" })).split("\n").at(-1),
    "winupdate: 1 update, 0 security, at most 1 KiB to download",
  );
});

Deno.test("scanAsText() puts the highest severity first, and an unknown one in the middle", async () => {
  const severities = ["low", "critical", null, "moderate", "important"] as const;
  const updates = severities.map((severity) => ({ ...libssl, package: `${severity}`, severity }));
  const lines = (await scanAsText([{ ...apt, updates }], { width: 80, machine: "x86_64" })).split(
    "\n",
  ).slice(1, 6);
  assertEquals(lines.map((line) => line.split(" ")[0]), [
    "critical",
    "important",
    "null",
    "moderate",
    "low",
  ]);
});

Deno.test("scanAsText() fits 60 columns by leaving out the least important columns", async () => {
  const long = {
    ...libssl,
    package: "libpython3.11-minimal",
    currentVersion: "3.11.2-6+deb12u6",
    availableVersion: "3.11.2-6+deb12u9",
  };
  const [heading, row] =
    (await scanAsText([{ ...apt, updates: [long] }], { width: 60, machine: "x86_64" })).split("\n");
  assertEquals(heading, "PACKAGE                AVAILABLE        SECURITY  STATE");
  assertEquals(row, "libpython3.11-minimal  \u202611.2-6+deb12u9  yes       upgradable");
});

Deno.test("scanAsText() without updates prints the totals only", async () => {
  assertEquals(
    await scanAsText([{ ...apt, updates: [] }], { width: 80, machine: "x86_64" }),
    "apt: 0 updates, 0 security",
  );
  const degraded = { ...apt, updates: [], result: "degraded" } as const;
  assertEquals(
    await scanAsText([degraded], { width: 80, machine: "x86_64" }),
    "apt: 0 updates, 0 security (not complete)",
  );
});

Deno.test("scanAsText() names the source that failed with its scan, without repeating the error", async () => {
  const source = {
    name: "updates",
    url: null,
    result: "failed",
    why: dnf.error?.message ?? null,
    metadataAgeS: null,
    expiresAtMs: null,
    marksSecurity: null,
  } as const;
  const other = { ...source, name: "extras", result: "old", why: "of last year" } as const;
  const options = { width: 80, machine: "x86_64" } as const;
  assertEquals(
    await scanAsText([{ ...dnf, sources: [source, other] }], options),
    "dnf: failed\n  failed: updates\n  old: extras: of last year",
  );
});

Deno.test("scanAsText() orders equal updates by name, and upgradable ones before held ones", async () => {
  const names = async (...updates: Partial<typeof tool>[]) => {
    const all = updates.map((update) => ({ ...tool, architecture: null, ...update }));
    const lines = (await scanAsText([{ ...apt, updates: all }], { width: 80, machine: "x86_64" }))
      .split("\n");
    return lines.slice(1, all.length + 1).map((line) => line.split(" ")[0]);
  };
  assertEquals(await names({ package: "b" }, { package: "a" }), ["a", "b"]);
  assertEquals(
    await names({ package: "a", state: "held" }, { package: "b" }),
    ["b", "a"],
  );
  assertEquals(
    await names({ package: "a", security: null }, { package: "b", security: true }),
    ["b", "a"],
  );
});

Deno.test("scanAsText() prints a dash for unknown fields", async () => {
  const row = async (update: Partial<typeof tool>) => {
    const text = await scanAsText([{ ...apt, updates: [{ ...tool, ...update }] }], {
      width: 80,
      machine: "x86_64",
    });
    return text.split("\n")[1]?.split(/ +/);
  };
  const bare = { architecture: null, currentVersion: null, sizeBytes: null };
  assertEquals(await row({ ...bare, security: null }), [
    "tool",
    "-",
    "1.1",
    "unknown",
    "upgradable",
    "-",
    "-",
  ]);
  assertEquals((await row({ security: true, severity: "low" }))?.[3], "low");
  assertEquals((await row({ security: true }))?.[3], "yes");
});

Deno.test("scanAsText() counts one update in the singular, and adds up the known sizes", async () => {
  const total = async (...updates: Partial<typeof tool>[]) => {
    const all = updates.map((update) => ({ ...tool, ...update }));
    return (await scanAsText([{ ...apt, updates: all }], { width: 80, machine: "x86_64" })).split(
      "\n",
    ).at(-1);
  };
  assertEquals(await total({}), "apt: 1 update, 0 security, 1 KiB to download");
  assertEquals(
    await total({ sizeBytes: null, security: true }, { security: null }),
    "apt: 2 updates, 1 security, 1 KiB to download",
  );
  const updates = [tool];
  const degraded = { ...apt, updates, result: "degraded" } as const;
  assertEquals(
    (await scanAsText([degraded], { width: 80, machine: "x86_64" })).split("\n").at(-1),
    "apt: 1 update, 0 security, 1 KiB to download (not complete)",
  );
});

Deno.test("scanAsText() colours severity and state without a change of the words or their places", async () => {
  const updates = [
    { ...libssl, package: "a", severity: "critical" as const },
    { ...libssl, package: "b" },
    { ...tool, package: "c", state: "held" as const },
    { ...tool, package: "d" },
  ];
  const options = { width: 80, machine: "x86_64" };
  const plain = await scanAsText([{ ...apt, updates }], options);
  const painted = await scanAsText([{ ...apt, updates }], {
    ...options,
    paint: (word, text) => word === null ? text : `<${word}>${text}</>`,
  });
  assertEquals(painted.replaceAll(/<[^>]*>/g, ""), plain);
  const [, a, b, d, c] = painted.split("\n");
  assertStringIncludes(a ?? "", "<critical>critical</>  upgradable");
  assertStringIncludes(b ?? "", "<security>yes</>       upgradable");
  assertStringIncludes(c ?? "", "no        <not_now>held</>        1 KiB");
  assertEquals(d?.includes("<"), false);
});
