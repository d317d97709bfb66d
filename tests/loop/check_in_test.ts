import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type CommandJournal, countCommands } from "../../src/buffer/journal.ts";
import {
  checkDisk,
  type CheckInContents,
  type CheckInResult,
  closeCheckIn,
  dueAfter,
} from "../../src/loop/check_in.ts";
import { NEW_STATE } from "../../src/loop/state.ts";
import { DatabaseError } from "../../src/system/database.ts";
import { HttpError } from "../../src/system/http.ts";
import { FakeLog } from "../fakes/log.ts";
import { INTERVAL_MS } from "../fakes/breaker_numbers.ts";
import { inWorld, log, World } from "../fakes/world.ts";
import { response } from "../fakes/response.ts";
import { SickDisk } from "../fakes/sick_disk.ts";

Deno.test("a server that asks for a check-in at each check-in gets them at the pace of rapid polling", async () => {
  for (const rapidPollingMs of [600_000, 0]) {
    const world = new World();
    let count = 0;
    world.handler = {
      repeatable: true,
      run: (command) => {
        world.server.queue(`c${count++}`, "install_updates");
        return Promise.resolve({ events: [log(command.id)], rapidPollingMs });
      },
    };
    world.server.queue("first", "install_updates");
    await world.start();
    await world.advance(60_000);
    assert(count >= 10 && world.checkIns() <= 14, `${world.checkIns()} check-ins a minute`);
    await world.stop();
  }
});

/** A command whose log reaches the server, while its answer does not; then the server is well. */
async function loseAnswer(world: World): Promise<void> {
  const { server } = world;
  world.handler = {
    repeatable: true,
    run: (command) => {
      server.mood = { kind: "hangs" };
      return Promise.resolve(world.done(command));
    },
  };
  server.queue("c1", "install_updates");
  await world.advance(INTERVAL_MS);
  assertEquals([server.count("/logs"), server.reports.length], [1, 0]);
  await world.advance(40_000); // Past the call's time limit.
  assertEquals(world.journal.unconfirmed().results, ["c1"]);
  server.answerHanging();
}

function asked(world: World): unknown[] {
  return world.server.requests.filter(({ path }) => path.endsWith("/commands"))
    .map(({ body }) => body["pending_acknowledgments"]).filter((ids) => ids !== undefined);
}

Deno.test("checkIn() asks for the result whose answer was lost, and it is not sent again", () =>
  inWorld(async (world) => {
    world.server.hasResults = (ids) => [...ids];
    await loseAnswer(world);
    await world.advance(2 * INTERVAL_MS);
    assertEquals(asked(world), [["c1"]]);
    assertEquals([world.server.count("/logs"), world.buffer.counts().pending], [1, 0]);
    assertEquals(countCommands(world.database).reported, 1);
  }));

Deno.test("checkIn() that gets no word on it sends the result again", () =>
  inWorld(async (world) => {
    await loseAnswer(world);
    await world.advance(2 * INTERVAL_MS);
    assertEquals(asked(world), [["c1"]]);
    assertEquals([world.server.count("/logs"), world.buffer.counts().pending], [2, 0]);
    assertEquals(countCommands(world.database).reported, 1);
  }));

Deno.test("a result without an answer goes again right after the check-in that asked for it", () =>
  inWorld(async (world) => {
    const { server } = world;
    world.handler = {
      repeatable: true,
      run: (command) => Promise.resolve(world.done(command, 600_000)),
    };
    server.poison = { text: "c1", status: 502 };
    server.queue("c1", "install_updates");
    while (server.count("/logs") === 0) await world.advance(100);
    server.poison = null;
    await world.advance(20_000); // Rapid polling: a check-in every 5 s.
    assertEquals([server.count("/logs"), server.reports.length], [2, 1]);
  }));

Deno.test("checkIn() believes no word on a result that was not asked for", () =>
  inWorld(async (world) => {
    world.server.hasResults = () => ["c1", "c2", "other"];
    world.journal.receive([{ id: "c2", type: "reboot", params: "{}" }]);
    world.server.mood = { kind: "gone" };
    world.journal.finish("c2", () => {
      const body = '{"command_id":"c2"}';
      world.buffer.append([{ kind: "log", commandId: "c2", snapshotOf: null, body }]);
    });
    assertEquals(world.journal.confirm({ results: ["c2"], receipts: [] }), 0);
    world.server.mood = { kind: "well" };
    await world.advance(2 * INTERVAL_MS);
    assertEquals(world.reports.map(({ body }) => body["command_id"]), ["c2"]);
    assertEquals(asked(world), []);
  }));

