import { assert, assertEquals, assertMatch } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { type DenoChild, projectUrl, startDeno } from "./deno_child.ts";

/** A program of both threads, as `main.ts` is one: `inWorker` and `inMain` are its code. */
function program(
  inWorker: string,
  writable: string,
  { inMain = "", isAgent = false } = {},
): string {
  return `
    import { isWorkerThread, onStopRequest, runInWorker, supervise, watchEventLoop } from
      "${projectUrl("src/system/real/supervisor.ts")}";
    import { DatabaseSync } from "node:sqlite";
    const outcomes = {};
    function attempt(name, work) {
      try {
        work();
        outcomes[name] = "done";
      } catch (error) {
        outcomes[name] = error.name;
      }
    }
    if (isWorkerThread()) runInWorker(async () => { ${inWorker} });
    else {
      const ended = supervise(import.meta.url, {
        writable: ["${writable}"],
        isAgent: ${isAgent},
      });
      ${inMain}
      Deno.exit(await ended);
    }
  `;
}

const onUnix = { ignore: Deno.build.os === "windows" };

/** What it printed, and its exit code. */
async function play(code: string): Promise<{ out: string; code: number }> {
  await using child = await startDeno(code);
  const out = await child.firstOutput();
  return { out, code: (await child.process.status).code };
}

