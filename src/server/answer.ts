/**
 * What came of a request to the server, in the classes that the breaker, the loop and the buffer
 * decide by, and what its headers say about when to come back. Pure. docs/resilience.md, "What happens to a call", has the rules.
 */

import * as v from "valibot";
import { ANSWER_LIMITS, type Decoded, decodeJson, type JsonText } from "../json.ts";
import { HttpError, type HttpErrorReason, type HttpResponse } from "../system/http.ts";
import { quoteWords } from "../redact.ts";
import { readRefusal, type Refusal } from "./refusal.ts";

/**
 * The outcome of one call.
 *
 * `failed`: the server, or the way to it, does not work. `limited`: the server asks for fewer requests.
 * `refused`: it works, and refuses this very request. `report_failed`: it failed on a report (HTTP
 * 500), which the report or the server may have caused. `unauthorized`: the access token is no longer
 * valid. `operator_required`: only an operator can help; `refusal`: why, where the server says so in
 * words that are known (a 403 without them may come from a proxy). `aborted`: the agent stopped the call.
 * `rateLimit`: the server's rate limit, which a failed request has used as well; a throttled one has
 * not, and says in `retryAfterMs` when to come back.
 */
export type Answer<T> =
  | {
    readonly kind: "ok";
    readonly value: T;
    readonly rateLimit: RateLimit | null;
    /** The server's clock when it answered; absent where it does not say. */
    readonly serverAtMs?: number;
  }
  | {
    readonly kind: "failed";
    readonly why: string;
    readonly status: number | null;
    /** Why no whole answer came, where none did. */
    readonly reason?: HttpErrorReason;
    /** Nothing left this host: the server has felt nothing. */
    readonly offline: boolean;
    /** The server itself says so, in a JSON body's `error`; otherwise it may be a proxy in front of it. */
    readonly isSaid?: true;
    readonly retryAfterMs: number | null;
    readonly rateLimit?: RateLimit;
  }
  | {
    readonly kind: "limited";
    readonly why: string;
    readonly retryAfterMs: number | null;
    /** The whole server is short of something, as of database connections, and not just one route. */
    readonly isOverloaded?: true;
  }
  | {
    readonly kind: "refused";
    readonly why: string;
    readonly status: number;
    /** What the server says: that it has no such agent, no such route, or something else. */
    readonly error?: "agent_unknown" | "route_unknown" | "other";
    /** It is not the server that says so: a proxy has a page of its own for what it does not pass on. */
    readonly isForeign?: true;
    readonly rateLimit?: RateLimit;
  }
  | {
    readonly kind: "report_failed";
    readonly why: string;
    readonly rateLimit?: RateLimit;
    /** The server has not judged the report itself; see `delivery/report_fault.ts`. */
    readonly isUnjudged?: true;
    /** The server itself says that it failed, in a JSON body's `error`. */
    readonly isSaid?: true;
  }
  | { readonly kind: "unauthorized"; readonly why: string }
  | { readonly kind: "operator_required"; readonly why: string; readonly refusal?: Refusal }
  | { readonly kind: "aborted" };

/** Reads the body of an answer that is to have a certain shape. Never throws. */
export type ReadBody<T> = (body: JsonText) => Decoded<T>;

