import { assert, assertEquals, assertRejects } from "@std/assert";
import { ScannerRunner } from "../../src/commands/scanner_runner.ts";
import { ScanError, type ScanErrorReason, type Scanner } from "../../src/scanners/scanner.ts";
import { settle } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";
import { scannerBreaker } from "../fakes/breaker_numbers.ts";
import { makeScannerRunner } from "../fakes/scanner_runner.ts";
import { FakeSystem } from "../fakes/system.ts";

const never = new AbortController().signal;

function scanner(name: string, scan: Scanner["scan"]): Scanner {
  return { name, isAvailable: () => Promise.resolve(true), scan };
}

function failing(reason: ScanErrorReason): Scanner {
  return scanner("apt", () => Promise.reject(new ScanError(`Cannot scan: ${reason}`, { reason })));
}

const well = scanner(
  "apt",
  () => Promise.resolve({ updates: [], gaps: [], metadataAgeS: null }),
);

function setUp() {
  const system = new FakeSystem();
  const log = new FakeLog();
  return { system, log, ...makeScannerRunner(system, log) };
}

Deno.test("scan() rejects scans after three failures in a row, and not after two", async () => {
  const { runner, log, kept } = setUp();
  for (let scan = 0; scan < 2; scan++) await runner.scan(failing("permanent"), never);
  assertEquals(runner.breakers.get("apt")?.state, "closed");
  await runner.scan(failing("transient"), never);
  assertEquals(runner.breakers.get("apt")?.state, "open");
  assertEquals(log.told("scanner breaker opened").length, 1);
  assertEquals(kept.at(-1)?.get("apt")?.state, "open");
  const refused = await runner.scan(well, never);
  assertEquals([refused.result, refused.error?.reason], ["failed", "circuit_open"]);
  assert(
    /^Cannot scan with apt: it failed 3 times in a row and is paused for 1[2-8] min more: Cannot scan: transient$/
      .test(refused.error?.message ?? ""),
    refused.error?.message,
  );
  assertEquals(refused.durationMs, 0);
});

Deno.test("scan() counts neither a locked nor a missing package manager as a failure", async () => {
  const { runner } = setUp();
  for (let scan = 0; scan < 5; scan++) {
    await runner.scan(failing("locked"), never);
    await runner.scan(failing("not_available"), never);
  }
  assertEquals(runner.breakers.get("apt")?.failures ?? 0, 0);
});

Deno.test("scan() closes the breaker at one success after the time is up", async () => {
  const { runner, system, log } = setUp();
  for (let scan = 0; scan < 3; scan++) await runner.scan(failing("permanent"), never);
  await system.clock.advance(scannerBreaker.minOpenMs * 1.2);
  assertEquals((await runner.scan(well, never)).result, "ok");
  assertEquals(runner.breakers.get("apt")?.state, "closed");
  assertEquals(log.told("scanner breaker closed").length, 1);
});

Deno.test("scan() does not wait for a scanner that ignores its limits, nor delay another", async () => {
  const { runner, system } = setUp();
  const hanging = runner.scan(scanner("apt", () => new Promise(() => {})), never);
  const other = await runner.scan({ ...well, name: "dnf" }, never);
  assertEquals(other.result, "ok");
  await system.clock.advance(scannerBreaker.timeoutMs);
  const report = await hanging;
  assertEquals([report.result, report.error?.reason], ["failed", "transient"]);
  assertEquals(report.error?.message, "Cannot scan with apt: no end within 2100 s");
  assertEquals(report.durationMs, scannerBreaker.timeoutMs);
  assertEquals(runner.breakers.get("apt")?.failures, 1);
  assertEquals(system.clock.sleeping, 0);
});

Deno.test("scan() releases the permit when it is aborted, and leaves no timer", async () => {
  const { runner, system } = setUp();
  const stop = new AbortController();
  const asked = runner.scan(
    scanner(
      "apt",
      (_, { signal }) =>
        new Promise((_resolve, reject) =>
          signal?.addEventListener("abort", () => reject(new Error("stopped")))
        ),
    ),
    stop.signal,
  );
  await settle();
  stop.abort(new Error("stop"));
  await assertRejects(() => asked, Error, "stopped");
  assertEquals([runner.breakers.get("apt")?.failures ?? 0, system.clock.sleeping], [0, 0]);
});

