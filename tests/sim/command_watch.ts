/**
 * Watches what becomes of each command that reaches the agent: it is written down, and run only if a key
 * that was pinned or properly announced has signed it, for this agent and a short time ago.
 */

import { LONGEST_AGE_MS, LONGEST_LEAD_MS } from "../../src/server/command_signature.ts";
import type { LogFields } from "../../src/log.ts";
import type { HttpResponse } from "../../src/system/http.ts";
import { textOf } from "../fakes/response.ts";
import type { Gate } from "./gate.ts";
import type { ServerWatch } from "./server_watch.ts";
import type { SimClock } from "./sim_clock.ts";
import type { Signing } from "./sim_commands.ts";
import type { SimDisk } from "./sim_disk.ts";
import type { Issue } from "./sim_keys.ts";
import type { SimServer } from "./sim_server.ts";

/** What is watched, and what it is compared with. */
interface Watched {
  readonly clock: SimClock;
  readonly disk: SimDisk;
  readonly server: SimServer;
  readonly watch: ServerWatch;
  fail(what: string): void;
}

/** One arrival of a command. */
interface Delivery {
  readonly id: string;
  readonly type: string;
  /** `undefined`: of a server of 0.1. */
  readonly issue: Issue | undefined;
  readonly atMs: number;
  /** By the clock of the host. */
  readonly ageMs: number;
}

/** The keys that the agent relies on, as its disk has them, from an instant on. */
interface Trust {
  readonly fromMs: number;
  readonly keyIds: readonly string[];
  readonly isRatcheted: boolean;
  readonly isRefusing: boolean;
}

/** As the agent saves it. */
interface KeysFile {
  readonly trust: {
    readonly pinned: { readonly key_id: string } | null;
    readonly others: readonly { readonly key_id: string }[];
    readonly refused_key_ids: readonly string[];
    readonly ratcheted: boolean;
  };
}

/** A command whose key is not known waits for so long, and for the check-in after that. */
const PUT_OFF_MS = 36 * 60_000;

/** So often it is looked for, once a minute, while it may wait. */
const MOST_LOOKS = 60;

/** What a holder of the key signed; it may still be the wrong key, or the wrong time. */
const NEVER_OF_A_GENUINE_ONE: ReadonlySet<unknown> = new Set([
  ...["unsigned", "malformed", "bad_signature", "other_agent"],
]);

/** How the commands of one answer are looked for. */
interface Look {
  /** Whether the disk was well at the latest look. */
  readonly isWell: boolean;
  /** Those that must be there by now; `null`: it is not known yet which ones have to wait for a key. */
  readonly due: readonly Delivery[] | null;
  /** Looks before this one. */
  readonly looks: number;
}

const FIRST_LOOK: Look = { isWell: true, due: null, looks: 0 };

/** The limit of one request for the server's keys, and a second. */
const LOOK_UP_MS = 11_000;

export class CommandWatch {
  readonly #watched: Watched;
  /** Commands that a living agent took while its disk was well. */
  readonly taken = new Set<string>();
  /** Commands that the agent has refused, each with a security event. */
  readonly refused = new Set<string>();
  /** Of one answer, only some are named: so many others were refused with them. */
  #unnamed = 0;
  readonly #accepted = new Set<string>();
  readonly #deliveries = new Map<string, Delivery[]>();
  #trusts: Trust[] = [{ fromMs: 0, keyIds: [], isRatcheted: false, isRefusing: false }];
  /** What the server has said since the trusted keys changed, and what they changed by. */
  #announced: (readonly string[])[] = [];

  constructor(watched: Watched) {
    const { disk, server } = watched;
    this.#watched = watched;
    server.keys.onAnnounced = (keyIds) => void this.#announced.push(keyIds);
    server.onResult = (id, result) => result === "success" && this.accepted(id);
    disk.onWritten = (path, text) => path.endsWith("/keys.json") && this.#keysSaved(text);
  }

  /** The keys that the agent relies on now. */
  get trust(): Trust {
    return this.#trusts.at(-1)!;
  }

