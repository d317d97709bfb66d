/**
 * Renews an agent's tokens and saves them: one renewal at a time, with the refresh token that the rule in
 * `rotation_rule.ts` chooses, and with each step on disk before the next one. A crash at any instant, a
 * lost answer and a disk that refuses all lead back to a token that the server accepts. Decision 0030.
 */

import { type Identity, loadIdentity, saveIdentity } from "../identity.ts";
import type { Log } from "../log.ts";
import type { Answer } from "../server/answer.ts";
import type { Client } from "../server/client.ts";
import { readTokenLife } from "../server/protocol.ts";
import type { System } from "../system/system.ts";
import {
  rememberNothing,
  renewTokens,
  type RotationMemory,
  saveUnsaved,
  type Sent,
  type StoredTokens,
} from "./rotation_rule.ts";

/** What a rotation works with. */
interface TokenRotationDeps {
  readonly system: Pick<System, "clock" | "files" | "machine">;
  readonly stateDirectory: string;
  readonly client: Pick<Client, "renew">;
  readonly log: Pick<Log, "error">;
}

/**
 * The tokens of one agent. The caller holds the lock on the state directory, so that no second process
 * renews; a disk that refuses the lock accepts no new token either, and two agents on one stored token
 * do each other no harm.
 */
export class TokenRotation {
  readonly #deps: TokenRotationDeps;
  #identity: Identity;
  /** What was last seen on disk. */
  #stored: StoredTokens;
  /** Whether the directory has the identity of another agent, which nothing may replace. */
  #isForeign = false;
  /** What this process has saved so that it survives a power cut, as JSON. */
  #durable: string | null = null;
  #memory: RotationMemory;
  /** The renewal that runs: an aborted one may still be saving when the next one begins. */
  #running: Promise<unknown> = Promise.resolve();

  /** `identity` was read from the disk just now. */
  constructor(deps: TokenRotationDeps, identity: Identity) {
    const { clock } = deps.system;
    const savedMs = readTokenLife(identity.accessToken)?.startMs ?? clock.nowMs();
    this.#deps = deps;
    this.#identity = identity;
    this.#stored = storedTokensOf(identity);
    this.#memory = rememberNothing(this.#stored, {
      nowMs: clock.monotonicMs(),
      storedForMs: clock.nowMs() - savedMs,
    });
  }

  /** With the newest tokens: those to save where the disk has lost the identity. */
  get identity(): Identity {
    return this.#identity;
  }

  /**
   * Renews, one renewal at a time. The new tokens are on disk when it resolves; if the disk refuses
   * them, that is logged, and the access token is good all the same.
   */
  renew(options: { signal?: AbortSignal } = {}): Promise<Answer<{ token: string }>> {
    const renewal = this.#running.then(() => this.#renew(options));
    this.#running = renewal.catch(() => {});
    return renewal;
  }

  /** Saves the newest tokens if the disk refused them; to be called as soon as it may take them again. */
  saveUnsaved(): void {
    if (this.#memory.unsaved === null) return;
    this.#running = this.#running.then(async () => {
      const disk = {
        read: () => this.#read(),
        write: (tokens: StoredTokens) => this.#write(tokens),
      };
      this.#memory = await saveUnsaved(disk, this.#memory);
    }).catch(() => {});
  }

  /** Resolves when no renewal runs: nothing is saved after that. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #renew(options: { signal?: AbortSignal }): Promise<Answer<{ token: string }>> {
    let answer: Answer<{ token: string }> = { kind: "aborted" };
    if (options.signal?.aborted) return answer;
    this.#memory = await renewTokens({
      nowMs: () => this.#deps.system.clock.monotonicMs(),
      read: () => this.#read(),
      write: (tokens) => this.#write(tokens),
      send: async (refreshToken) => {
        const { agentId } = this.#identity;
        const renewal = await this.#deps.client.renew(agentId, refreshToken, options);
        if (renewal.kind !== "ok") {
          answer = renewal;
          return sentOf(renewal);
        }
        const { token, refresh_token: successor = refreshToken } = renewal.value;
        answer = { ...renewal, value: { token } };
        this.#identity = { ...this.#identity, accessToken: token };
        return { kind: "renewed", successor };
      },
    }, this.#memory);
    return answer;
  }

  /** The refresh token that a restart would find. */
  async #read(): Promise<StoredTokens> {
    const { system, stateDirectory } = this.#deps;
    const { agentId, serverUrl } = this.#identity;
    try {
      const found = await loadIdentity(system, stateDirectory);
      const isOwn = found?.agentId === agentId && found.serverUrl === serverUrl;
      this.#isForeign = found !== undefined && !isOwn;
      // Where the disk has no token of this agent, no restart can use an older one.
      this.#stored = storedTokensOf(isOwn ? found : this.#identity);
    } catch (error) {
      this.#deps.log.error("cannot read the tokens", { why: String(error) });
    }
    // From here on a token that could not be saved is void: the server replaces it.
    this.#identity = withTokens(this.#identity, this.#stored);
    return this.#stored;
  }

  async #write(tokens: StoredTokens): Promise<boolean> {
    const { system, stateDirectory, log } = this.#deps;
    this.#identity = withTokens(this.#identity, tokens);
    if (this.#isForeign) {
      log.error("tokens not saved: the directory belongs to another agent", {
        directory: stateDirectory,
      });
      return true; // Nobody else has these tokens.
    }
    const durable = JSON.stringify(this.#identity);
    if (durable === this.#durable) return true;
    try {
      await saveIdentity(system, stateDirectory, this.#identity);
      this.#stored = tokens;
      this.#durable = durable;
      return true;
    } catch (error) {
      this.#durable = null; // Which of the two a power cut leaves is unknown now.
      log.error("cannot save the access token", { why: String(error) });
      return false;
    }
  }
}

function storedTokensOf(
  { refreshToken: current, isRefreshTokenUnsent, previousRefreshToken: previous }: Identity,
): StoredTokens {
  if (previous !== undefined) return { current, kind: "doubtful", previous };
  return { current, kind: isRefreshTokenUnsent === true ? "unsent" : "sent" };
}

function withTokens(
  { agentId, serverUrl, accessToken, intervalMs }: Identity,
  tokens: StoredTokens,
): Identity {
  return {
    ...{ agentId, serverUrl, accessToken, refreshToken: tokens.current, intervalMs },
    ...tokens.kind === "unsent" && { isRefreshTokenUnsent: true },
    ...tokens.kind === "doubtful" && { previousRefreshToken: tokens.previous },
  };
}

function sentOf(renewal: Exclude<Answer<unknown>, { kind: "ok" }>): Sent {
  if (renewal.kind === "unauthorized") return { kind: "refused" };
  const mayHaveArrived = renewal.kind === "aborted" ||
    renewal.kind === "failed" && !renewal.offline;
  return { kind: mayHaveArrived ? "unanswered" : "neutral" };
}
