import { assert, assertEquals, assertRejects } from "@std/assert";
import { ScannerGuard } from "../../src/commands/scanner_runner.ts";
import { ScanError, type ScanErrorReason, type Scanner } from "../../src/scanners/scanner.ts";
import { settle } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";
import { makeGuard, SCANNER_SETTINGS } from "../fakes/scanner_guard.ts";
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
  return { system, log, ...makeGuard(system, log) };
}

Deno.test("scan() leaves a scanner alone after three failures in a row, and not after two", async () => {
  const { guard, log, kept } = setUp();
  for (let scan = 0; scan < 2; scan++) await guard.scan(failing("permanent"), never);
  assertEquals(guard.breakers.get("apt")?.state, "closed");
  await guard.scan(failing("transient"), never);
  assertEquals(guard.breakers.get("apt")?.state, "open");
  assertEquals(log.told("scanner breaker opened").length, 1);
  assertEquals(kept.at(-1)?.get("apt")?.state, "open");
  const refused = await guard.scan(well, never);
  assertEquals([refused.result, refused.error?.reason], ["failed", "withheld"]);
  assert(
    /^Cannot scan with apt: it failed 3 times in a row and is left alone for 1[2-8] min more: Cannot scan: transient$/
      .test(refused.error?.message ?? ""),
    refused.error?.message,
  );
  assertEquals(refused.durationMs, 0);
});

Deno.test("scan() takes a lock that is held, or an absence, for nothing", async () => {
  const { guard } = setUp();
  for (let scan = 0; scan < 5; scan++) {
    await guard.scan(failing("locked"), never);
    await guard.scan(failing("not_available"), never);
  }
  assertEquals(guard.breakers.get("apt")?.failures ?? 0, 0);
});

Deno.test("scan() closes the breaker at one success after the time is up", async () => {
  const { guard, system, log } = setUp();
  for (let scan = 0; scan < 3; scan++) await guard.scan(failing("permanent"), never);
  await system.clock.advance(SCANNER_SETTINGS.minOpenMs * 1.2);
  assertEquals((await guard.scan(well, never)).result, "ok");
  assertEquals(guard.breakers.get("apt")?.state, "closed");
  assertEquals(log.told("scanner breaker closed").length, 1);
});

Deno.test("scan() does not wait for a scanner that forgets its limits, nor hold up another", async () => {
  const { guard, system } = setUp();
  const hanging = guard.scan(scanner("apt", () => new Promise(() => {})), never);
  const other = await guard.scan({ ...well, name: "dnf" }, never);
  assertEquals(other.result, "ok");
  await system.clock.advance(SCANNER_SETTINGS.timeoutMs);
  const report = await hanging;
  assertEquals([report.result, report.error?.reason], ["failed", "transient"]);
  assertEquals(report.error?.message, "Cannot scan with apt: no end within 600 s");
  assertEquals(report.durationMs, SCANNER_SETTINGS.timeoutMs);
  assertEquals(guard.breakers.get("apt")?.failures, 1);
  assertEquals(system.clock.sleeping, 0);
});

