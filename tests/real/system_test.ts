import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { realSystem } from "../../src/system/real.ts";
import { projectUrl, startDeno } from "./deno_child.ts";
import { inFolder } from "./folder.ts";

const system = realSystem();
const isWindows = Deno.build.os === "windows";

function modeOf(path: string): number {
  return Deno.statSync(path).mode! & 0o7777;
}

Deno.test("the system is named in the server's words", async () => {
  assert(["linux", "windows", "macos"].includes(system.os));
  assertEquals(system.processId, Deno.pid);
  if (isWindows) return console.log("skipped in part: compares with uname");
  const { stdout } = await new Deno.Command("uname", { args: ["-m"] }).output();
  const machine = new TextDecoder().decode(stdout).trim();
  assertEquals(system.architecture, machine === "arm64" ? "aarch64" : machine);
});

Deno.test("sleep() lasts, ends with its signal, and leaves no timer behind", async () => {
  const { clock } = system;
  const startMs = clock.monotonicMs();
  await clock.sleep(20, new AbortController().signal);
  assert(clock.monotonicMs() - startMs >= 19);
  const stop = new AbortController();
  const asleep = clock.sleep(3_000_000_000, stop.signal);
  stop.abort(new Error("enough"));
  await assertRejects(() => asleep, Error, "enough");
  await assertRejects(() => clock.sleep(0, stop.signal), Error, "enough");
  assert(clock.monotonicMs() - startMs < 5_000);
  assert(Math.abs(clock.nowMs() - Date.now()) < 1_000);
});

Deno.test("after() calls when its time has come, unless it is cancelled, and leaves no timer behind", async () => {
  const { clock } = system;
  const startMs = clock.monotonicMs();
  const calls: string[] = [];
  const cancel = clock.after(5, () => calls.push("cancelled"));
  const cancelLong = clock.after(2 ** 40, () => calls.push("a timer cannot wait for so long"));
  cancel();
  await new Promise<void>((resolve) => clock.after(20, resolve));
  assert(clock.monotonicMs() - startMs >= 19);
  cancelLong();
  assertEquals(calls, []);
});

Deno.test("after() calls in the order of the instants, whatever the order of asking and cancelling", async () => {
  const { clock } = system;
  const calls: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  clock.after(60, resolve);
  clock.after(20, () => {
    calls.push("first");
    cancelOther();
    clock.after(5, () => calls.push("asked for in a call"));
  });
  const cancelOther = clock.after(40, () => calls.push("cancelled in a call"));
  const cancelSoonest = clock.after(1, () => calls.push("cancelled, and the soonest"));
  cancelSoonest();
  await promise;
  assertEquals(calls, ["first", "asked for in a call"]);
});

Deno.test("a sleep longer than a timer can wait is still a long one", async () => {
  const stop = new AbortController();
  let woke = false;
  const asleep = system.clock.sleep(2 ** 31 + 1_000, stop.signal).then(() => woke = true);
  await system.clock.sleep(50, new AbortController().signal);
  assertEquals(woke, false);
  stop.abort(new Error("enough"));
  await assertRejects(() => asleep, Error, "enough");
});

Deno.test("asleepMs() is what the host's uptime has gone on by more than the monotonic clock", async () => {
  assert(system.clock.asleepMs() >= 0 && system.clock.asleepMs() < 2_000);
  // A host whose uptime a test sets; the process has been up for a while when it begins to count.
  await using child = await startDeno(
    `let uptimeS = 1_000;
    Deno.osUptime = () => uptimeS;
    await new Promise((resolve) => setTimeout(resolve, 400));
    const { realClock } = await import("${projectUrl("src/system/real/clock.ts")}");
    const told = [realClock.asleepMs()];
    uptimeS += 3_600;
    told.push(realClock.asleepMs());
    uptimeS -= 7_200;
    told.push(realClock.asleepMs());
    console.log(JSON.stringify(told));`,
  );
  const [awake = -1, asleep = -1, back = -1] = JSON.parse(await child.firstOutput());
  assertEquals([awake, back], [0, 0]);
  assert(asleep > 3_600_000 - 300 && asleep <= 3_600_000, `${asleep}`);
});

Deno.test("random() is in [0, 1) and not the same in two runs", async () => {
  const drawn = Array.from({ length: 1_000 }, system.random);
  assert(drawn.every((value) => value >= 0 && value < 1));
  assert(drawn.some((value) => value < 0.1) && drawn.some((value) => value > 0.9));
  await using child = await startDeno(
    `import { realSystem } from "${projectUrl("src/system/real.ts")}";
    console.log(realSystem().random());`,
    ["-A"],
  );
  assertNotEquals(Number(await child.firstOutput()), drawn[0]);
});

Deno.test("readEnvironment() takes empty for unset", () => {
  Deno.env.set("PENNON_TEST", "");
  assertEquals(system.readEnvironment("PENNON_TEST"), undefined);
  Deno.env.set("PENNON_TEST", "value");
  assertEquals(system.readEnvironment("PENNON_TEST"), "value");
  Deno.env.delete("PENNON_TEST");
  assertEquals(system.readEnvironment("PENNON_TEST"), undefined);
});

Deno.test({
  name: "openDatabase() makes files that only their owner reads, whatever the umask",
  ignore: isWindows,
  fn: () =>
    // deno-lint-ignore require-await
    inFolder(async (folder) => {
      const path = `${folder}/events.db`;
      const umask = Deno.umask(0o000);
      const database = system.openDatabase(path);
      database.execute("CREATE TABLE t (a INTEGER)");
      Deno.umask(umask);
      for (const file of [path, `${path}-wal`, `${path}-shm`]) assertEquals(modeOf(file), 0o600);
      database.close();
    }),
});

Deno.test("openDatabase() of one that is open here leaves the locks on it alone", () =>
  inFolder(async (folder) => {
    const path = `${folder}/events.db`;
    const database = system.openDatabase(path);
    database.execute("CREATE TABLE t (a INTEGER)");
    database.execute("BEGIN IMMEDIATE");
    system.openDatabase(path).close();
    await using child = await startDeno(
      `import { DatabaseSync } from "node:sqlite";
      try {
        new DatabaseSync(${JSON.stringify(path)}).exec("PRAGMA busy_timeout = 0; BEGIN IMMEDIATE");
        console.log("taken");
      } catch (error) {
        console.log(error.message);
      }`,
    );
    assertEquals((await child.firstOutput()).trim(), "database is locked");
    database.execute("ROLLBACK");
    database.close();
  }));

Deno.test({
  name: "onStopRequest() hears SIGTERM and SIGINT until it is ended",
  ignore: isWindows,
  async fn() {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      await using child = await startDeno(
        `import { realSystem } from "${projectUrl("src/system/real.ts")}";
      const end = realSystem().onStopRequest((signal) => {
        end();
        console.log(signal);
      });
      console.log("listening");
      setInterval(() => {}, 60_000);`,
        ["-A"],
      );
      assertEquals((await child.firstOutput()).trim(), "listening");
      child.process.kill(signal);
      assertEquals((await child.firstOutput()).trim(), signal);
      child.process.kill(signal);
      assertEquals((await child.process.status).signal, signal);
    }
  },
});
