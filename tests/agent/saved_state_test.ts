import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  loadScannerBreakers,
  loadState,
  readSavedBreakers,
  saveScannerBreakers,
  saveState,
  STATE_FILE,
} from "../../src/agent/saved_state.ts";
import type { Breaker } from "../../src/breaker/breaker.ts";
import { NEW_STATE } from "../../src/loop/state.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";
import { anyText } from "../fakes/texts.ts";

const longest = {
  notBeforeMs: 7_200_000,
  openMs: 300_000,
  rapidMs: 3_600_000,
  intervalMs: 600_000,
};

Deno.test("loadState() returns what saveState() saved", async () => {
  const system = new FakeSystem();
  const log = new FakeLog();
  assertEquals(await loadState(system, "/state", { longest, log }), NEW_STATE);
  const nextCheckInAtMs = system.clock.monotonicMs() + 60_000;
  await saveState(system, "/state", { ...NEW_STATE, nextCheckInAtMs });
  const loaded = await loadState(system, "/state", { longest, log });
  assertEquals(loaded.nextCheckInAtMs, nextCheckInAtMs);
  assertEquals(
    (await STATE_FILE.read(system.files, "/state"))?.nextCheckInAtMs,
    system.clock.nowMs() + 60_000,
  );
  assertEquals(system.files.modes.get("/state/state.json"), 0o600);
  await STATE_FILE.remove(system.files, "/state");
  assertEquals(await loadState(system, "/state", { longest, log }), NEW_STATE);
  assertEquals(log.events, []);
});

Deno.test("loadState() logs an unreadable file and starts with defaults; a failing disk is an error", async () => {
  const system = new FakeSystem();
  for (
    const text of ["", "{", "null", '{"schema":"pennon.state/1"}', '{"schema":"pennon.state/2"}']
  ) {
    const log = new FakeLog();
    system.files.texts.set("/state/state.json", text);
    assertEquals(await loadState(system, "/state", { longest, log }), NEW_STATE, text);
    assertEquals(log.events.map(({ level }) => level), ["warning"]);
    assertEquals(await STATE_FILE.read(system.files, "/state"), undefined);
  }
  system.files.fail("read the state", "denied");
  const options = { longest, log: new FakeLog() };
  await assertRejects(() => loadState(system, "/state", options), FileError);
});

const PATH = "/state/scanner-breakers.json";
const HOUR_MS = 3_600_000;

function openBreaker(system: FakeSystem, reason: string): Breaker {
  const nowMs = system.clock.monotonicMs();
  return {
    state: "open",
    generation: 3,
    failures: 4,
    trips: 1,
    reason,
    sinceMs: nowMs,
    untilMs: nowMs + 2 * HOUR_MS,
  };
}

Deno.test("loadScannerBreakers() continues where saveScannerBreakers() stopped", async () => {
  const system = new FakeSystem();
  assertEquals(await loadScannerBreakers(system, "/state", HOUR_MS), new Map());
  const closed: Breaker = { state: "closed", generation: 1, failures: 2, recent: [] };
  const breakers = new Map([["apt", openBreaker(system, "exit 100")], ["dnf", closed]]);
  await saveScannerBreakers(system, "/state", breakers);
  assertEquals(system.files.modes.get(PATH), 0o600);
  assertEquals(await loadScannerBreakers(system, "/state", 2 * HOUR_MS), breakers);
  const cut = (await loadScannerBreakers(system, "/state", HOUR_MS)).get("apt");
  assert(cut?.state === "open");
  assertEquals(cut.untilMs, system.clock.monotonicMs() + HOUR_MS);
});

Deno.test("readSavedBreakers() returns no breaker from an unreadable file; a failing disk is an error", async () => {
  const system = new FakeSystem();
  const name = "x".repeat(51);
  const tooLong = { [name]: { state: "closed", generation: 0, failures: 0, recent: [] } };
  const long = JSON.stringify({ schema: "pennon.scanner-breakers/1", breakers: tooLong });
  for (const text of ["", "{", "null", '{"schema":"pennon.scanner-breakers/3"}', long]) {
    system.files.texts.set(PATH, text);
    assertEquals(await readSavedBreakers(system, "/state"), {}, text);
  }
  system.files.texts.set(PATH, long.replace(name, "x".repeat(50)));
  assertEquals(Object.keys(await readSavedBreakers(system, "/state")), ["x".repeat(50)]);
  system.files.fail("read the scanner breakers", "denied");
  await assertRejects(() => loadScannerBreakers(system, "/state", HOUR_MS), FileError);
});

Deno.test("saveScannerBreakers() writes a readable file, whatever a scanner reports", async () => {
  await fc.assert(
    fc.asyncProperty(anyText(2_500), async (reason) => {
      const system = new FakeSystem();
      const breakers = new Map([["apt", openBreaker(system, reason)]]);
      await saveScannerBreakers(system, "/state", breakers);
      const loaded = (await loadScannerBreakers(system, "/state", 2 * HOUR_MS)).get("apt");
      assert(loaded?.state === "open");
      assertEquals(loaded.reason, reason.slice(0, 1_000));
    }),
    { numRuns: 50 },
  );
});

const tripped = { generation: 1, failures: 3, trips: 1, reason: "HTTP 500", sinceMs: 0 };