Deno.test("scan() gives the permit back when it is stopped, and leaves no timer", async () => {
  const { guard, system } = setUp();
  const stop = new AbortController();
  const asked = guard.scan(
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
  assertEquals([guard.breakers.get("apt")?.failures ?? 0, system.clock.sleeping], [0, 0]);
});

Deno.test("a scanner that throws what is no ScanError has failed", async () => {
  const { guard } = setUp();
  const report = await guard.scan(
    scanner("apt", () => Promise.reject(new TypeError("oops"))),
    never,
  );
  assertEquals(report.error?.reason, "permanent");
});

Deno.test("scan() hands a scanner its limits, its directory and what was known", async () => {
  const { guard } = setUp();
  const given: unknown[] = [];
  const asked = scanner("apt", (system, options) => {
    given.push(options.cacheDirectory, options.lastCount, options.signal instanceof AbortSignal);
    return well.scan(system, options);
  });
  await guard.scan(asked, never, { lastCount: 7 });
  await guard.scan(asked, never);
  assertEquals(given, ["/state/cache", 7, true, "/state/cache", undefined, true]);
});

Deno.test("scan() keeps each scanner's breaker by itself, and saves only what changed", async () => {
  const { guard, kept } = setUp();
  await guard.scan(failing("locked"), never);
  assertEquals(kept, [], "a neutral result changes nothing");
  await guard.scan(failing("permanent"), never);
  await guard.scan({ ...failing("permanent"), name: "dnf" }, never);
  assertEquals(kept.length, 2);
  assertEquals([...kept[1] ?? []].map(([name, { failures }]) => [name, failures]), [
    ["apt", 1],
    ["dnf", 1],
  ]);
});

Deno.test("scan() has kept what it changed when it is over, and reset() too", async () => {
  const { system, log } = setUp();
  const disk: (() => void)[] = [];
  const guard = new ScannerGuard({
    system,
    log,
    settings: SCANNER_SETTINGS,
    cacheDirectory: "/state/cache",
    ignore: [],
    changelogs: false,
    keep: () => new Promise((resolve) => disk.push(resolve)),
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
  await isHeldUp(guard.scan(failing("permanent"), never), 1);
  await isHeldUp(guard.reset("apt"), 1);
  for (let scan = 0; scan < 3; scan++) await isHeldUp(guard.scan(failing("permanent"), never), 1);
  await system.clock.advance(SCANNER_SETTINGS.minOpenMs * 1.2);
  // That a probe is out is kept, then that it was stopped.
  const stopped = AbortSignal.abort(new Error("stopped"));
  await isHeldUp(guard.scan(scanner("apt", () => Promise.reject(new Error("x"))), stopped), 2);
});

Deno.test("a scan that was begun before a reset says nothing to the breaker after it", async () => {
  const { guard } = setUp();
  let fail = (_: Error) => {};
  const slow = guard.scan(
    scanner("apt", () => new Promise((_, reject) => fail = reject)),
    never,
  );
  await settle();
  await guard.reset("apt");
  fail(new ScanError("Cannot scan: broken", { reason: "permanent" }));
  await slow;
  assertEquals(guard.breakers.get("apt")?.failures, 0);
});

Deno.test("reset() closes a breaker at once", async () => {
  const { guard } = setUp();
  for (let scan = 0; scan < 3; scan++) await guard.scan(failing("permanent"), never);
  await guard.reset("apt");
  assert((await guard.scan(well, never)).result === "ok");
});

Deno.test("reset() makes the late end of a scan that was begun before it count for nothing", async () => {
  const { guard } = setUp();
  for (let scan = 0; scan < 2; scan++) await guard.scan(failing("permanent"), never);
  const late = Promise.withResolvers<never>();
  const scan = guard.scan(scanner("apt", () => late.promise), never);
  await settle();
  await guard.reset("apt");
  late.reject(new ScanError("Cannot scan", { reason: "permanent" }));
  await scan;
  assertEquals([guard.breakers.get("apt")?.state, guard.breakers.get("apt")?.failures], [
    "closed",
    0,
  ]);
});

Deno.test("scan() aborts a scan at its limit, and one that is stopped, by the signal it gave", async () => {
  const { guard, system } = setUp();
  const given: { signal?: AbortSignal; cacheDirectory?: string }[] = [];
  const hanging = scanner("apt", (_, options) => {
    given.push(options);
    return new Promise(() => {});
  });
  const first = guard.scan(hanging, never);
  await settle();
  await system.clock.advance(SCANNER_SETTINGS.timeoutMs - 1);
  assertEquals(given[0]?.signal?.aborted, false);
  await system.clock.advance(1);
  assertEquals(given[0]?.signal?.aborted, true);
  assertEquals((await first).durationMs, SCANNER_SETTINGS.timeoutMs);
  assertEquals(system.clock.sleeping, 0);
  const stop = new AbortController();
  guard.scan(hanging, stop.signal);
  await settle();
  stop.abort(new Error("stop"));
  assertEquals([given[1]?.signal?.aborted, given[1]?.cacheDirectory], [true, "/state/cache"]);
});

Deno.test("scan() takes what a scanner says after its limit for nothing", async () => {
  const { guard, system } = setUp();
  const late = Promise.withResolvers<never>();
  const scan = guard.scan(scanner("apt", () => late.promise), never);
  await system.clock.advance(SCANNER_SETTINGS.timeoutMs);
  await scan;
  late.reject(new ScanError("Cannot scan", { reason: "permanent" }));
  await settle();
  assertEquals(guard.breakers.get("apt")?.failures, 1);
});

Deno.test("scan() lets a lock that is held, or an absence, neither open nor close a breaker", async () => {
  for (const reason of ["locked", "not_available"] as const) {
    const { guard, system } = setUp();
    for (let scan = 0; scan < 2; scan++) await guard.scan(failing("permanent"), never);
    await guard.scan(failing(reason), never);
    assertEquals(guard.breakers.get("apt")?.failures, 2, "it is no success either");
    await guard.scan(failing("transient"), never);
    assertEquals(guard.breakers.get("apt")?.state, "open");
    await system.clock.advance(SCANNER_SETTINGS.minOpenMs * 1.2);
    await guard.scan(failing(reason), never);
    const { state } = guard.breakers.get("apt") ?? {};
    assertEquals(state, "half_open");
    // The probe's place is free again.
    assertEquals((await guard.scan(well, never)).result, "ok");
  }
});

Deno.test("scan() that is refused says what the scanner last complained of, and for how long", async () => {
  const { guard, log } = setUp();
  for (let scan = 0; scan < 3; scan++) await guard.scan(failing("permanent"), never);
  assertEquals(log.told("scanner breaker opened")[0]?.["why"], "Cannot scan: permanent");
  const { error } = await guard.scan(well, never);
  const [, minutes, why] = /left alone for (\d+) min more: (.+)$/.exec(error?.message ?? "") ?? [];
  assertEquals(why, "Cannot scan: permanent");
  assert(Number(minutes) >= 12 && Number(minutes) <= 18, minutes);
});

Deno.test("scan() that probes is the only one, and gives its place back when it is stopped", async () => {
  const { guard, system, kept } = setUp();
  for (let scan = 0; scan < 3; scan++) await guard.scan(failing("permanent"), never);
  await system.clock.advance(SCANNER_SETTINGS.minOpenMs * 1.2);
  const stop = new AbortController();
  const stopped = scanner(
    "apt",
    (_, { signal }) =>
      new Promise((_resolve, reject) =>
        signal?.addEventListener("abort", () => reject(new Error("stopped")))
      ),
  );
  const probe = guard.scan(stopped, stop.signal);
  await settle();
  assertEquals(kept.at(-1)?.get("apt")?.state, "half_open");
  assertEquals((await guard.scan(well, never)).error?.reason, "withheld");
  stop.abort(new Error("stop"));
  await assertRejects(() => probe, Error, "stopped");
  assertEquals((await guard.scan(well, never)).result, "ok");
});