Deno.test("a scanner that throws what is no ScanError has failed", async () => {
  const { runner } = setUp();
  const report = await runner.scan(
    scanner("apt", () => Promise.reject(new TypeError("oops"))),
    never,
  );
  assertEquals(report.error?.reason, "permanent");
});

Deno.test("scan() gives a scanner its limits, its directory and its last count", async () => {
  const { runner } = setUp();
  const given: unknown[] = [];
  const asked = scanner("apt", (system, options) => {
    given.push(options.cacheDirectory, options.lastCount, options.signal instanceof AbortSignal);
    return well.scan(system, options);
  });
  await runner.scan(asked, never, { lastCount: 7 });
  await runner.scan(asked, never);
  assertEquals(given, ["/state/cache", 7, true, "/state/cache", undefined, true]);
});

Deno.test("scan() has one breaker per scanner, and saves only changes", async () => {
  const { runner, kept } = setUp();
  await runner.scan(failing("locked"), never);
  assertEquals(kept, [], "a neutral result changes nothing");
  await runner.scan(failing("permanent"), never);
  await runner.scan({ ...failing("permanent"), name: "dnf" }, never);
  assertEquals(kept.length, 2);
  assertEquals([...kept[1] ?? []].map(([name, { failures }]) => [name, failures]), [
    ["apt", 1],
    ["dnf", 1],
  ]);
});

Deno.test("scan() has saved its change when it ends, and reset() too", async () => {
  const { system, log } = setUp();
  const disk: (() => void)[] = [];
  const runner = new ScannerRunner({
    system,
    log,
    settings: scannerBreaker,
    cacheDirectory: "/state/cache",
    ignore: [],
    changelogs: false,
    save: () => new Promise((resolve) => disk.push(resolve)),
  }, new Map());
  let ended = 0;
  const isHeldUp = async (work: Promise<unknown>, writes: number) => {
    const before = ended;
    work.then(() => ended += 1, () => ended += 1);
    for (let write = 0; write < writes; write++) {
      await settle();
      assertEquals([ended, disk.length], [before, 1], `write ${write}`);
      disk.shift()?.();
    }
    await settle();
    assertEquals([ended, disk.length], [before + 1, 0]);
  };
  await isHeldUp(runner.scan(failing("permanent"), never), 1);
  await isHeldUp(runner.reset("apt"), 1);
  for (let scan = 0; scan < 3; scan++) await isHeldUp(runner.scan(failing("permanent"), never), 1);
  await system.clock.advance(scannerBreaker.minOpenMs * 1.2);
  // That a probe is out is kept, then that it was stopped.
  const stopped = AbortSignal.abort(new Error("stopped"));
  await isHeldUp(runner.scan(scanner("apt", () => Promise.reject(new Error("x"))), stopped), 2);
});

Deno.test("a scan that began before a reset does not count after it", async () => {
  const { runner } = setUp();
  let fail = (_: Error) => {};
  const slow = runner.scan(
    scanner("apt", () => new Promise((_, reject) => fail = reject)),
    never,
  );
  await settle();
  await runner.reset("apt");
  fail(new ScanError("Cannot scan: broken", { reason: "permanent" }));
  await slow;
  assertEquals(runner.breakers.get("apt")?.failures, 0);
});

Deno.test("reset() closes a breaker at once", async () => {
  const { runner } = setUp();
  for (let scan = 0; scan < 3; scan++) await runner.scan(failing("permanent"), never);
  await runner.reset("apt");
  assert((await runner.scan(well, never)).result === "ok");
});

Deno.test("reset() ignores the late failure of a scan that began before it", async () => {
  const { runner } = setUp();
  for (let scan = 0; scan < 2; scan++) await runner.scan(failing("permanent"), never);
  const late = Promise.withResolvers<never>();
  const scan = runner.scan(scanner("apt", () => late.promise), never);
  await settle();
  await runner.reset("apt");
  late.reject(new ScanError("Cannot scan", { reason: "permanent" }));
  await scan;
  assertEquals([runner.breakers.get("apt")?.state, runner.breakers.get("apt")?.failures], [
    "closed",
    0,
  ]);
});

