/**
 * The access token in use: adds it to calls, and renews it after a 401, before it expires, and when the
 * server has an old version of this agent on record. There are never two renewals at once.
 */

import type { Log } from "../log.ts";
import { readTokenLife } from "../server/protocol.ts";
import { type Answer, saysAgentUnknown } from "../server/answer.ts";
import type { Caller } from "../server/client.ts";
import type { Clock, Random } from "../system/system.ts";

interface SessionDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /**
   * Asks the server for a new access token, until `signal` is aborted, and makes it record this agent's
   * version. Resolves when the new tokens are on disk, if the disk accepts them.
   */
  renew(signal: AbortSignal): Promise<Answer<{ token: string }>>;
}

/** The last part of a token's life, in which it is renewed before it expires. */
const RENEWAL_WINDOW = 0.25;

export class Session {
  readonly #deps: SessionDeps;
  readonly #agentId: string;
  #accessToken: string;
  #renewAtMs: number;
  /** Whether this process has renewed, so that the server has its version on record. */
  #isVersionRecorded = false;
  /** Aborted with the last call that waits for it: neither a shutdown nor a probe waits for a renewal. */
  readonly #renewal = new SharedCall((signal) => this.#renew(signal));

  constructor(deps: SessionDeps, caller: Caller) {
    this.#deps = deps;
    this.#agentId = caller.agentId;
    this.#accessToken = caller.accessToken;
    this.#renewAtMs = this.#drawRenewal();
  }