Deno.test("checkIn() says nothing of results while there is none to ask for", () =>
  inWorld(async (world) => {
    world.server.queue("c1", "install_updates");
    await world.advance(3 * INTERVAL_MS);
    assertEquals([asked(world), countCommands(world.database).reported], [[], 1]);
  }));

/** An answer that says nothing, but for `parts`. */
function answerOf(parts: Partial<CheckInContents> = {}): CheckInContents {
  const silent = { rejected: [], rapidPolling: null, acknowledgedIds: [], ignored: [] };
  const confirmed = { results: [], receipts: [] };
  return { commands: [], ...silent, receiptConfirmedIds: [], confirmed, ...parts };
}

const WHEN = { nextInMs: () => 300_000, afterResumeInMs: () => 7, isAborted: false };

Deno.test("dueAfter() leaves a failure to the backoff, and all else to the interval", () => {
  const rows: [answer: CheckInResult, dueInMs: number | null][] = [
    [
      { kind: "failed", why: "HTTP 502", status: 502, offline: false, retryAfterMs: null },
      null,
    ],
    [{ kind: "limited", why: "HTTP 429", retryAfterMs: null }, null],
    [{ kind: "ok", value: answerOf(), rateLimit: null }, 300_000],
    [{ kind: "refused", why: "HTTP 400", status: 400 }, 300_000],
    [{ kind: "unauthorized", why: "HTTP 401" }, 300_000],
    [{ kind: "operator_required", why: "HTTP 403" }, 300_000],
    [{ kind: "backoff", retryInMs: 5 }, 300_000],
    [{ kind: "aborted" }, 7],
  ];
  for (const [answer, dueInMs] of rows) {
    assertEquals(dueAfter(answer, WHEN), dueInMs, answer.kind);
  }
  assertEquals(dueAfter({ kind: "aborted" }, { ...WHEN, isAborted: true }), 300_000);
});

/** What closing a check-in says in the log, and which results it takes for confirmed. */
function close(answer: CheckInResult, dueInMs: number | null = 299_600, isOnly = false) {
  const log = new FakeLog();
  const confirmed: string[] = [];
  const journal = {
    confirm: ({ results }) => confirmed.push(...results),
  } as Pick<CommandJournal, "confirm"> as CommandJournal;
  closeCheckIn({ journal, log }, answer, { dueInMs, isOnly });
  return { events: log.events, confirmed };
}

Deno.test("closeCheckIn() tells a check-in that brought commands, and whispers of others", () => {
  const command = { id: "c1", type: "scan_updates", params: "{}", signed: null };
  const ok = (parts: Partial<CheckInContents>): CheckInResult => ({
    kind: "ok",
    value: answerOf(parts),
    rateLimit: null,
  });
  assertEquals(close(ok({ commands: [command] })).events, [
    { level: "info", message: "checked in", fields: { commands: 1, next_in_s: 300 } },
  ]);
  assertEquals(close(ok({ commands: [] }), null).events, [
    { level: "debug", message: "checked in", fields: { commands: 0, next_in_s: 0 } },
  ]);
  const { events, confirmed } = close(
    ok({ commands: [], confirmed: { results: ["c1", "c2"], receipts: [] } }),
  );
  assertEquals(confirmed, ["c1", "c2"]);
  assertEquals(events.at(-1), {
    level: "info",
    message: "results confirmed by the server",
    fields: { logs: 2 },
  });
});