/** Classifies an answer that arrived whole. */
export function readAnswer<T>(
  response: HttpResponse,
  readBody: ReadBody<T>,
  nowMs: number,
): Answer<T> {
  const { status, headers } = response;
  const serverMs = readServerClock(headers);
  const rateLimit = readRateLimit(headers, serverMs);
  const told = rateLimit === null ? {} : { rateLimit };
  const failure = { kind: "failed", status, offline: false, retryAfterMs: null, ...told } as const;
  if (status >= 200 && status < 300) {
    const read = readBody(response.body);
    const clock = serverMs === null ? {} : { serverAtMs: serverMs };
    if (read.ok) return { kind: "ok", value: read.value, rateLimit, ...clock };
    return { ...failure, why: `HTTP ${status}, but not the answer promised: ${read.why}` };
  }
  const words = readWords(response);
  const why = describe(response, words);
  const failed = { ...failure, why, ...(words !== null && { isSaid: true as const }) };
  const retryAfterMs = readRetryAfterMs(headers["retry-after"], serverMs ?? nowMs);
  const refusal = readRefusal(status, response.body);
  if (refusal !== null) return { kind: "operator_required", why, refusal };
  switch (status) {
    case 401:
      return asksForPassword(response)
        ? { ...failed, why: `${why}, of something in between that asks for a password` }
        : { kind: "unauthorized", why };
    case 403:
      return isForeign(response) ? failed : { kind: "operator_required", why };
    case 429:
      return { kind: "limited", why, retryAfterMs };
    case 503:
      return words?.includes(SHEDDING) && retryAfterMs !== null &&
          retryAfterMs <= LONGEST_SHEDDING_MS
        ? { kind: "limited", why, retryAfterMs, isOverloaded: true }
        : { ...failed, retryAfterMs };
    case 408:
      return failed;
  }
  if (status >= 400 && status < 500) {
    const refused = { kind: "refused", why, status, ...told } as const;
    if (status === 404 && saysRouteUnknown(response, words)) {
      return { ...refused, error: "route_unknown" };
    }
    if (isForeign(response)) return { ...refused, isForeign: true };
    return {
      ...refused,
      error: status === 404 && words === AGENT_UNKNOWN ? "agent_unknown" : "other",
    };
  }
  return failed;
}

/** Classifies a request that brought no whole answer. Anything but an `HttpError` is thrown on. */
export function readFailure(error: unknown): Answer<never> {
  if (!(error instanceof HttpError)) throw error;
  if (error.reason === "aborted") return { kind: "aborted" };
  return {
    kind: "failed",
    why: quoteWords(error.message, FAILURE_LIMIT),
    status: null,
    reason: error.reason,
    offline: error.reason === "offline",
    retryAfterMs: null,
  };
}

/** RedFlag's word (internal/api/handlers/agents.go) on an agent that has no row in its database. */
const AGENT_UNKNOWN = "agent not found";

/** Whether the server's words on a refusal say that it has no such agent, whatever their status. */
export function saysAgentUnknown(why: string): boolean {
  return why.includes(AGENT_UNKNOWN);
}

/** RedFlag 0.2's word (server/cmd/server/main.go) on a route that it does not have. */
const ROUTE_UNKNOWN = "not found";

/** What the router of RedFlag 0.1 says of such a route, as plain text: gin's own words. */
const ROUTER_SAYS = new TextEncoder().encode("404 page not found");

/** Whether a 404 says that the server has no such route; `words`: those of its JSON. */
function saysRouteUnknown({ body }: HttpResponse, words: string | null): boolean {
  // Other routers written in Go, as Traefik, add the end of a line.
  const isRouter = body.length === ROUTER_SAYS.length &&
    ROUTER_SAYS.every((byte, at) => body[at] === byte);
  return words === ROUTE_UNKNOWN || isRouter;
}

/** Whether a proxy wants to know who calls: RedFlag's tokens are asked for without such a header. */
function asksForPassword({ headers }: HttpResponse): boolean {
  return /^\s*(?:basic|digest|negotiate|ntlm)\b/i.test(headers["www-authenticate"] ?? "");
}

/** Whether a refusal is not the server's own: what its API says is JSON, or nothing at all. */
function isForeign({ body }: HttpResponse): boolean {
  return body.length > 0 && body[0] !== BRACE;
}

const BRACE = 0x7b;

/** RedFlag 0.2's word while its connections to the database are all in use. */
const SHEDDING = "pool saturated";

/**
 * A 503 with that word and a wait no longer than this is no outage: the server works, and says that it will
 * soon have time. RedFlag 0.2 asks for 2 s.
 */