  /**
   * Makes a call with the access token. A token that is due is renewed first; a 401 leads to one
   * renewal and one repetition of the call. If the renewal is refused or does not help, the call is
   * `unauthorized`: whether that is final is decided elsewhere. A 426 concerns the version on record,
   * which may be that of an earlier program: it leads to one renewal per process, and to the same call
   * again. After `signal` is aborted the call begins no further request.
   */
  async call<T>(
    makeCall: (caller: Caller) => Promise<Answer<T>>,
    signal: AbortSignal,
  ): Promise<Answer<T>> {
    let renewed: Answer<{ token: string }> | null = null;
    if (this.#deps.clock.nowMs() >= this.#renewAtMs) {
      renewed = await this.#renewal.wait(signal);
      // A `Retry-After` concerns every call; without one the old token may still be valid.
      if (renewed.kind === "failed" && renewed.retryAfterMs !== null) return renewed;
      // The server's words about this host; it would say the same to the call.
      if (renewed.kind === "operator_required" && renewed.refusal) return asRefusal(renewed);
      if (renewed.kind !== "ok") {
        const fields = "why" in renewed ? { why: renewed.why } : {};
        // A refusal will end the agent's access with its token; a failure of the way there passes.
        if (isRefusal(renewed)) this.#deps.log.warning("early renewal refused", fields);
        else this.#deps.log.debug("early renewal postponed", fields);
      }
    }
    if (signal.aborted) return { kind: "aborted" };
    const usedToken = this.#accessToken;
    const answer = await makeCall(this.#caller());
    const isOldVersion = isVersionTooOld(answer) && !this.#isVersionRecorded;
    if (answer.kind !== "unauthorized" && !isOldVersion) return answer;
    if (signal.aborted) return { kind: "aborted" };
    if (usedToken === this.#accessToken) {
      // A renewal that has just failed is not repeated.
      if (renewed === null || renewed.kind === "ok") renewed = await this.#renewal.wait(signal);
      if (renewed.kind !== "ok") return becauseOf(answer, asRefusal(renewed));
    }
    if (signal.aborted) return { kind: "aborted" };
    const again = await makeCall(this.#caller());
    return again.kind === "unauthorized"
      ? { kind: "unauthorized", why: `renewed token refused: ${again.why}` }
      : again;
  }

  #caller(): Caller {
    return { agentId: this.#agentId, accessToken: this.#accessToken };
  }

  async #renew(signal: AbortSignal): Promise<Answer<{ token: string }>> {
    const answer = await this.#deps.renew(signal);
    if (answer.kind !== "ok") {
      // Not again with each call: the next attempt is drawn from the time that is left.
      const askedMs = "retryAfterMs" in answer ? answer.retryAfterMs ?? 0 : 0;
      const allowedAtMs = this.#deps.clock.nowMs() + askedMs * (1 + 0.2 * this.#deps.random());
      this.#renewAtMs = Math.max(this.#drawRenewal(), allowedAtMs);
      return answer;
    }
    this.#accessToken = answer.value.token;
    this.#isVersionRecorded = true;
    this.#renewAtMs = this.#drawRenewal();
    this.#deps.log.info("access token renewed");
    return answer;
  }

  /**
   * A random instant in the last quarter of the token's life, or in what is left of that quarter: a
   * fleet that was enrolled within one minute does not renew within one minute.
   */
  #drawRenewal(): number {
    const life = readTokenLife(this.#accessToken);
    if (life === null) return Infinity;
    const windowMs = (life.endMs - life.startMs) * RENEWAL_WINDOW;
    const fromMs = Math.max(life.endMs - windowMs, this.#deps.clock.nowMs());
    if (fromMs >= life.endMs) return Infinity; // It has expired: the next 401 renews it.
    return fromMs + this.#deps.random() * (life.endMs - fromMs);
  }
}

function isVersionTooOld(answer: Answer<unknown>): boolean {
  return answer.kind === "operator_required" && answer.refusal?.cause === "version_too_old";
}

function isRefusal({ kind }: Answer<unknown>): boolean {
  return kind === "unauthorized" || kind === "refused" || kind === "report_failed" ||
    kind === "operator_required";
}

/** The refused renewal of a call; that the server knows no such agent is said of the call alone. */
function becauseOf(call: Answer<unknown>, refusal: Answer<never>): Answer<never> {
  const isNew = call.kind === "unauthorized" && saysAgentUnknown(call.why) &&
    refusal.kind === "unauthorized";
  return isNew ? { ...refusal, why: `${call.why}; ${refusal.why}` } : refusal;
}

/** What a renewal without a token means for the call that needed it. */
function asRefusal(renewal: Exclude<Answer<unknown>, { kind: "ok" }>): Answer<never> {
  switch (renewal.kind) {
    case "unauthorized":
    case "refused":
    case "report_failed":
      return { kind: "unauthorized", why: `renewal refused: ${renewal.why}` };
    case "operator_required":
      return { ...renewal, why: `renewal refused: ${renewal.why}` };
    case "failed":
    case "limited":
    case "aborted":
      return renewal;
  }
}

interface RunningCall<T> {
  readonly answer: Promise<Answer<T>>;
  readonly abandoned: AbortController;
  waiting: number;
}

export class SharedCall<T> {
  readonly #call: (signal: AbortSignal) => Promise<Answer<T>>;
  #running: RunningCall<T> | null = null;

  /** `call` has to end when its signal is aborted. */
  constructor(call: (signal: AbortSignal) => Promise<Answer<T>>) {
    this.#call = call;
  }

  /** The answer of the running call, or of a new one; `aborted` as soon as `signal` is aborted. */
  wait(signal: AbortSignal): Promise<Answer<T>> {
    if (signal.aborted) return Promise.resolve({ kind: "aborted" });
    const running = this.#running ??= this.#begin();
    running.waiting += 1;
    return new Promise((resolve, reject) => {
      const leave = () => {
        resolve({ kind: "aborted" });
        running.waiting -= 1;
        if (running.waiting > 0) return;
        this.#end(running);
        running.abandoned.abort(signal.reason);
      };
      const stay = () => signal.removeEventListener("abort", leave);
      signal.addEventListener("abort", leave, { once: true });
      running.answer.finally(stay).then(resolve, reject);
    });
  }

  #begin(): RunningCall<T> {
    const abandoned = new AbortController();
    const answer = this.#call(abandoned.signal).finally(() => this.#end(running));
    const running: RunningCall<T> = { answer, abandoned, waiting: 0 };
    return running;
  }

  /** The next caller begins a new call. */
  #end(running: RunningCall<T>): void {
    if (this.#running === running) this.#running = null;
  }
}
