/**
 * Renews an agent's tokens and saves them. RedFlag 0.2 answers each renewal with a new refresh token, and
 * revokes all of the agent's tokens when a spent one is used after its successor was used; a spent one
 * whose successor was never used only gets another successor. So the agent never uses a refresh token
 * that is not on disk: a crash at any instant, a lost answer and a disk that refuses all lead back to the
 * token on disk, whose successor was never used. Decision 0030.
 */

import { type Identity, loadIdentity, saveIdentity } from "../identity.ts";
import type { Log } from "../log.ts";
import type { Answer } from "../server/answer.ts";
import type { Client } from "../server/client.ts";
import type { System } from "../system/system.ts";

/** What a rotation works with. */
interface TokenRotationDeps {
  readonly system: Pick<System, "files" | "machine">;
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
  /** The refresh token that was last seen on disk. */
  #stored: string;
  /** Whether the directory has the identity of another agent, which nothing may replace. */
  #isForeign = false;
  /** The refresh token that this process has saved so that it survives a power cut. */
  #durable: string | null = null;
  /**
   * The last token that was spent, while its successor has not been sent in a request that had no answer.
   * A server that handles a request late, after the answer to a later one, revokes that successor.
   */
  #spent: { readonly token: string; readonly successor: string } | null = null;
  /** The renewal that runs: an aborted one may still be saving when the next one begins. */
  #running: Promise<unknown> = Promise.resolve();

  /** `identity` was read from the disk. */
  constructor(deps: TokenRotationDeps, identity: Identity) {
    this.#deps = deps;
    this.#identity = identity;
    this.#stored = identity.refreshToken;
  }

  /** With the newest tokens: those to save where the disk has lost the identity. */
  get identity(): Identity {
    return this.#identity;
  }

  /**
   * Renews with the refresh token on disk, one renewal at a time. The new tokens are on disk when it
   * resolves; if the disk refuses them, that is logged, and the access token is good all the same.
   */
  renew(options: { signal?: AbortSignal } = {}): Promise<Answer<{ token: string }>> {
    const renewal = this.#running.then(() => this.#renew(options));
    this.#running = renewal.catch(() => {});
    return renewal;
  }

  /** Resolves when no renewal runs: nothing is saved after that. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #renew(options: { signal?: AbortSignal }): Promise<Answer<{ token: string }>> {
    if (options.signal?.aborted) return { kind: "aborted" };
    const stored = await this.#readStored();
    // From here on a token that could not be saved is void: the server replaces it.
    this.#identity = { ...this.#identity, refreshToken: stored };
    // A token that a killed process has renamed into place is on disk only once it is synced.
    if (this.#durable !== stored) await this.#save();
    const answer = await this.#send(stored, options);
    const spent = this.#spent;
    if (answer.kind !== "unauthorized" || spent?.successor !== stored) return answer;
    // The server has refused the successor without spending it, so its predecessor leads to another one.
    this.#identity = { ...this.#identity, refreshToken: spent.token };
    await this.#save();
    if (this.#durable !== spent.token) return answer;
    return await this.#send(spent.token, options);
  }

  /** One renewal with a refresh token that is on disk. */
  async #send(
    refreshToken: string,
    options: { signal?: AbortSignal },
  ): Promise<Answer<{ token: string }>> {
    const { agentId } = this.#identity;
    const answer = await this.#deps.client.renew(agentId, refreshToken, options);
    const mayHaveArrived = answer.kind === "aborted" || answer.kind === "failed" && !answer.offline;
    if (mayHaveArrived) this.#spent = null;
    if (answer.kind !== "ok") return answer;
    const { token, refresh_token: successor = refreshToken } = answer.value;
    this.#spent = successor === refreshToken ? null : { token: refreshToken, successor };
    this.#identity = { ...this.#identity, accessToken: token, refreshToken: successor };
    await this.#save();
    return { ...answer, value: { token } };
  }

  /** The refresh token to use: the one that a restart would find. */
  async #readStored(): Promise<string> {
    const { system, stateDirectory } = this.#deps;
    const { agentId, serverUrl, refreshToken } = this.#identity;
    try {
      const found = await loadIdentity(system, stateDirectory);
      const isOwn = found?.agentId === agentId && found.serverUrl === serverUrl;
      this.#isForeign = found !== undefined && !isOwn;
      // Where the disk has no token of this agent, no restart can use an older one.
      this.#stored = isOwn ? found.refreshToken : refreshToken;
    } catch (error) {
      this.#deps.log.error("cannot read the tokens", { why: String(error) });
    }
    return this.#stored;
  }

  async #save(): Promise<void> {
    const { system, stateDirectory, log } = this.#deps;
    const identity = this.#identity;
    if (this.#isForeign) {
      return log.error("tokens not saved: the directory belongs to another agent", {
        directory: stateDirectory,
      });
    }
    try {
      await saveIdentity(system, stateDirectory, identity);
      this.#stored = identity.refreshToken;
      this.#durable = identity.refreshToken;
    } catch (error) {
      this.#durable = null; // Which of the two a power cut leaves is unknown now.
      log.error("cannot save the access token", { why: String(error) });
    }
  }
}
