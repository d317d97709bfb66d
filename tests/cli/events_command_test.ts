import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { NewEvent, StoredEvent } from "../../src/buffer/buffer.ts";
import type { SqliteBuffer } from "../../src/buffer/sqlite_buffer.ts";
import {
  eventAsJson,
  eventAsText,
  eventsAsJson,
  eventsAsTable,
} from "../../src/cli/events_command.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { cli } from "../../src/cli/cli.ts";
import { FakeSystem } from "../fakes/system.ts";
import { hasControls } from "../../src/strip_controls.ts";

const STATE = "/home/test/.local/state/pennon";
const limits = { maxEvents: 100, maxBytes: 1_000_000, maxAttempts: 1 };

async function runCli(system: FakeSystem, ...words: string[]) {
  system.terminal.out = "";
  system.terminal.err = "";
  const code = await cli(["events", ...words], system);
  return { code, out: system.terminal.out, err: system.terminal.err };
}

/** A host whose buffer holds these events, a minute and more apart. */
async function holding(...events: Partial<NewEvent>[]) {
  const system = new FakeSystem();
  const { buffer } = await openBuffer(system, STATE, limits);
  const ids: string[] = [];
  for (const event of events) {
    const full = { kind: "log", commandId: null, snapshotOf: null, body: "{}", ...event } as const;
    ids.push(...buffer.append([full]).ids);
    await system.clock.advance(100_000);
  }
  return { system, buffer, ids };
}

function states(buffer: SqliteBuffer): string[] {
  return buffer.list().map(({ state, attempts }) => `${state} ${attempts}`);
}

Deno.test("events show prints every field of one event, and its whole body", async () => {
  const body = { stdout: "line 1\nline 2", exit_code: 0 };
  const { system, buffer, ids: [id = ""] } = await holding({
    commandId: "c1",
    snapshotOf: "updates/apt",
    body: JSON.stringify(body),
  });
  buffer.refuse(id, "HTTP 400: bad");
  const { code, out, err } = await runCli(system, "show", id);
  assertEquals([code, err], [0, ""]);
  const [fields = "", shown = ""] = out.split("\nBody\n");
  assertEquals(JSON.parse(shown), body);
  assertStringIncludes(shown, '{\n  "stdout"');
  for (
    const line of [
      `Id           ${id}`,
      "Kind         log",
      "Command      c1",
      "Snapshot of  updates/apt",
      "State        dead letter",
      "Attempts     1",
      "Last error   HTTP 400: bad",
    ]
  ) assert(fields.split("\n").includes(line), fields);
  assertMatch(fields, /^Created {6}\d{4}-\d\d-\d\dT.*Z \(2 min ago\)$/m);
});

Deno.test("events show --json has the list's fields, and the body as a value", async () => {
  const { system, ids: [id = ""] } = await holding({ body: '{"a":[1,2]}' }, { body: "{}" });
  const { events: [listed] } = JSON.parse((await runCli(system, "list", "--json")).out);
  const shown = JSON.parse((await runCli(system, "show", id, "--json")).out);
  assertEquals(shown, { schema: "pennon.events/1", event: { ...listed, body: { a: [1, 2] } } });
  assertEquals([listed.id, listed.sequence, listed.snapshot_of], [id, 1, null]);
});

Deno.test("events show prints a body that is not JSON as text", async () => {
  const { system, ids: [id = ""] } = await holding({ body: "<html>" });
  assertStringIncludes((await runCli(system, "show", id)).out, '\nBody\n"<html>"\n');
  assertEquals(JSON.parse((await runCli(system, "show", id, "--json")).out).event.body, "<html>");
});

Deno.test("the content of an event cannot steer the terminal", async () => {
  const steering = "\u001b[2J\u009b2Jtext\u0007";
  const { system, buffer, ids: [id = ""] } = await holding({
    commandId: steering,
    body: JSON.stringify({ stdout: steering }),
  });
  buffer.refuse(id, steering);
  const { out } = await runCli(system, "show", id);
  assert(!hasControls(out, "\n"), JSON.stringify(out));
  assertStringIncludes(out, "text");
});

