/** The checks of this agent and what the server thinks of it: process, access, tokens, signatures. Pure. */

import { pennonCommand, replaceCommand } from "../advice.ts";
import { assessHealth } from "../agent/health.ts";
import type { Status } from "../agent/status.ts";
import { describeDoubt, describeOperatorAction } from "../connection/operator_words.ts";
import { type Answer, saysAgentUnknown } from "../server/answer.ts";
import { applyAnnouncement } from "../server/key_trust.ts";
import type { AnnouncedKey } from "../server/signing_keys.ts";
import { describeDuration } from "../wording.ts";
import { fail, type Finding, ok, skip, warn } from "./finding.ts";

const AGAIN_ADVICE = "wait a minute, and run this again";

const REPLACE =
  "delete the agent in the server's dashboard if it is still there, stop the agent, " +
  `then run \`${replaceCommand()}\``;

/** Judges whether an agent runs, and how it is. */
export function judgeAgent(status: Status): Finding {
  const check = "agent";
  const { identity, holder, state, nowMs } = status;
  if (identity === null) return skip(check, NO_IDENTITY);
  if (holder === null) {
    const isDead = assessHealth(status).reasons.some(({ code }) => code === "agent_not_running");
    return (isDead ? fail : warn)(
      check,
      "no agent runs here",
      `start it: the service of this host, or \`${pennonCommand("run")}\``,
    );
  }
  const name = holder.process_id === null ? "runs" : `runs as process ${holder.process_id}`;
  const last = state?.lastCheckInAtMs ?? null;
  const seen = last === null
    ? `${name}, no check-in yet`
    : `${name}, last check-in ${ago(nowMs - last)}`;
  const [reason] = assessHealth(status).reasons;
  if (reason === undefined) return ok(check, seen);
  return warn(check, `${seen}; ${reason.words}`, reason.next ?? "see what fails below");
}

const NO_IDENTITY = "this host has no identity that can be used";

/**
 * Judges whether the server accepts this agent, by its answer to a call without any effect. `answer` is
 * `null` if it was not asked, and `because` says why.
 */
export function judgeAccess(
  answer: Answer<unknown> | null,
  { status, because }: { readonly status: Status; readonly because: string },
): Finding {
  const check = "access";
  const { state, nowMs } = status;
  const action = state?.connection.operatorAction ?? null;
  // The saved state counts where the server was not asked, or cannot be asked without an effect.
  const saved = () => {
    if (action === null) return null;
    const { cause, facts = {}, why: said } = action;
    const { what, because: why, remedy } = describeOperatorAction(cause, facts, said);
    return fail(check, `${what}: ${why} (as the agent saw it)`, remedy);
  };
  if (answer === null) return saved() ?? skip(check, because);
  switch (answer.kind) {
    case "ok":
      return ok(check, "the server accepts this agent, its token and this machine's id");
    case "operator_required": {
      const { cause = "forbidden", facts = {} } = answer.refusal ?? {};
      const { what, because: why, remedy } = describeOperatorAction(cause, facts);
      return fail(check, `${what} (${answer.why}): ${why}`, remedy);
    }
    case "refused": {
      if (answer.error === "agent_unknown") return saved() ?? judgeUnknown(answer.why);
      if (answer.isForeign) return warn(check, answer.why, AGAIN_ADVICE);
      if (answer.error !== "route_unknown") {
        return fail(check, `the server refuses this agent: ${answer.why}`, REPLACE);
      }
      const known = saved();
      if (known !== null) return known;
      const last = state?.lastCheckInAtMs ?? null;
      const when = last === null ? "there has been none" : `the last one was ${ago(nowMs - last)}`;
      return ok(check, `only a check-in shows it at a server of RedFlag 0.1; ${when}`);
    }
    case "unauthorized":
      // RedFlag 0.2 (`machine_binding.go`): the token is genuine, and no row of its agent was read.
      if (saysAgentUnknown(answer.why)) return saved() ?? judgeUnknown(answer.why);
      return saved() ?? warn(
        check,
        `the server refuses the access token: ${answer.why}`,
        "wait for the agent's next check-in, which renews the token. Or: if it stays so after that, " +
          REPLACE,
      );
    case "failed":
    case "limited":
    case "report_failed":
      return warn(check, answer.why, AGAIN_ADVICE);
    case "aborted":
      return skip(check, "the call was stopped");
  }
}

