import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Hooks } from "../../src/agent/hooks.ts";
import { HOOK_PROGRAMS, type HookName } from "../../src/config/locations.ts";
import { SETTINGS } from "../../src/config/settings.ts";
import { type AgentState, NEW_STATE } from "../../src/loop/state.ts";
import type { ScanReport } from "../../src/scanners/run_scans.ts";
import { CommandError, type RunOptions, type RunResult } from "../../src/system/process.ts";
import type { Update } from "../../src/update.ts";
import { settle } from "../fakes/clock.ts";
import { FakeFiles } from "../fakes/files.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

const SETTINGS_ON = {
  onOutage: true,
  onOutageArguments: ["--page", "ops"],
  outageAfterMs: SETTINGS.hooks.outageAfterMs.fallback,
  onSecurityUpdate: true,
  onSecurityUpdateArguments: [],
  timeoutMs: SETTINGS.hooks.timeoutMs.fallback,
};

const FINE: RunResult = { code: 0, stdout: "", stderr: "", truncated: false };

interface Run {
  readonly argv: readonly string[];
  readonly options: RunOptions;
  /** The files at its start. */
  readonly saved: string | undefined;
}

/** A host with both programs, and an agent that a test puts into an outage. */
function setUp(options: { files?: FakeFiles; settings?: Partial<typeof SETTINGS_ON> } = {}) {
  const system = new FakeSystem();
  system.files = options.files ?? new FakeFiles();
  for (const path of Object.values(HOOK_PROGRAMS)) {
    system.files.texts.set(path, "#!/bin/sh\n");
    system.files.modes.set(path, 0o755);
  }
  const log = new FakeLog();
  const runs: Run[] = [];
  const world = {
    state: { ...NEW_STATE, lastCheckInAtMs: 0 } as AgentState,
    answer: (_: Run): Promise<RunResult> => Promise.resolve(FINE),
  };
  system.runCommand = (argv, given) => {
    const run = { argv, options: given, saved: system.files.texts.get("/state/hooks.json") };
    runs.push(run);
    return world.answer(run);
  };
  const hooks = new Hooks({
    system,
    log,
    stateDirectory: "/state",
    settings: { ...SETTINGS_ON, ...options.settings },
    serverUrl: "https://user:hunter2hunter2@redflag.test",
  });
  const done = new AbortController();
  const stop = new AbortController();
  const running = hooks.run(
    () => world.state,
    { doneSignal: done.signal, shutdownSignal: stop.signal },
  );
  const setOutage = (isOn: boolean) => {
    const outage = {
      sinceMs: system.clock.monotonicMs(),
      failedCalls: 1,
      why: "refused",
      offline: false,
      status: null,
    };
    const connection = { ...world.state.connection, outage: isOn ? outage : null };
    world.state = { ...world.state, connection };
  };
  const end = async () => {
    stop.abort();
    await running;
  };
  const events = () => runs.map(({ options: { environment } }) => environment?.["PENNON_EVENT"]);
  return { system, log, runs, world, hooks, done, stop, running, setOutage, end, events };
}

function report(packages: readonly string[], more: Partial<ScanReport> = {}): ScanReport {
  const updates = packages.map((name) => ({
    package: name,
    availableVersion: "2",
    architecture: "amd64",
    state: "upgradable",
    security: !name.startsWith("plain"),
  }));
  return {
    name: "apt",
    result: "ok",
    durationMs: 1,
    error: null,
    warnings: [],
    sources: [],
    metadataAgeS: 1,
    reboot: null,
    updates: updates as unknown as Update[],
    ...more,
  };
}

Deno.test("Hooks starts on_outage once the outage has lasted, and once more when it is over", async () => {
  const { system, runs, log, setOutage, end, events } = setUp();
  await system.clock.advance(10_000);
  setOutage(true);
  await system.clock.advance(70_000);
  assertEquals(runs.length, 0);
  await system.clock.advance(10_000);
  await system.clock.advance(3_600_000);
  assertEquals(events(), ["outage_began"]);
  const [{ argv, options }] = runs as [Run];
  assertEquals(argv, ["/etc/pennon/hooks/on_outage", "--page", "ops"]);
  assertEquals([options.timeoutMs, options.maxOutputBytes], [30_000, 16_384]);
  assertEquals(options.environment, {
    PENNON_EVENT: "outage_began",
    PENNON_SINCE: "2026-11-23T00:00:10.000Z",
    PENNON_LASTED_S: "75",
    PENNON_SERVER: "https://(hidden)@redflag.test",
  });
  setOutage(false);
  await system.clock.advance(5_000);
  await system.clock.advance(3_600_000);
  assertEquals(events(), ["outage_began", "outage_ended"]);
  assertEquals(runs[1]?.options.environment?.["PENNON_SINCE"], "2026-11-23T00:00:10.000Z");
  assertEquals(log.told("hook started"), [
    { hook: "on_outage", event: "outage_began" },
    { hook: "on_outage", event: "outage_ended" },
  ]);
  assertEquals(log.told("hook finished").length, 2);
  await end();
});

