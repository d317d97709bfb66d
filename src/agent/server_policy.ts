/**
 * The server's policy on this host: asked for beside the check-ins, kept across restarts in
 * `server_policy.json`. Without an answer the latest policy stays.
 */

import * as v from "valibot";
import type { Connection } from "../connection/connection.ts";
import { JsonFile } from "../json_file.ts";
import type { Log } from "../log.ts";
import type { Answer } from "../server/answer.ts";
import { type Client, isAgentUnknown, isRouteUnknown } from "../server/client.ts";
import { type ServerPolicy, serverPolicy } from "../server/policy.ts";
import { FileError } from "../system/files.ts";
import { LAST_INSTANT_MS, type System } from "../system/system.ts";

const saved = v.object({
  /** Whose policy it is: that of another server means nothing here. */
  serverUrl: v.string(),
  receivedMs: v.pipe(v.number(), v.minValue(0), v.maxValue(LAST_INSTANT_MS)),
  policy: serverPolicy,
});

/** A policy as it is saved. */
export type SavedPolicy = v.InferOutput<typeof saved>;

/** The latest policy of the server, in the state directory. */
export const POLICY_FILE = new JsonFile<SavedPolicy>({
  name: "server_policy.json",
  what: "the server's policy",
  schema: "pennon.server-policy/1",
  value: saved,
  keys: {
    serverUrl: "server_url",
    receivedMs: "received_at",
    jitterMaxMs: "jitter_max_ms",
    backoffBaseMs: "backoff_base_ms",
    backoffMaxMs: "backoff_max_ms",
    intervalMinutes: "interval_minutes",
    autoRun: "auto_run",
  },
  records: ["subsystems"],
});

/** As often as RedFlag's own agent asks. */
const ASK_EVERY_MS = 15 * 60_000;

/** A server without such a route (RedFlag 0.1) may be updated one day. */
const ASK_AGAIN_MS = 24 * 3_600_000;

/** The check-in waits for it: a server that hangs here holds it up no longer. */
const TIMEOUT_MS = 10_000;

interface PolicyDeps {
  readonly system: Pick<System, "clock" | "files">;
  readonly log: Log;
  readonly stateDirectory: string;
  readonly serverUrl: string;
  readonly client: Pick<Client, "policy" | "serverVersion">;
  readonly connection: Connection;
}

/** Keeps the policy up to date. */
export class PolicyRefresh {
  readonly #deps: PolicyDeps;
  #policy: ServerPolicy | null;
  #askAtMs = -Infinity;
  #askedAtMs = -Infinity;
  /** The server's version at the last request for the policy. */
  #askedVersion: string | null | undefined;
  #isSaved = true;

  constructor(deps: PolicyDeps, policy: ServerPolicy | null) {
    this.#deps = deps;
    this.#policy = policy;
  }

  /** The latest policy; `null`: the server has set none. */
  get policy(): ServerPolicy | null {
    return this.#policy;
  }

  /**
   * Asks the server if that is due. Never throws: what goes wrong here says nothing about check-ins
   * and reports, and changes nothing for them.
   */
  async refresh(signal: AbortSignal): Promise<void> {
    const { system: { clock }, client, connection } = this.#deps;
    // A server that was upgraded may have a policy now, and takes agent events from then on.
    const isOther = client.serverVersion !== this.#askedVersion;
    const soonestMs = isOther ? this.#askedAtMs + ASK_EVERY_MS : Infinity;
    if (clock.monotonicMs() < Math.min(this.#askAtMs, soonestMs)) return;
    let answer: Answer<ServerPolicy> = { kind: "aborted" };
    await connection.attempt("delivery", async (limits, caller) => {
      this.#askedAtMs = clock.monotonicMs();
      this.#askAtMs = this.#askedAtMs + ASK_EVERY_MS;
      this.#askedVersion = client.serverVersion;
      const timeoutMs = Math.min(TIMEOUT_MS, limits.timeoutMs ?? Infinity);
      answer = await client.policy(caller, { ...limits, timeoutMs });
      return forAll(answer);
    }, { signal });
    await this.#apply(answer);
  }

  async #apply(answer: Answer<ServerPolicy>): Promise<void> {
    const { system: { clock }, log } = this.#deps;
    if (answer.kind === "ok") return await this.#keep(answer.value);
    if (isRouteUnknown(answer)) {
      this.#askAtMs = clock.monotonicMs() + ASK_AGAIN_MS;
      return await this.#keep(null);
    }
    if ("why" in answer) log.debug("server's policy not read", { why: answer.why });
  }

  async #keep(policy: ServerPolicy | null): Promise<void> {
    const { system: { clock, files }, log, stateDirectory, serverUrl } = this.#deps;
    const isSame = JSON.stringify(policy) === JSON.stringify(this.#policy);
    if (isSame && this.#isSaved) return;
    this.#policy = policy;
    if (!isSame) log.info("server's policy changed", { is_set: policy !== null });
    try {
      if (policy === null) await POLICY_FILE.remove(files, stateDirectory);
      else {
        const value = { serverUrl, receivedMs: clock.nowMs(), policy };
        await POLICY_FILE.write(files, stateDirectory, value);
      }
      this.#isSaved = true;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      if (this.#isSaved) log.warning("server's policy not saved", { why: error.message });
      this.#isSaved = false;
    }
  }
}

/**
 * The policy that was saved for this server; `null`: none, or an unreadable one, which costs nothing
 * but the time until the next answer. Never throws.
 */
export async function loadPolicy(
  { files }: Pick<System, "files">,
  stateDirectory: string,
  serverUrl: string,
): Promise<SavedPolicy | null> {
  try {
    const read = await POLICY_FILE.read(files, stateDirectory);
    return read?.serverUrl === serverUrl ? read : null;
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}

/**
 * What an answer says for all calls: that the server no longer accepts this agent, or that it is to be left alone
 * for a while (503 with `Retry-After`), which is no outage as long as check-ins say of none.
 */
function forAll<T>(answer: Answer<T>): Answer<T> {
  const isRefused = answer.kind === "unauthorized" ||
    answer.kind === "operator_required" && answer.refusal !== undefined || isAgentUnknown(answer);
  if (isRefused || answer.kind === "limited" && answer.isOverloaded) return answer;
  if (answer.kind !== "failed" || answer.retryAfterMs === null) return { kind: "aborted" };
  const { why, retryAfterMs } = answer;
  return { kind: "limited", why, retryAfterMs, isOverloaded: true };
}
