import { assert, assertEquals, assertRejects } from "@std/assert";
import { counted, hasCompleteList, runScan, runScans } from "../../src/scanners/run_scans.ts";
import {
  type ScanAnswer,
  ScanError,
  type Scanner,
  type ScanOptions,
  withSources,
} from "../../src/scanners/scanner.ts";
import { libssl, tool } from "../cli/scan_reports.ts";
import { FakeSystem } from "../fakes/system.ts";

function scanner(name: string, scan: Scanner["scan"]): Scanner {
  return { name, isAvailable: () => Promise.resolve(true), scan };
}

const well = scanner("apt", () => Promise.resolve({ updates: [], gaps: [], metadataAgeS: 5 }));
const doubtful = scanner(
  "winget",
  () => Promise.resolve({ updates: [], gaps: ["half of it"], metadataAgeS: null }),
);
const locked = scanner(
  "dnf",
  () => Promise.reject(new ScanError("Cannot scan: locked", { reason: "locked" })),
);
const mistaken = scanner("winupdate", () => Promise.reject(new TypeError("x is undefined")));

Deno.test("runScans() reports every scanner, and one that fails stops no other", async () => {
  const reports = await runScans(new FakeSystem(), [well, doubtful, locked, mistaken]);
  assertEquals(reports.map(({ name, result, error }) => [name, result, error]), [
    ["apt", "ok", null],
    ["winget", "degraded", null],
    ["dnf", "failed", { reason: "locked", message: "Cannot scan: locked" }],
    ["winupdate", "failed", {
      reason: "permanent",
      message: "Cannot scan with winupdate: TypeError: x is undefined",
    }],
  ]);
  assertEquals(reports.map(({ metadataAgeS }) => metadataAgeS), [5, null, null, null]);
});

Deno.test("runScans() that is aborted is not a failure of the scanner", async () => {
  const stop = AbortSignal.abort(new Error("stopped"));
  await assertRejects(() => runScans(new FakeSystem(), [locked], { signal: stop }), ScanError);
});

Deno.test("runScans() passes each scanner the count of its own last list", async () => {
  const given: unknown[] = [];
  const curious = ["apt", "winget"].map((name) =>
    scanner(name, (_, options) => {
      given.push([name, options]);
      return Promise.resolve({ updates: [], gaps: [], metadataAgeS: null });
    })
  );
  await runScans(new FakeSystem(), curious, { lastCounts: new Map([["winget", 3]]) });
  assertEquals(given, [["apt", {}], ["winget", { lastCount: 3 }]]);
});

const source = {
  name: "main",
  url: "https://deploy:S3cret@repo.test/a?sig=S3cret",
  result: "ok",
  why: null,
  metadataAgeS: 5,
  expiresAtMs: null,
  marksSecurity: true,
} as const;

Deno.test("runScan() reports the sources of a failed scan, without their secrets", async () => {
  const failed = {
    ...source,
    result: "failed",
    why: "no way to https://a:S3cret@b.test/",
  } as const;
  const failing = scanner(
    "apt",
    () =>
      withSources(
        [source, failed],
        () => Promise.reject(new ScanError("Cannot scan: no", { reason: "transient" })),
      ),
  );
  const report = await runScan(new FakeSystem(), failing, {});
  assertEquals(
    [report.result, report.sources.map(({ name, result }) => [name, result])],
    ["failed", [["main", "ok"], ["main", "failed"]]],
  );
  assert(!JSON.stringify(report).includes("S3cret"));
});

async function reportOf(answer: Partial<ScanAnswer>, options: ScanOptions = {}) {
  const whole = { updates: [tool], gaps: [], metadataAgeS: null, ...answer };
  return await runScan(new FakeSystem(), scanner("apt", () => Promise.resolve(whole)), options);
}

