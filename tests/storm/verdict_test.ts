import { assert, assertEquals } from "@std/assert";
import type { LoggedRequest } from "../../tools/refserver/request_log.ts";
import { commandComplaints, followCommands } from "./command_verdict.ts";
import type { StormRecord } from "./record.ts";
import { complaints, missingEvents, settledComplaints } from "./verdict.ts";
import type { KeptEvent, Testimony, WitnessedEvent } from "./witness.ts";

const COMMAND = "0b2f4f57-1111-4111-8111-000000000001";
const OTHER = "0b2f4f57-1111-4111-8111-000000000002";

function log(commandId: string): WitnessedEvent {
  const body = JSON.stringify({ command_id: commandId, action: "reboot", result: "failed" });
  return { id: `event-of-${commandId}`, kind: "log", commandId, body };
}

function list(id: string, names: readonly string[]): WitnessedEvent {
  const updates = names.map((package_name) => ({ package_name }));
  const body = JSON.stringify({ command_id: OTHER, updates });
  return { id, kind: "updates", commandId: OTHER, body };
}

function kept(event: WitnessedEvent, state = "pending"): KeptEvent {
  return { ...event, state, attempts: 0, lastError: state === "dead_lettered" ? "HTTP 400" : null };
}

function request(differently: Partial<LoggedRequest> = {}): LoggedRequest {
  return {
    atMs: 10,
    method: "GET",
    path: "/api/v1/agents/a/commands",
    status: 200,
    fault: null,
    bodyBytes: 0,
    hasAuthorization: true,
    summary: "",
    handedOver: [COMMAND],
    answeredAtMs: 11,
    ...differently,
  };
}

const testimony: Testimony = {
  appended: [log(COMMAND)],
  steps: [
    { id: COMMAND, state: "received" },
    { id: COMMAND, state: "started" },
    { id: COMMAND, state: "finished" },
  ],
  kept: [kept(log(COMMAND))],
  commands: [{ id: COMMAND, type: "reboot", state: "finished" }],
  counters: { appended: 1, pending: 1 },
};

const line = (message: string) => ({ message, id: COMMAND });

/** A storm in which one command was run, whose result still waits. */
const good: StormRecord = {
  testimony,
  server: {
    agents: [{}] as unknown as StormRecord["server"]["agents"],
    commands: [],
    logs: [],
    updates: [],
    systemInfo: [],
    violations: [],
  },
  requests: [request()],
  lives: [{
    bornMs: 0,
    deadMs: 100,
    lines: [line("command started"), line("checked in"), line("command finished")],
  }],
  fed: [],
  writtenDown: [],
  doubleStarts: [{ code: 1, said: "process 7 already runs an agent on it" }],
  marks: null,
  neverTaken: new Set(),
  isSettled: false,
  mayDrop: false,
};

function withTestimony(differently: Partial<Testimony>): StormRecord {
  return { ...good, testimony: { ...testimony, ...differently } };
}

/** A storm in which the command never came to the agent. */
function unheard(requests: LoggedRequest[], lives = good.lives): StormRecord {
  const nothing = { appended: [], steps: [], kept: [], commands: [], counters: {} };
  return { ...good, testimony: nothing, requests, lives };
}

Deno.test("complaints() has none about a storm that cost nothing", () => {
  assertEquals(complaints(good), []);
});

function withMarks(ids: readonly string[], differently: Partial<Testimony> = {}): StormRecord {
  return { ...withTestimony(differently), marks: { types: ["reboot"], ids } };
}

const wrong: readonly [string, StormRecord, string][] = [
  [
    "an event that is nowhere",
    withTestimony({ kept: [], counters: { appended: 1, delivered: 1 } }),
    "1 of kind log are gone, 0 counted as dropped",
  ],
  [
    "an append that returned and left no trace",
    { ...good, fed: [`log/${OTHER}`] },
    "1 appends returned and are nowhere",
  ],
  [
    "an event that was dropped where there was room",
    withTestimony({ kept: [], counters: { appended: 1, evicted_log: 1 } }),
    "1 of kind log were dropped",
  ],
  [
    "a count that does not hold",
    withTestimony({ counters: { appended: 2, pending: 1 } }),
    "appended: 2 counted, 1 there",
  ],
  [
    "pending events that are not there",
    withTestimony({ kept: [kept(log(COMMAND)), kept(log(OTHER))] }),
    "pending: 1 counted, 2 there",
  ],
  [
    "an event set aside without a word",
    withTestimony({
      kept: [{ ...kept(log(COMMAND), "dead_lettered"), lastError: null }],
      counters: { appended: 1, dead_lettered: 1 },
    }),
    "nobody can see why",
  ],
  [
    "a command that went on when it was finished",
    withTestimony({ steps: [...testimony.steps, { id: COMMAND, state: "started" }] }),
    "went on when it was finished",
  ],
  [
    "a command that was begun before it was written down",
    withTestimony({ steps: testimony.steps.slice(1) }),
    "began with started",
  ],
  [
    "a command that left the journal",
    { ...withTestimony({ commands: [] }), requests: [] },
    "was in the journal, and is not any more",
  ],
  [
    "a command that was reported twice",
    withTestimony({
      appended: [log(COMMAND), { ...log(COMMAND), id: "second" }],
      kept: [kept(log(COMMAND)), kept({ ...log(COMMAND), id: "second" })],
      counters: { appended: 2, pending: 2 },
    }),
    "is finished, with 2 reports",
  ],
  [
    "a command that was run again in a later life",
    {
      ...good,
      lives: [...good.lives, { bornMs: 200, deadMs: 300, lines: [line("command started")] }],
    },
    "was run again after its end",
  ],
  [
    "a command that was told to be finished and is not",
    withTestimony({
      commands: [{ id: COMMAND, type: "reboot", state: "started" }],
      steps: testimony.steps.slice(0, 2),
      appended: [],
      kept: [],
      counters: {},
    }),
    "was told to be finished, and is not",
  ],
  [
    "a command written down by hand that is nowhere",
    { ...good, writtenDown: [OTHER] },
    "was written down, and is nowhere",
  ],
  [
    "a second agent that ran",
    { ...good, doubleStarts: [{ code: 0, said: "agent started" }] },
    "a second agent on one folder ended with 0",
  ],
  [
    "a buffer that was damaged",
    {
      ...good,
      lives: [{ ...good.lives[0]!, lines: [line("buffer was damaged, salvaged into a new file")] }],
    },
    "buffer was damaged",
  ],
  ["what still waits when all is calm", { ...good, isSettled: true }, "still waits"],
];

