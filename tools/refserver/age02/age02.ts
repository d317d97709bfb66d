/** A server of 0.2 on the tables and sockets of the reference server: what it is made of, and its state. */

import type { Backend } from "../backend.ts";
import { Bindings } from "./bindings.ts";
import type { Backend02 } from "./backend.ts";
import type { Binding } from "./bindings.ts";
import { CapabilityTokens, type StoredToken } from "./capability_tokens.ts";
import { CommandQueue, type Delivery } from "./command_queue.ts";
import { PackageStates } from "./package_states.ts";
import { Patience } from "./patience.ts";
import { RefreshFamilies, type RefreshToken } from "./refresh_families.ts";
import { type ReportedRow, ReportedRows } from "./reported_rows.ts";
import { SCHEMA_02 } from "./schema.ts";
import { changed, DEFAULT_SETTINGS, type Settings, type SettingsChange } from "./settings.ts";
import { type SigningKey, SigningKeys } from "./signing_keys.ts";
import { type Subsystem, Subsystems } from "./subsystems.ts";
import { type SystemEvent, SystemEvents } from "./system_events.ts";

/** What only a server of 0.2 has to show. */
export interface State02 {
  readonly settings: Settings;
  readonly bindings: readonly Binding[];
  /** Hashes, never the tokens. */
  readonly refreshTokens: readonly RefreshToken[];
  /** What each command's delivery adds to it, in the order of `commands`. */
  readonly deliveries: readonly Delivery[];
  readonly keys: readonly Omit<SigningKey, "seed">[];
  readonly subsystems: readonly Subsystem[];
  readonly events: readonly SystemEvent[];
  readonly rows: readonly ReportedRow[];
  readonly capabilityTokens: readonly StoredToken[];
}

/** How a server of 0.2 starts. */
export interface Options02 {
  readonly settings: SettingsChange;
  readonly signingSeed: string | undefined;
  readonly scheme: "http" | "https";
}

/** Adds what 0.2 has to a server's backend; the file of a 0.1 server is upgraded. */
export function backendOf02(base: Backend, options: Options02): Backend02 {
  const { store } = base;
  const { database } = store;
  database.execute(SCHEMA_02);
  const keys = new SigningKeys(database, options.signingSeed);
  const startedAtMs = base.nowMs();
  return {
    ...base,
    bindings: new Bindings(database),
    refreshTokens: new RefreshFamilies(database),
    keys,
    commands: new CommandQueue(database, store.commands, keys),
    packages: new PackageStates(database, store.reports),
    subsystems: new Subsystems(database),
    events: new SystemEvents(database),
    rows: new ReportedRows(database),
    capabilities: new CapabilityTokens(database, keys),
    startedAtMs,
    scheme: options.scheme,
    closings: [],
    callPatience: new Patience({ windowMs: 600_000, limit: 40 }),
    registrationPatience: new Patience({ windowMs: 3_600_000, limit: 10 }),
    repeatedEvents: new Map(),
    sweptAtMs: startedAtMs,
    settings: changed(DEFAULT_SETTINGS, options.settings),
  };
}

/** Everything there is to see of it. */
export function state02(backend: Backend02): State02 {
  return {
    settings: backend.settings,
    bindings: backend.bindings.list(),
    refreshTokens: backend.refreshTokens.list(),
    deliveries: backend.commands.list().map(({ delivery }) => delivery),
    keys: backend.keys.all().map(({ seed: _, ...key }) => key),
    subsystems: backend.subsystems.list(),
    events: backend.events.list(),
    rows: backend.rows.list(),
    capabilityTokens: backend.capabilities.list(),
  };
}
