import { assertEquals } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { logEvent } from "../../src/commands/command_log.ts";
import { withRowAgain } from "../../src/commands/row_again.ts";
import { keepToldUpdates } from "../../src/commands/told_updates.ts";
import { goneItem, type UpdateItem } from "../../src/server/update_item.ts";
import { FakeSystem } from "../fakes/system.ts";

const CURL: UpdateItem = { ...goneItem("apt", "curl", "8"), severity: "critical" };
const AT_MS = 1_800_000_000_000;

async function systemWithRows(): Promise<FakeSystem> {
  const system = new FakeSystem();
  await keepToldUpdates(
    system,
    "/state",
    new Map([["apt", {
      fullAtMs: AT_MS,
      items: {
        curl: ["8", "sum", AT_MS, CURL] as const,
        huge: ["9", "sum", AT_MS, null] as const,
      },
      gone: { old: ["1", AT_MS - 1_000] as const },
    }]]),
  );
  return system;
}

/** The rows that a command about a package sends again, each with its report's timestamp. */
async function rowsAfter(
  system: FakeSystem,
  type: string,
  params: Record<string, unknown>,
  result: "success" | "failed" = "failed",
): Promise<[row: UpdateItem, timestamp: string][]> {
  const command = { id: "c1", type, params };
  const log = logEvent(command, { result, durationMs: 0 });
  const facts: NewEvent = { kind: "system_info", commandId: null, snapshotOf: null, body: "{}" };
  const events = await withRowAgain(system, "/state", { command, events: [facts, log] });
  assertEquals([events[0], events.at(-1)], [facts, log], "the log stays the last word");
  return events.slice(1, -1).map(({ kind, commandId, body }) => {
    const { updates, timestamp, command_id } = JSON.parse(body);
    assertEquals([kind, commandId, command_id, updates.length], ["updates", "c1", "c1", 1]);
    return [updates[0], timestamp];
  });
}

const ABOUT_CURL = { package_type: "apt", package_name: "curl", update_id: "u1" };
const CURLS_ROW: [UpdateItem, string][] = [[CURL, new Date(AT_MS).toISOString()]];

Deno.test("withRowAgain() sends the row after a command about it that was refused or has failed", async () => {
  const system = await systemWithRows();
  for (const type of ["dry_run_update", "confirm_dependencies", "install_updates"]) {
    assertEquals(await rowsAfter(system, type, ABOUT_CURL), CURLS_ROW, type);
  }
  for (const type of ["scan_updates", "reboot", "brew_coffee", "constructor"]) {
    assertEquals(await rowsAfter(system, type, ABOUT_CURL), [], type);
  }
});

Deno.test("withRowAgain() sends the row after an installation that has ended, and not after a good dry run", async () => {
  const system = await systemWithRows();
  assertEquals(await rowsAfter(system, "confirm_dependencies", ABOUT_CURL, "success"), CURLS_ROW);
  assertEquals(await rowsAfter(system, "install_updates", ABOUT_CURL, "success"), CURLS_ROW);
  // The server waits for a person now, or installs at once: the row's state says so.
  assertEquals(await rowsAfter(system, "dry_run_update", ABOUT_CURL, "success"), []);
});

Deno.test("withRowAgain() sends the row of a package that waits no more as such", async () => {
  const system = await systemWithRows();
  const about = { package_type: "apt", package_name: "old" };
  assertEquals(await rowsAfter(system, "dry_run_update", about), [
    [goneItem("apt", "old", "1"), new Date(AT_MS - 1_000).toISOString()],
  ]);
});

Deno.test("withRowAgain() leaves a row that is not known to the next whole list", async () => {
  const system = await systemWithRows();
  const unknown: Record<string, unknown>[] = [
    {},
    { package_type: "apt" },
    { package_type: "apt", package_name: "none" },
    { package_type: "apt", package_name: "huge" },
    { package_type: "apt", package_name: "constructor" },
    { package_type: "dnf", package_name: "curl" },
    { package_type: "docker_image", package_name: "curl" },
    { package_type: "constructor", package_name: "curl" },
    { package_type: 1, package_name: ["curl"] },
    { action: "update_all", package_type: "apt" },
  ];
  for (const params of unknown) {
    assertEquals(await rowsAfter(system, "install_updates", params), [], JSON.stringify(params));
  }
  assertEquals(await rowsAfter(new FakeSystem(), "install_updates", ABOUT_CURL), []);
  system.files.fail("read what was told", "denied");
  assertEquals(await rowsAfter(system, "install_updates", ABOUT_CURL), []);
});

Deno.test("withRowAgain() adds nothing where there is no log", async () => {
  const command = { id: "c1", type: "install_updates", params: ABOUT_CURL };
  const system = await systemWithRows();
  assertEquals(await withRowAgain(system, "/state", { command, events: [] }), []);
});
