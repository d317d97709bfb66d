/** What an operator, or a test in the place of fate, does to a server of 0.2. */

import type { Backend02 } from "./backend.ts";
import type { CommandOrder } from "./command_queue.ts";
import { schedule, triggerSubsystem } from "./dashboard.ts";
import { changed, type Settings, type SettingsChange } from "./settings.ts";
import type { Subsystem } from "./subsystems.ts";

/** A command as it is ordered: for the only agent unless told which. */
export type OperatorOrder = Omit<CommandOrder, "agentId" | "params"> & {
  readonly agentId?: string | undefined;
  /** @default {} */
  readonly params?: CommandOrder["params"] | undefined;
};

/** The operations. Those that name an agent mean the only one unless told which. */
export class Operator {
  readonly #backend: Backend02;
  readonly #agentId: (act: string, named: string | undefined) => string;

  /** @param agentId answers the named agent, or the only one, or throws */
  constructor(
    backend: Backend02,
    agentId: (act: string, named: string | undefined) => string,
  ) {
    this.#backend = backend;
    this.#agentId = agentId;
  }

  /** Changes settings; what is not named stays. @throws {v.ValiError} */
  set(change: SettingsChange): Settings {
    return this.#backend.settings = changed(this.#backend.settings, change);
  }

  /**
   * Queues a command, signed as told; answers its id. Two of a type may wait here, which the real
   * server's own orders never do.
   */
  queue(order: OperatorOrder): string {
    const { agentId: named, params = {}, ...rest } = order;
    const agentId = this.#agentId("queue command", named);
    const nowMs = this.#backend.nowMs();
    const id = this.#backend.commands.create({ ...rest, agentId, params }, nowMs);
    const version = params?.["version"];
    if (order.type === "update_agent" && typeof version === "string") {
      this.#backend.bindings.setUpdating(agentId, version, nowMs);
    }
    return id;
  }

  /** Hands a command over again, whatever has become of it. @throws {Error} if there is none */
  replay(commandId: string): void {
    this.#backend.commands.replay(commandId, this.#backend.nowMs());
  }

  /** Cancels a command that no agent has received yet; whether it was one. */
  cancel(commandId: string): boolean {
    return this.#backend.commands.cancel(commandId, this.#backend.nowMs());
  }

  /** Binds an agent to another machine, or, with `null`, to none. */
  rebind(machineId: string | null, agentId?: string): void {
    this.#backend.bindings.rebind(this.#agentId("rebind", agentId), machineId);
  }

  /** Signs with another key from now on; `retireOld`: and the old one vanishes at once. */
  rotateKey(options: { seed?: string; retireOld?: boolean } = {}): {
    keyId: string;
    publicKey: string;
  } {
    const { keyId, publicKey } = this.#backend.keys.rotate(options);
    return { keyId, publicKey };
  }

  /** Takes an older key out of those that agents may trust. @throws {Error} if it is the primary */
  retireKey(keyId: string): void {
    this.#backend.keys.retire(keyId);
  }

  /** Sets a subsystem of an agent; what is not named stays, or is on, by itself, hourly. */
  setSubsystem(
    change: Partial<Omit<Subsystem, "subsystem">> & Pick<Subsystem, "subsystem">,
  ): void {
    const agentId = this.#agentId("set subsystem", change.agentId);
    const old = this.#backend.subsystems.of(agentId)
      .find(({ subsystem }) => subsystem === change.subsystem);
    this.#backend.subsystems.set({
      enabled: change.enabled ?? old?.enabled ?? true,
      autoRun: change.autoRun ?? old?.autoRun ?? true,
      intervalMinutes: change.intervalMinutes ?? old?.intervalMinutes ?? 60,
      subsystem: change.subsystem,
      agentId,
    });
  }

  /** Presses the dashboard's button for a subsystem; `null`: its command waits already. */
  trigger(subsystem: string, agentId?: string): string | null {
    const named = { agentId: this.#agentId("trigger scan", agentId), subsystem };
    return triggerSubsystem(this.#backend, named, this.#backend.nowMs()) ?? null;
  }

  /** Lets the scheduler order everything that runs by itself; answers the commands' ids. */
  schedule(): string[] {
    return schedule(this.#backend, this.#backend.nowMs());
  }
}
