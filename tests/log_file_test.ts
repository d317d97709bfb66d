import { assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { LogFile } from "../src/log_file.ts";
import { FakeFiles } from "./fakes/files.ts";

const PATH = "/state/pennon.log";

function logFile(maxBytes = 1_000, oldFiles = 2) {
  const files = new FakeFiles();
  return { files, log: new LogFile(files, { path: PATH, maxBytes, oldFiles }) };
}

Deno.test("lines of one step are written together, for the agent's user alone", async () => {
  const { files, log } = logFile();
  log.write("one");
  log.write("two");
  await log.flush();
  log.write("three");
  await log.flush();
  assertEquals(files.texts.get(PATH), "one\ntwo\nthree\n");
  assertEquals(files.modes.get(PATH), 0o600);
});

Deno.test("a file that reached its size becomes .1, and the oldest is replaced", async () => {
  const { files, log } = logFile(4);
  for (const line of ["aaa", "b", "ccc", "ddd", "eee"]) {
    log.write(line);
    await log.flush();
  }
  assertEquals([...files.texts].sort(), [
    [`${PATH}.1`, "eee\n"],
    [`${PATH}.2`, "ddd\n"],
  ]);
  const none = logFile(4, 0);
  none.log.write("aaa");
  await none.log.flush();
  assertEquals(none.files.texts.size, 0);
});

Deno.test("lines that the disk refused are counted in the file, once", async () => {
  const { files, log } = logFile();
  files.fail("write the log", "full");
  log.write("a");
  log.write("b");
  await log.flush();
  files.heal("write the log");
  log.write("c");
  await log.flush();
  log.write("d");
  await log.flush();
  assertEquals(files.texts.get(PATH), "(2 log lines are missing here)\nc\nd\n");
});

Deno.test("a file that cannot be renamed goes on growing, and no line is lost", async () => {
  const { files, log } = logFile(2);
  files.fail("rotate the log", "denied");
  for (const line of ["a", "b"]) {
    log.write(line);
    await log.flush();
  }
  assertEquals(files.texts.get(PATH)?.match(/^[ab]$/gm), ["a", "b"]);
});

Deno.test("lines that wait for the disk are bounded, and those beyond are counted", async () => {
  const { files, log } = logFile(100_000_000);
  const line = "x".repeat(1_048_575);
  log.write(line);
  log.write("y");
  log.write("z");
  await log.flush();
  log.write("last");
  await log.flush();
  assertEquals(
    files.texts.get(PATH)?.slice(line.length),
    "\ny\n(1 log lines are missing here)\nlast\n",
  );
});

Deno.test("whatever is written, the files hold the newest lines in order", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 40 }),
    fc.integer({ min: 1, max: 60 }),
    async (lines, maxBytes) => {
      const { files, log } = logFile(maxBytes, 3);
      for (const line of lines) {
        log.write(line);
        await log.flush();
      }
      const texts = [`${PATH}.3`, `${PATH}.2`, `${PATH}.1`, PATH].map((path) =>
        files.texts.get(path) ?? ""
      );
      const kept = texts.join("").split("\n").slice(0, -1);
      assertEquals(kept, lines.slice(lines.length - kept.length));
      assertEquals(kept.length >= Math.min(lines.length, 3), true);
      for (const text of texts) assertEquals(text.length < maxBytes + 13, true);
    },
  ));
});