  /** A check-in was answered; its commands must be in the journal as soon as the disk is well. */
  answered(response: HttpResponse, gate: Gate, isLate: () => boolean): void {
    const body = textOf(response);
    if (!body.includes('"commands":[{')) return;
    const { clock } = this.#watched;
    const commands: ({ id: string; type: string } & Partial<Signing>)[] = JSON.parse(body).commands;
    const deliveries = commands.map(({ id, type, signature }): Delivery => {
      const issue = this.#watched.server.keys.issueOf(id, signature);
      return { id, type, issue, atMs: clock.trueMs, ageMs: clock.nowMs() - (issue?.signedMs ?? 0) };
    });
    // Of two with one id the agent reads the first.
    const read = deliveries.filter(({ id }, at) =>
      deliveries.findIndex((other) => other.id === id) === at
    );
    for (const delivery of read) {
      const known = this.#deliveries.get(delivery.id) ?? [];
      this.#deliveries.set(delivery.id, [...known, delivery]);
    }
    // In time: an answer that comes after the agent has given up on it is lost.
    clock.after(1, () => isLate() || this.#look(read, gate, FIRST_LOOK));
  }

  #look(
    deliveries: readonly Delivery[],
    gate: Gate,
    { isWell, due, looks }: Look,
  ): void {
    const { clock, disk, fail } = this.#watched;
    if (gate.isDead || looks > MOST_LOOKS) return;
    const again = (ms: number, left: readonly Delivery[], next: Partial<Look>) =>
      void clock.after(
        ms,
        () => this.#look(left, gate, { isWell: true, due, looks: looks + 1, ...next }),
      );
    // Held in memory until the disk takes it, which it is asked every 10 s; or, as keys are not saved
    // either, until the check-in after that.
    if (disk.fault !== null) return again(60_000, deliveries, { isWell: false, due: [] });
    if (!isWell) return again(20_000, deliveries, {});
    const left = deliveries.filter((delivery) => {
      if (!this.#isDone(delivery)) return true;
      this.taken.add(delivery.id);
      this.#watched.watch.journalled(delivery.id);
      return false;
    });
    if (left.length === 0) return;
    // While the agent asks for the key of one command, the others of that answer wait.
    if (due === null) {
      return again(LOOK_UP_MS, left, { due: left.filter((one) => !this.#mayWait(one)) });
    }
    const late = left.find((delivery) => due.includes(delivery));
    if (late === undefined) return again(60_000, left, { due: [] });
    const isWritten = this.stateOf(late.id) !== undefined;
    fail(`command ${late.id} is ${isWritten ? "forged, and not refused" : "not in the journal"}`);
  }

  /** Whether it is in the journal, and refused if it must be. */
  #isDone({ id, issue }: Delivery): boolean {
    const state = this.stateOf(id);
    if (state === undefined) return false;
    if (state === "received" || state === "started") this.accepted(id);
    if (issue === undefined || issue.isGenuine || this.refused.has(id)) return true;
    if (this.#unnamed === 0) return false;
    this.#unnamed -= 1;
    this.refused.add(id);
    return true;
  }

  /** Whether the agent may have to ask for a key before it can judge. */
  #mayWait({ issue }: Delivery): boolean {
    if (issue === undefined) return false;
    const { keyIds, isRefusing, isRatcheted } = this.trust;
    if (isRefusing || !isRatcheted) return true;
    return issue.keyId !== null && !keyIds.includes(issue.keyId);
  }

  /** What the journal says of a command. */
  stateOf(id: string): string | undefined {
    const [row] = this.#watched.disk.database.all("SELECT state FROM commands WHERE id = ?", id);
    return row === undefined ? undefined : String(row["state"]);
  }

  /** The agent runs a command, or has run it. */
  accepted(id: string): void {
    if (this.#accepted.has(id)) return;
    this.#accepted.add(id);
    const deliveries = this.#deliveries.get(id) ?? [];
    if (deliveries.length === 0 || deliveries.some((delivery) => this.#mayRun(delivery))) return;
    this.#watched.fail(`command ${id} runs, and no trusted key has signed it in time`);
  }

  #mayRun({ type, issue, atMs, ageMs }: Delivery): boolean {
    const trusts = this.#trusts.filter((_, at) =>
      (this.#trusts[at + 1]?.fromMs ?? Infinity) >= atMs
    );
    if (issue === undefined || issue.keyId === null) {
      // A server of 0.2 has made no such command: before its first key, only those that read are run.
      const isAllowed = issue === undefined || type !== "install_updates";
      return isAllowed && trusts.some(({ isRatcheted }) => !isRatcheted);
    }
    const { keyId } = issue;
    return issue.isGenuine && ageMs <= LONGEST_AGE_MS && ageMs >= -LONGEST_LEAD_MS - PUT_OFF_MS &&
      trusts.some(({ keyIds, isRefusing }) => !isRefusing && keyIds.includes(keyId));
  }

  /** A line of the agent's log. */
  logged(message: string, { id, reason, security_event, commands }: LogFields): void {
    if (message === "further commands refused") this.#unnamed += Number(commands);
    if (message !== "command refused" || security_event !== "command_refused") return;
    const deliveries = this.#deliveries.get(String(id)) ?? [];
    this.refused.add(String(id));
    const last = deliveries.at(-1);
    // Of one that was forged, each reason is right.
    if (last?.issue === undefined || deliveries.some(({ issue }) => !issue?.isGenuine)) return;
    if (!this.#isReason(reason, last.issue)) {
      this.#watched.fail(`command ${id} is rightly signed, and refused: ${reason}`);
    }
  }

  #isReason(reason: unknown, { keyId, signedMs }: Issue): boolean {
    const { keyIds, isRefusing } = this.trust;
    const ageMs = this.#watched.clock.nowMs() - signedMs;
    if (NEVER_OF_A_GENUINE_ONE.has(reason)) return false;
    if (reason === "too_old") return ageMs > LONGEST_AGE_MS;
    if (reason === "from_the_future") return ageMs < -LONGEST_LEAD_MS;
    if (reason === "unknown_key") return !keyIds.includes(String(keyId));
    const shown = this.#announced.at(-1) ?? [];
    return isRefusing || !shown.some((shownId) => keyIds.includes(shownId));
  }

  /** The file with the keys: none is trusted in it that was not pinned, or announced beside a trusted one. */
  #keysSaved(text: string): void {
    const { clock, fail } = this.#watched;
    const { trust }: KeysFile = JSON.parse(text);
    const keys = trust.pinned === null ? [] : [trust.pinned, ...trust.others];
    const keyIds = keys.map(({ key_id }) => key_id).toSorted();
    const before = this.trust;
    if (before.isRatcheted && !trust.ratcheted) fail("unsigned commands count again");
    if (!isSame(keyIds, before.keyIds)) {
      const isReached = reachable(before, this.#announced).some((known) => isSame(known, keyIds));
      if (!isReached) fail("a key is trusted that no trusted one has announced");
      const at = this.#announced.findLastIndex((known) => isSame(known.toSorted(), keyIds));
      this.#announced = this.#announced.slice(Math.max(0, at));
    }
    this.#trusts = [...this.#trusts.slice(-100), {
      fromMs: clock.trueMs,
      keyIds,
      isRatcheted: trust.ratcheted,
      isRefusing: trust.refused_key_ids.length > 0,
    }];
  }
}

/** The sets of keys, each sorted, that announcements lead to, if each of them may have been lost. */
function reachable(
  { keyIds, isRatcheted }: Trust,
  announced: readonly (readonly string[])[],
): readonly (readonly string[])[] {
  const reached: (readonly string[])[] = [keyIds];
  for (const shown of announced) {
    const isFollowed = reached.some((known) =>
      known.some((keyId) => shown.includes(keyId)) || (known.length === 0 && !isRatcheted)
    );
    if (isFollowed) reached.push(shown.toSorted());
  }
  return reached;
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((id, at) => id === other[at]);
}