Deno.test("Hooks saves what it starts a program for before the start, and knows it after a restart", async () => {
  const first = setUp();
  first.setOutage(true);
  await first.system.clock.advance(80_000);
  assert(first.runs[0]?.saved?.includes('"outage_since_at":"2026-11-23T00:00:00.000Z"'));
  await first.end();
  const second = setUp({ files: first.system.files });
  second.setOutage(true);
  await second.system.clock.advance(3_600_000);
  assertEquals(second.events(), []);
  second.setOutage(false);
  await second.system.clock.advance(5_000);
  assertEquals(second.events(), ["outage_ended"]);
  await second.end();
  const third = setUp({ files: first.system.files });
  await third.system.clock.advance(3_600_000);
  assertEquals(third.events(), []);
  await third.end();
});

Deno.test("Hooks does not believe an agent without a state that an outage is over", async () => {
  const first = setUp();
  first.setOutage(true);
  await first.system.clock.advance(80_000);
  await first.end();
  const second = setUp({ files: first.system.files });
  second.world.state = NEW_STATE;
  await second.system.clock.advance(60_000);
  assertEquals(second.events(), []);
  second.world.state = { ...NEW_STATE, lastCheckInAtMs: 1 };
  await second.system.clock.advance(5_000);
  assertEquals(second.events(), ["outage_ended"]);
  await second.end();
});

Deno.test("Hooks starts nothing that is not configured", async () => {
  const settings = { onOutage: false, onSecurityUpdate: false };
  const { system, hooks, runs, running, setOutage } = setUp({ settings });
  setOutage(true);
  hooks.onScan(report(["a"]));
  await running;
  await system.clock.advance(100_000);
  assertEquals([runs, system.clock.sleeping], [[], 0]);
});

Deno.test("Hooks starts on_security_update for new security updates, and for each once", async () => {
  const { system, hooks, runs, events, end } = setUp();
  const scan = async (...packages: string[]) => {
    hooks.onScan(report(packages));
    await system.clock.advance(5_000);
    return runs.length;
  };
  assertEquals(await scan("plain-a"), 0);
  assertEquals(await scan("plain-a", "b", "c"), 1);
  const { PENNON_SINCE: _, ...facts } = runs[0]?.options.environment ?? {};
  assertEquals(facts, {
    PENNON_EVENT: "security_updates",
    PENNON_SCANNER: "apt",
    PENNON_NEW_SECURITY_UPDATES: "2",
    PENNON_SECURITY_UPDATES: "2",
    PENNON_UPDATES: "3",
  });
  assertEquals(await scan("b", "c"), 1);
  assertEquals(await scan("c", "d"), 2);
  assertEquals(runs[1]?.options.environment?.["PENNON_NEW_SECURITY_UPDATES"], "1");
  assertEquals(await scan("b", "c", "d"), 3); // b was gone in between.
  // A list with gaps, and none at all.
  hooks.onScan(report(["b"], { result: "degraded" }));
  await system.clock.advance(5_000);
  hooks.onScan(report([], { result: "failed" }));
  await system.clock.advance(5_000);
  assertEquals(await scan("b", "c", "d"), 3);
  assertEquals(new Set(events()), new Set(["security_updates"]));
  await end();
  const restarted = setUp({ files: system.files });
  restarted.hooks.onScan(report(["b", "c", "d"]));
  await restarted.system.clock.advance(10_000);
  assertEquals(restarted.runs.length, 0);
  await restarted.end();
});

Deno.test("Hooks starts on_security_update for one scanner after the other", async () => {
  const { system, hooks, runs, end } = setUp();
  hooks.onScan(report(["a"]));
  hooks.onScan(report(["a"], { name: "winget" }));
  await system.clock.advance(0);
  assertEquals(runs.length, 1);
  await system.clock.advance(10_000);
  assertEquals(runs.map(({ options }) => options.environment?.["PENNON_SCANNER"]), [
    "apt",
    "winget",
  ]);
  await end();
});

Deno.test("Hooks logs a program that fails, with the beginning of its output and no secret", async () => {
  const { system, log, world, setOutage, end } = setUp({ settings: { outageAfterMs: 0 } });
  world.answer = () =>
    Promise.resolve({
      ...FINE,
      code: 7,
      stderr: `\x1b[31mno password=hunter2 here\n${"x".repeat(9_000)}`,
    });
  setOutage(true);
  await system.clock.advance(5_000);
  const [{ output, ...fields } = { output: "" }] = log.told("hook failed");
  assertEquals(fields, { hook: "on_outage", event: "outage_began", took_ms: 0, exit_code: 7 });
  assert(!String(output).includes("hunter2") && !String(output).includes("\x1b"), String(output));
  assertEquals(String(output).length, 500);
  world.answer = () =>
    Promise.reject(
      new CommandError("Cannot run it: no end within 30000 ms", {
        reason: "timeout",
        stderr: "waits",
      }),
    );
  setOutage(false);
  await system.clock.advance(5_000);
  const [, late] = log.told("hook failed");
  assertEquals([late?.["why"], late?.["output"]], [
    "Cannot run it: no end within 30000 ms",
    "waits",
  ]);
  await end();
});

