/**
 * Decides which commands of a check-in may run: those that the server signed for this agent a short time
 * ago, and, until it has shown a signing key, those without a signature that only read. A command that
 * cannot be judged yet is put off in memory; one that is refused is reported as failed.
 */

import type { CommandHandler } from "../buffer/journal.ts";
import type { KeyRing } from "../connection/key_ring.ts";
import type { Log } from "../log.ts";
import type { ReceivedCommand, RejectedCommand } from "../received_command.ts";
import { type SignatureVerdict, verifyCommand } from "../server/command_signature.ts";
import {
  type CommandPermission,
  permitCommand,
  type ServerKeys,
  trustedKeys,
  type UnsignedCommands,
} from "../server/key_trust.ts";
import type { System } from "../system/system.ts";
import type { Received } from "./command_intake.ts";

/** What a verification works with. */
export interface VerificationDeps {
  readonly system: Pick<System, "clock" | "cryptography">;
  readonly log: Log;
  readonly agentId: string;
  readonly keyRing: KeyRing;
  /** Which commands may run without a signature before the server has shown a key. */
  readonly unsigned: UnsignedCommands;
  findHandler(type: string): CommandHandler;
}

/** The circumstances of an answer with commands. */
interface VerificationContext {
  /** The server's clock when it answered, if it says. */
  readonly serverAtMs?: number;
  readonly signal: AbortSignal;
}

/** Why a command is not run; stable words. */
type RefusalReason =
  | Exclude<CommandPermission, { isAllowed: true }>["reason"]
  /** The server says that it is for another agent. */
  | "other_agent";

/** What became of one command. */
type Judgement =
  | { readonly kind: "allowed"; readonly command: ReceivedCommand }
  | { readonly kind: "put_off" }
  | { readonly kind: "refused"; readonly reason: RefusalReason; readonly why: string };

/** A command that waits for a key, or for the disk. */
interface PutOff {
  readonly command: ReceivedCommand;
  readonly sinceMs: number;
}

/** Commands in memory that cannot be judged yet; the server repeats further ones. */
const MOST_PUT_OFF = 200;

/** After so long without an answer about the keys a command is refused; then its server gives it up too. */
const LONGEST_PUT_OFF_MS = 30 * 60_000;

/** How far the clocks of host and server have to be apart for that to be named as the cause. */
const CLOCKS_APART_MS = 4 * 60_000;

/** Refusals of one answer that are logged one by one. */
const MOST_LOGGED = 10;

/** Ids whose refusal was logged and counted: the server may repeat the command. */
const MOST_REMEMBERED = 1_000;

/** Types that change nothing on the host, RedFlag's own and those that later servers may add. */
const READS_ONLY = /^(?:scan_[a-z0-9_]+|enable_heartbeat|disable_heartbeat|collect_specs)$/;

export class CommandVerification {
  readonly #deps: VerificationDeps;
  readonly #putOff = new Map<string, PutOff>();
  readonly #refusedIds = new Set<string>();

  constructor(deps: VerificationDeps) {
    this.#deps = deps;
  }

