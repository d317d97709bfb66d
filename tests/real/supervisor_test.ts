import { assert, assertEquals } from "@std/assert";
import { projectUrl, startDeno } from "./deno_child.ts";

/** A program of both threads, as `main.ts` is one: `inWorker` and `inMain` are its code. */
function program(inWorker: string, writable: string, inMain = ""): string {
  return `
    import { isWorkerThread, runInWorker, supervise, watchEventLoop } from
      "${projectUrl("src/system/real_supervisor.ts")}";
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
      const ended = supervise(import.meta.url, ["${writable}"]);
      ${inMain}
      Deno.exit(await ended);
    }
  `;
}

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

Deno.test("supervise() leaves the main thread no right to write, run or connect", async () => {
  const inMain = `
    attempt("write", () => Deno.writeTextFileSync("/tmp/pennon-supervisor", ""));
    attempt("run", () => new Deno.Command("true").outputSync());
    attempt("net", () => Deno.listen({ port: 0 }));
    console.log(JSON.stringify(outcomes));
  `;
  const { out, code } = await play(program("return 3;", "/nowhere", inMain));
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