Deno.test("scan() aborts the scan's signal at the time limit, and when it is aborted itself", async () => {
  const { runner, system } = setUp();
  const given: { signal?: AbortSignal; cacheDirectory?: string }[] = [];
  const hanging = scanner("apt", (_, options) => {
    given.push(options);
    return new Promise(() => {});
  });
  const first = runner.scan(hanging, never);
  await settle();
  await system.clock.advance(scannerBreaker.timeoutMs - 1);
  assertEquals(given[0]?.signal?.aborted, false);
  await system.clock.advance(1);
  assertEquals(given[0]?.signal?.aborted, true);
  assertEquals((await first).durationMs, scannerBreaker.timeoutMs);
  assertEquals(system.clock.sleeping, 0);
  const stop = new AbortController();
  runner.scan(hanging, stop.signal);
  await settle();
  stop.abort(new Error("stop"));
  assertEquals([given[1]?.signal?.aborted, given[1]?.cacheDirectory], [true, "/state/cache"]);
});

Deno.test("scan() ignores what a scanner returns after its limit", async () => {
  const { runner, system } = setUp();
  const late = Promise.withResolvers<never>();
  const scan = runner.scan(scanner("apt", () => late.promise), never);
  await system.clock.advance(scannerBreaker.timeoutMs);
  await scan;
  late.reject(new ScanError("Cannot scan", { reason: "permanent" }));
  await settle();
  assertEquals(runner.breakers.get("apt")?.failures, 1);
});

Deno.test("scan() neither opens nor closes a breaker for a locked or missing package manager", async () => {
  for (const reason of ["locked", "not_available"] as const) {
    const { runner, system } = setUp();
    for (let scan = 0; scan < 2; scan++) await runner.scan(failing("permanent"), never);
    await runner.scan(failing(reason), never);
    assertEquals(runner.breakers.get("apt")?.failures, 2, "it is no success either");
    await runner.scan(failing("transient"), never);
    assertEquals(runner.breakers.get("apt")?.state, "open");
    await system.clock.advance(scannerBreaker.minOpenMs * 1.2);
    await runner.scan(failing(reason), never);
    const { state } = runner.breakers.get("apt") ?? {};
    assertEquals(state, "half_open");
    // The probe's place is free again.
    assertEquals((await runner.scan(well, never)).result, "ok");
  }
});

Deno.test("scan() that is rejected reports the scanner's last error, and for how long", async () => {
  const { runner, log } = setUp();
  for (let scan = 0; scan < 3; scan++) await runner.scan(failing("permanent"), never);
  assertEquals(log.told("scanner breaker opened")[0]?.["why"], "Cannot scan: permanent");
  const { error } = await runner.scan(well, never);
  const [, minutes, why] = /paused for (\d+) min more: (.+)$/.exec(error?.message ?? "") ?? [];
  assertEquals(why, "Cannot scan: permanent");
  assert(Number(minutes) >= 12 && Number(minutes) <= 18, minutes);
});

Deno.test("scan() admits one probe, and releases its permit when it is aborted", async () => {
  const { runner, system, kept } = setUp();
  for (let scan = 0; scan < 3; scan++) await runner.scan(failing("permanent"), never);
  await system.clock.advance(scannerBreaker.minOpenMs * 1.2);
  const stop = new AbortController();
  const stopped = scanner(
    "apt",
    (_, { signal }) =>
      new Promise((_resolve, reject) =>
        signal?.addEventListener("abort", () => reject(new Error("stopped")))
      ),
  );
  const probe = runner.scan(stopped, stop.signal);
  await settle();
  assertEquals(kept.at(-1)?.get("apt")?.state, "half_open");
  assertEquals((await runner.scan(well, never)).error?.reason, "circuit_open");
  stop.abort(new Error("stop"));
  await assertRejects(() => probe, Error, "stopped");
  assertEquals((await runner.scan(well, never)).result, "ok");
});
