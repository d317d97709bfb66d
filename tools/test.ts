/**
 * Runs `deno test` with the arguments it is given, and ends with one line on the tests that were ignored:
 * how many, and the packages whose programs are missing here.
 */

import { missing, PACKAGES, type Program } from "../tests/real/lacks.ts";

/** The last line; `null` if no test was ignored. */
export function describeIgnored(report: string, missing: readonly Program[]): string | null {
  const count = report.match(/<skipped\b/g)?.length ?? 0;
  if (count === 0) return null;
  const tests = count === 1 ? "1 test was" : `${count} tests were`;
  const packages = [...new Set(missing.map((program) => PACKAGES[program]))].sort();
  if (packages.length === 0) {
    return `${tests} ignored: none for want of a program (another system, user or version)`;
  }
  return `${tests} ignored. Missing here: ${missing.join(", ")}. ` +
    `To run more: apt-get install ${packages.join(" ")}`;
}

async function runTests(args: readonly string[]): Promise<number> {
  const directory = await Deno.makeTempDir({ prefix: "pennon-tests-" });
  try {
    const report = `${directory}/report.xml`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", `--junit-path=${report}`, ...args],
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    });
    const { code } = await child.output();
    const text = await Deno.readTextFile(report).catch(() => "");
    const programs = Object.keys(PACKAGES) as Program[];
    const line = describeIgnored(text, await missing(programs));
    if (line !== null) console.log(line);
    return code;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await runTests(Deno.args));
