/**
 * What each state that only an operator can end means, in words for the log, for `status` and for the
 * command line: the one place that has them.
 */

import { pennonCommand, replaceCommand } from "../advice.ts";
import type { RefusalFacts } from "../server/refusal.ts";
import { saysAgentUnknown } from "../server/answer.ts";
import type { Doubt, OperatorCause } from "./state.ts";

/** The words on one cause: sentences without a full stop. */
export interface OperatorWords {
  /** What happened; completes "operator action required: ...". */
  readonly what: string;
  /** Why it is so. */
  readonly because: string;
  /** What an operator has to do. */
  readonly remedy: string;
}

const NOT_ACCEPTED = "the server no longer accepts this agent";
const RESUMES = "Then: the agent goes on by itself within about an hour, or at once with " +
  `\`${pennonCommand("breaker", "reset", "connection")}\``;
const REGISTER_AGAIN =
  `stop the agent, then run \`${replaceCommand()}\` with a new registration token`;
const REPLACE = `delete the agent in the server's dashboard, ${REGISTER_AGAIN}`;

/** The words of each cause, from what is known about it. */
const WORDS: Readonly<Record<OperatorCause, (facts: RefusalFacts) => OperatorWords>> = {
  token: () => ({
    what: NOT_ACCEPTED,
    because: "it refuses this agent's tokens: they have expired or were revoked, the agent was " +
      "deleted, or the server's database does not answer",
    remedy:
      "look at the server's log and database first: it answers so to any database error too. " +
      `Or: if both are well, ${REGISTER_AGAIN}`,
  }),
  deleted: () => ({
    what: "this agent was deleted on the server",
    because:
      "the server has no row of this agent any more: it said so twice, and took a check-in in between",
    remedy: `restore the agent's row. ${RESUMES}. Or: ${REGISTER_AGAIN}`,
  }),
  forbidden: () => ({
    what: NOT_ACCEPTED,
    because:
      "it answers 403 without a reason that this agent knows; a proxy in between may do so too",
    remedy:
      `look at the proxy in between, if there is one. ${RESUMES}. Or: without one, ${REGISTER_AGAIN}`,
  }),
  version_too_old: ({ version, minimumVersion, recordedVersion }) => ({
    what: "the server wants a newer version of this agent",
    because: `its minimum is ${minimumVersion ?? "not named"}; this Pennon reports ` +
      `${version ?? "its version"}` +
      (recordedVersion === undefined || recordedVersion === version
        ? ""
        : `, and the server has ${recordedVersion} on record`),
    remedy:
      `install a Pennon of version ${minimumVersion ?? "that the server accepts"} or later. ` +
      `Or: set MIN_AGENT_VERSION of the server to a lower one, as its administrator. ${RESUMES}`,
  }),
  machine_id_missing: () => ({
    what: "the server received no machine id from this agent",
    because: "this agent sends X-Machine-ID with every call, so something in between removes it",
    remedy: `let the proxy in front of the server pass the header X-Machine-ID on. ${RESUMES}`,
  }),
  machine_not_bound: (facts) => ({
    what: "the server has no machine id on record for this agent",
    because:
      "the agent was registered before the server was upgraded to RedFlag 0.2, or by a program " +
      "that sent none",
    remedy: `${rebind(facts)}. ${RESUMES}. Or: ${REPLACE}`,
  }),
  machine_mismatch: (facts) => ({
    what: "the server has another machine id on record for this agent",
    because: "the agent was registered on another machine, or this machine's id has changed",
    remedy:
      `if this host is to be that agent, ${
        rebind(facts)
      }. ${RESUMES}. Or: if it is a copy, give it ` +
      `a machine id of its own, ${REGISTER_AGAIN}`,
  }),
  already_registered: ({ existingAgentId, existingHostName, existingLastSeen, remediation }) => ({
    what: "this machine is registered already",
    because: `the server has its machine id on record for agent ${existingAgentId ?? "unknown"}` +
      (existingHostName === undefined ? "" : ` ("${existingHostName}")`) +
      (existingLastSeen === undefined ? "" : `, last seen ${existingLastSeen}`) +
      (remediation === undefined ? "" : `; the server says: ${remediation}`),
    remedy:
      "delete that agent in the server's dashboard, and register again: before that it is of no use. " +
      "Or: if this machine is a clone, give it a machine id of its own first",
  }),
};

/** The words on what requires an operator; `facts` fill them in, and `why` is the server's answer. */
export function describeOperatorAction(
  cause: OperatorCause,
  facts: RefusalFacts,
  why = "",
): OperatorWords {
  if (cause !== "token" || !saysAgentUnknown(why)) return WORDS[cause](facts);
  return {
    what: "the server no longer knows this agent",
    because:
      'it has answered "agent not found" for at least 10 min: the agent was deleted there, or ' +
      "its database does not answer",
    remedy: WORDS.token(facts).remedy,
  };
}

/** The words on a sign that an operator may be needed, which is not proven yet. */
export function describeDoubt(
  doubt: Pick<Doubt, "kind"> & { readonly why?: string },
): OperatorWords {
  if (doubt.kind === "deleted" || saysAgentUnknown(doubt.why ?? "")) {
    return {
      what: "the server says that it does not know this agent",
      because:
        "this is no proof yet: the agent was deleted there, or the server's database does not " +
        "answer; the agent asks again, and believes it within minutes",
      remedy: "see whether the agent is in the server's dashboard. " +
        `Or: if it was deleted there, ${REGISTER_AGAIN}`,
    };
  }
  return {
    what: "the server refuses this agent's tokens",
    because:
      "this is no proof yet: a server whose database does not answer says the same; the agent " +
      "believes it after three refusals in 10 min",
    remedy: "see the server's log and database; if it goes on, operator action will be required",
  };
}

/** RedFlag 0.2.9.3: the route of an administrator's session. */
function rebind({ agentId, machineId }: RefusalFacts): string {
  return "send as an administrator POST " +
    `/api/v1/admin/agents/${agentId ?? "<agent id>"}/rebind-machine-id with ` +
    `{"new_machine_id":"${machineId ?? "<machine id>"}"}`;
}