const marked: readonly [string, StormRecord, string][] = [
  ["that was run twice", withMarks([COMMAND, COMMAND]), "was run 2 times"],
  ["that was run and never written down", withMarks([COMMAND, OTHER]), "is not in the journal"],
  [
    "that was run before it was begun",
    withMarks([COMMAND], { commands: [{ id: COMMAND, type: "reboot", state: "received" }] }),
    "was run before that was written down",
  ],
  [
    "that was told to be done and was not",
    withMarks([], {
      appended: [{ ...log(COMMAND), body: log(COMMAND).body.replace("failed", "success") }],
    }),
    "was told to be done, and was not",
  ],
];

Deno.test("complaints() has none about a command that was run once, or was interrupted", () => {
  assertEquals(complaints(withMarks([COMMAND])), []);
  assertEquals(complaints(withMarks([])), []);
});

for (const [what, record, complaint] of [...wrong, ...marked]) {
  Deno.test(`complaints() finds ${what}`, () => {
    const found = complaints(record);
    assert(found.some((one) => one.includes(complaint)), found.join("\n") || "none");
  });
}

Deno.test("settledComplaints() lets a command's log wait behind a list that no server takes", () => {
  const bad = list("bad", ["a"]);
  const behind = log(OTHER);
  const settled = (kept: KeptEvent[], neverTaken: string[]) =>
    settledComplaints({ testimony: { ...testimony, kept }, neverTaken: new Set(neverTaken) })
      .length;
  const both = [kept(bad), kept(behind)];
  assertEquals(settled(both, [`item/${OTHER}/a`]), 0);
  assertEquals(settled(both, []), 2);
  assertEquals(settled([kept(bad, "dead_lettered"), kept(behind)], [`item/${OTHER}/a`]), 1);
});

Deno.test("missingEvents() takes the parts of a list for the whole", () => {
  const whole = list("whole", ["a", "b", "c"]);
  const parts = [list("one", ["a", "b"]), list("two", ["c"])];
  const record = (there: WitnessedEvent[]) =>
    withTestimony({ appended: [whole, ...parts], kept: there.map((event) => kept(event)) });
  assertEquals(missingEvents(record(parts)), []);
  assertEquals(missingEvents(record([parts[0]!])).map(({ id }) => id), ["two"]);
  const undivided = withTestimony({ appended: [whole], kept: [] });
  assertEquals(missingEvents(undivided).map(({ id }) => id), ["whole"]);
});

Deno.test("followCommands() knows three ways of a command, and no fourth", () => {
  const counts = (record: StormRecord) => {
    const { writtenDown, lostByServer, lostByDeath, unexplained } = followCommands(record);
    return [writtenDown, lostByServer, lostByDeath, unexplained.length];
  };
  const silent = [{ bornMs: 0, deadMs: 12, lines: [] }];
  assertEquals(counts(good), [1, 0, 0, 0]);
  assertEquals(
    counts(unheard([request({ fault: "lost_answer", answeredAtMs: null })])),
    [0, 1, 0, 0],
  );
  assertEquals(counts(unheard([request()], silent)), [0, 0, 1, 0]);
  // Sent before its death, read by the server after it.
  assertEquals(counts(unheard([request({ atMs: 13, answeredAtMs: null })], silent)), [0, 0, 1, 0]);
  // It has said that it has taken the answer in.
  assertEquals(counts(unheard([request()])), [0, 0, 0, 1]);
  // It has lived on, and said nothing.
  const idle = [{ bornMs: 0, deadMs: 5_000, lines: [] }];
  assertEquals(counts(unheard([request()], idle)), [0, 0, 0, 1]);
  // It has checked in again.
  const again = [request(), request({ atMs: 11.5, answeredAtMs: null, handedOver: [] })];
  assertEquals(counts(unheard(again, silent)), [0, 0, 0, 1]);
  assert(commandComplaints(unheard([request()]))[0]?.includes("nobody has it"));
});
