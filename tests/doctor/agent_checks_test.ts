import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Status } from "../../src/agent/status.ts";
import {
  judgeAccess,
  judgeAgent,
  judgeSignatures,
  judgeTokens,
} from "../../src/doctor/agent_checks.ts";
import { LOST_KEYS, NO_SERVER_KEYS } from "../../src/server/key_trust.ts";
import type { OperatorCause } from "../../src/connection/state.ts";
import { NOW_MS } from "../fakes/statuses.ts";
import { STATE, statusOf } from "./status_of.ts";

const BECAUSE = "the server is not reached";

function withAction(cause: OperatorCause): Partial<Status> {
  const operatorAction = { cause, why: "HTTP 403", sinceMs: NOW_MS, notBeforeMs: NOW_MS };
  return { state: { ...STATE, connection: { ...STATE.connection, operatorAction } } };
}

Deno.test("judgeAgent() names the running agent, and tells of none and of one that is not well", () => {
  const { level, seen } = judgeAgent(statusOf());
  assertEquals([level, seen], ["ok", "runs as process 42, last check-in 60 s ago"]);
  const lastCheckInAtMs = NOW_MS - 2 * 3_600_000;
  const late = judgeAgent(statusOf({ state: { ...STATE, lastCheckInAtMs } }));
  assertStringIncludes(late.seen, "last check-in 2 h ago");
  // One that has worked and runs no more has failed; one that was never started is not yet missed.
  assertEquals(judgeAgent(statusOf({ holder: null })).level, "fail");
  assertEquals(judgeAgent(statusOf({ holder: null, state: null })).level, "warn");
  assertEquals(judgeAgent(statusOf({ identity: null })).level, "skip");
  const sick = judgeAgent(statusOf(withAction("deleted")));
  assertEquals(sick.level, "warn");
  assert(sick.next);
});

Deno.test("judgeAccess() believes the server's answer, whatever is saved", () => {
  const answer = { kind: "ok", value: {}, rateLimit: null } as const;
  const status = statusOf(withAction("machine_mismatch"));
  assertEquals(judgeAccess(answer, { status, because: BECAUSE }).level, "ok");
});

Deno.test("judgeAccess() explains a refusal in the words of its cause", () => {
  const refusal = {
    cause: "machine_mismatch",
    facts: { machineId: "f00", agentId: "a1" },
  } as const;
  const answer = { kind: "operator_required", why: "HTTP 403", refusal } as const;
  const { level, seen, next } = judgeAccess(answer, { status: statusOf(), because: BECAUSE });
  assertEquals(level, "fail");
  assertStringIncludes(seen, "another machine id on record");
  assertStringIncludes(next ?? "", '{"new_machine_id":"f00"}');
  const bare = judgeAccess({ kind: "operator_required", why: "HTTP 403" }, {
    status: statusOf(),
    because: BECAUSE,
  });
  assertStringIncludes(bare.next ?? "", "proxy");
});

Deno.test("judgeAccess() falls back on what is saved where the server cannot be asked", () => {
  const judge = (answer: Parameters<typeof judgeAccess>[0], change: Partial<Status> = {}) =>
    judgeAccess(answer, { status: statusOf(change), because: BECAUSE });
  assertEquals(judge(null), {
    ...{ check: "access", level: "skip", seen: `because ${BECAUSE}`, next: null },
  });
  assertEquals(judge(null, withAction("deleted")).level, "fail");
  // RedFlag 0.1 has no such route.
  const page = { kind: "refused", status: 404, why: "HTTP 404" } as const;
  const noRoute = { ...page, error: "route_unknown" } as const;
  assertStringIncludes(judge(noRoute).seen, "the last one was 60 s ago");
  assertEquals(judge(noRoute).level, "ok");
  assertEquals(judge(noRoute, withAction("token")).level, "fail");
  assertEquals(judge({ ...noRoute, error: "agent_unknown" }).level, "fail");
  assertEquals(judge({ ...noRoute, status: 400, error: "other" }).level, "fail");
  // A page of a proxy's says nothing of the agent.
  assertEquals(judge({ ...page, isForeign: true }).level, "warn");
});

Deno.test("judgeAccess() tells a deleted agent from a token that the agent will renew", () => {
  const judge = (why: string) =>
    judgeAccess({ kind: "unauthorized", why }, { status: statusOf(), because: BECAUSE });
  assertEquals(judge("HTTP 401: agent not found").level, "fail");
  assertEquals(judge("HTTP 401: invalid token").level, "warn");
});

Deno.test("judgeTokens() looks at the end of the access token, and at what was refused", () => {
  const judge = (change: Partial<Status>) => judgeTokens(statusOf(change));
  const ending = (leftMs: number) => ({
    identity: { ...statusOf().identity!, tokenEndsAtMs: NOW_MS + leftMs },
  });
  assertEquals(judge(ending(1)).level, "ok");
  assertEquals(judge(ending(0)).level, "ok"); // The running agent renews it.
  assertEquals(judge({ ...ending(1), holder: null }).level, "ok");
  assertEquals(judge({ ...ending(0), holder: null }).level, "warn");
  assertEquals(judge(withAction("token")).level, "fail");
  assertEquals(judge(withAction("version_too_old")).level, "ok");
  assertEquals(judge({ identity: null }).level, "skip");
});

const KEY = { keyId: "a".repeat(32), publicKey: "b".repeat(64) };
const OTHER = { keyId: "c".repeat(32), publicKey: "d".repeat(64), isPrimary: true };

Deno.test("judgeSignatures() fails for keys that are not trusted, shown before or just now", () => {
  const trust = {
    ...NO_SERVER_KEYS.trust,
    ...{ pinned: KEY, source: "first_use", isRatcheted: true } as const,
  };
  const judge = (change: Partial<typeof NO_SERVER_KEYS>, announced: (typeof OTHER)[] = []) =>
    judgeSignatures(
      statusOf({
        signing: { keys: { ...NO_SERVER_KEYS, ...change }, unsigned: "read_only" },
      }),
      announced,
    );
  assertStringIncludes(judge({}).seen, "no key; unsigned commands: read_only");
  assertEquals(judge({ trust }).level, "ok");
  assertEquals(judge({ trust }, [{ ...KEY, isPrimary: true }, OTHER]).level, "ok");
  const swapped = judge({ trust }, [OTHER]);
  assertEquals([swapped.level, swapped.seen.includes(OTHER.keyId)], ["fail", true]);
  assertEquals(judge({ trust: { ...trust, refusedKeyIds: [OTHER.keyId] } }).level, "fail");
  assertStringIncludes(judge({ trust: LOST_KEYS }).seen, "is lost");
  const lastRefusal = { commandId: "c", type: "reboot", reason: "unsigned", why: "no", atMs: 0 };
  assertEquals(judge({ trust, refusedCommands: 1, lastRefusal }).level, "warn");
});
