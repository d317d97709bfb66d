import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { FileError } from "../../src/system/files.ts";
import { realFiles } from "../../src/system/real/files.ts";
import { projectUrl, startDeno } from "./deno_child.ts";
import { inFolder } from "./folder.ts";
import { IRREGULAR, type Irregular, KINDS, makeIrregular, NAMES } from "./irregular.ts";

const isWindows = Deno.build.os === "windows";

/** Longer than any of these takes, and no wait for what never comes. */
const PATIENCE_MS = 30_000;

/** Every way in which a port opens a path by its name. */
const CALLS: Readonly<Record<string, string>> = {
  readText: `realFiles.readText("use it", path)`,
  readTextAndFacts: `realFiles.readTextAndFacts("use it", path)`,
  readBytes: `realFiles.readBytes("use it", path)`,
  overwriteText: `realFiles.overwriteText("use it", path, "text")`,
  lock: `realFiles.lock("use it", path)`,
  openDatabase: `realSystem().openDatabase(path)`,
  "openDatabase to read": `realSystem().openDatabase(path, { readOnly: true })`,
};

/** What the calls of `CALLS` answer for `paths`, as "call path": the error's message, or "no error". */
async function answersFor(
  paths: readonly string[],
  calls: readonly string[] = Object.keys(CALLS),
): Promise<Map<string, string>> {
  const steps = paths.flatMap((path) =>
    calls.map((call) =>
      `{ const path = ${JSON.stringify(path)}; await tell(${JSON.stringify(`${call} ${path}`)}, ` +
      `async () => await ${CALLS[call]}); }`
    )
  );
  await using child = await startDeno(`
    import { realFiles } from "${projectUrl("src/system/real/files.ts")}";
    import { realSystem } from "${projectUrl("src/system/real.ts")}";
    const told = [];
    async function tell(name, work) {
      try { await work(); told.push([name, "no error"]); }
      catch (error) { told.push([name, error.name + ": " + error.message]); }
    }
    ${steps.join("\n")}
    console.log(JSON.stringify(told));
    Deno.exit();`);
  // A call that waits for a FIFO holds up the whole child, so that only its end helps.
  const timer = setTimeout(() => child.process.kill("SIGKILL"), PATIENCE_MS);
  try {
    return new Map(JSON.parse(await child.firstOutput()));
  } finally {
    clearTimeout(timer);
  }
}

for (const kind of IRREGULAR) {
  Deno.test({
    name: `nothing waits for, or opens, what is no regular file: ${kind}`,
    ignore: isWindows,
    fn: () =>
      inFolder(async (folder) => {
        const path = `${folder}/it`;
        if (!await makeIrregular(kind, path)) return console.log(`skipped: no ${kind} here`);
        const before = await Deno.lstat(path);
        assertEquals((await realFiles.inspect("look", path))?.kind, KINDS[kind]);
        const answers = await answersFor([path]);
        assertEquals(answers.size, Object.keys(CALLS).length);
        // A device such as /dev/null stays where it is.
        const next = NAMES[kind] === "a device" ? "name a regular file instead" : "move it away";
        for (const [call, answer] of answers) {
          const words = `"${path}" is ${NAMES[kind]}, not a regular file. Next: ${next}`;
          assertStringIncludes(answer, words, call);
        }
        assertEquals((await Deno.lstat(path)).ino, before.ino);
        // Nothing was made where the link leads to.
        assertEquals([...Deno.readDirSync(folder)].length, 1);
      }),
  });
}

Deno.test({
  name: "no file that SQLite keeps beside a database is waited for, or lost",
  ignore: isWindows,
  fn: () =>
    inFolder(async (folder) => {
      for (const suffix of ["-wal", "-shm", "-journal"]) {
        for (const kind of ["fifo", "directory", "dangling", "to_device"] as Irregular[]) {
          const path = `${folder}/${kind}${suffix}.sqlite`;
          await Deno.writeTextFile(path, "");
          assert(await makeIrregular(kind, path + suffix));
          const answers = await answersFor(
            [path],
            ["openDatabase", "openDatabase to read", "lock"],
          );
          for (const answer of answers.values()) {
            assertStringIncludes(answer, `"${path}${suffix}" is ${NAMES[kind]}`);
          }
        }
      }
    }),
});

Deno.test({
  name: "a link to a regular file is that file, for every call",
  ignore: isWindows,
  fn: () =>
    inFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/file`, "a text");
      await Deno.symlink("file", `${folder}/link`);
      const read = await realFiles.readTextAndFacts("read it", `${folder}/link`);
      assertEquals(read?.text, "a text");
      assertEquals(
        read?.facts.identity,
        `${(await Deno.stat(`${folder}/file`)).dev}:${(await Deno.stat(`${folder}/file`)).ino}`,
      );
      await realFiles.overwriteText("tell it", `${folder}/link`, "A");
      assertEquals(await Deno.readTextFile(`${folder}/file`), "A text");
    }),
});

Deno.test({
  name: "a FIFO that takes a file's place between look and opening is refused, not waited for",
  ignore: isWindows,
  fn: () =>
    inFolder(async (folder) => {
      const path = `${folder}/it`;
      await Deno.writeTextFile(path, "a text");
      await makeIrregular("fifo", `${folder}/fifo`);
      // The look is told that the file is still there; the opening meets the FIFO.
      await using child = await startDeno(`
        const look = Deno.stat;
        Deno.stat = (path) => look(path === ${JSON.stringify(`${folder}/fifo`)}
          ? ${JSON.stringify(path)} : path);
        const { realFiles } = await import("${projectUrl("src/system/real/files.ts")}");
        const error = await realFiles.readText("read it", ${JSON.stringify(`${folder}/fifo`)})
          .catch((error) => error);
        console.log(error.message);`);
      const timer = setTimeout(() => child.process.kill("SIGKILL"), PATIENCE_MS);
      try {
        assertStringIncludes(await child.firstOutput(), `"${folder}/fifo" is a FIFO`);
      } finally {
        clearTimeout(timer);
      }
    }),
});

Deno.test({
  name: "trace() names each step of a path: directories, links, and where they lead",
  ignore: isWindows,
  fn: () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/real/deep`, { recursive: true, mode: 0o750 });
      await Deno.writeTextFile(`${folder}/real/deep/file`, "", { mode: 0o640 });
      await Deno.symlink("real", `${folder}/link`);
      await Deno.symlink(`${folder}/link/../real/deep/./file`, `${folder}/second`);
      const { steps, isWhole } = await realFiles.trace("look", `${folder}/second`);
      assertEquals(isWhole, true);
      const below = steps.map(({ path, kind }) => [path, kind] as const)
        .filter(([path]) => path.startsWith(folder)).map(([path, kind]) =>
          `${path.slice(folder.length)} ${kind}`
        );
      assertEquals(below, [
        " directory",
        "/second link",
        " directory",
        "/link link",
        "/real directory",
        "/real directory",
        "/real/deep directory",
        "/real/deep/file file",
      ]);
      assertEquals(steps[0]?.path, "/");
      assertEquals(steps.at(-1)?.mode, 0o640);
      assertEquals(steps.at(-1)?.owner, Deno.uid());
      const absent = await realFiles.trace("look", `${folder}/real/none/below`);
      assertEquals([absent.steps.at(-1)?.path, absent.isWhole], [`${folder}/real`, false]);
      await Deno.symlink("loop", `${folder}/loop`);
      await assertRejects(
        () => realFiles.trace("look", `${folder}/loop`),
        FileError,
        "too many symbolic links",
      );
    }),
});
