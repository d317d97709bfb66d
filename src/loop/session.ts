/**
 * The tokens in use: puts them on calls, renews the access token on a 401 and ahead of its end. Never
 * two renewals at once.
 */

import type { Log } from "../log.ts";
import { readTokenLife } from "../server/protocol.ts";
import type { Answer } from "../server/answer.ts";
import type { Caller } from "../server/client.ts";
import type { Clock, Random } from "../system/system.ts";
import { SharedCall } from "./shared_call.ts";

/** What a session is made of. */
export interface SessionParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Asks the server for a new access token, until `signal` is given. */
  renew(signal: AbortSignal): Promise<Answer<{ token: string }>>;
  /** Keeps the new token; when it returns it is on disk. May throw. */
  keepToken(accessToken: string): Promise<void>;
}

/** Part of a token's life, at its end, in which it is renewed ahead of time. */
const RENEWAL_WINDOW = 0.25;

export class Session {
  readonly #parts: SessionParts;
  readonly #agentId: string;
  #accessToken: string;
  #renewAtMs: number;
  /** Cut off with the last of the calls that wait for it: a stop, or a probe, waits for no renewal. */
  readonly #renewal = new SharedCall((signal) => this.#renew(signal));

  constructor(parts: SessionParts, caller: Caller) {
    this.#parts = parts;
    this.#agentId = caller.agentId;
    this.#accessToken = caller.accessToken;
    this.#renewAtMs = this.#drawRenewal();
  }

  /**
   * Makes a call with the access token. A token that is due is renewed first; a 401 is answered with
   * one renewal and the same call once more. A renewal that is refused, or does not help, leaves the
   * call `unauthorized`: whether that is final is not known here. Once `over` is given nobody waits
   * for the call, and it begins nothing more.
   */
  async call<T>(
    makeCall: (caller: Caller) => Promise<Answer<T>>,
    over: AbortSignal,
  ): Promise<Answer<T>> {
    let renewed: Answer<{ token: string }> | null = null;
    if (this.#parts.clock.nowMs() >= this.#renewAtMs) {
      renewed = await this.#renewal.wait(over);
      // A server that says when to come back means every call; else the old token may still do.
      if (renewed.kind === "failed" && renewed.retryAfterMs !== null) return renewed;
      if (renewed.kind !== "ok") {
        this.#parts.log.debug(
          "early renewal put off",
          "why" in renewed ? { why: renewed.why } : {},
        );
      }
    }
    if (over.aborted) return { kind: "aborted" };
    const usedToken = this.#accessToken;
    const answer = await makeCall(this.#caller());
    if (answer.kind !== "unauthorized") return answer;
    if (over.aborted) return { kind: "aborted" };
    if (usedToken === this.#accessToken) {
      // One that has failed just now is not tried again.
      if (renewed === null || renewed.kind === "ok") renewed = await this.#renewal.wait(over);
      if (renewed.kind !== "ok") return asRefusal(renewed);
    }
    if (over.aborted) return { kind: "aborted" };
    const again = await makeCall(this.#caller());
    return again.kind === "unauthorized"
      ? { kind: "unauthorized", why: `renewed token refused: ${again.why}` }
      : again;
  }

  #caller(): Caller {
    return { agentId: this.#agentId, accessToken: this.#accessToken };
  }

  async #renew(signal: AbortSignal): Promise<Answer<{ token: string }>> {
    const answer = await this.#parts.renew(signal);
    if (answer.kind !== "ok") {
      // Not at once again, with each call: the next try is drawn from what is left.
      const askedMs = "retryAfterMs" in answer ? answer.retryAfterMs ?? 0 : 0;
      const allowedMs = this.#parts.clock.nowMs() + askedMs * (1 + 0.2 * this.#parts.random());
      this.#renewAtMs = Math.max(this.#drawRenewal(), allowedMs);
      return answer;
    }
    this.#accessToken = answer.value.token;
    this.#renewAtMs = this.#drawRenewal();
    await this.#keep();
    this.#parts.log.info("access token renewed");
    return answer;
  }

  /** A token that the disk does not take is good all the same; after a restart it is renewed again. */
  async #keep(): Promise<void> {
    try {
      await this.#parts.keepToken(this.#accessToken);
    } catch (error) {
      this.#parts.log.error("access token not kept", { why: String(error) });
    }
  }

  /**
   * A random instant in the last quarter of the token's life, or of what is left of that quarter: a
   * fleet that was enrolled in one minute does not renew in one minute.
   */
  #drawRenewal(): number {
    const life = readTokenLife(this.#accessToken);
    if (life === null) return Infinity;
    const windowMs = (life.endMs - life.startMs) * RENEWAL_WINDOW;
    const fromMs = Math.max(life.endMs - windowMs, this.#parts.clock.nowMs());
    if (fromMs >= life.endMs) return Infinity; // It has ended: the next 401 renews it.
    return fromMs + this.#parts.random() * (life.endMs - fromMs);
  }
}

/** What a renewal that brought no token means for the call that wanted one. */
function asRefusal(renewal: Exclude<Answer<unknown>, { kind: "ok" }>): Answer<never> {
  switch (renewal.kind) {
    case "unauthorized":
    case "refused":
      return { kind: "unauthorized", why: `renewal refused: ${renewal.why}` };
    case "needs_person":
      return { kind: "needs_person", why: `renewal refused: ${renewal.why}` };
    case "failed":
    case "limited":
    case "aborted":
      return renewal;
  }
}