export const LONGEST_SHEDDING_MS = 5_000;

/** Longest part of a server's own words that is repeated in a log. */
const QUOTE_LIMIT = 200;

/** Limits of the answer that they are in; RedFlag's has up to 1 KB. A longer one is not read. */
const REFUSAL_LIMITS = { ...ANSWER_LIMITS, maxLength: 16_384 };

/** Longest account of why no answer came: it may quote a server's header, or a certificate. */
const FAILURE_LIMIT = 500;

function readWords(response: HttpResponse): string | null {
  const words = decodeJson(errorWords, response.body, REFUSAL_LIMITS);
  return words.ok ? words.value.error : null;
}

/** "HTTP 400: Invalid …", with the server's own words where it gave some. */
function describe(response: HttpResponse, words: string | null): string {
  const location = response.headers["location"];
  if (location !== undefined && response.status >= 300 && response.status < 400) {
    return `HTTP ${response.status}: a redirect, which is not followed`;
  }
  if (words === null) return `HTTP ${response.status}`;
  return `HTTP ${response.status}: ${quoteWords(words, QUOTE_LIMIT)}`;
}

const errorWords = v.object({ error: v.string() });

/** Longest wait that a server can ask for. */
export const LONGEST_RETRY_AFTER_MS = 3_600_000;

/**
 * Reads `Retry-After` in both its forms, seconds and HTTP date (RFC 9110, section 10.2.3).
 *
 * Malformed, negative and past values are ignored. So is 0, which this server sends when it does not
 * know: the agent's own backoff is better. `null`: nothing usable.
 */
export function readRetryAfterMs(header: string | undefined, nowMs: number): number | null {
  const value = header?.trim() ?? "";
  const waitMs = /^\d+$/.test(value) ? Number(value) * 1_000 : readHttpDate(value) - nowMs;
  if (!(waitMs > 0)) return null;
  return Math.min(waitMs, LONGEST_RETRY_AFTER_MS);
}

/** All three forms of RFC 9110, section 5.6.7, begin with the name of a day. */
function readHttpDate(value: string): number {
  return /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(value) ? Date.parse(value) : NaN;
}

/**
 * The server's clock, from its `Date` header (RFC 9110, section 6.6.1): the instants that it sends refer
 * to that clock, not to this host's. `null`: unknown.
 */
export function readServerClock(headers: Readonly<Record<string, string>>): number | null {
  const dateMs = readHttpDate(headers["date"]?.trim() ?? "");
  return Number.isNaN(dateMs) ? null : dateMs;
}

/** How many more requests the server accepts in its present window. */
export interface RateLimit {
  /** Requests in a whole window; `null`: unknown. */
  readonly limit: number | null;
  readonly remaining: number;
  /** Until the window ends. */
  readonly resetInMs: number;
}

/** The length of the server's rate-limit window, unless its reset says otherwise. */
export const RATE_LIMIT_WINDOW_MS = 60_000;

/**
 * Reads the rate-limit headers, `X-RateLimit-*`; `null` where they are missing or invalid. Their reset is an instant
 * of the server's clock. Where that is unknown (`null`), the usual length of the window is used: this
 * host's clock may be wrong by hours.
 */
export function readRateLimit(
  headers: Readonly<Record<string, string>>,
  serverMs: number | null,
): RateLimit | null {
  const remaining = readCount(headers["x-ratelimit-remaining"]);
  const resetS = readCount(headers["x-ratelimit-reset"]);
  if (remaining === null || resetS === null) return null;
  const resetInMs = serverMs === null
    ? RATE_LIMIT_WINDOW_MS
    : Math.min(LONGEST_RETRY_AFTER_MS, Math.max(0, resetS * 1_000 - serverMs));
  return { limit: readCount(headers["x-ratelimit-limit"]), remaining, resetInMs };
}

function readCount(header: string | undefined): number | null {
  return header !== undefined && /^\d{1,15}$/.test(header.trim()) ? Number(header) : null;
}
