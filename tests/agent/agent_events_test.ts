import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { AgentEvents, EVENT_OF_MESSAGE } from "../../src/agent/agent_events.ts";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import type { LogFields } from "../../src/log.ts";
import { Secrets } from "../../src/redact.ts";
import { DatabaseError } from "../../src/system/database.ts";
import { FakeClock } from "../fakes/clock.ts";
import { FakeLog } from "../fakes/log.ts";
import { assertStorable } from "../fakes/storable.ts";
import { NONE_EVICTED } from "../fakes/test_store.ts";
import { anyString } from "../fakes/texts.ts";
import { readSources } from "../sources.ts";

function setUp({ isWanted = true } = {}) {
  const clock = new FakeClock();
  const log = new FakeLog();
  const secrets = new Secrets(["very-secret-token"]);
  const events = new AgentEvents(log, { clock, secrets });
  const appended: NewEvent[] = [];
  const state = { isWanted, append: (_: readonly NewEvent[]) => {} };
  const queue = {
    append: (added: readonly NewEvent[]) => {
      state.append(added);
      appended.push(...added);
      return { ids: [], evicted: NONE_EVICTED };
    },
  };
  const attach = () => events.attach({ queue, isWanted: () => state.isWanted });
  const bodies = async () => {
    await Promise.resolve();
    return appended.map(({ body }) => JSON.parse(body));
  };
  return { clock, log, events, appended, attach, bodies, state };
}

Deno.test("AgentEvents makes events of some lines of the log, and logs all of them", async () => {
  const { log, events, appended, attach, bodies } = setUp();
  attach();
  const fields: LogFields = { from: "closed", why: "HTTP 500", failures: 5 };
  events.log.warning("connection breaker opened", fields);
  events.log.info("checked in", { commands: 0 });
  events.log.debug("scan failed");
  assertEquals(log.events.map(({ level }) => level), ["warning", "info", "debug"]);
  assertEquals(log.told("connection breaker opened"), [fields]);
  assertEquals(await bodies(), [{
    event_type: "circuit_breaker",
    event_subtype: "opened",
    severity: "warning",
    component: "connection",
    message: "connection breaker opened: HTTP 500",
    metadata: fields,
  }]);
  const { kind, commandId, snapshotOf } = appended[0]!;
  assertEquals([kind, commandId, snapshotOf], ["agent_event", null, null]);
});

Deno.test("AgentEvents appends nothing within the call that logs: that may be a transaction", async () => {
  const { events, appended, attach, bodies } = setUp();
  attach();
  events.log.warning("event dead-lettered");
  assertEquals(appended.length, 0);
  assertEquals((await bodies()).length, 1);
});

Deno.test("AgentEvents keeps the latest 100 lines until there is a buffer", async () => {
  const { clock, events, attach, bodies } = setUp();
  for (let hour = 0; hour < 3; hour++) {
    for (let at = 0; at < 50; at++) events.log.error("scan failed", { number: 50 * hour + at });
    await clock.advance(3_600_000);
  }
  attach();
  const numbers = (await bodies()).map(({ metadata }) => metadata.number);
  assertEquals([numbers.length, numbers[0], numbers.at(-1)], [100, 50, 149]);
});

Deno.test("AgentEvents makes no event of an event that the server does not take: that would never end", async () => {
  const { events, attach, bodies } = setUp();
  attach();
  for (const kind of ["agent_event", "updates"]) {
    events.log.warning("event dead-lettered", { event: "e1", kind, attempts: 10, why: "HTTP 400" });
  }
  assertEquals((await bodies()).map(({ metadata }) => metadata.kind), ["updates"]);
});

Deno.test("AgentEvents appends nothing for a server without a place for it", async () => {
  const { events, attach, bodies, state } = setUp({ isWanted: false });
  attach();
  events.log.error("scan failed");
  assertEquals(await bodies(), []);
  state.isWanted = true;
  events.log.error("scan failed");
  assertEquals((await bodies()).length, 1); // What nobody wanted is not kept.
});

Deno.test("AgentEvents appends 60 per hour, and says how many it left out", async () => {
  const { clock, events, attach, bodies } = setUp();
  attach();
  for (let at = 0; at < 100; at++) events.log.error("scan failed");
  assertEquals((await bodies()).length, 60);
  await clock.advance(60_000);
  events.log.error("scan failed");
  events.log.error("scan failed");
  const all = await bodies();
  assertEquals([all.length, all.at(-1).metadata], [61, { earlier_events_dropped: 40 }]);
});

Deno.test("AgentEvents makes no event of what its own append logs, and none is lost to a disk for good", async () => {
  const { events, attach, bodies, state } = setUp();
  state.append = () => events.log.warning("events evicted, the buffer is full", { log: 1 });
  attach();
  events.log.error("scan failed");
  assertEquals((await bodies()).length, 1);
  state.append = () => {
    throw new DatabaseError("Cannot write: full", { reason: "full" });
  };
  events.log.error("scan failed");
  await bodies();
  state.append = () => {};
  events.log.error("scan failed");
  assertEquals((await bodies()).length, 2);
});

Deno.test("a line with the field security_event is a security event, whatever it says", async () => {
  const { events, attach, bodies } = setUp();
  attach();
  events.log.warning("command refused", { security_event: "command_refused", why: "no signature" });
  events.log.warning("command refused", { security_event: 5 });
  const [event, ...others] = await bodies();
  assertEquals(
    [event.event_type, event.event_subtype, event.component, event.message, others.length],
    ["security", "command_refused", "security", "command refused: no signature", 0],
  );
});

Deno.test("AgentEvents sends nothing secret, and nothing that the server cannot store", async () => {
  const { events, appended, attach, bodies } = setUp();
  attach();
  events.log.error("scan failed", { why: "very-secret-token", token: "abc" });
  const [{ message, metadata }] = await bodies();
  assert(!message.includes("very-secret") && !metadata.why.includes("very-secret"));
  assertEquals(metadata.token, "(hidden)");
  const text = anyString({ maxLength: 2_000 });
  await fc.assert(fc.asyncProperty(text, text, async (why, security_event) => {
    const { events, appended, attach, bodies } = setUp();
    attach();
    events.log.error("not saved", { why, security_event });
    const [body] = await bodies();
    assertStorable(appended[0]!.body);
    assert([...body.event_subtype].length <= 50);
    assert(appended[0]!.body.length < 10_000);
  }));
  assertEquals(appended.length, 1);
});

Deno.test("each line that becomes an event is one that the agent logs", async () => {
  const source = (await readSources("src/"))
    .filter(({ path }) => path !== "src/agent/agent_events.ts")
    .map(({ text }) => text).join("\n");
  for (const message of EVENT_OF_MESSAGE.keys()) {
    const [what = "", ...rest] = message.split(" ");
    const isLogged = source.includes(`"${message}"`) ||
      source.includes(`what: "${what}"`) && source.includes(`\`\${what} ${rest.join(" ")}\``);
    assert(isLogged, message);
  }
});