Deno.test("supervise() lets the program write where it may, and nowhere else", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pennon-supervisor-" });
  try {
    const mine = `${folder}/mine`;
    await Deno.mkdir(mine);
    await Deno.mkdir(`${folder}/mine-too`);
    await Deno.writeTextFile(`${folder}/other`, "");
    const inWorker = `
      const mine = "${mine}", folder = "${folder}";
      attempt("inside", () => Deno.writeTextFileSync(mine + "/a", ""));
      attempt("database inside", () => new DatabaseSync(mine + "/d").exec("CREATE TABLE t (a)"));
      attempt("beside", () => Deno.writeTextFileSync(folder + "/b", ""));
      attempt("name that begins alike", () => Deno.writeTextFileSync(mine + "-too/b", ""));
      attempt("out by dots", () => Deno.writeTextFileSync(mine + "/../b", ""));
      attempt("out by a link", () => Deno.symlinkSync(folder, mine + "/link"));
      attempt("out by a hard link", () => Deno.linkSync(folder + "/other", mine + "/link"));
      attempt("out by renaming", () => Deno.renameSync(mine + "/a", folder + "/a"));
      attempt("in by renaming", () => Deno.renameSync(folder + "/other", mine + "/other"));
      attempt("mode outside", () => Deno.chmodSync(folder + "/other", 0o777));
      attempt("removal outside", () => Deno.removeSync(folder + "/other"));
      attempt("database outside", () => new DatabaseSync(folder + "/d").exec("CREATE TABLE t (a)"));
      attempt("database attached", () =>
        new DatabaseSync(mine + "/d").exec("ATTACH '" + folder + "/e' AS e; CREATE TABLE e.t (a)"));
      attempt("temporary file", () => Deno.makeTempFileSync());
      attempt("worker with more", () => new Worker("data:text/javascript,", {
        type: "module", deno: { permissions: { write: true } } }));
      console.log(JSON.stringify(outcomes));
      return 7;
    `;
    const { out, code } = await play(program(inWorker, mine));
    const { inside, "database inside": database, ...others } = JSON.parse(out);
    assertEquals([inside, database, code], ["done", "done", 7]);
    const done = Object.entries(others).filter(([, outcome]) => outcome === "done");
    assertEquals(done, [], "done outside");
    assertEquals(Object.keys(others).length, 13);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("supervise() does not stop what docs/security.md names", onUnix, async () => {
  const folder = await Deno.makeTempDir({ prefix: "pennon-supervisor-" });
  try {
    const mine = `${folder}/mine`;
    await Deno.mkdir(mine);
    await Deno.mkdir(`${folder}/other`);
    for (const name of ["sync", "handle", "linked"]) {
      await Deno.writeTextFile(`${folder}/other/${name}`, "", { mode: 0o600 });
    }
    await Deno.symlink(`${folder}/other`, `${mine}/link`);
    const database = new DatabaseSync(`${folder}/other/database`);
    database.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
    database.close();
    const inWorker = `
      const fs = await import("node:fs");
      const other = "${folder}/other", mine = "${mine}";
      attempt("mode", () => fs.fchmodSync(fs.openSync(other + "/sync", "r"), 0o4777));
      attempt("owner", () => fs.fchownSync(fs.openSync(other + "/sync", "r"), -1, -1));
      const handle = await fs.promises.open(other + "/handle", "r");
      await handle.chmod(0o4777);
      await handle.close();
      attempt("link, Deno", () => Deno.writeTextFileSync(mine + "/link/linked", "changed"));
      attempt("link, node:fs", () => fs.writeFileSync(mine + "/link/made", ""));
      attempt("link, SQLite", () =>
        new DatabaseSync(mine + "/link/made-database").exec("CREATE TABLE t (a)"));
      const kept = new DatabaseSync(other + "/database", { readOnly: true });
      attempt("WAL", () => kept.prepare("SELECT a FROM t").all());
      // Taken away in the worker, they are there in the next one.
      delete fs.default.fchmodSync;
      const nested = new Worker("data:text/javascript," + encodeURIComponent(\`
        import { fchmodSync } from "node:fs";
        postMessage(typeof fchmodSync);\`), { type: "module" });
      outcomes.nested = await new Promise((resolve) =>
        nested.onmessage = ({ data }) => resolve(data));
      console.log(JSON.stringify(outcomes));
      return 0;
    `;
    const { out } = await play(program(inWorker, mine));
    const { nested, ...outcomes } = JSON.parse(out);
    assertEquals(nested, "function");
    assertEquals(new Set(Object.values(outcomes)), new Set(["done"]), out);
    const modeOf = async (name: string) =>
      (await Deno.stat(`${folder}/other/${name}`)).mode! & 0o777;
    assertEquals([await modeOf("sync"), await modeOf("handle")], [0o777, 0o777]);
    const names = (await Array.fromAsync(Deno.readDir(`${folder}/other`))).map(({ name }) => name);
    for (const name of ["made", "made-database", "database-wal", "database-shm"]) {
      assert(names.includes(name), `no ${name}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("supervise() leaves the main thread no right to write, run or connect", async () => {
  const inMain = `
    attempt("write", () => Deno.writeTextFileSync("/tmp/pennon-supervisor", ""));
    attempt("run", () => new Deno.Command("true").outputSync());
    attempt("net", () => Deno.listen({ port: 0 }));
    console.log(JSON.stringify(outcomes));
  `;
  const { out, code } = await play(program("return 3;", "/nowhere", { inMain }));
  const denied = "NotCapable";
  assertEquals([JSON.parse(out), code], [{ write: denied, run: denied, net: denied }, 3]);
});

Deno.test("supervise() ends a program that crashes, and says why", async () => {
  const inWorker = `console.log("begun"); await Promise.reject(new Error("out of order"));`;
  await using child = await startDeno(program(inWorker, "/nowhere"), ["-A"], { stderr: "piped" });
  const { code, stderr } = await child.process.output();
  assertEquals(code, 1);
  assert(new TextDecoder().decode(stderr).includes("out of order"));
});

Deno.test("supervise() ends a program whose event loop stands still", async () => {
  const inWorker = `
    watchEventLoop(1_000, "json");
    await new Promise((resolve) => setTimeout(resolve, 300));
    console.log("blocked from here on");
    while (true);
  `;
  await using child = await startDeno(program(inWorker, "/nowhere"), ["-A"], { stderr: "piped" });
  const { code, stderr } = await child.process.output();
  const { level, message, blocked_s } = JSON.parse(new TextDecoder().decode(stderr));
  assertEquals([code, level, blocked_s], [1, "error", 1]);
  assert(message.startsWith("event loop blocked"));
});

/** Seconds until the child ended, and its code. */
async function endOf(child: DenoChild): Promise<{ tookS: number; code: number }> {
  const startMs = performance.now();
  const { code } = await child.process.status;
  return { tookS: (performance.now() - startMs) / 1_000, code };
}

Deno.test("supervise() ends a program that listens for no signal at once", onUnix, async () => {
  for (const [signal, interrupted] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    const inWorker = `
      onStopRequest(() => console.log("listened no more"))();
      console.log("waiting");
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    `;
    await using child = await startDeno(program(inWorker, "/nowhere"));
    await child.firstOutput();
    child.process.kill(signal);
    const { tookS, code } = await endOf(child);
    assertEquals(code, interrupted);
    assert(tookS < 2, `${tookS} s`);
  }
});

Deno.test(
  "supervise() passes a signal on as long as one of several listens, and ends the program at once after that",
  onUnix,
  async () => {
    const listening = `
    const ends = [1, 2].map((number) => onStopRequest(() => console.log("heard by " + number)));
    ends[0]();
    console.log("listening");
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  `;
    await using listener = await startDeno(program(listening, "/nowhere"));
    await listener.firstOutput();
    listener.process.kill("SIGTERM");
    assertEquals(await listener.firstOutput(), "heard by 2\n");
    // Its event loop stands still: only the supervisor can end it.
    const deaf = `
    for (const end of [1, 2].map(() => onStopRequest(() => {}))) end();
    console.log("deaf");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
  `;
    await using child = await startDeno(program(deaf, "/nowhere"));
    await child.firstOutput();
    child.process.kill("SIGTERM");
    const { tookS, code } = await endOf(child);
    assertEquals(code, 143);
    assert(tookS < 2, `${tookS} s`);
  },
);

Deno.test("supervise() keeps an early signal for a program that will listen", onUnix, async () => {
  // As long as it takes to load the program, and longer.
  const inWorker = `
    console.log("starting");
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return await new Promise((resolve) =>
      onStopRequest((signal) => resolve(signal === "SIGTERM" ? 5 : 6)));
  `;
  await using child = await startDeno(program(inWorker, "/nowhere", { isAgent: true }));
  await child.firstOutput();
  child.process.kill("SIGTERM");
  const { tookS, code } = await endOf(child);
  assertEquals(code, 5);
  assert(tookS > 0.5 && tookS < 4, `${tookS} s`);
});

/** A program that waits, started by `nohup` or not, gets SIGHUP; how it ended. */
async function hangUp(words: readonly string[]) {
  const inWorker = `
    onStopRequest((signal) => { console.log("stopping: " + signal); setTimeout(() => end(7), 300); });
    console.log("listening");
    const { promise, resolve: end } = Promise.withResolvers();
    return await promise;
  `;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, program(inWorker, "/nowhere", { isAgent: true }));
  const [first = "", ...rest] = [
    ...words,
    Deno.execPath(),
    ...["run", "-A", "--no-config", "--no-prompt", "--unstable-worker-options", file],
  ];
  const child = new Deno.Command(first, { args: rest, stdout: "piped", stderr: "null" }).spawn();
  let said = "";
  let terminating: ReturnType<typeof setTimeout> | undefined;
  const reading = child.stdout.pipeThrough(new TextDecoderStream()).pipeTo(
    new WritableStream({
      write(text) {
        said += text;
        if (!text.includes("listening")) return;
        child.kill("SIGHUP");
        if (words.length > 0) terminating = setTimeout(() => child.kill("SIGTERM"), 500);
      },
    }),
  );
  const { code } = await child.status;
  clearTimeout(terminating);
  await reading;
  await Deno.remove(file);
  return { code, said: said.trim().split("\n") };
}

Deno.test(
  "supervise() passes SIGHUP to the agent, which drains before it ends",
  onUnix,
  async () => {
    assertEquals(await hangUp([]), { code: 7, said: ["listening", "stopping: SIGHUP"] });
  },
);

Deno.test("supervise() leaves SIGHUP ignored for an agent that nohup has started", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  assertEquals(await hangUp(["nohup"]), { code: 7, said: ["listening", "stopping: SIGTERM"] });
});

/** Listens, and does not stop. */
const STUBBORN = program(
  `
    onStopRequest(() => console.log("passed on"));
    console.log("listening");
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  `,
  "/nowhere",
  { isAgent: true },
);

Deno.test("supervise() ends a program that does not stop in time", onUnix, async () => {
  await using child = await startDeno(STUBBORN, ["-A"], { stderr: "piped" });
  await child.firstOutput();
  child.process.kill("SIGTERM");
  const { tookS, code } = await endOf(child);
  assertEquals(code, 143);
  assert(tookS > 4 && tookS < 5, `${tookS} s`);
  const stderr = await new Response(child.process.stderr).text();
  assertMatch(stderr, /^\S+ ERROR not stopped in time, ending limit_s=[\d.]+\n$/);
});

Deno.test("supervise() ends a program at once on a second signal", onUnix, async () => {
  await using child = await startDeno(STUBBORN);
  await child.firstOutput();
  child.process.kill("SIGTERM");
  await child.firstOutput();
  child.process.kill("SIGINT");
  const { tookS, code } = await endOf(child);
  assertEquals(code, 130);
  assert(tookS < 2, `${tookS} s`);
});

Deno.test("supervise() watches the event loop of the agent, and of no other command", async () => {
  // A supervisor that watches asks at once, before the program has begun.
  const counting = `
    let asked = 0;
    self.addEventListener("message", ({ data }) => asked += data.kind === "ping" ? 1 : 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    console.log(asked);
    return 0;
  `;
  for (const [isAgent, expected] of [[true, "1\n"], [false, "0\n"]] as const) {
    assertEquals(await play(program(counting, "/nowhere", { isAgent })), {
      out: expected,
      code: 0,
    });
  }
});
