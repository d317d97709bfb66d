/** Conditions of the connection that `status` and its relatives have to tell apart. */

import type { StoredState } from "../../src/loop/state.ts";
import {
  CLOSED,
  type Condition,
  HOUR,
  MIN,
  NOW,
  OPERATOR,
  RUNNING,
  running,
  S,
} from "./condition_host.ts";

const TRIPPED = {
  generation: 1,
  failures: 5,
  trips: 1,
  reason: "HTTP 502",
  sinceMs: NOW - 9 * MIN,
};

function open(forMs: number, reason = 'Cannot reach "redflag.example": connection refused') {
  return { ...TRIPPED, reason, state: "open", untilMs: NOW + forMs } as const;
}

/** An outage since some time ago. */
export function outage(sinceMs: number, change: Partial<StoredState["connection"]["outage"]> = {}) {
  return {
    sinceMs: NOW - sinceMs,
    failedCalls: 3,
    why: 'Cannot reach "redflag.example": connection refused',
    offline: false,
    status: null,
    ...change,
  };
}

function waiting(forMs: number, failures = 3) {
  return {
    check_in: { failures, notBeforeMs: NOW + forMs },
    delivery: { failures: 0, notBeforeMs: null },
  };
}

type Cause = NonNullable<StoredState["connection"]["operatorAction"]>["cause"];

function operator(cause: Cause, why: string) {
  return {
    breaker: CLOSED,
    operatorAction: { cause, why, sinceMs: NOW - 2 * HOUR, notBeforeMs: NOW + 52 * MIN },
  };
}

/** A condition of the connection of a running agent. */
function connected(
  name: string,
  expected: Omit<Condition, "name" | "host">,
  connection: Partial<StoredState["connection"]>,
  state: Partial<StoredState> = {},
): Condition {
  return running(name, expected, () => {}, state, connection);
}

const NO_SCHEDULE = { nextCheckInAtMs: null };