Deno.test("saveScannerBreakers() writes what loadScannerBreakers() reads", async () => {
  const system = new FakeSystem();
  const breakers = new Map<string, Breaker>([
    ["apt", { state: "open", ...tripped, untilMs: system.clock.monotonicMs() + 1_000 }],
    ["dnf", { state: "closed", generation: 2, failures: 0, recent: [] }],
  ]);
  await saveScannerBreakers(system, "/state", breakers);
  assertEquals(await loadScannerBreakers(system, "/state", Infinity), breakers);
});

Deno.test("saveScannerBreakers() writes a readable file, whatever one breaker holds", async () => {
  const number = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, 1e300));
  const odd: fc.Arbitrary<Breaker> = fc.record({
    state: fc.constant("open" as const),
    generation: number,
    failures: number,
    trips: number,
    reason: fc.oneof(fc.string(), fc.constant("x".repeat(2_000))),
    sinceMs: number,
    untilMs: number,
  });
  const names = fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "x".repeat(51)));
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(names, odd)), async (entries) => {
    const system = new FakeSystem();
    const apt = { state: "closed" as const, generation: 2, failures: 0, recent: [] };
    await saveScannerBreakers(system, "/state", new Map([...entries, ["apt", apt]]));
    assertEquals((await readSavedBreakers(system, "/state"))["apt"], apt);
  }));
});

const TRIPPED_FORM = { generation: 1, failures: 3, trips: 1, reason: "HTTP 500" };

/** The connection in both forms of `state.json`; instants one minute after the epoch. */
function connectionForm(form: "earlier" | "present") {
  const instant = (earlier: string, present: string, isKnown = true) => {
    const value = form === "earlier" ? 60_000 : "1970-01-01T00:01:00.000Z";
    return { [form === "earlier" ? earlier : present]: isKnown ? value : null };
  };
  const notBefore = instant("notBeforeMs", "not_before_at");
  const since = instant("sinceMs", "since_at");
  const hasCheckedIn = form === "earlier" ? "hasCheckedIn" : "has_checked_in";
  const operator = form === "earlier" ? "needsPerson" : "operator_action_required";
  return {
    connection: {
      breaker: { state: "open", ...TRIPPED_FORM, ...since, ...instant("untilMs", "until_at") },
      paths: {
        check_in: { failures: 1, ...notBefore },
        delivery: { failures: 0, ...instant("notBeforeMs", "not_before_at", false) },
      },
      outage: { ...since, attempts: 1, why: "HTTP 500", offline: false, status: 500 },
      doubt: { kind: "deleted", ...since, [hasCheckedIn]: true },
      [operator]: { cause: "deleted", why: "HTTP 404", ...since, ...notBefore },
    },
    ...instant("rapidUntilMs", "rapid_until_at", false),
    ...instant("nextCheckInMs", "next_check_in_at"),
    ...instant("afterCrashMs", "after_crash_at"),
    ...instant("lastCheckInMs", "last_check_in_at"),
    ...instant("lastSystemInfoMs", "last_system_info_at"),
  };
}

Deno.test("loadState() reads the form of earlier releases, and saveState() writes the present one", async () => {
  const system = new FakeSystem();
  const path = "/state/state.json";
  const set = (schema: string, form: object) =>
    system.files.texts.set(path, JSON.stringify({ schema, ...form }));
  set("pennon.state/2", connectionForm("present"));
  const present = await STATE_FILE.read(system.files, "/state");
  assert(present);
  set("pennon.state/1", connectionForm("earlier"));
  assertEquals(await STATE_FILE.read(system.files, "/state"), present);
  const log = new FakeLog();
  await saveState(system, "/state", await loadState(system, "/state", { longest, log }));
  const saved = JSON.parse(system.files.texts.get(path) ?? "");
  assertEquals(saved.schema, "pennon.state/2");
  assertEquals(saved.connection.doubt, connectionForm("present").connection.doubt);
  assertEquals(saved.last_check_in_at, "1970-01-01T00:01:00.000Z");
  set("pennon.state/1", connectionForm("present"));
  assertEquals(await STATE_FILE.read(system.files, "/state"), undefined);
});

Deno.test("loadScannerBreakers() reads the form of earlier releases, and the present one is written", async () => {
  const system = new FakeSystem();
  const saved = { state: "open" as const, ...TRIPPED_FORM };
  const earlier = { ...saved, sinceMs: 60_000, untilMs: 120_000 };
  system.files.texts.set(
    PATH,
    JSON.stringify({ schema: "pennon.scanner-breakers/1", breakers: { apt: earlier } }),
  );
  assertEquals(await readSavedBreakers(system, "/state"), { apt: earlier });
  await saveScannerBreakers(
    system,
    "/state",
    await loadScannerBreakers(system, "/state", Infinity),
  );
  const present = { since_at: "1970-01-01T00:01:00.000Z", until_at: "1970-01-01T00:02:00.000Z" };
  assertEquals(JSON.parse(system.files.texts.get(PATH) ?? ""), {
    schema: "pennon.scanner-breakers/2",
    breakers: { apt: { ...saved, ...present } },
  });
  assertEquals(await readSavedBreakers(system, "/state"), { apt: earlier });
});
