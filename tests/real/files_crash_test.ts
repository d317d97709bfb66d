/** What is left of a file whose writer was killed in the middle, and what is swept up later. */

import { assert, assertEquals } from "@std/assert";
import { realFiles } from "../../src/system/real/files.ts";
import { projectUrl } from "./deno_child.ts";
import { inFolder } from "./folder.ts";
import { cannotTrace } from "./trace.ts";

/** A call of the kernel's at which a writer is killed, before it is done, and what is found then. */
const DEATHS: [calls: string, text: "old" | "new"][] = [
  ["fchmod,fchmodat,chmod", "old"],
  ["fdatasync", "old"],
  ["rename,renameat,renameat2", "old"],
  ["fsync", "new"],
];

for (const [calls, expected] of DEATHS) {
  const [where] = calls.split(",");
  Deno.test({
    name:
      `writeText() killed at its ${where} leaves the ${expected} text, whole, and hinders no next write`,
    ignore: await cannotTrace(),
    fn: () =>
      inFolder(async (folder) => {
        const path = `${folder}/text`;
        // Not by writeText(): its first write of a file looks for leftovers, and the next ones do not.
        await Deno.writeTextFile(path, "old", { mode: 0o600 });
        await Deno.writeTextFile(
          `${folder}/code.ts`,
          `import { realFiles } from "${projectUrl("src/system/real/files.ts")}";
          await realFiles.writeText("write it", Deno.args[0], "new", { mode: 0o600 });`,
        );
        const deno = ["run", "-A", "--no-prompt", "--cached-only", "--no-code-cache"];
        const write = [Deno.execPath(), ...deno, `${folder}/code.ts`];
        // Once untroubled: what Deno keeps of the code for the next time is written then.
        await run([...write, `${folder}/untroubled`]);
        const trouble = `inject=${calls}:signal=SIGKILL`;
        const trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${calls}`];
        const signal = await run([...trace, "-e", trouble, ...write, path]);
        assertEquals(signal, "SIGKILL", "it was not killed");
        assertEquals(await Deno.readTextFile(path), expected);
        const parts = [...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith(".tmp"));
        assertEquals(parts.length, expected === "old" ? 1 : 0);
        for (const { name } of parts) await Deno.utime(`${folder}/${name}`, 0, 0);
        assertEquals((await Deno.stat(path)).mode! & 0o7777, 0o600);
        await realFiles.writeText("write it", path, "next", { mode: 0o600 });
        assertEquals(await Deno.readTextFile(path), "next");
        // What it left is swept up, old as it is by now.
        assertEquals(
          [...Deno.readDirSync(folder)].map(({ name }) => name).sort(),
          ["code.ts", "text", "untroubled"],
        );
      }),
  });
}

/** Runs a program to its end; the signal that ended it. */
async function run([program = "", ...args]: string[]): Promise<Deno.Signal | null> {
  const { signal } = await new Deno.Command(program, { args, stderr: "null" }).output();
  return signal;
}

Deno.test("writeText() sweeps up what is older than ten minutes, of this file, and nothing else", () =>
  inFolder(async (folder) => {
    const minutesOld = (minutes: number) => new Date(Date.now() - minutes * 60_000);
    const rows: [name: string, minutes: number, isSwept: boolean][] = [
      ["text.0badc0d1.tmp", 9.5, false],
      ["text.0badc0d2.tmp", 10.5, true],
      ["text.0badc0d3.tmp", 1e6, true],
      ["other.0badc0d4.tmp", 1e6, false],
      ["text.0BADC0D5.tmp", 1e6, false],
      ["text.0badc0d6x.tmp", 1e6, false],
      ["text.0badc0d7.tmp.bak", 1e6, false],
      ["text.tmp", 1e6, false],
      ["xtext.0badc0d8.tmp", 1e6, false],
    ];
    for (const [name, minutes] of rows) {
      await Deno.writeTextFile(`${folder}/${name}`, "part");
      await Deno.utime(`${folder}/${name}`, minutesOld(minutes), minutesOld(minutes));
    }
    await realFiles.writeText("write it", `${folder}/text`, "whole", { mode: 0o600 });
    const left = new Set([...Deno.readDirSync(folder)].map(({ name }) => name));
    assertEquals(
      rows.filter(([name]) => left.has(name)).map(([name]) => name),
      rows.filter(([, , isSwept]) => !isSwept).map(([name]) => name),
    );
  }));

Deno.test({
  name: "readText() goes by what a file holds, not by the size that it states",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { size } = await Deno.stat("/proc/version");
    assertEquals(size, 0);
    const text = await realFiles.readText("read it", "/proc/version");
    assert(text?.startsWith("Linux version"), text);
  },
});
