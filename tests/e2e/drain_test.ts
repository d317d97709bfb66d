/**
 * A backlog against the reference server's own limits, in virtual time: the sockets are real, the
 * waits are not. What the whole executable does with it takes real minutes and is not shown here.
 */

import { assert, assertEquals } from "@std/assert";
import { openAgent } from "../../src/agent/agent.ts";
import { register } from "../../src/agent/enrol.ts";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { evictionNotice } from "../../src/buffer/eviction.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { loadConfig } from "../../src/config.ts";
import { logEvent } from "../../src/commands/command_log.ts";
import { realSystem } from "../../src/system/real.ts";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import type { RefserverState } from "../../tools/refserver/server.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";
import { TOKEN } from "./harness.ts";
import { NONE_EVICTED } from "../fakes/test_store.ts";

const EVENTS = 150;
const PER_MINUTE = 30;
const STATE = "/state";

/** A machine in memory with a real way to the server; virtual time goes on while nothing is on it. */
class Wired extends FakeSystem {
  #underWay = 0;

  constructor() {
    super();
    const { sendHttp } = realSystem();
    this.sendHttp = async (request) => {
      this.#underWay += 1;
      try {
        return await sendHttp(request);
      } finally {
        this.#underWay -= 1;
      }
    };
  }

  async live(ms: number): Promise<void> {
    const stepMs = 500;
    for (let livedMs = 0; livedMs < ms; livedMs += stepMs) {
      await this.clock.advance(stepMs);
      while (this.#underWay > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

function backlog(): NewEvent[] {
  const result = (n: number) => logEvent({ id: id(n), type: "scan_updates" }, OK);
  const list = (n: number): NewEvent => ({
    kind: "updates",
    commandId: null,
    snapshotOf: null,
    body: JSON.stringify({ command_id: id(n), updates: [] }),
  });
  const events = Array.from({ length: EVENTS - 1 }, (_, n) => n % 5 === 0 ? result(n) : list(n));
  return [...events, evictionNotice({ ...NONE_EVICTED, updates: 4 }, 0)];
}

const OK = { result: "success", durationMs: 0 } as const;

function id(n: number): string {
  return `3f0c2e8e-8f5d-4c58-9d0e-${String(n).padStart(12, "0")}`;
}

function reportsOf({ requests }: RefserverState) {
  return requests.filter(({ path }) => path.endsWith("/updates") || path.endsWith("/logs"));
}

Deno.test("a backlog goes out at the reference server's own limit, and meets no 429", async () => {
  const system = new Wired();
  const server = await startRefserver({ registrationTokens: [TOKEN], clock: system.clock });
  try {
    const { config } = await loadConfig(system);
    const enrolment = { system, config, stateDirectory: STATE };
    const identity = await register(enrolment, server.url, TOKEN);
    const { buffer } = await openBuffer(system, STATE, config.buffer);
    buffer.append(backlog());
    const log = new FakeLog();
    const agent = await openAgent({ ...enrolment, identity, log });
    const stop = new AbortController();
    const ended = agent.loop.run({ shutdownSignal: stop.signal, deadlineSignal: stop.signal });
    // The host's facts are one more; a first check-in within its spread of 30 s, and a slow start.
    await system.live((EVENTS + 1) / PER_MINUTE * 60_000 + 90_000);
    const state = server.state();
    stop.abort(new Error("the story is over"));
    await ended;
    const reports = reportsOf(state);
    assertEquals(reports.map(({ status }) => status).filter((status) => status !== 200), []);
    assertEquals(reports.length, EVENTS);
    assertEquals(buffer.counts().pending, 0);
    // Results first, and among them the word on what was dropped, which belongs to no command.
    const results = Math.ceil((EVENTS - 1) / 5) + 1;
    assert(reports.slice(0, results).every(({ path }) => path.endsWith("/logs")));
    const notice = state.logs.find(({ action }) => action === "events_dropped");
    assertEquals([notice?.command_id, notice?.result], ["", "failed"]);
    assertEquals(state.violations, []);
  } finally {
    await server.close();
  }
});
