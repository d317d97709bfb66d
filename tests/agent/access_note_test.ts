import { assertEquals } from "@std/assert";
import { ACCESS_NOTE_FILE, noteAccess, withAccessNote } from "../../src/agent/access_note.ts";
import { assessHealth } from "../../src/agent/health.ts";
import type { Answer } from "../../src/server/answer.ts";
import { HOLDER, IDENTITY, NOW_MS, saved, status, TROUBLED } from "../fakes/statuses.ts";
import { FakeSystem } from "../fakes/system.ts";

const AGENT = { stateDirectory: "/state", agentId: "a1" };
const WELL = saved({ lastCheckInAtMs: NOW_MS - 60_000 }, {
  breaker: { state: "closed", generation: 0, failures: 0, recent: [] },
  outage: null,
});
const UNKNOWN: Answer<unknown> = { kind: "unauthorized", why: "HTTP 401: agent not found" };

function start(): FakeSystem {
  const system = new FakeSystem();
  system.clock.setNow(NOW_MS);
  return system;
}

Deno.test("noteAccess() notes what the agent would believe, and withAccessNote() shows it to status", async () => {
  const rows: [answer: Answer<unknown>, code: string | null][] = [
    [UNKNOWN, "degraded maybe_deleted"],
    [
      { kind: "refused", status: 404, why: "HTTP 404: agent not found", error: "agent_unknown" },
      "degraded maybe_deleted",
    ],
    [{ kind: "operator_required", why: "HTTP 403" }, "failed operator_action_forbidden"],
    [
      {
        kind: "operator_required",
        why: "HTTP 426",
        refusal: { cause: "version_too_old", facts: { minimumVersion: "9.0.0" } },
      },
      "failed operator_action_version_too_old",
    ],
    // The agent renews a token that has expired, and nothing else is said of the agent.
    [{ kind: "unauthorized", why: "HTTP 401: token expired" }, null],
    [{ kind: "limited", why: "HTTP 429", retryAfterMs: null }, null],
    [{ kind: "refused", status: 404, why: "HTTP 404" }, null],
  ];
  for (const [answer, code] of rows) {
    const system = start();
    await noteAccess(system, AGENT, answer);
    const state = await withAccessNote(system, AGENT, WELL);
    const [reason] =
      assessHealth(status({ identity: IDENTITY, holder: HOLDER, state, disk: TROUBLED.disk }))
        .reasons;
    assertEquals(reason ? `${reason.level} ${reason.code}` : null, code, answer.kind);
    assertEquals(reason?.sinceMs ?? NOW_MS, NOW_MS);
  }
});

Deno.test("withAccessNote() believes the agent's own signs, a later check-in and another agent's id more", async () => {
  const system = start();
  await noteAccess(system, AGENT, UNKNOWN);
  const shown = async (state = WELL, agent = AGENT) =>
    (await withAccessNote(system, agent, state)).connection.doubt?.kind ?? null;
  assertEquals(await shown(), "token");
  assertEquals(await shown({ ...WELL, lastCheckInAtMs: NOW_MS + 1 }), null);
  assertEquals(await shown(WELL, { ...AGENT, agentId: "a2" }), null);
  const doubt = { kind: "deleted", sinceMs: 5, hasCheckedIn: true } as const;
  const own = { ...WELL, connection: { ...WELL.connection, doubt } };
  assertEquals((await withAccessNote(system, AGENT, own)).connection.doubt, doubt);
});

Deno.test("noteAccess() removes the note where the server accepts the agent, and bears a disk that refuses", async () => {
  const system = start();
  const good: Answer<unknown> = { kind: "ok", value: null, rateLimit: null };
  await noteAccess(system, AGENT, UNKNOWN);
  await noteAccess(system, AGENT, good);
  assertEquals(await ACCESS_NOTE_FILE.read(system.files, "/state"), undefined);
  system.files.fail("save what the server said of this agent", "full");
  await noteAccess(system, AGENT, UNKNOWN);
  assertEquals(await ACCESS_NOTE_FILE.read(system.files, "/state"), undefined);
});
