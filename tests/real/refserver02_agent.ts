/** An agent as small as one can be, as a server of 0.2 wants it, and such a server. */

import type { RefserverOptions } from "../../tools/refserver/refserver.ts";
import type { Refserver } from "../../tools/refserver/server.ts";
import { FakeClock } from "../fakes/clock.ts";
import { call, type RawAnswer } from "./raw_request.ts";
import { host, TOKEN, update, withServer } from "./refserver_agent.ts";

export const MINUTE_MS = 60_000;

/** The seed of the test vectors of RedFlag's own golden file. */
export const SEED = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/** An id as a machine has one. */
export const MACHINE = "3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9";

/** The registration of a host at a server of 0.2. */
export const host02 = {
  ...host,
  machine_id: MACHINE,
  available_scanners: ["apt"],
  metadata: { cpu_cores: "4" },
};

/** One update as an agent of today reports it. */
export const update02 = { ...update, metadata: {} };

/** The body of a report of updates. */
export function reportOf(updates: unknown, more: object = {}): unknown {
  return { command_id: "", timestamp: "2026-11-23T00:00:00Z", updates, ...more };
}

/** An agent that is enrolled; `headers` are sent with every request. */
export interface Agent02 {
  readonly id: string;
  token: string;
  refreshToken: string;
  headers: Record<string, string>;
  send(method: string, what: string, body?: unknown): Promise<RawAnswer>;
  checkIn(body?: unknown): Promise<RawAnswer>;
  /** Renews, and keeps what comes of it. */
  renew(more?: object): Promise<RawAnswer>;
}

/** Does the work with a server of 0.2, past its young minute unless told, and its clock. */
export async function with02(
  options: RefserverOptions & { isYoung?: boolean },
  work: (server: Refserver, clock: FakeClock) => Promise<void>,
): Promise<void> {
  const { isYoung = false, ...rest } = options;
  const clock = new FakeClock();
  await withServer({ age: "0.2", clock, signingSeed: SEED, ...rest }, async (server) => {
    if (!isYoung) server.advance(MINUTE_MS);
    await work(server, clock);
  });
}

export function register02(server: Refserver, change: object = {}): Promise<RawAnswer> {
  return call(server.url, {
    method: "POST",
    path: "/api/v1/agents/register",
    headers: { Authorization: `Bearer ${TOKEN}` },
    body: { ...host02, ...change },
  });
}

/** Registers an agent of the machine, or another one, and answers what it needs to speak. */
export async function enrol02(server: Refserver, change: object = {}): Promise<Agent02> {
  const { agent_id: id, token, refresh_token } = (await register02(server, change)).json;
  const machineId = (change as { machine_id?: string }).machine_id ?? MACHINE;
  const agent: Agent02 = {
    id,
    token,
    refreshToken: refresh_token,
    headers: machineId === "" ? {} : { "X-Machine-ID": machineId },
    send(method, what, body) {
      const headers = { Authorization: `Bearer ${this.token}`, ...this.headers };
      return call(server.url, { method, path: `/api/v1/agents/${id}/${what}`, headers, body });
    },
    checkIn(body) {
      return this.send("GET", "commands", body);
    },
    async renew(more = {}) {
      const answer = await renew02(server, this, { refresh_token: this.refreshToken, ...more });
      if (answer.status === 200) {
        this.token = answer.json.token;
        this.refreshToken = answer.json.refresh_token;
      }
      return answer;
    },
  };
  return agent;
}

/** A renewal with any token. */
export function renew02(
  server: Refserver,
  agent: { id: string; headers: Record<string, string> },
  body: object,
): Promise<RawAnswer> {
  const { id, headers } = agent;
  const path = "/api/v1/agents/renew";
  return call(server.url, { method: "POST", path, headers, body: { agent_id: id, ...body } });
}

/** A GET that anybody may send. */
export function get(server: Refserver, path: string): Promise<RawAnswer> {
  return call(server.url, { method: "GET", path });
}

/** What the server noted as a mistake of its client. */
export function violations(server: Refserver): string[] {
  return server.state().violations.map(({ what }) => what);
}
