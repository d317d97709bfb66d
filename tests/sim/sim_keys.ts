/** The keys of the server of 0.2 in the simulator: what it shows and signs, and what others forge in its name. */

import { SigningServer } from "../fakes/signing_server.ts";
import type { ServerCommand, Signing } from "./sim_commands.ts";

/** The agent of each run. */
export const SIM_AGENT = "3f0c2e8e-8f5d-4c58-9d0e-6f6f0c1f7a11";

const HOUR_MS = 3_600_000;

/** What somebody who can put commands into the server's answers may try. */
export const FORGERIES = [
  "unsigned",
  "of_a_stranger",
  "of_a_stranger_as_own",
  "for_another_agent",
  "with_other_params",
  "of_another_type",
  "in_an_old_form",
  "malformed",
] as const;

/** Commands that the server has signed, when it is not the time for them. */
export const MISTIMED = ["of_yesterday", "of_tomorrow"] as const;

/** One of them. */
export type Forgery = typeof FORGERIES[number] | typeof MISTIMED[number];

/** By whom and when a signature was made. */
export interface Issue {
  readonly keyId: string | null;
  /** Of the time that was signed. */
  readonly signedMs: number;
  /** Whether a holder of the key that it names has signed exactly this for this agent. */
  readonly isGenuine: boolean;
}

/** So far the seeds of keys are apart, which differ in each byte. */
const servers = new Map<number, SigningServer>();

/** The nth key that any server has; a worker makes each once. */
function keyOf(n: number): SigningServer {
  const known = servers.get(n) ?? new SigningServer(n);
  servers.set(n, known);
  return known;
}

/** The signing keys of one server. */
export class SimKeys {
  readonly #nowMs: () => number;
  #count = 1;
  /** Active keys of the server itself, the primary one first. */
  #own: readonly SigningServer[] = [keyOf(0)];
  /** A key that nobody announced, in place of all others. */
  #intruder: SigningServer | null = null;
  /** Each signature that was made, by the command's id and the signature. */
  readonly #issues = new Map<string, Issue>();
  /** Called with the ids of the keys of each announcement. */
  onAnnounced: (keyIds: readonly string[]) => void = () => {};

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get #active(): readonly SigningServer[] {
    return this.#intruder === null ? this.#own : [this.#intruder];
  }

  /** The key that signs. */
  get primaryId(): string {
    return this.#active[0]!.key.keyId;
  }

  /** A new key signs from now on, and is shown together with those before it. */
  rotate(): void {
    this.#own = [this.#next(), ...this.#own];
  }

  /** All keys but the one that signs are shown no more, and count no more. */
  retire(): void {
    this.#own = this.#own.slice(0, 1);
  }

  /** A key that nobody has announced takes the place of all. */
  swap(): void {
    this.#intruder = this.#next();
  }

  /** The keys from before `swap()` are back: alone, or together with the one that took their place. */
  endSwap({ isAnnounced }: { isAnnounced: boolean }): void {
    if (isAnnounced && this.#intruder !== null) this.#own = [this.#intruder, ...this.#own];
    this.#intruder = null;
  }

  /** The command as the server delivers it: signed at once, when it is made. */
  sign(command: ServerCommand): ServerCommand {
    return this.#sign(command, { by: this.#active[0]!, isGenuine: true });
  }

  /** The command as somebody makes it who cannot sign, or who kept what the server signed once. */
  forge(command: ServerCommand, forgery: Forgery): ServerCommand {
    const own = this.#active[0]!;
    const by = this.#active[0]!;
    switch (forgery) {
      case "unsigned":
        return this.#issue(
          command,
          { signature: "", key_id: "", signed_at: this.#instant() },
          null,
        );
      case "of_a_stranger":
        return this.#sign(command, { by: STRANGER, isGenuine: false });
      case "of_a_stranger_as_own":
        return this.#sign(command, { by: STRANGER, keyId: own.key.keyId, isGenuine: false });
      case "for_another_agent":
        return this.#sign(command, { by, agentId: OTHER_AGENT, isGenuine: false });
      case "with_other_params":
        return this.#sign(command, { by, params: { package_name: "other" }, isGenuine: false });
      case "of_another_type":
        return this.#sign(command, { by, type: "collect_specs", isGenuine: false });
      case "in_an_old_form":
        return this.#sign(command, {
          by,
          message: (signedS, hash) => `${command.id}:${command.type}:${hash}:${signedS}`,
          isGenuine: false,
        });
      case "malformed":
        return this.#issue(
          command,
          { signature: "00", key_id: own.key.keyId, signed_at: this.#instant() },
          own.key.keyId,
        );
      case "of_yesterday":
        return this.#sign(command, { by, lateMs: 5 * HOUR_MS, isGenuine: true });
      case "of_tomorrow":
        return this.#sign(command, { by, lateMs: -HOUR_MS, isGenuine: true });
    }
  }

  /** How this signature of this command came about; `undefined`: nobody made it, at 0.1. */
  issueOf(id: string, signature: string | undefined): Issue | undefined {
    return this.#issues.get(`${id} ${signature}`);
  }

  /** The body of `GET /public-keys`. */
  all(): string {
    const active = this.#active;
    this.onAnnounced(active.map(({ key }) => key.keyId));
    return JSON.stringify(active.map(({ key }, index) => ({
      ...shown(key),
      is_primary: index === 0,
      version: 1,
    })));
  }

  /** The body of `GET /public-key`. */
  primary(): string {
    const { key } = this.#active[0]!;
    this.onAnnounced([key.keyId]);
    return JSON.stringify({ ...shown(key), fingerprint: key.keyId, key_size: 32, version: "1" });
  }

  #next(): SigningServer {
    return keyOf(this.#count++);
  }

  #instant(lateMs = 0): string {
    return new Date(this.#nowMs() - lateMs).toISOString();
  }

  #sign(
    command: ServerCommand,
    { by, keyId = by.key.keyId, lateMs = 0, isGenuine, ...other }: {
      by: SigningServer;
      isGenuine: boolean;
      keyId?: string;
      agentId?: string;
      type?: string;
      params?: ServerCommand["params"];
      lateMs?: number;
      message?: (signedS: number, hash: string) => string;
    },
  ): ServerCommand {
    const { id, type, params } = { ...command, ...other };
    const signedS = Math.floor((this.#nowMs() - lateMs) / 1_000);
    const { message } = other;
    const { signature } = by.sign({
      id,
      type,
      params: JSON.stringify(params),
      signedS,
      agentId: other.agentId ?? SIM_AGENT,
      ...message && { message: ({ hash }) => message(signedS, hash) },
    });
    const signing = { signature: signature ?? "", key_id: keyId, signed_at: this.#instant(lateMs) };
    return this.#issue(command, signing, keyId, isGenuine);
  }

  #issue(
    { id, type, params }: ServerCommand,
    signing: Omit<Signing, "agent_id" | "created_at">,
    keyId: string | null,
    isGenuine = false,
  ): ServerCommand {
    const signedMs = Math.floor(Date.parse(signing.signed_at) / 1_000) * 1_000;
    this.#issues.set(`${id} ${signing.signature}`, { keyId, signedMs, isGenuine });
    const signed = { ...signing, agent_id: SIM_AGENT, created_at: signing.signed_at };
    return { id, type, params, signed };
  }
}

/** Somebody's own key, which no server shows. */
const STRANGER = new SigningServer(255);

const OTHER_AGENT = "00000000-0000-4000-8000-000000000000";

function shown({ keyId, publicKey }: SigningServer["key"]) {
  return { key_id: keyId, public_key: publicKey, algorithm: "ed25519" };
}
