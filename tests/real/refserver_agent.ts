/** An agent as small as one can be, and a reference server for it to speak to. */

import { deadline } from "@std/async/deadline";
import { type RefserverOptions, startRefserver } from "../../tools/refserver/refserver.ts";
import type { Refserver } from "../../tools/refserver/server.ts";
import { call, type RawAnswer } from "./raw_request.ts";

export const TOKEN = "join-us";
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** An agent that is enrolled. */
export interface TestAgent {
  readonly id: string;
  readonly token: string;
  readonly refreshToken: string;
  send(method: string, what: string, body?: unknown): Promise<RawAnswer>;
}

/** What an agent tells of its host. */
export const host = { hostname: "web-1", os_type: "linux", agent_version: "1.0.0" };

/** One update as an agent reports it. */
export const update = {
  package_type: "apt",
  package_name: "openssl",
  current_version: "3.0.1",
  available_version: "3.0.2",
  severity: "important",
};

/** A report on a command; whose, the test says. */
export const log = { command_id: "", action: "scan_updates", result: "success" };

/** A request that anybody may send. */
export const health = { method: "GET", path: "/health" };

/** The request of a host that enrols. */
export const registration = {
  method: "POST",
  path: "/api/v1/agents/register",
  headers: { Authorization: `Bearer ${TOKEN}` },
  body: host,
};

/** Bound on whatever a test waits for. */
export const PATIENCE_MS = 20_000;

/** Does the work with a server of its own, and closes it. */
export async function withServer(
  options: RefserverOptions,
  work: (server: Refserver) => Promise<void>,
): Promise<void> {
  const server = await startRefserver({ registrationTokens: [TOKEN], ...options });
  try {
    await work(server);
  } finally {
    await deadline(server.close(), PATIENCE_MS);
  }
}

export function register(
  server: Refserver,
  body: unknown = host,
  token = TOKEN,
): Promise<RawAnswer> {
  const headers = { Authorization: `Bearer ${token}` };
  return call(server.url, { method: "POST", path: "/api/v1/agents/register", headers, body });
}

/** Registers an agent, and answers with what it needs to speak. */
export async function enrol(server: Refserver): Promise<TestAgent> {
  const { agent_id: id, token, refresh_token: refreshToken } = (await register(server)).json;
  return { id, token, refreshToken, send: (...args) => send(server, { id, token }, ...args) };
}

/** Sends as an agent that says so, whatever the token. */
export function send(
  server: Refserver,
  agent: { id: string; token: string },
  method: string,
  what: string,
  body?: unknown,
): Promise<RawAnswer> {
  const path = `/api/v1/agents/${agent.id}${what && `/${what}`}`;
  return call(server.url, {
    method,
    path,
    headers: { Authorization: `Bearer ${agent.token}` },
    body,
  });
}

export function renew(server: Refserver, agent: TestAgent): Promise<RawAnswer> {
  const body = { agent_id: agent.id, refresh_token: agent.refreshToken };
  return call(server.url, { method: "POST", path: "/api/v1/agents/renew", body });
}
