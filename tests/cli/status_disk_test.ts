import { assertEquals } from "@std/assert";
import { describeDisk, diskAsJson, type DiskStatus } from "../../src/cli/status_disk.ts";

const holder = { process_id: 7, since_ms: 0 };
const told = {
  schema: "pennon.disk/1",
  process_id: 7,
  at_ms: 0,
  disk: "full",
  why: "Cannot change database: database or disk is full",
  events: 12,
  size_bytes: 4_096,
  acknowledgements: 3,
} as const;
const well: DiskStatus = { refusal: null, told: null, unreadable: null };

Deno.test("describeDisk() has one line where all is well and nobody runs", () => {
  assertEquals(describeDisk(well, null), [["Disk", "takes writes"]]);
  assertEquals(describeDisk({ ...well, refusal: undefined }, null), []);
});

Deno.test("describeDisk() tells what is in memory by the running agent's word alone", () => {
  const memory = (disk: Partial<DiskStatus>) => describeDisk({ ...well, ...disk }, holder).at(-1);
  assertEquals(memory({ told }), [
    "In memory",
    "12 of 1000 events (4 KiB of 4 MiB), 3 of 1000 deliveries owed",
  ]);
  assertEquals(memory({}), ["In memory", "not known"]);
  assertEquals(memory({ told: { ...told, process_id: 8 } }), ["In memory", "not known"]);
});

Deno.test("describeDisk() says why nothing is written or read", () => {
  const refusal = 'Cannot try the state folder: "/state": No space left on device';
  const unreadable = "Cannot open database: unable to open database file";
  const lines = describeDisk(
    { refusal, told, unreadable },
    holder,
  );
  assertEquals(lines.slice(0, -1), [
    ["DISK", `takes no writes: ${refusal}`],
    ["", `agent: full: ${told.why}`],
    ["", `buffer not read: ${unreadable}`],
  ]);
});

Deno.test("describeDisk() repeats no reason, and tells none of an agent that is gone", () => {
  const same = { ...well, refusal: told.why, told };
  assertEquals(describeDisk(same, holder).map(([title]) => title), ["DISK", "In memory"]);
  assertEquals(describeDisk({ ...well, told }, null), [["Disk", "takes writes"]]);
  const silent = { ...well, told: { ...told, why: null } };
  assertEquals(describeDisk(silent, holder).map(([title]) => title), ["Disk", "In memory"]);
});

Deno.test("diskAsJson() says why by what was tried, then by the agent's word, then by the buffer", () => {
  const why = (disk: Partial<DiskStatus>, of: typeof holder | null = holder) =>
    diskAsJson({ ...well, ...disk }, of).why;
  assertEquals(why({ refusal: "tried", told, unreadable: "read" }), "tried");
  assertEquals(why({ told, unreadable: "read" }), told.why);
  assertEquals(why({ told, unreadable: "read" }, null), "read");
  assertEquals(diskAsJson({ ...well, refusal: "tried" }, holder).takes_writes, false);
});

Deno.test("diskAsJson() has every bound with its counter, and null for what is not known", () => {
  assertEquals(diskAsJson({ ...well, told }, holder), {
    takes_writes: true,
    why: told.why,
    agent_says: "full",
    events_in_memory: 12,
    max_events_in_memory: 1_000,
    bytes_in_memory: 4_096,
    max_bytes_in_memory: 4_194_304,
    acknowledgements_owed: 3,
    max_acknowledgements_owed: 1_000,
    left_alone: null,
  });
  const gone = diskAsJson({ ...well, refusal: undefined, told }, null);
  assertEquals([gone.takes_writes, gone.events_in_memory, gone.why], [null, null, null]);
});