Deno.test("closeCheckIn() logs how the only check-in of a process ended, whatever it brought", () => {
  const ok: CheckInResult = { kind: "ok", value: answerOf({ commands: [] }), rateLimit: null };
  assertEquals(close(ok, null, true).events, [
    { level: "info", message: "checked in", fields: { result: "ok", commands: 0 } },
  ]);
  const rows: [answer: CheckInResult, why: string][] = [
    [{ kind: "operator_required", why: "HTTP 403" }, "HTTP 403"],
    [{ kind: "unauthorized", why: "HTTP 401" }, "HTTP 401"],
    [{ kind: "aborted" }, "the agent was stopped"],
  ];
  for (const [answer, why] of rows) {
    const fields = { result: answer.kind, why };
    assertEquals(close(answer, null, true), {
      events: [{ level: "info", message: "check-in failed", fields }],
      confirmed: [],
    });
  }
  const [rejected, ...more] = close({ kind: "backoff", retryInMs: 1_001 }, null, true).events;
  assertEquals([rejected?.message, more], ["check-in not sent", []]);
});

Deno.test("closeCheckIn() says when one was not sent, and takes no word from one that failed", () => {
  assertEquals(close({ kind: "backoff", retryInMs: 1_001 }), {
    events: [
      {
        level: "warning",
        message: "check-in not sent",
        fields: { reason: "backoff", retry_in_s: 2 },
      },
    ],
    confirmed: [],
  });
  assertEquals(close({ kind: "operator_required", why: "HTTP 403" }), {
    events: [],
    confirmed: [],
  });
});

Deno.test("checkDisk() says what the disk would not do, and hides no mistake of ours", () => {
  const journal = (error: Error) =>
    ({
      tryWriting: () => {
        throw error;
      },
    }) as Pick<CommandJournal, "tryWriting"> as CommandJournal;
  const full = new DatabaseError("Cannot change database: full", { reason: "full" });
  assertThrows(
    () => checkDisk({ journal: journal(full) }),
    Error,
    "Cannot check in: the disk cannot store commands (full): Cannot change database: full. Next:",
  );
  const fault = "Cannot open the buffer: it is another's. Next: run that one";
  const other = new DatabaseError(fault, { reason: "failed" });
  const { message } = assertThrows(() => checkDisk({ journal: journal(other) }), Error);
  // One advice, the one that knows more.
  assertEquals(message, `Cannot check in: the disk cannot store commands (failed): ${fault}`);
  assertThrows(() => checkDisk({ journal: journal(new TypeError("oops")) }), TypeError, "oops");
});

/** A server that is healthy, and answers each check-in with one status. */
async function refusing(status: number): Promise<World> {
  const world = new World();
  const { sendHttp } = world.server;
  world.server.sendHttp = async (request) => {
    const answer = await sendHttp(request);
    if (!request.url.endsWith("/commands")) return answer;
    return response(status, '{"error":"no such agent"}');
  };
  await world.start();
  await world.advance(0);
  return world;
}

for (const status of [400, 404, 409, 413, 422]) {
  Deno.test(`a check-in that is refused with ${status} is a failure: backoff, breaker, no reports`, async () => {
    const world = await refusing(status);
    world.buffer.append([log("c1")]);
    world.loop.afterAppend();
    const { breaker, paths, outage } = world.loop.state.connection;
    assertEquals([paths.check_in.failures, breaker.state, outage?.offline], [1, "closed", false]);
    assert(breaker.state === "closed" && breaker.failures === 1);
    assertEquals(outage?.why, `HTTP ${status}: no such agent`);
    while (world.loop.state.connection.breaker.state !== "open") await world.advance(1_000);
    assertEquals([world.checkIns(), world.server.count("/logs")], [5, 0]);
    await world.stop();
  });
}

Deno.test("dueAfter() leaves a failure to the connection, and spreads those that slept", () => {
  const when = { nextInMs: () => 300, afterResumeInMs: () => 60, isAborted: false };
  const failed = { why: "", status: null, offline: false, retryAfterMs: null };
  const rows: [CheckInResult, number | null][] = [
    [{ kind: "failed", ...failed }, null],
    [{ kind: "limited", why: "", retryAfterMs: null }, null],
    [{ kind: "aborted" }, 60],
    [{ kind: "operator_required", why: "" }, 300],
    [{ kind: "unauthorized", why: "" }, 300],
    [{ kind: "backoff", retryInMs: 5 }, 300],
  ];
  for (const [answer, dueInMs] of rows) assertEquals(dueAfter(answer, when), dueInMs, answer.kind);
  assertEquals(dueAfter({ kind: "aborted" }, { ...when, isAborted: true }), 300);
});

