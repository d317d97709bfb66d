import { assertEquals } from "@std/assert";
import type { JournalEntry } from "../../src/buffer/journal.ts";
import { readEntry } from "../../src/loop/read_entry.ts";

function entry(change: Partial<JournalEntry> = {}): JournalEntry {
  return {
    id: "c1",
    type: "scan_updates",
    params: '{"full":true}',
    state: "received",
    receivedMs: 0,
    ...change,
  };
}

Deno.test("readEntry() runs what was not begun, and again only what does no harm", () => {
  const rows: [state: JournalEntry["state"], repeatable: boolean, message: string | undefined][] = [
    ["received", true, undefined],
    ["received", false, undefined],
    ["started", true, undefined],
    ["started", false, "command was interrupted"],
  ];
  for (const [state, repeatable, message] of rows) {
    const { command, notRun } = readEntry(entry({ state }), { repeatable });
    assertEquals(command, { id: "c1", type: "scan_updates", params: { full: true } });
    assertEquals(notRun?.message, message, `${state} ${repeatable}`);
  }
});

Deno.test("readEntry() takes nothing but an object for parameters", () => {
  for (const params of ["", "{", "null", "[]", "[1]", "1", '"a"', "true"]) {
    const { command, notRun } = readEntry(entry({ params }), { repeatable: true });
    assertEquals([command.params, notRun?.message], [{}, "command is damaged on disk"], params);
  }
  assertEquals(readEntry(entry({ params: "{}" }), { repeatable: true }).notRun, null);
});
