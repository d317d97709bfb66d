/**
 * The server's calls, one method each. A call is one request, without retry, breaker or renewal: the
 * caller decides on those by the `Answer`.
 */

import type { Clock } from "../system/system.ts";
import type { HttpRequest, HttpResponse, SendHttp, TlsOptions } from "../system/http.ts";
import type { Secrets } from "../redact.ts";
import { stripControls } from "../strip_controls.ts";
import { type Answer, readAnswer, type ReadBody, readFailure } from "./answer.ts";
import { type CheckInAnswer, readCheckIn } from "./check_in_answer.ts";
import { encodeBody } from "./limits.ts";
import { readPolicy, type ServerPolicy } from "./policy.ts";
import {
  type CheckInBody,
  type Health,
  readAnyObject,
  readEndedCommand,
  readHealth,
  readRegistration,
  readRenewal,
  readStoredEvents,
  readStoredReport,
  readTakenEvents,
  type RegisterBody,
  type Registration,
  type Renewal,
  type ReportAnswer,
} from "./protocol.ts";
import { type AnnouncedKey, readPublicKey, readPublicKeys } from "./signing_keys.ts";

/** Where the server is and how it is reached. */
interface ClientOptions {
  /** Origin and path prefix, without a trailing slash. Tokens go nowhere else. */
  readonly serverUrl: string;
  /** Sent as `User-Agent`, and with each renewal, which makes the server record it. */
  readonly agentVersion: string;
  /** Sent as `X-Machine-ID` with every call: RedFlag 0.2 binds the agent to it, 0.1 ignores it. */
  readonly machineId: string;
  readonly tls: TlsOptions;
  readonly proxyUrl: string | null;
  readonly connectTimeoutMs: number;
  readonly timeoutMs: number;
  readonly healthTimeoutMs: number;
  readonly maxBodyBytes: number;
  /** Tokens to hide in the texts of answers; tokens that are sent and received are added. */
  readonly secrets: Secrets;
}

/** The last part of the paths that take an event: `/agents/{id}/{report}`. */
export type Report =
  | "updates"
  | "logs"
  | "dependencies"
  | "system-info"
  | "storage-metrics"
  | "metrics"
  | "circuit-breakers"
  | "events";

/** Reports for which servers before v0.1.18, or all of 0.1, have no route. */
const NEWER: ReadonlySet<Report> = new Set([
  "system-info",
  "storage-metrics",
  "metrics",
  "circuit-breakers",
  "events",
]);

/** A server that has said its version has the routes of that for so long, whatever is said without one. */
const VERSION_HOLDS_MS = 24 * 3_600_000;

/** The agent that calls. */
export interface Caller {
  readonly agentId: string;
  readonly accessToken: string;
}

/** One call's own limits. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Instead of the client's own. */
  readonly timeoutMs?: number;
}

interface Call<T> extends CallOptions {
  readonly method: HttpRequest["method"];
  readonly path: string;
  /** The agent that calls; absent before it has an id. */
  readonly agentId?: string;
  readonly token?: string;
  /** Whether a second request has no further effect. @default false */
  readonly isIdempotent?: boolean;
  /** JSON text. */
  readonly body?: string;
  readonly readBody: ReadBody<T>;
  /** Accepts the body of a refusal that means that the server takes no such report any more. */
  readonly readConflict?: ReadBody<T>;
  /** The status of that. @default 409 */
  readonly conflictStatus?: number;
}

/**
 * The value of an answer to host facts for which the server has no route: they count as delivered. A
 * misconfigured proxy gives the same answer, so it does not prove that the server accepts reports.
 */
export const NO_ROUTE: Readonly<Record<string, never>> = {};

/** Whether a report was refused because the agent was deleted on the server. */
export function isAgentUnknown(answer: Answer<unknown>): boolean {
  return answer.kind === "refused" && answer.error === "agent_unknown";
}

/** Whether the server has no such route, in its own words. */
export function isRouteUnknown(
  answer: Answer<unknown>,
): answer is Extract<Answer<unknown>, { kind: "refused" }> {
  return answer.kind === "refused" && answer.error === "route_unknown";
}

/** The answer of a server that has failed on a report, whatever its status. */
function failedOn(why: string): Answer<never> {
  const rest = { offline: false, retryAfterMs: null, isSaid: true } as const;
  return { kind: "failed", status: 500, why: `HTTP 500: ${why}`, ...rest };
}

/** The calls of protocol.md. Every answer is validated. */
export class Client {
  readonly #sendHttp: SendHttp;
  readonly #clock: Clock;
  readonly #options: ClientOptions;
  #serverVersion: string | null | undefined;
  /** When an answer last said a version. Two servers of two ages may be behind one address for a while. */
  #versionSeenMs = -Infinity;

  constructor(sendHttp: SendHttp, clock: Clock, options: ClientOptions) {
    this.#sendHttp = sendHttp;
    this.#clock = clock;
    this.#options = options;
  }