Deno.test("closeCheckIn() warns of a check-in that was not sent, with the seconds left", () =>
  inWorld((world) => {
    const told = new FakeLog();
    closeCheckIn(
      { journal: world.journal, log: told },
      { kind: "backoff", retryInMs: 4_001 },
      { dueInMs: null, isOnly: false },
    );
    assertEquals(told.events, [
      {
        level: "warning",
        message: "check-in not sent",
        fields: { reason: "backoff", retry_in_s: 5 },
      },
    ]);
    return Promise.resolve();
  }));

Deno.test("checkIn() asks the disk for nothing but what it asked the server for", () =>
  inWorld(async (world) => {
    const looked: (readonly string[])[] = [];
    const run = world.database.run.bind(world.database);
    world.database.run = (sql, ...values) => {
      if (sql.includes("SET state = 'reported'")) looked.push(JSON.parse(String(values[0])));
      return run(sql, ...values);
    };
    const others = Array.from({ length: 100_000 }, (_, number) => `other-${number}`);
    world.server.hasResults = (ids) => ["../x", ...ids, ...others];
    await loseAnswer(world);
    await world.advance(2 * INTERVAL_MS);
    assertEquals(looked.filter((ids) => ids.length > 0), [["c1"]]);
    assertEquals(countCommands(world.database).reported, 1);
    const told = world.log.told("part of an answer ignored").map((
      { part, count },
    ) => [part, count]);
    assertEquals(told, [["acknowledged_ids", 1], ["acknowledged_ids", 99_002]]);
  }));

/** An agent that is opened and does not run, on a disk that a test can make sick. */
async function onSickDisk(): Promise<{ world: World; disk: SickDisk }> {
  const disk = new SickDisk();
  const world = new World({ system: disk.system });
  await world.open();
  return { world, disk };
}

Deno.test("runOnce() does not check in where the disk would take no command down", async () => {
  const { world, disk } = await onSickDisk();
  world.server.queue("c1", "reboot");
  disk.fault = "full";
  await assertRejects(
    () => world.once(),
    Error,
    "Cannot check in: the disk cannot store commands (full)",
  );
  assertEquals(world.server.requests, []);
  disk.heal();
  assertEquals([await world.once(), world.ran], [true, ["c1"]]);
});

Deno.test("runOnce() names the commands that the disk refused all the same", async () => {
  const { world, disk } = await onSickDisk();
  world.server.queue("c1", "reboot");
  world.server.queue("c2", "reboot");
  const { sendHttp } = world.server;
  world.server.sendHttp = (request) => {
    if (request.url.endsWith("/commands")) disk.fault = "full"; // It was well when it was asked.
    return sendHttp(request);
  };
  await assertRejects(
    () => world.once(),
    Error,
    "Cannot run commands: the disk accepts no writes",
  );
  assertEquals(world.log.told("commands lost: the disk accepted no writes"), [{
    commands: "c1 c2",
  }]);
});

Deno.test("runOnce() waits for no disk that refuses to have a command begun", async () => {
  const { world, disk } = await onSickDisk();
  world.server.queue("c1", "install_updates");
  disk.refuses = /SET state = 'started'/;
  await assertRejects(
    () => world.once(),
    Error,
    "Cannot run commands: the disk accepts no writes",
  );
  assertEquals(world.ran, []);
});

Deno.test("a check-in is made once the next one is on disk, and not before", () =>
  inWorld(async (world) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    world.saving = promise;
    await world.advance(INTERVAL_MS);
    assertEquals(world.checkIns(), 1);
    world.saving = Promise.resolve();
    resolve();
    await world.advance(0);
    assertEquals(world.checkIns(), 2);
  }));

Deno.test("a server that wants rapid polling for a time is asked rapidly for that time", () =>
  inWorld(async (world) => {
    const untilMs = world.system.clock.nowMs() + INTERVAL_MS + 600_000;
    world.server.rapidPolling = { enabled: true, until: new Date(untilMs).toISOString() };
    await world.advance(INTERVAL_MS);
    const before = world.checkIns();
    await world.advance(60_000);
    const rapid = world.checkIns() - before;
    assert(rapid >= 10 && rapid <= 14, `${rapid} in a minute`);
    assertEquals(world.log.told("rapid polling on").length, 1);
    world.server.rapidPolling = null;
    await world.advance(600_000 + INTERVAL_MS);
    const after = world.checkIns();
    await world.advance(60_000);
    assert(world.checkIns() - after <= 1, "it is over");
  }));