  /** Returns the commands that may run now, and adds those that may not to the rejected ones. */
  async verify(received: Received, context: VerificationContext): Promise<Received> {
    const nowMs = this.#deps.system.clock.monotonicMs();
    // In the order of their arrival: if they are too many, the server can repeat the newest.
    const waiting = new Map(this.#putOff);
    for (const command of received.commands) {
      if (!waiting.has(command.id)) waiting.set(command.id, { command, sinceMs: nowMs });
    }
    if (waiting.size === 0) return received;
    this.#putOff.clear();
    const judged = await this.#judgeAll([...waiting.values()], context);
    const commands: ReceivedCommand[] = [];
    const refused: (RejectedCommand & { reason: RefusalReason })[] = [];
    for (const [{ command, sinceMs }, judgement] of judged) {
      const { id, type } = command;
      if (judgement.kind === "allowed") commands.push(judgement.command);
      else if (judgement.kind === "put_off") this.#putOff.set(id, { command, sinceMs });
      else refused.push({ id, type, why: judgement.why, reason: judgement.reason });
    }
    this.#limitPutOff();
    await this.#recordRefused(refused);
    const rejected = refused.map(({ id, type, why }) => ({ id, type, why }));
    return { commands, rejected: [...received.rejected, ...rejected] };
  }

  /** The agent exits: a server of age 0.1 does not repeat the commands that are put off. */
  end(): void {
    if (this.#putOff.size === 0) return;
    const commands = [...this.#putOff.keys()].join(" ");
    this.#deps.log.error("commands not judged: the server's keys are not known", { commands });
    this.#putOff.clear();
  }

  async #judgeAll(
    waiting: readonly PutOff[],
    context: VerificationContext,
  ): Promise<readonly (readonly [PutOff, Judgement])[]> {
    const { keyRing } = this.#deps;
    if (!await keyRing.open()) return waiting.map((one) => [one, { kind: "put_off" }]);
    const judged = await this.#judgeEach(waiting, context);
    if (!judged.some(([, judgement]) => couldChange(judgement))) return judged;
    await keyRing.lookUp(context.signal);
    if (!await keyRing.open()) return waiting.map((one) => [one, { kind: "put_off" }]);
    return await this.#judgeEach(waiting, context);
  }

  async #judgeEach(
    waiting: readonly PutOff[],
    context: VerificationContext,
  ): Promise<readonly (readonly [PutOff, Judgement])[]> {
    const judged: (readonly [PutOff, Judgement])[] = [];
    for (const one of waiting) judged.push([one, await this.#judge(one, context)]);
    return judged;
  }

  async #judge(
    { command, sinceMs }: PutOff,
    { serverAtMs }: VerificationContext,
  ): Promise<Judgement> {
    const { system: { clock, cryptography }, agentId, keyRing, unsigned } = this.#deps;
    const { signed, type } = command;
    if (signed?.agentId && signed.agentId !== agentId) {
      return { kind: "refused", reason: "other_agent", why: "it is for another agent" };
    }
    const { trust } = keyRing.keys as ServerKeys;
    const nowMs = clock.nowMs();
    const verdict = await verifyCommand(cryptography, {
      id: command.id,
      type,
      params: command.params,
      signature: signed?.signature ?? null,
      keyId: signed?.keyId ?? null,
      signedAt: signed?.signedAt ?? null,
    }, { agentId, keys: trustedKeys(trust), nowMs });
    const isReadOnly = this.#isReadOnly(type);
    const permission = permitCommand(trust, verdict, { unsigned, isReadOnly });
    if (permission.isAllowed) {
      return { kind: "allowed", command: withSignedParams(command, verdict) };
    }
    const { reason } = permission;
    if (reason === "unknown_key" && this.#mayBeAnnounced(sinceMs)) return { kind: "put_off" };
    const skewMs = serverAtMs === undefined ? 0 : nowMs - serverAtMs;
    return { kind: "refused", reason, why: explain(reason, verdict, skewMs) };
  }

  /** Whether the server may have a key that it was not asked for since the command arrived. */
  #mayBeAnnounced(sinceMs: number): boolean {
    const { system: { clock }, keyRing } = this.#deps;
    return keyRing.answeredAtMs < sinceMs && clock.monotonicMs() - sinceMs < LONGEST_PUT_OFF_MS;
  }

  /** A command that is refused anyway is refused in its handler's words. */
  #isReadOnly(type: string): boolean {
    return READS_ONLY.test(type) || "refusal" in this.#deps.findHandler(type);
  }

  #limitPutOff(): void {
    const { log } = this.#deps;
    if (this.#putOff.size === 0) return;
    const ids = [...this.#putOff.keys()];
    const surplus = ids.slice(MOST_PUT_OFF);
    for (const id of surplus) this.#putOff.delete(id);
    if (surplus.length > 0) {
      log.error("commands lost: too many wait for a key", { commands: surplus.length });
    }
    log.warning("commands put off: the server's keys are not known", {
      commands: this.#putOff.size,
    });
  }

  async #recordRefused(
    refused: readonly (RejectedCommand & { readonly reason: RefusalReason })[],
  ): Promise<void> {
    const { system: { clock }, log, keyRing } = this.#deps;
    const fresh = refused.filter(({ id }) => !this.#refusedIds.has(id));
    const last = fresh.at(-1);
    if (last === undefined) return;
    for (const { id } of fresh) this.#refusedIds.add(id);
    for (const id of [...this.#refusedIds].slice(0, -MOST_REMEMBERED)) this.#refusedIds.delete(id);
    const security_event = "command_refused";
    for (const { id, type, reason, why } of fresh.slice(0, MOST_LOGGED)) {
      log.warning("command refused", { security_event, reason, command: type, id, why });
    }
    const more = fresh.length - MOST_LOGGED;
    if (more > 0) log.warning("further commands refused", { security_event, commands: more });
    const { id: commandId, type, reason, why } = last;
    await keyRing.recordRefusals(fresh.length, {
      commandId,
      type,
      reason,
      why,
      atMs: clock.nowMs(),
    });
  }
}

/** Whether another set of keys could lead to another judgement. */
function couldChange(judgement: Judgement): boolean {
  return judgement.kind === "put_off" ||
    (judgement.kind === "refused" && judgement.reason === "key_changed");
}

/** What was signed is what runs, even if the text that arrived can be read in two ways. */
function withSignedParams(command: ReceivedCommand, verdict: SignatureVerdict): ReceivedCommand {
  if (verdict.kind !== "valid") return command;
  return { ...command, params: verdict.params === "null" ? "{}" : verdict.params };
}

/** Completes "not run: ...". `skewMs`: how far the clock of this host is ahead of the server's. */
function explain(reason: RefusalReason, verdict: SignatureVerdict, skewMs: number): string {
  if (reason === "key_changed") return "the server shows a signing key that is not trusted";
  if (verdict.kind === "valid") return "";
  const minutes = Math.round(Math.abs(skewMs) / 60_000);
  const isClock = verdict.ageMs !== null && Math.abs(skewMs) > CLOCKS_APART_MS;
  if (!isClock) return verdict.why;
  const side = skewMs > 0 ? "ahead of" : "behind";
  return `${verdict.why}, because the clock of this host is ${minutes} min ${side} the server's`;
}
