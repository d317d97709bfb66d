import { assertEquals } from "@std/assert";
import { dnf4Dialect } from "../../../src/scanners/dnf/dnf4_dialect.ts";

Deno.test("dnf4Dialect takes only those exit codes for answers that come with one", () => {
  const { advisories, details, updates, repositories, reboot } = dnf4Dialect;
  for (const question of [advisories, details, repositories]) assertEquals(question?.codes, [0]);
  // 100 is "there are updates", and 1 is "a restart is required".
  assertEquals(updates.codes, [0, 100]);
  assertEquals(reboot.codes, [0, 1]);
});