  /**
   * What the server said of its version in its latest good answer; `null`: nothing, as RedFlag 0.1 does.
   * `undefined`: there has been none since this process began.
   */
  get serverVersion(): string | null | undefined {
    return this.#serverVersion;
  }

  /** Checks whether the server is up and set up; this costs the server almost nothing. */
  async health(options: CallOptions = {}): Promise<Answer<Health>> {
    const timeoutMs = Math.min(options.timeoutMs ?? Infinity, this.#options.healthTimeoutMs);
    const answer = await this.#call({
      ...options,
      timeoutMs,
      method: "GET",
      path: "/health",
      isIdempotent: true,
      readBody: readHealth,
    });
    if (answer.kind !== "ok") return answer;
    const status = this.#options.secrets.hide(answer.value.status);
    return { ...answer, value: { ...answer.value, status } };
  }

  /**
   * The keys with which the server signs commands, as it announces them to everyone; their ids are not
   * confirmed. `refused`: it signs none, as RedFlag 0.1. `failed` with 503: it has no signing key.
   */
  async publicKeys(options: CallOptions = {}): Promise<Answer<readonly AnnouncedKey[]>> {
    const call = { ...options, method: "GET", isIdempotent: true } as const;
    const keys = await this.#call({
      ...call,
      path: "/api/v1/public-keys",
      readBody: readPublicKeys,
    });
    if (keys.kind !== "refused" || keys.status !== 404) return keys;
    const key = await this.#call({
      ...call,
      path: "/api/v1/public-key",
      readBody: readPublicKey,
    });
    return key.kind === "ok" ? { ...key, value: [key.value] } : key;
  }

  /** Enrols. The token is a registration token: `unauthorized` means that it is wrong or used up. */
  async register(token: string, body: RegisterBody): Promise<Answer<Registration>> {
    const answer = await this.#call({
      method: "POST",
      path: "/api/v1/agents/register",
      token,
      // Older servers look for the token in the body only.
      body: encodeBody({ ...body, registration_token: token }),
      readBody: readRegistration,
    });
    if (answer.kind === "ok") this.#addSecrets(answer.value.token, answer.value.refresh_token);
    return answer;
  }

  /**
   * Requests a new access token, and makes the server record this agent's version. RedFlag 0.2 answers
   * with a new refresh token as well, and the one that was sent is spent then. `unauthorized`: the
   * refresh token is dead, the agent was deleted, or the server's database does not answer (RedFlag
   * 0.1.18).
   */
  async renew(
    agentId: string,
    refreshToken: string,
    options: CallOptions = {},
  ): Promise<Answer<Renewal>> {
    this.#addSecrets(refreshToken);
    const answer = await this.#call({
      ...options,
      method: "POST",
      path: "/api/v1/agents/renew",
      agentId,
      body: JSON.stringify({
        agent_id: agentId,
        refresh_token: refreshToken,
        agent_version: this.#options.agentVersion,
      }),
      readBody: readRenewal,
    });
    if (answer.kind === "ok") {
      this.#addSecrets(answer.value.token, answer.value.refresh_token ?? "");
    }
    return answer;
  }

  /** Checks in and receives commands; RedFlag 0.1 never sends a command again. */
  checkIn(
    caller: Caller,
    body: CheckInBody,
    options: CallOptions = {},
  ): Promise<Answer<CheckInAnswer>> {
    return this.#call({
      ...options,
      method: "GET",
      path: `${agentPath(caller)}/commands`,
      agentId: caller.agentId,
      token: caller.accessToken,
      body: encodeBody(body),
      readBody: readCheckIn,
    });
  }

  /** Delivers one event; `body` is JSON text. */
  async report(
    caller: Caller,
    event: { report: Report; body: string },
    options: CallOptions = {},
  ): Promise<Answer<ReportAnswer>> {
    const answer = await this.#call<ReportAnswer>({
      ...options,
      method: "POST",
      path: `${agentPath(caller)}/${event.report}`,
      agentId: caller.agentId,
      token: caller.accessToken,
      body: event.report === "storage-metrics" ? withAgentId(event.body, caller) : event.body,
      readBody: event.report === "events" ? readStoredEvents : readStoredReport,
      ...(event.report === "logs" && { readConflict: readEndedCommand }),
      ...(event.report === "events" && { readConflict: readTakenEvents, conflictStatus: 500 }),
    });
    if (answer.kind === "ok") {
      const { openBecause, notStored } = answer.value;
      const hide = (text: string) => this.#printable(text);
      if (openBecause !== undefined) {
        return { ...answer, value: { openBecause: hide(openBecause) } };
      }
      if (notStored !== undefined) return failedOn(hide(notStored));
      return answer;
    }
    // A server without such a route cannot store what it carries.
    if (isRouteUnknown(answer) && NEWER.has(event.report)) {
      return { kind: "ok", value: NO_ROUTE, rateLimit: answer.rateLimit ?? null };
    }
    // A 403 without words about the host concerns the report alone: a filter in between dislikes a text in
    // it, or the command that metrics name was another agent's. If the host is meant, its check-ins show it.
    if (answer.kind === "operator_required" && answer.refusal === undefined) {
      return { kind: "refused", status: 403, why: answer.why, error: "other" };
    }
    const isPage = answer.kind === "failed" && answer.status === 403;
    return isPage ? { kind: "refused", status: 403, why: answer.why, isForeign: true } : answer;
  }

  /** What the server sets for its agents; no such route: this one (RedFlag 0.1) sets nothing. */
  policy(caller: Caller, options: CallOptions = {}): Promise<Answer<ServerPolicy>> {
    return this.#call({
      ...options,
      method: "GET",
      path: `${agentPath(caller)}/config`,
      agentId: caller.agentId,
      token: caller.accessToken,
      isIdempotent: true,
      readBody: readPolicy,
    });
  }

  /** Deletes the agent on the server; "no such agent" means that it already was. */
  unregister(caller: Caller): Promise<Answer<unknown>> {
    return this.#call({
      method: "DELETE",
      path: agentPath(caller),
      agentId: caller.agentId,
      token: caller.accessToken,
      readBody: readAnyObject,
    });
  }

  async #call<T>(call: Call<T>): Promise<Answer<T>> {
    if (call.token !== undefined) this.#addSecrets(call.token);
    const answer = await this.#answer(call);
    if (!("why" in answer)) return answer;
    // The text may be logged, saved and printed.
    const why = this.#printable(answer.why);
    if (answer.kind !== "operator_required" || answer.refusal === undefined) {
      return { ...answer, why };
    }
    const { agentVersion: version, machineId } = this.#options;
    const { cause, facts } = answer.refusal;
    const told = Object.entries(facts).map(([name, text]) =>
      [name, this.#printable(text)] as const
    );
    const presented = { ...(call.agentId !== undefined && { agentId: call.agentId }), machineId };
    return {
      ...answer,
      why,
      refusal: { cause, facts: { ...Object.fromEntries(told), ...presented, version } },
    };
  }

  #printable(text: string): string {
    return stripControls(this.#options.secrets.hide(text));
  }

  #addSecrets(...tokens: readonly string[]): void {
    for (const token of tokens) this.#options.secrets.add(token);
  }

  async #answer<T>(call: Call<T>): Promise<Answer<T>> {
    try {
      const response = await this.#sendHttp(this.#request(call));
      const { readBody, readConflict, conflictStatus = 409 } = call;
      const nowMs = this.#clock.nowMs();
      const isConflict = response.status === conflictStatus &&
        readConflict?.(response.body).ok === true;
      const answer = isConflict
        ? readAnswer({ ...response, status: 200 }, readConflict, nowMs)
        : readAnswer(response, readBody, nowMs);
      // Not of a proxy's own page, which says nothing of the server.
      const version = readVersion(response.headers);
      if (answer.kind === "ok") this.#serverVersion = version;
      const monotonicMs = this.#clock.monotonicMs();
      if (version !== null) this.#versionSeenMs = monotonicMs;
      if (
        isRouteUnknown(answer) && monotonicMs - this.#versionSeenMs < VERSION_HOLDS_MS &&
        version === null
      ) {
        // A server says its version with every answer: this is one of another age, or none.
        const { error: _, ...elsewhere } = answer;
        return { ...elsewhere, isForeign: true };
      }
      return answer;
    } catch (error) {
      return readFailure(error);
    }
  }

  #request<T>(call: Call<T>): HttpRequest {
    const { serverUrl, agentVersion, machineId, tls, proxyUrl, connectTimeoutMs, maxBodyBytes } =
      this.#options;
    const timeoutMs = call.timeoutMs ?? this.#options.timeoutMs;
    return {
      method: call.method,
      url: serverUrl + call.path,
      headers: {
        accept: "application/json",
        // A proxy that keeps an old answer to a check-in would keep commands away.
        "cache-control": "no-cache",
        "user-agent": `pennon/${agentVersion}`,
        "x-machine-id": machineId,
        ...(call.body !== undefined && { "content-type": "application/json" }),
        ...(call.token !== undefined && { authorization: `Bearer ${call.token}` }),
      },
      ...(call.body !== undefined && { body: call.body }),
      connectTimeoutMs: Math.min(connectTimeoutMs, timeoutMs),
      timeoutMs,
      maxBodyBytes,
      tls,
      ...(proxyUrl !== null && { proxyUrl }),
      ...(call.isIdempotent && { isIdempotent: true }),
      ...(call.signal && { signal: call.signal }),
    };
  }
}

/** The header that says so; `null`: it is missing, or no version. */
function readVersion(headers: HttpResponse["headers"]): string | null {
  const version = headers["x-redflag-version"]?.trim() ?? "";
  return /^[\w.+-]{1,50}$/.test(version) ? version : null;
}

/** The body of an object with the id of the agent, which is not known when an event is appended. */
function withAgentId(body: string, { agentId }: Caller): string {
  return body.replace(/^\{/, () => `{"agent_id":${JSON.stringify(agentId)},`);
}

function agentPath(caller: Caller): string {
  return `/api/v1/agents/${encodeURIComponent(caller.agentId)}`;
}