/** In the words of `status`, which has them from the agent or from the note of `noteAccess()`. */
function judgeUnknown(why: string): Finding {
  const { what, because, remedy } = describeDoubt({ kind: "deleted" });
  return fail("access", `${what} (${why}): ${because}`, remedy);
}

/** Judges the tokens by what is saved; no token is spent to find out more. */
export function judgeTokens({ identity, holder, state, nowMs }: Status): Finding {
  const check = "tokens";
  if (identity === null) return skip(check, NO_IDENTITY);
  const action = state?.connection.operatorAction ?? null;
  if (action?.cause === "token" || action?.cause === "deleted") {
    const { what, because } = describeOperatorAction(action.cause, action.facts ?? {}, action.why);
    return fail(check, `${what}; ${because}`, REPLACE); // "tokens: x" would hide x as a secret.
  }
  const { tokenEndsAtMs } = identity;
  if (tokenEndsAtMs === null) return ok(check, "the access token does not say when it ends");
  const leftMs = tokenEndsAtMs - nowMs;
  if (leftMs > 0) {
    return ok(
      check,
      `the access token ends in ${describeDuration(leftMs)}; the agent renews it`,
    );
  }
  const seen = `the access token has ended ${ago(-leftMs)}`;
  if (holder !== null) return ok(check, `${seen}; the agent renews it at its next check-in`);
  return warn(check, seen, `run the agent, which renews it: \`${pennonCommand("run", "--once")}\``);
}

const KEY_REMEDY = "compare the key with the one on the server itself (`GET /api/v1/public-key` " +
  "there, not over the network). Then: if it is right, name it in server.public_key and restart the " +
  `agent. Or: stop the agent, then register again: \`${replaceCommand()}\``;

/**
 * Judges the keys with which the server signs its commands. `announced`: those that it shows just now,
 * their ids confirmed; empty if it was not asked, or has none.
 */
export function judgeSignatures(
  { identity, signing, nowMs }: Status,
  announced: readonly AnnouncedKey[],
): Finding {
  const check = "signatures";
  if (identity === null) return skip(check, NO_IDENTITY);
  const { refusedCommands, lastRefusal } = signing.keys;
  // As the agent will judge them; nothing of it is saved.
  const { trust } = applyAnnouncement(signing.keys.trust, announced);
  const { pinned, refusedKeyIds, isRatcheted, source } = trust;
  if (refusedKeyIds.length > 0) {
    return fail(
      check,
      `all commands are refused: the server shows the key ${refusedKeyIds.join(", ")}, which is ` +
        "not trusted",
      KEY_REMEDY,
    );
  }
  if (pinned === null && isRatcheted) {
    return fail(
      check,
      "all commands are refused: the file with the server's key is lost",
      KEY_REMEDY,
    );
  }
  const key = pinned === null
    ? `the server has shown no key; unsigned commands: ${signing.unsigned}`
    : `key ${pinned.keyId} is pinned (${(source ?? "").replaceAll("_", " ")})`;
  if (lastRefusal === null) return ok(check, key);
  return warn(
    check,
    `${key}; ${refusedCommands} commands refused, the last one (${lastRefusal.type}) ${
      ago(nowMs - lastRefusal.atMs)
    }: ${lastRefusal.why}`,
    "find out who sent that command, at the server's history",
  );
}

function ago(ms: number): string {
  return `${describeDuration(ms)} ago`;
}
