import { assertEquals } from "@std/assert";
import { countByState, countCommands } from "../../src/buffer/command_counts.ts";
import { migrate } from "../../src/buffer/schema.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";

/** A journal with so many commands in each state. */
function journalOf(counts: Readonly<Record<string, number>>) {
  const database = openRealDatabase(":memory:");
  migrate(database);
  for (const [state, count] of Object.entries(counts)) {
    for (let number = 0; number < count; number++) {
      database.run(
        "INSERT INTO commands (id, type, params, state, received_ms) VALUES (?, 'x', '{}', ?, 0)",
        `${state} ${number}`,
        state,
      );
    }
  }
  return database;
}

Deno.test("countCommands() counts none of an empty journal", () => {
  const none = { received: 0, started: 0, finished: 0, reported: 0 };
  assertEquals(countByState(journalOf({})), none);
  assertEquals(countCommands(journalOf({})), { ...none, remembered: 0, unfinished: 0 });
});

Deno.test("countCommands() tells of each state, of all together, and of what is still to be done", () => {
  const counts = { received: 1, started: 2, finished: 4, reported: 8 };
  assertEquals(countByState(journalOf(counts)), counts);
  assertEquals(countCommands(journalOf(counts)), { ...counts, remembered: 15, unfinished: 3 });
});