/** All of them. */
export const CONNECTION_CONDITIONS: readonly Condition[] = [
  running("healthy", { health: "OK", check: 0, code: null, ...RUNNING }, async (host) => {
    host.scanner(null, {});
    await host.buffer(0);
  }),
  running(
    "healthy, rapid polling",
    { health: "OK", check: 0, code: null, nextInMs: 4 * S, listed: "in 4 s" },
    () => {},
    { rapidUntilMs: NOW + 9 * MIN, nextCheckInAtMs: NOW + 4 * S },
  ),
  connected(
    "a check-in is due",
    {
      health: "OK",
      check: 0,
      code: null,
      nextInMs: -S,
      listed: "now",
    },
    {},
    { nextCheckInAtMs: NOW - S },
  ),
  connected(
    "outage of 10 s",
    { health: "OK", check: 0, code: null, nextInMs: 6 * S, listed: "in 6 s" },
    { outage: outage(10 * S, { failedCalls: 1 }), paths: waiting(6 * S, 1) },
    NO_SCHEDULE,
  ),
  connected(
    "outage of 87 s",
    {
      health: "DEGRADED: the server is not reachable: connection refused, since 03:12Z (87 s)",
      check: 1,
      code: "outage",
      nextInMs: 40 * S,
      listed: "in 40 s",
    },
    { outage: outage(87 * S), paths: waiting(40 * S) },
    NO_SCHEDULE,
  ),
  connected(
    "outage of 10 min, breaker open",
    {
      health: "DEGRADED: the server is not reachable: connection refused, since 03:03Z (10 min)",
      check: 1,
      code: "outage",
      nextInMs: 3 * MIN,
      listed: "in 3 min",
    },
    { breaker: open(3 * MIN), outage: outage(10 * MIN), paths: waiting(S) },
    NO_SCHEDULE,
  ),
  connected(
    "outage of two days",
    {
      health: "FAILED: the server is not reachable: connection refused, since 2026-11-28 03:13Z",
      check: 2,
      code: "outage",
      nextInMs: 3 * MIN,
      listed: "in 3 min",
    },
    { breaker: open(3 * MIN), outage: outage(48 * HOUR) },
    NO_SCHEDULE,
  ),
  connected(
    "HTTP 502 for 10 min, half-open",
    {
      health: "DEGRADED: the server answers with errors: HTTP 502, since 03:03Z (10 min)",
      check: 1,
      code: "outage",
      nextInMs: -S,
      listed: "now",
    },
    {
      breaker: { ...TRIPPED, state: "half_open", probeUntilMs: null },
      outage: outage(10 * MIN, { why: "HTTP 502", status: 502 }),
      paths: waiting(-S),
    },
    NO_SCHEDULE,
  ),
  connected(
    "offline",
    {
      health:
        "DEGRADED: this host seems to be offline: network is unreachable, since 03:08Z (5 min)",
      check: 1,
      code: "outage",
      nextInMs: 20 * S,
      listed: "in 20 s",
    },
    {
      outage: outage(5 * MIN, {
        offline: true,
        why: 'Cannot reach "redflag.example": network is unreachable',
      }),
      paths: waiting(20 * S),
    },
    NO_SCHEDULE,
  ),
  connected(
    "the server asks to wait (429)",
    { health: "OK", check: 0, code: null, nextInMs: 90 * S, listed: "in 2 min" },
    { paths: waiting(90 * S, 1) },
    NO_SCHEDULE,
  ),
  connected(
    "the server has asked to wait for hours (429)",
    {
      health: "DEGRADED: no check-in for hours: each time the server asks to come later, since " +
        "00:13Z (3 h)",
      check: 1,
      code: "put_off",
      nextInMs: 90 * S,
      listed: "in 2 min",
    },
    { paths: waiting(90 * S, 9) },
    { ...NO_SCHEDULE, lastCheckInAtMs: NOW - 3 * HOUR },
  ),
  connected(
    "a portal answers in the server's place",
    {
      health: "DEGRADED: the server gives no good answer: HTTP 302: a redirect, which is " +
        "not followed, since 03:08Z (5 min)",
      check: 1,
      code: "outage",
      nextInMs: 20 * S,
      listed: "in 20 s",
    },
    {
      outage: outage(5 * MIN, {
        why: "HTTP 302: a redirect, which is not followed",
        status: 302,
      }),
      paths: waiting(20 * S),
    },
    NO_SCHEDULE,
  ),
  connected(
    "401 loop, not yet believed",
    {
      health: "DEGRADED: the server refuses this agent's tokens, since 03:09Z (5 min)",
      check: 1,
      code: "tokens_refused",
      nextInMs: 4 * MIN,
      listed: "in 4 min",
    },
    {
      doubt: {
        kind: "token",
        why: "HTTP 401",
        sinceMs: NOW - 4.6 * MIN,
        refusals: 1,
        notBeforeMs: NOW + 4 * MIN,
      },
    },
  ),
  connected("401 loop, believed", {
    health: "FAILED: operator action required: the server no longer accepts this agent",
    code: "operator_action_token",
    ...OPERATOR,
  }, operator("token", "HTTP 401: token refused")),
  connected("the agent may be deleted", {
    health: "DEGRADED: the server says that it does not know this agent",
    check: 1,
    code: "maybe_deleted",
    ...RUNNING,
  }, { doubt: { kind: "deleted", sinceMs: NOW - MIN, hasCheckedIn: false } }),
  connected("the agent was deleted", {
    health: "FAILED: operator action required: this agent was deleted on the server",
    code: "operator_action_deleted",
    ...OPERATOR,
  }, operator("deleted", "HTTP 404: agent not found")),
  connected("403 without a reason", {
    health: "FAILED: operator action required: the server no longer accepts this agent",
    code: "operator_action_forbidden",
    ...OPERATOR,
  }, operator("forbidden", "HTTP 403")),
  connected("403 of machine binding", {
    health: "FAILED: operator action required: the server has another machine id on record",
    code: "operator_action_machine_mismatch",
    ...OPERATOR,
  }, operator("machine_mismatch", "HTTP 403: machine ID mismatch")),
  connected("403, not bound", {
    health: "FAILED: operator action required: the server has no machine id on record",
    code: "operator_action_machine_not_bound",
    ...OPERATOR,
  }, operator("machine_not_bound", "HTTP 403: agent not bound to machine")),
  connected("426, version too old", {
    health: "FAILED: operator action required: the server wants a newer version of this agent",
    code: "operator_action_version_too_old",
    ...OPERATOR,
  }, operator("version_too_old", "HTTP 426: agent version too old")),
  connected("operator action with the breaker open for longer", {
    health: "FAILED: operator action required",
    check: 2,
    code: "operator_action_forbidden",
    nextInMs: 60 * MIN,
    listed: "in 60 min",
  }, { ...operator("forbidden", "HTTP 403"), breaker: open(60 * MIN) }),
];
