/** Makes the files that an agent in some condition leaves, and says what an operator has to read then. */

import { DISK_STATUS_FILE } from "../../src/agent/disk_status.ts";
import { STATE_FILE } from "../../src/agent/saved_state.ts";
import type { SavedBreaker } from "../../src/breaker/saved.ts";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { saveIdentity } from "../../src/identity.ts";
import type { StoredState } from "../../src/loop/state.ts";
import { FakeSystem } from "./system.ts";

/** The state directory of the hosts. */
export const CONDITION_STATE = "/var/lib/pennon";

/** The instant at which all conditions are looked at. */
export const CONDITION_NOW_MS = Date.UTC(2026, 10, 30, 3, 13, 37);

/** Units of time in ms. */
export const S = 1_000;
export const MIN = 60 * S;
export const HOUR = 60 * MIN;

export const NOW = CONDITION_NOW_MS;

/** A host in some condition; each step adds or changes files. */
export class ConditionHost {
  readonly system = new FakeSystem();

  constructor() {
    this.system.clock.setNow(NOW);
    this.apt();
  }

  static async registered(): Promise<ConditionHost> {
    const host = new ConditionHost();
    await saveIdentity(host.system, CONDITION_STATE, {
      agentId: "da205f1b-ac14-4fad-9f4a-456a0c9e8876",
      serverUrl: "https://redflag.example",
      accessToken: "access-1",
      refreshToken: "refresh-1",
      intervalMs: 5 * MIN,
    });
    return host;
  }

  /** Registered and running since 5 h; the next check-in is in 2 min. */
  static async running(
    state: Partial<StoredState> = {},
    connection: Partial<StoredState["connection"]> = {},
  ): Promise<ConditionHost> {
    const host = await ConditionHost.registered();
    host.holder(NOW - 5 * HOUR);
    await host.disk();
    await host.state(state, connection);
    return host;
  }

  apt(): void {
    this.system.files.ofHost.set("/usr/bin/apt-get", "");
    for (const path of ["/usr/bin/apt-get", "/usr/bin/dpkg-query"]) {
      this.system.files.texts.set(path, "");
    }
  }

  /** An agent has the lock. */
  holder(sinceMs: number): void {
    const { files } = this.system;
    files.locked.add(`${CONDITION_STATE}/agent.lock`);
    files.texts.set(`${CONDITION_STATE}/agent.lock`, "");
    files.texts.set(
      `${CONDITION_STATE}/agent.json`,
      JSON.stringify({
        schema: "pennon.lock-holder/1",
        process_id: 786,
        since_at: new Date(sinceMs).toISOString(),
      }),
    );
  }

  /** The process ends by `kill -9`: its files stay. */
  dies(): void {
    this.system.files.locked.clear();
  }

  async state(
    state: Partial<StoredState> = {},
    connection: Partial<StoredState["connection"]> = {},
  ): Promise<void> {
    await STATE_FILE.write(this.system.files, CONDITION_STATE, {
      connection: {
        breaker: CLOSED,
        paths: {
          check_in: { failures: 0, notBeforeMs: null },
          delivery: { failures: 0, notBeforeMs: null },
        },
        outage: null,
        doubt: null,
        operatorAction: null,
        ...connection,
      },
      rapidUntilMs: null,
      nextCheckInAtMs: NOW + 2 * MIN,
      afterCrashAtMs: null,
      lastCheckInAtMs: NOW - 3 * MIN,
      lastSystemInfoAtMs: NOW - 30 * MIN,
      isOnce: false,
      ...state,
    });
  }

  /** What the running agent says of its disk. */
  async disk(disk = "ok", why: string | null = null, events = 0): Promise<void> {
    await DISK_STATUS_FILE.write(this.system.files, CONDITION_STATE, {
      process_id: 786,
      at_ms: NOW - HOUR,
      since_ms: disk === "ok" ? null : NOW - HOUR,
      disk,
      why,
      events,
      size_bytes: events * 500,
      acknowledgements: 0,
    });
  }

  /** The buffer, `events` of it pending since `ageMs`. */
  async buffer(
    events: number,
    { ageMs = 0, deadLetters = 0, maxEvents = 50_000 } = {},
  ): Promise<void> {
    const { system } = this;
    system.clock.setNow(NOW - ageMs);
    const limits = { maxEvents, maxBytes: 64 * 1_024 ** 2, maxAttempts: 1 };
    const { buffer } = await openBuffer(system, CONDITION_STATE, limits);
    const event: NewEvent = { kind: "log", commandId: null, snapshotOf: null, body: "{}" };
    const { ids } = buffer.append(Array.from({ length: events + deadLetters }, () => event));
    for (const id of ids.slice(0, deadLetters)) buffer.refuse(id, "HTTP 400: bad");
    system.clock.setNow(NOW);
  }

  file(name: string, text: string): void {
    this.system.files.texts.set(`${CONDITION_STATE}/${name}`, text);
  }

  /** One breaker and one last scan. */
  scanner(breaker: Record<string, unknown> | null, scan: Record<string, unknown> | null): void {
    if (breaker !== null) {
      this.file(
        "scanner-breakers.json",
        JSON.stringify({ schema: "pennon.scanner-breakers/2", breakers: { apt: breaker } }),
      );
    }
    if (scan === null) return;
    const found = { result: "ok", updates: 135, security: 85, duration_ms: 900, error: null };
    const scanned_at = new Date(NOW - 4 * MIN).toISOString();
    this.file(
      "last-scans.json",
      JSON.stringify({
        schema: "pennon.last-scans/1",
        scanners: { apt: { ...found, scanned_at, ...scan } },
      }),
    );
  }

  configuration(text: string): void {
    this.system.files.texts.set("/etc/pennon/config.toml", text);
  }
}

export const CLOSED: SavedBreaker = { state: "closed", generation: 0, failures: 0, recent: [] };

/** One condition and what has to be read in it. */
export interface Condition {
  readonly name: string;
  host(): Promise<ConditionHost>;
  /** The beginning of the first line of `status`, after "Health". */
  readonly health: string;
  /** Of `status --check`. */
  readonly check: 0 | 1 | 2;
  /** Of `status`. @default 0 */
  readonly exit?: number;
  /** Of the most serious reason; `null`: none. */
  readonly code: string | null;
  /** ms until the next attempt; `null`: none is predicted. */
  readonly nextInMs: number | null;
  /** Of `breaker list` for the connection; absent: it has no row. */
  readonly listed?: string;
}

export const RUNNING = { nextInMs: 2 * MIN, listed: "in 2 min" } as const;
export const DEAD = { nextInMs: null, listed: "no agent runs" } as const;
export const OPERATOR = { check: 2, nextInMs: 52 * MIN, listed: "in 52 min" } as const;

/** A condition of a running agent that differs from a healthy one in its files. */
export function running(
  name: string,
  expected: Omit<Condition, "name" | "host">,
  change: (host: ConditionHost) => void | Promise<void> = () => {},
  ...state: Parameters<typeof ConditionHost.running>
): Condition {
  return {
    name,
    ...expected,
    async host() {
      const host = await ConditionHost.running(...state);
      await change(host);
      return host;
    },
  };
}
