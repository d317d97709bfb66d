import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  examineService,
  judgeScanner,
  judgeScanners,
  judgeService,
  lookAtScanner,
  type ScannerFacts,
} from "../../src/doctor/scanner_checks.ts";
import { CommandError } from "../../src/system/process.ts";
import { FakeSystem } from "../fakes/system.ts";
import { NOW_MS } from "../fakes/statuses.ts";
import { statusOf } from "./status_of.ts";

const DAY_MS = 86_400_000;

function facts(change: Partial<ScannerFacts> = {}): ScannerFacts {
  const programs = [{ path: "/usr/bin/apt-get", answer: "apt 2.6.2 (amd64)" }];
  return { name: "apt", programs, listsAtMs: NOW_MS - DAY_MS, ...change };
}

Deno.test("judgeScanner() warns of old lists, of none, and of a scan that failed", () => {
  const judge = (change: Partial<ScannerFacts>, status = statusOf()) =>
    judgeScanner(facts(change), status);
  assertEquals(judge({}).seen, "apt 2.6.2 (amd64), lists 24 h old");
  assertEquals(judge({ listsAtMs: NOW_MS - 7 * DAY_MS }).level, "ok");
  assertEquals(judge({ listsAtMs: NOW_MS - 7 * DAY_MS - 1 }).level, "warn");
  assertEquals(judge({ listsAtMs: null }).next, "fetch them as root: `apt-get update`");
  // What has no lists, or none that are known, is not old.
  assertEquals(judge({ name: "winget", programs: [], listsAtMs: undefined }).level, "ok");
  const scan = { at_ms: NOW_MS, updates: 0, security: 0, duration_ms: 1 };
  const scans = { apt: { ...scan, result: "failed", error: "locked" } } as const;
  const failed = judge({}, statusOf({ scans }));
  assertStringIncludes(failed.seen, "the last scan failed: locked");
  assertEquals(failed.next?.includes("breaker reset"), false);
  const open = { state: "open", failures: 3, trips: 1, untilMs: NOW_MS, reason: "x" } as never;
  const paused = judge({}, statusOf({ scans, scannerBreakers: { apt: open } }));
  assertStringIncludes(paused.next ?? "", "`pennon breaker reset apt`");
});

Deno.test("judgeScanner() fails for a program that does not run", () => {
  const programs = [{ path: "/usr/bin/apt-get", answer: new Error("ends with 127: no libapt") }];
  const { level, seen, next } = judgeScanner(facts({ programs }), statusOf());
  assertEquals([level, seen], ["fail", "/usr/bin/apt-get: ends with 127: no libapt"]);
  assertStringIncludes(next ?? "", "`/usr/bin/apt-get --version`");
});

Deno.test("judgeScanners() fails where nothing can be scanned", () => {
  const judge = (enabled: string[], available: string[]) =>
    judgeScanners({ scanners: { enabled, available } }).map(({ level }) => level);
  assertEquals(judge(["apt"], ["apt"]), []);
  assertEquals(judge(["apt", "dnf"], []), ["fail"]);
  assertEquals(judge([], []), ["warn"]);
});

Deno.test("lookAtScanner() asks each program that is there for its version", async () => {
  const system = new FakeSystem();
  system.files.texts.set("/usr/bin/apt-get", "").set("/usr/bin/dpkg-query", "");
  const asked: string[] = [];
  system.runCommand = (argv) => {
    asked.push(argv.join(" "));
    if (argv[0] === "/usr/bin/dpkg-query") {
      return Promise.reject(new CommandError("Cannot run it", { reason: "timeout" }));
    }
    const stdout = "apt 2.6.2 (amd64)\nmore\n";
    return Promise.resolve({ code: 0, stdout, stderr: "", truncated: false });
  };
  const none = await lookAtScanner(system, "apt");
  assertEquals(none.listsAtMs, null);
  assertEquals(none.programs[0]?.answer, "apt 2.6.2 (amd64)");
  assert(none.programs[1]?.answer instanceof Error);
  assertEquals(asked, ["/usr/bin/apt-get --version", "/usr/bin/dpkg-query --version"]);
  system.files.texts.set("/var/lib/apt/lists/a_InRelease", "");
  system.files.modifiedMs.set("/var/lib/apt/lists", NOW_MS);
  assertEquals((await lookAtScanner(system, "apt")).listsAtMs, NOW_MS);
});

Deno.test("lookAtScanner() takes root's lists of dnf alone for those that are used", async () => {
  const system = new FakeSystem();
  assertEquals((await lookAtScanner(system, "dnf")).listsAtMs, undefined);
  system.machine.userId = () => 0;
  assertEquals((await lookAtScanner(system, "dnf")).listsAtMs, null);
  system.files.texts.set("/var/cache/dnf/base-1/repodata/repomd.xml", "");
  system.files.modifiedMs.set("/var/cache/dnf/base-1", NOW_MS);
  assertEquals((await lookAtScanner(system, "dnf")).listsAtMs, NOW_MS);
  assertEquals((await lookAtScanner(system, "winget")).programs, []);
});

Deno.test("judgeService() wants a service that runs and starts at boot, unless something else runs the agent", () => {
  const judge = (active: string, boot: string, hasAgent = false) => {
    const details = { ActiveState: active, UnitFileState: boot };
    return judgeService({ isInstalled: true, isRunning: active === "active", details }, hasAgent);
  };
  assertEquals(judge("active", "enabled"), {
    ...{ check: "service", level: "ok", seen: "active, enabled", next: null },
  });
  assertEquals(judge("active", "disabled").level, "warn");
  assertEquals(judge("failed", "enabled").next, "see why: `pennon service logs`");
  const absent = { isInstalled: false, isRunning: false, details: {} };
  assertEquals([judgeService(absent, false).level, judgeService(absent, true).level], [
    ...["warn", "ok"],
  ]);
  // Windows and macOS have other words.
  const task = { isInstalled: true, isRunning: true, details: { Status: "Running" } };
  assertEquals(judgeService(task, true).seen, "running");
});

Deno.test("examineService() asks the service manager, and waits no longer than its limit", async () => {
  const system = new FakeSystem();
  const examine = () => examineService(system, { stateDirectory: "/state", hasAgent: false });
  assertStringIncludes((await examine()).seen, "systemd does not run here");
  system.files.texts.set("/run/systemd/system/x", "").set("/bin/systemctl", "");
  const stdout = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n";
  system.runCommand = () => Promise.resolve({ code: 0, stdout, stderr: "", truncated: false });
  assertEquals((await examine()).seen, "active, enabled");
  system.runCommand = () => new Promise(() => {});
  const waiting = examine();
  await system.clock.advance(10_000);
  assertEquals((await waiting).seen, "because the service manager does not answer");
});