const YEAR_MS = 365 * 86_400_000;

for (const dateAheadMs of [-10 * YEAR_MS, -3_600_000, -600_000, 0, 600_000, 3_600_000, YEAR_MS]) {
  Deno.test(`rapid polling lasts as long as the server wants it, whose clock is ${dateAheadMs} ms ahead`, () =>
    inWorld(async (world) => {
      const { server, system: { clock } } = world;
      const serverNowMs = () => clock.nowMs() + dateAheadMs;
      const told = () => server.requests.findLast(({ path }) => path.endsWith("/commands"))?.body;
      server.dateAheadMs = dateAheadMs;
      const until = new Date(serverNowMs() + INTERVAL_MS + 600_000).toISOString();
      server.rapidPolling = { enabled: true, until };
      await world.advance(INTERVAL_MS);
      await world.advance(60_000);
      const metadata = told()?.["metadata"] as Record<string, unknown>;
      assertEquals(metadata["rapid_polling_enabled"], true);
      const leftMs = Date.parse(String(metadata["rapid_polling_until"])) - serverNowMs();
      assert(leftMs > 530_000 && leftMs < 550_000, `${leftMs} ms are left, by the server's clock`);
      // As RedFlag 0.2 does, it repeats what it is told, which lengthens nothing.
      const { sendHttp } = server;
      server.sendHttp = (request) => {
        const { metadata = {} } = JSON.parse(request.body ?? "{}");
        server.rapidPolling = metadata.rapid_polling_enabled
          ? { enabled: true, until: metadata.rapid_polling_until }
          : null;
        return sendHttp(request);
      };
      const before = world.checkIns();
      await world.advance(560_000);
      const rapid = world.checkIns() - before;
      assert(rapid > 95 && rapid < 120, `${rapid} check-ins in the rest of it`);
      const after = world.checkIns();
      await world.advance(INTERVAL_MS);
      assert(world.checkIns() - after <= 1, "it is over");
    }));
}

Deno.test("an instant by a clock that is an hour ahead, which the server merely repeats, lengthens nothing", async () => {
  const world = new World();
  const { server } = world;
  server.dateAheadMs = -3_600_000;
  const { sendHttp } = server;
  server.sendHttp = (request) => {
    const { metadata = {} } = JSON.parse(request.body ?? "{}");
    server.rapidPolling = metadata.rapid_polling_enabled
      ? { enabled: true, until: metadata.rapid_polling_until }
      : null;
    return sendHttp(request);
  };
  // As after a restart: the agent does not know the server's clock yet.
  const rapidUntilMs = world.system.clock.monotonicMs() + 120_000;
  await world.start({ ...NEW_STATE, rapidUntilMs });
  await world.advance(120_000 + INTERVAL_MS);
  const before = world.checkIns();
  await world.advance(INTERVAL_MS);
  assert(world.checkIns() - before <= 2, `${world.checkIns() - before} check-ins after its end`);
  await world.stop();
});

Deno.test("a check-in that the host slept through is made again within a minute, spread", async () => {
  const waits: number[] = [];
  for (const chance of [0.25, 0.75]) {
    const world = new World();
    const { sendHttp } = world.server;
    world.system.random = () => chance;
    let calls = 0;
    world.server.sendHttp = (request) => {
      if (++calls > 1) return sendHttp(request);
      world.system.clock.sleptMs += 3_600_000;
      return Promise.reject(new HttpError("Cannot connect: gone", { reason: "refused" }));
    };
    await world.start();
    const { server } = world;
    let waitedMs = 0;
    for (; server.requests.length === 0 && waitedMs < 600_000; waitedMs += 1_000) {
      await world.advance(1_000);
    }
    waits.push(waitedMs);
    await world.stop();
  }
  assertEquals(waits, [15_000, 45_000]);
});