Deno.test("Hooks says once why it does not start a program, and starts it when that is mended", async () => {
  const { system, log, events, setOutage, end } = setUp({ settings: { outageAfterMs: 0 } });
  const path = HOOK_PROGRAMS.on_outage;
  const breaks: [mode: number, owner: number, part: string][] = [
    [0o757, 0, "can be written by every user (mode 757). Next: chmod go-w"],
    [0o755, 1000, "belongs to user 1000. Next: chown root"],
    [0o644, 0, "is not executable (mode 644). Next: chmod 755"],
  ];
  setOutage(true);
  for (const [index, [mode, owner, part]] of breaks.entries()) {
    system.files.modes.set(path, mode);
    system.files.owners.set(path, owner);
    await system.clock.advance(60_000);
    const told = log.told("hook not started");
    assertEquals(told.length, index + 1);
    assert(String(told.at(-1)?.["why"]).includes(part), String(told.at(-1)?.["why"]));
  }
  assertEquals(events(), []);
  system.files.modes.set(path, 0o755);
  await system.clock.advance(5_000);
  assertEquals(events(), ["outage_began"]);
  await end();
});

Deno.test("Hooks lets a program of a single cycle end, and one of a stopped agent not", async () => {
  for (const isStopped of [false, true]) {
    const { system, world, runs, done, stop, running, setOutage, log } = setUp({
      settings: { outageAfterMs: 0 },
    });
    const { promise, resolve } = Promise.withResolvers<RunResult>();
    world.answer = ({ options: { signal } }) => {
      signal?.addEventListener("abort", () => resolve({ ...FINE, code: 143 }));
      return promise;
    };
    await system.clock.advance(1);
    setOutage(true);
    done.abort(); // Before the next look: there is one more at the end.
    await settle();
    assertEquals(runs.length, 1);
    if (isStopped) stop.abort();
    else resolve(FINE);
    await running;
    assertEquals(log.told(isStopped ? "hook failed" : "hook finished").length, 1);
  }
});

Deno.test("Hooks starts nothing without end: an unreadable file and a full disk change only what is known", async () => {
  const files = new FakeFiles();
  files.texts.set("/state/hooks.json", "{");
  files.fail("save what hooks were started for", "full");
  const { system, log, events, setOutage, end } = setUp({ files });
  setOutage(true);
  await system.clock.advance(600_000);
  assertEquals(events(), ["outage_began"]);
  assertEquals(log.told("state file unreadable; starting with defaults").length, 1);
  assertEquals(log.told("not saved").length, 1);
  await end();
});

Deno.test("Hooks logs a mistake of its own and leaves the agent alone", async () => {
  const { system, log, setOutage, running, end } = setUp({ settings: { outageAfterMs: 0 } });
  system.files.inspect = () => Promise.reject(new TypeError("oops"));
  setOutage(true);
  await system.clock.advance(10_000);
  await running;
  assertEquals(log.told("hook failed"), [{ why: "TypeError: oops" }]);
  await end();
});

/** What may happen to the agent, and how long its programs take. */
const step = fc.record({
  act: fc.constantFrom("out", "back", "wait", "restart", "break", "mend"),
  waitMs: fc.integer({ min: 0, max: 200_000 }),
});

Deno.test("property: at most one program of a hook runs at a time, and one per beginning and end", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 25 }),
      fc.array(fc.integer({ min: 0, max: 90_000 }), { minLength: 1, maxLength: 5 }),
      async (steps, lengths) => {
        const files = new FakeFiles();
        let isOut = false;
        const told: string[] = [];
        let begun = 0; // Outages that began.
        const life = () => {
          const one = setUp({ files });
          let active = 0;
          one.world.answer = async ({ options }) => {
            told.push(options.environment?.["PENNON_EVENT"] ?? "");
            active += 1;
            assertEquals(active, 1);
            const ms = lengths[told.length % lengths.length] ?? 0;
            await one.system.clock.sleep(ms, options.signal ?? AbortSignal.timeout(0))
              .catch(() => {});
            active -= 1;
            return FINE;
          };
          one.setOutage(isOut);
          return one;
        };
        let now = life();
        for (const { act, waitMs } of steps) {
          if (act === "out" && !isOut) begun += 1;
          if (act === "out" || act === "back") {
            isOut = act === "out";
            now.setOutage(isOut);
          }
          if (act === "restart") {
            await now.end();
            now = life();
          }
          files.modes.set(HOOK_PROGRAMS.on_outage, act === "break" ? 0o777 : 0o755);
          await now.system.clock.advance(waitMs);
        }
        await now.end();
        assertEquals(told, told.map((_, at) => at % 2 === 0 ? "outage_began" : "outage_ended"));
        assert(told.filter((name) => name === "outage_began").length <= begun);
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("hook programs of Linux lie in root's directory, under the names of their settings", () => {
  const names: HookName[] = ["on_outage", "on_security_update"];
  assertEquals(
    Object.entries(HOOK_PROGRAMS),
    names.map((name) => [
      name,
      `/etc/pennon/hooks/${name}`,
    ]),
  );
});