Deno.test("runScan() calls a list complete only if every enabled source answered with current lists", async () => {
  const rows: [answer: Partial<ScanAnswer>, result: string, warnings: string[]][] = [
    [{}, "ok", []],
    [{ notes: ["mind this"] }, "ok", ["mind this"]],
    [{ gaps: ["half of it"], notes: ["mind this"] }, "degraded", ["half of it", "mind this"]],
    [{ sources: [source, { ...source, result: "not_asked" }] }, "ok", []],
    ...(["old", "missing", "failed"] as const).map((
      result,
    ): [Partial<ScanAnswer>, string, string[]] => [
      { sources: [source, { ...source, name: "other", result, why: "it is missing" }] },
      "degraded",
      ["other: it is missing"],
    ]),
    [{ sources: [{ ...source, result: "old" }] }, "degraded", ["main: old"]],
  ];
  for (const [answer, result, warnings] of rows) {
    const report = await reportOf(answer);
    assertEquals([report.result, report.warnings], [result, warnings]);
    assertEquals(hasCompleteList(report), result === "ok");
  }
});

Deno.test("runScan() passes on the answer of a scanner, and what it leaves open", async () => {
  const open = { ...tool, source: null, description: null };
  const report = await reportOf({
    updates: [open],
    sources: [{ ...source, url: null }],
    scope: "asked as SYSTEM",
    reboot: { isRequired: false, reason: "none is asked for" },
  });
  assertEquals([report.updates, report.sources, report.scope, report.reboot], [
    [open],
    [{ ...source, url: null }],
    "asked as SYSTEM",
    { isRequired: false, reason: "none is asked for" },
  ]);
  const { scope, reboot, sources } = await reportOf({});
  assertEquals([scope, reboot, sources], [undefined, null, []]);
});

Deno.test("runScan() redacts every text of a package manager", async () => {
  const url = "https://deploy:S3cret@repo.test/a?sig=S3cret";
  const update = {
    ...tool,
    source: url,
    severityReason: url,
    stateReason: url,
    description: url,
  };
  const report = await reportOf({
    updates: [update],
    gaps: [url],
    notes: [`note ${url}`],
    scope: url,
    reboot: { isRequired: true, reason: url },
    sources: [{ ...source, name: url, result: "failed", why: url }],
  });
  assert(!JSON.stringify(report).includes("S3cret"), JSON.stringify(report));
  const failing = scanner(
    "apt",
    () => Promise.reject(new ScanError(`Cannot ask: ${url}`, { reason: "transient" })),
  );
  const broken = scanner("apt", () => Promise.reject(new TypeError(url)));
  for (const failed of await runScans(new FakeSystem(), [failing, broken])) {
    assert(!JSON.stringify(failed).includes("S3cret"), JSON.stringify(failed));
  }
});

Deno.test("runScan() sorts updates, marks ignored ones and does not count them", async () => {
  const updates = [{ ...tool, package: "b" }, { ...tool, package: "a" }, libssl];
  const report = await reportOf({ updates }, { ignore: ["lib*"] });
  assertEquals(report.updates.map(({ package: name, state }) => [name, state]), [
    ["a", "upgradable"],
    ["b", "upgradable"],
    ["libssl3", "ignored"],
  ]);
  assertEquals(counted(report).map(({ package: name }) => name), ["a", "b"]);
});

Deno.test("runScans() reports the duration of each scanner, whether it succeeded or failed", async () => {
  const system = new FakeSystem();
  await system.clock.advance(5_000); // The clock does not begin at nothing.
  const slow = (name: string, ms: number, { scan }: Scanner) =>
    scanner(name, async (host, options) => {
      await system.clock.sleep(ms, new AbortController().signal);
      return await scan(host, options);
    });
  const scanning = runScans(system, [slow("apt", 1_000.4, well), slow("dnf", 2_000.6, locked)]);
  await system.clock.advance(3_000);
  const reports = await scanning;
  assertEquals(reports.map(({ name, durationMs }) => [name, durationMs]), [
    ["apt", 1_000],
    ["dnf", 2_001],
  ]);
});
