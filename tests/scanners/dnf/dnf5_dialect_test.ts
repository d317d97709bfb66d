import { assertEquals } from "@std/assert";
import { dnf5Dialect } from "../../../src/scanners/dnf/dnf5_dialect.ts";
import type { DnfVersion } from "../../../src/scanners/dnf/version.ts";

/** What a version is asked, as far as versions differ. */
function asked(...version: [number, number, number?]) {
  const dialect = dnf5Dialect(version as DnfVersion);
  return {
    isQuiet: dialect.offered.includes("-q"),
    advisories: dialect.advisories.command.includes("--json"),
    details: dialect.details?.command ?? null,
    updates: dialect.updates.command.includes("--json"),
    replacing: dialect.replacing?.command.includes("--json"),
  };
}

const OLDEST = {
  isQuiet: true,
  advisories: false,
  details: null,
  updates: false,
  replacing: false,
};
const INFO = ["-q", "advisory", "info", "--json"];

Deno.test("dnf5Dialect() asks each version only for what it can answer, from the very first on", () => {
  assertEquals(asked(5, 0, 0), OLDEST);
  assertEquals(asked(5, 2, 3), OLDEST);
  assertEquals(asked(5, 2, 4), { ...OLDEST, advisories: true });
  assertEquals(asked(5, 2, 5), { ...OLDEST, advisories: true });
  const quietly = { ...OLDEST, advisories: true, isQuiet: false };
  assertEquals(asked(5, 2, 6), quietly);
  assertEquals(asked(5, 2, 8), quietly);
  assertEquals(asked(5, 2, 9), { ...quietly, details: INFO });
  assertEquals(asked(5, 3, 0), { ...quietly, details: INFO });
  const newest = { ...quietly, details: INFO, updates: true, replacing: true };
  assertEquals(asked(5, 4, 0), newest);
  assertEquals(asked(6, 0, 0), newest);
});

Deno.test("dnf5Dialect() takes 100 for an answer only where it lists updates", () => {
  for (const version of [[5, 2, 0], [5, 4, 0]] as const) {
    const { advisories, details, updates, replacing, repositories } = dnf5Dialect([...version]);
    assertEquals(updates.codes, [0, 100]);
    for (const question of [advisories, details, replacing, repositories]) {
      assertEquals(question?.codes ?? [0], [0]);
    }
  }
});

Deno.test("dnf5Dialect() asks about restarts in JSON from 5.4.1 on", () => {
  const command = (...version: number[]) => dnf5Dialect(version).reboot.command;
  assertEquals(command(5, 4, 0).includes("--json"), false);
  assertEquals(command(5, 4, 1).includes("--json"), true);
});

Deno.test("dnf5Dialect() takes 0 and 1 for answers about restarts, in words and in JSON", () => {
  for (const version of [[5, 4, 0], [5, 4, 1]]) {
    assertEquals(dnf5Dialect(version).reboot.codes, [0, 1]);
  }
});