Deno.test("an ID may be shortened, in upper or lower case, if it names one event", async () => {
  const { system, ids: [first = "", second = ""] } = await holding({ body: '"a"' }, {
    body: '"b"',
  });
  const { out } = await runCli(system, "show", second.slice(0, 13).toUpperCase(), "--json");
  assertEquals(JSON.parse(out).event.body, "b");
  for (const action of ["show", "requeue", "purge"]) {
    const { code, out, err } = await runCli(system, action, first.slice(0, 6));
    assertEquals([code, out], [1, ""]);
    assertEquals(err.split("\n").slice(0, 3), [
      `pennon: Cannot ${action} event: "${first.slice(0, 6)}" may be any of these`,
      `pennon:   ${first} log pending`,
      `pennon:   ${second} log pending`,
    ]);
  }
});

Deno.test("an ID that fits many events names some of them, and says that there are more", async () => {
  const { system, ids: [id = ""] } = await holding(...Array.from({ length: 21 }, () => ({})));
  const { err } = await runCli(system, "show", id.slice(0, 6));
  assertEquals(err.trimEnd().split("\n").length, 22);
  assert(err.endsWith("pennon:   and more\n"), err);
});

Deno.test("events list shows 1,000 events, and counts the others", async () => {
  const { system, buffer } = await holding({});
  const { code, err } = await runCli(system, "list");
  assertEquals([code, err], [0, ""]);
  const more = { kind: "log", commandId: null, snapshotOf: null, body: "{}" } as const;
  const many = new FakeSystem();
  const opened = await openBuffer(many, STATE, { ...limits, maxEvents: 2_000 });
  opened.buffer.append(Array.from({ length: 1_001 }, () => more));
  const listed = await runCli(many, "list");
  assertEquals([listed.out.trimEnd().split("\n").length, listed.err], [
    1_001,
    "1 more are not shown\n",
  ]);
  assertEquals(buffer.counts().pending, 1);
});

Deno.test("an unknown event is an error, and creates no buffer", async () => {
  const { system: full } = await holding({});
  const empty = new FakeSystem();
  for (const system of [full, empty]) {
    for (const action of ["show", "requeue", "purge"]) {
      const { code, out, err } = await runCli(system, action, "ffffff");
      assertEquals([code, out], [1, ""]);
      assertEquals(err, `pennon: Cannot ${action} event: no event "ffffff"\n`);
    }
  }
  assertEquals((await runCli(empty, "requeue", "--all")).out, "The buffer holds no dead letters\n");
  assertEquals([empty.databases.size, empty.files.texts.size], [0, 0]);
});

Deno.test("events requeue makes one dead letter pending again", async () => {
  const { system, buffer, ids: [first = "", second = ""] } = await holding({}, {});
  for (const id of [first, second]) buffer.refuse(id, "HTTP 400");
  const { code, out, err } = await runCli(system, "requeue", second);
  assertEquals([code, out, err], [0, "Requeued 1 event\n", ""]);
  assertEquals(states(buffer), ["dead_lettered 1", "pending 0"]);
  assertEquals(buffer.find(second)?.lastError, "HTTP 400");
  const again = await runCli(system, "requeue", second);
  assertEquals([again.code, again.out], [1, ""]);
  assertStringIncludes(again.err, `Cannot requeue event: "${second}" is no dead letter`);
});

Deno.test("events requeue --all makes all dead letters pending again", async () => {
  const { system, buffer, ids: [first = "", , third = ""] } = await holding({}, {}, {});
  for (const id of [first, third]) buffer.refuse(id, "HTTP 400");
  assertEquals((await runCli(system, "requeue", "--all")).out, "Requeued 2 events\n");
  assertEquals(states(buffer), ["pending 0", "pending 0", "pending 0"]);
  assertEquals(JSON.parse((await runCli(system, "requeue", "--all", "--json")).out), {
    schema: "pennon.events-requeue/1",
    requeued: 0,
  });
});

