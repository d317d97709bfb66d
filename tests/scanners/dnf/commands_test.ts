import { assertEquals, assertRejects } from "@std/assert";
import { dnfScanner } from "../../../src/scanners/dnf.ts";
import { DnfCommands } from "../../../src/scanners/dnf/commands.ts";
import { runScan } from "../../../src/scanners/run_scans.ts";
import { DnfHost, failed } from "./host.ts";
import { succeeded } from "../fixture.ts";

const LOCKED = failed("Error: metadata already locked by 4242\n", 200);

/** Lets a scan go on that waits for `stepsMs` on the clock, as often as it does. */
async function finish<T>(host: DnfHost, work: Promise<T>): Promise<T> {
  let isDone = false;
  const end = work.finally(() => isDone = true);
  end.catch(() => {});
  while (!isDone) {
    await host.clock.advance(1_000);
    await Promise.resolve();
  }
  return await end;
}

Deno.test("run() asks again while another dnf holds the lock, for a minute", async () => {
  const host = new DnfHost();
  host.answers = { offered: [LOCKED, LOCKED, succeeded("there\n")] };
  const commands = new DnfCommands(host, undefined);
  const argv = ["/usr/bin/dnf", "-C", "repoquery"];
  const beganMs = host.clock.monotonicMs();
  assertEquals((await finish(host, commands.run("list", argv))).stdout, "there\n");
  assertEquals(host.asked.length, 3);
  assertEquals(host.clock.monotonicMs() - beganMs <= 15_000, true);
});

Deno.test("run() gives up on the lock; the scan's failure says nothing of dnf's health", async () => {
  const host = new DnfHost();
  host.answers = { offered: LOCKED };
  const report = await finish(host, runScan(host, dnfScanner(), {}));
  assertEquals(report.error?.reason, "locked");
  assertEquals(report.durationMs >= 60_000 && report.durationMs < 70_000, true);
  // Every five seconds, the last time after a minute.
  assertEquals(host.questions.filter((question) => question === "offered").length, 13);
});

Deno.test("run() ends its waiting when it is told to stop", async () => {
  const host = new DnfHost();
  host.answers = { offered: LOCKED };
  const stop = new AbortController();
  const commands = new DnfCommands(host, stop.signal);
  const waiting = commands.run("list", ["/usr/bin/dnf", "-C", "repoquery"]);
  while (host.clock.sleeping === 0) await Promise.resolve();
  stop.abort(new Error("stopped"));
  await assertRejects(() => waiting, Error, "stopped");
});

Deno.test("run() waits for a lock a minute in all, however many questions there are", async () => {
  const host = new DnfHost();
  host.answers = { offered: LOCKED };
  const commands = new DnfCommands(host, undefined);
  const ask = () => finish(host, commands.run("list", ["/usr/bin/dnf", "-C", "repoquery"]));
  assertEquals((await ask()).code, 200);
  const asked = host.asked.length;
  assertEquals((await ask()).code, 200);
  assertEquals(host.asked.length, asked + 1);
});
