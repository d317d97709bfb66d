/** What a server of 0.2 knows of an agent beyond its row: machine, device, scanners, a running self-update. */

import type { Database, Row } from "../../../src/system/database.ts";

/** The facts of an agent that 0.1 does not know. */
export interface Binding {
  readonly agentId: string;
  /** `null`: registered without one, at this server or at the 0.1 server it was before. */
  readonly machineId: string | null;
  readonly publicKeyFingerprint: string | null;
  readonly deviceType: string;
  readonly deviceModel: string | null;
  readonly osDistro: string | null;
  /** Of the last registration or check-in that named some; `null`: none did. */
  readonly availableScanners: readonly string[] | null;
  /** The version of an `update_agent` that the agent has not attested yet. */
  readonly updatingTo: string | null;
  readonly updatingSinceMs: number | null;
}

/** The facts of a registration; empty texts are none. */
export interface NewBinding {
  readonly agentId: string;
  readonly machineId: string;
  readonly publicKeyFingerprint: string;
  readonly deviceType: string;
  readonly deviceModel: string;
  readonly osDistro: string;
}

/** What other words are taken for: `server`. */
const DEVICE_TYPES = new Set(["server", "desktop", "laptop", "phone", "tablet", "vm", "container"]);

/** The table `agent_bindings`. Methods throw `DatabaseError`. */
export class Bindings {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  add(binding: NewBinding): void {
    this.#database.run(
      `INSERT INTO agent_bindings
         (agent_id, machine_id, public_key_fingerprint, device_type, device_model, os_distro)
       VALUES (?, ?, ?, ?, ?, ?)`,
      binding.agentId,
      binding.machineId || null,
      binding.publicKeyFingerprint || null,
      DEVICE_TYPES.has(binding.deviceType) ? binding.deviceType : "server",
      binding.deviceModel || null,
      binding.osDistro || null,
    );
  }

  list(): Binding[] {
    return this.#database.all("SELECT * FROM agent_bindings ORDER BY rowid").map(bindingOf);
  }

  get(agentId: string): Binding | undefined {
    const [row] = this.#database.all("SELECT * FROM agent_bindings WHERE agent_id = ?", agentId);
    return row && bindingOf(row);
  }

  /** The agent that a machine is bound to. */
  ofMachine(machineId: string): Binding | undefined {
    const [row] = this.#database.all(
      "SELECT * FROM agent_bindings WHERE machine_id = ?",
      machineId,
    );
    return row && bindingOf(row);
  }

  /** Binds an agent to another machine, or to none; its tokens stay valid. */
  rebind(agentId: string, machineId: string | null): void {
    this.#database.run(
      "UPDATE agent_bindings SET machine_id = ? WHERE agent_id = ?",
      machineId,
      agentId,
    );
  }

  setScanners(agentId: string, scanners: readonly string[]): void {
    this.#database.run(
      "UPDATE agent_bindings SET available_scanners = ? WHERE agent_id = ?",
      JSON.stringify(scanners),
      agentId,
    );
  }

  /** Keeps what a report of host facts says of the device; what it does not know stays. */
  setDevice(agentId: string, device: { type: string; model: string; distro: string }): void {
    this.#database.run(
      `UPDATE agent_bindings SET device_type = coalesce(?, device_type),
         device_model = coalesce(?, device_model), os_distro = coalesce(?, os_distro)
       WHERE agent_id = ?`,
      DEVICE_TYPES.has(device.type) ? device.type : null,
      device.model || null,
      device.distro || null,
      agentId,
    );
  }

  /** Notes a self-update that has been ordered, or, with `null`, its end. */
  setUpdating(agentId: string, updatingTo: string | null, nowMs: number): void {
    this.#database.run(
      "UPDATE agent_bindings SET updating_to = ?, updating_since_ms = ? WHERE agent_id = ?",
      updatingTo,
      updatingTo === null ? null : nowMs,
      agentId,
    );
  }
}

function bindingOf(row: Row): Binding {
  return {
    agentId: String(row["agent_id"]),
    machineId: row["machine_id"] as string | null,
    publicKeyFingerprint: row["public_key_fingerprint"] as string | null,
    deviceType: String(row["device_type"]),
    deviceModel: row["device_model"] as string | null,
    osDistro: row["os_distro"] as string | null,
    availableScanners: JSON.parse(String(row["available_scanners"] ?? "null")),
    updatingTo: row["updating_to"] as string | null,
    updatingSinceMs: row["updating_since_ms"] as number | null,
  };
}