Deno.test("events purge deletes a dead letter, and status counts it", async () => {
  const { system, buffer, ids: [first = "", second = ""] } = await holding({}, {});
  buffer.refuse(second, "HTTP 400");
  const refused = await runCli(system, "purge", first);
  assertEquals([refused.code, refused.out], [1, ""]);
  assertStringIncludes(refused.err, "is pending, and only a dead letter can be deleted. Next:");
  assertEquals((await runCli(system, "purge", second)).out, `Purged event ${second}\n`);
  assertEquals(buffer.list().map(({ id }) => id), [first]);
  system.terminal.out = "";
  await cli(["status"], system);
  assertStringIncludes(system.terminal.out, "0 delivered, 0 dead letters, 0 evicted, 1 purged");
  system.terminal.out = "";
  await cli(["status", "--json"], system);
  assertEquals(JSON.parse(system.terminal.out).buffer.purged, 1);
});

Deno.test("events purge --json names the deleted event", async () => {
  const { system, buffer, ids: [id = ""] } = await holding({});
  buffer.refuse(id, "HTTP 400");
  const { out } = await runCli(system, "purge", id.slice(0, 8), "--json");
  assertEquals(JSON.parse(out), { schema: "pennon.events-purge/1", id, purged: 1 });
});

Deno.test("events prints the next step if this user may not change the buffer", async () => {
  const { system } = await holding({});
  system.files.fail("look for the buffer", "denied");
  for (const words of [["requeue", "--all"], ["purge", "0197f0"]]) {
    const { code, out, err } = await runCli(system, ...words);
    assertEquals([code, out], [1, ""]);
    assertStringIncludes(err, "run this as the agent's user, or as root");
  }
});

const NOW_MS = Date.UTC(2026, 10, 24);

const log: StoredEvent = {
  id: "0197f0aa",
  kind: "log",
  commandId: "c1",
  snapshotOf: null,
  sequence: 7,
  place: 7,
  state: "dead_lettered",
  attempts: 10,
  createdMs: NOW_MS - 120_000,
  sizeBytes: 2_048,
  lastError: "HTTP 400: bad",
  isSuperseded: false,
  body: '{"a":[1]}',
};

const updates: StoredEvent = {
  ...log,
  id: "0197f0bb",
  kind: "updates",
  commandId: null,
  snapshotOf: "updates/apt/0",
  state: "pending",
  attempts: 0,
  lastError: null,
  body: "no JSON",
};

const LISTED = {
  id: "0197f0aa",
  kind: "log",
  command_id: "c1",
  snapshot_of: null,
  sequence: 7,
  created_at: "2026-11-23T23:58:00.000Z",
  state: "dead_lettered",
  attempts: 10,
  size_bytes: 2_048,
  last_error: "HTTP 400: bad",
};

Deno.test("eventsAsJson() has each field except the body, and the total", () => {
  assertEquals(JSON.parse(eventsAsJson([log], 9)), {
    schema: "pennon.events/1",
    total: 9,
    events: [LISTED],
  });
});

Deno.test("eventAsJson() has the body as a value, or as text if it is not JSON", () => {
  assertEquals(JSON.parse(eventAsJson(log)), {
    schema: "pennon.events/1",
    event: { ...LISTED, body: { a: [1] } },
  });
  assertEquals(JSON.parse(eventAsJson(updates)).event.body, "no JSON");
});

Deno.test("eventsAsTable() has a line for each event, numbers on the right", () => {
  assertEquals(eventsAsTable([log, updates], NOW_MS, Infinity).split("\n"), [
    "ID        KIND       AGE  STATE        ATTEMPTS   SIZE  LAST ERROR",
    "0197f0aa  log      2 min  dead letter        10  2 KiB  HTTP 400: bad",
    "0197f0bb  updates  2 min  pending             0  2 KiB  -",
  ]);
});

Deno.test("eventAsText() has a line for each field, then the body", () => {
  assertEquals(eventAsText(updates, NOW_MS).split("\n"), [
    "Id           0197f0bb",
    "Kind         updates",
    "Command      -",
    "Snapshot of  updates/apt/0",
    "Sequence     7",
    "Created      2026-11-23T23:58:00.000Z (2 min ago)",
    "State        pending",
    "Attempts     0",
    "Size         2 KiB",
    "Last error   -",
    "Body",
    '"no JSON"',
  ]);
  assertEquals(eventAsText(log, NOW_MS).split("\nBody\n")[1], '{\n  "a": [\n    1\n  ]\n}');
});
