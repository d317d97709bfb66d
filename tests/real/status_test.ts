/** `status` on a real file system: it writes nothing, and no start of an agent is refused beside it. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { acquireInstanceLock, findLockHolder } from "../../src/agent/instance_lock.ts";
import { realFiles } from "../../src/system/real/files.ts";
import { realSystem } from "../../src/system/real.ts";
import { projectUrl, startDeno } from "./deno_child.ts";
import { inFolder } from "./folder.ts";
import { withSmallDisk } from "./small_disk.ts";
import { cannotTrace } from "./trace.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

const RUN = [
  "run",
  "-A",
  "--no-prompt",
  "--frozen",
  "--cached-only",
  `--config=${CONFIG}`,
  MAIN,
] as const;

/** The starts beside `status`; PENNON_STARTS=10000 makes that many, in ten minutes. */
const STARTS = Number(Deno.env.get("PENNON_STARTS") ?? 300);

/** An agent's files: identity, buffer with `events` and lock. `end`: how the agent ends. */
function agentCode(folder: string, end: "stays" | "stops" | "is killed"): string {
  return `
    import { acquireInstanceLock } from "${projectUrl("src/agent/instance_lock.ts")}";
    import { StoreSupervisor } from "${projectUrl("src/buffer/store_supervisor.ts")}";
    import { saveIdentity } from "${projectUrl("src/identity.ts")}";
    import { createLog } from "${projectUrl("src/log.ts")}";
    import { realSystem } from "${projectUrl("src/system/real.ts")}";
    const system = realSystem();
    const stateDirectory = ${JSON.stringify(folder)};
    const lock = await acquireInstanceLock(system, stateDirectory, "run");
    await saveIdentity(system, stateDirectory, {
      agentId: "da205f1b-ac14-4fad-9f4a-456a0c9e8876", serverUrl: "http://127.0.0.1:1",
      accessToken: "a", refreshToken: "r", intervalMs: null,
    });
    const supervisor = new StoreSupervisor({
      system, stateDirectory, log: createLog(() => {}, () => 0, { level: "error", format: "text" }),
      limits: { maxEvents: 1000, maxBytes: 4194304, maxAttempts: 3 },
      prepareDirectory: () => Promise.resolve(), onRecovered() {}, onRefused() {},
    });
    await supervisor.open();
    const event = { kind: "log", commandId: null, snapshotOf: null, body: "{}" };
    supervisor.flush().buffer.append([event, event, event]);
    if (${JSON.stringify(end)} === "stops") { supervisor.close(); await lock.release(); }
    console.log("ready");
    if (${JSON.stringify(end)} !== "stops") setInterval(() => {}, 60_000);`;
}

async function status(
  folder: string,
  words: readonly string[] = [],
  trace: readonly string[] = [],
) {
  const [program = Deno.execPath(), ...before] = trace.length > 0
    ? [...trace, Deno.execPath()]
    : [Deno.execPath()];
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...before, ...RUN, "status", ...words, "--state-dir", folder],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

async function prepared(folder: string, end: "stops" | "is killed"): Promise<void> {
  await using child = await startDeno(agentCode(folder, end));
  await child.firstOutput();
  if (end === "is killed") child.process.kill("SIGKILL");
  await child.process.status;
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

/** The calls that create, change or lock for writing something in the folder. */
const CHANGES = [
  ...["write", "writev", "pwrite64", "pwritev", "ftruncate", "truncate", "fallocate", "unlink"],
  ...["unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "link", "linkat"],
  ...["symlink", "symlinkat", "utimensat", "fchmod", "chmod", "fchmodat", "openat", "open"],
  ...["creat", "fcntl", "flock"],
];

/** Traces `status` in the folder, which reads so many events; answers the lines on files of the folder. */
async function traced(folder: string, pending: number): Promise<string[]> {
  const file = await Deno.makeTempFile({ prefix: "pennon-strace-" });
  try {
    const trace = ["strace", "-f", "-y", "-qq", "-o", file, "-e", `trace=${CHANGES.join(",")}`];
    const { out, err } = await status(folder, ["--json"], trace);
    assertEquals(JSON.parse(out).buffer?.pending, pending, err);
    return (await Deno.readTextFile(file)).split("\n").filter((line) => line.includes(folder));
  } finally {
    await Deno.remove(file);
  }
}

/** What a trace shows of writing; the log's files are opened for it, since SQLite knows no other way. */
function writes(lines: readonly string[]): string[] {
  return lines.filter((line) => {
    if (/\b(openat|open)\(/.test(line)) return /O_TRUNC|O_EXCL/.test(line);
    if (/\b(fcntl|flock)\(/.test(line)) {
      return /F_WRLCK|LOCK_EX/.test(line) && /agent\.lock/.test(line);
    }
    return true;
  });
}

const isTraced = !await cannotTrace();

Deno.test({
  name:
    "status beside a running agent, and after one that stopped, writes nothing and creates nothing",
  ignore: !isTraced,
  fn: () =>
    inFolder(async (folder) => {
      await prepared(folder, "stops");
      const stopped = namesIn(folder);
      assert(!stopped.includes("buffer.sqlite-wal"), stopped.join());
      assertEquals(writes(await traced(folder, 3)), []);
      assertEquals(namesIn(folder), stopped);
      await using child = await startDeno(agentCode(folder, "stays"));
      await child.firstOutput();
      const running = namesIn(folder);
      const calls = await traced(folder, 6);
      assertEquals(writes(calls), []);
      assert(calls.some((line) => /agent\.lock.*F_RDLCK.*EAGAIN/.test(line)), calls.join("\n"));
      assertEquals(namesIn(folder), running);
    }),
});

Deno.test({
  name: "status works on a read-only file system, after an agent that stopped or was killed",
  ignore: Deno.build.os !== "linux",
  async fn() {
    for (const end of ["stops", "is killed"] as const) {
      await withSmallDisk({ sizeKib: 4_096 }, async (folder, disk) => {
        await prepared(folder, end);
        await disk.remount("ro");
        const before = namesIn(folder);
        const { code, out, err } = await status(folder, ["--json"]);
        const { buffer, running, disk: said } = JSON.parse(out);
        assertEquals([code, err, buffer?.pending, running], [0, "", 3, false], said.why);
        const check = await status(folder, ["--check"]);
        assertEquals(check.code, 2);
        assertStringIncludes(check.out, "PENNON FAILED - the disk is read-only or forbidden: ");
        assertEquals(namesIn(folder), before);
        await disk.remount("rw");
      });
    }
  },
});

Deno.test(`${STARTS} starts beside status in a loop are all admitted`, () =>
  inFolder(async (folder) => {
    const system = realSystem();
    await (await acquireInstanceLock(system, folder, "run")).release();
    await using looking = await startDeno(`
      import { findLockHolder } from "${projectUrl("src/agent/instance_lock.ts")}";
      import { realFiles } from "${projectUrl("src/system/real/files.ts")}";
      console.log("ready");
      for (let looks = 0;; looks++) {
        await findLockHolder({ files: realFiles }, ${JSON.stringify(folder)});
      }`);
    await looking.firstOutput();
    let refused = 0;
    for (let start = 0; start < STARTS; start++) {
      try {
        const lock = await acquireInstanceLock(system, folder, "run");
        await lock.release();
      } catch {
        refused += 1;
      }
    }
    assertEquals(refused, 0);
    // It has looked all the time.
    assertEquals(await Promise.race([looking.process.status, Promise.resolve("alive")]), "alive");
    assertEquals(await findLockHolder({ files: realFiles }, folder), undefined);
  }));
