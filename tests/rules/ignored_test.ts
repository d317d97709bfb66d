/** The rule: a test that cannot run is ignored, and the last line of a task says how many and what to install. */

import { assertEquals } from "@std/assert";
import { describeIgnored } from "../../tools/test.ts";

const ROOT = new URL("../../", import.meta.url);

/** Decided in the middle of a test, or for a part of it. No further test may end early. */
const ENDS_EARLY: Readonly<Record<string, number>> = {
  "tests/e2e/agent_test.ts": 1,
  "tests/e2e/command_line_test.ts": 1,
  "tests/e2e/commands02_test.ts": 2,
  "tests/e2e/dashboard_test.ts": 1,
  "tests/e2e/take_over_test.ts": 1,
  "tests/real/buffer_test.ts": 1,
  "tests/real/dnf_cases_test.ts": 2,
  "tests/real/dnf_sources_test.ts": 2,
  "tests/real/files_test.ts": 2,
  "tests/real/install_scripts_test.ts": 1,
  "tests/real/redflag_agent_test.ts": 1,
  "tests/real/refserver_control_test.ts": 1,
  "tests/real/regular_file_test.ts": 1,
  "tests/real/system_test.ts": 1,
};

Deno.test("no test ends early where it could be ignored", async () => {
  const found: Record<string, number> = {};
  for (const directory of ["tests/real/", "tests/e2e/", "tests/windows/"]) {
    for await (const { name, isFile } of Deno.readDir(new URL(directory, ROOT))) {
      if (!isFile || !name.endsWith(".ts")) continue;
      const text = await Deno.readTextFile(new URL(directory + name, ROOT));
      const count = text.match(/console\.log\(\s*["`]skipped|if \(await lacks\(.*\)\) return;/g);
      if (count) found[directory + name] = count.length;
    }
  }
  assertEquals(found, { ...ENDS_EARLY });
});

Deno.test("describeIgnored() counts ignored tests, and names each package once", () => {
  const report = (count: number) => `<testsuite>${"<testcase><skipped/></testcase>".repeat(count)}`;
  assertEquals(describeIgnored("", ["zsh"]), null);
  assertEquals(describeIgnored(report(0), ["zsh"]), null);
  assertEquals(
    describeIgnored(report(3), ["zsh", "modifyrepo_c", "createrepo_c"]),
    "3 tests were ignored. Missing here: zsh, modifyrepo_c, createrepo_c. " +
      "To run more: apt-get install createrepo-c zsh",
  );
  assertEquals(
    describeIgnored(report(1), []),
    "1 test was ignored: none for want of a program (another system, user or version)",
  );
});
