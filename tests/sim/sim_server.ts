/** A server in memory that speaks the protocol as the real one does, its limits and traps included. */

import type { HttpRequest, HttpResponse } from "../../src/system/http.ts";

/** A command as the server sees it. */
export interface ServerCommand {
  readonly id: string;
  readonly type: string;
  readonly params: Readonly<Record<string, unknown>>;
}

const REPORTS_PER_MINUTE = 30;
const TOKEN_LIFE_MS = 24 * 3_600_000;

/** Texts whose reports it always breaks over. */
export const POISON = "poison";

export class SimServer {
  readonly queue: ServerCommand[] = [];
  /** Every report that it stored, by its text, with how often. */
  readonly stored = new Map<string, number>();
  /** Commands that a log was stored of. */
  readonly logged = new Set<string>();
  /** How often it refused or broke over a report of this text. */
  readonly refusals = new Map<string, number>();
  /** Ids of the commands in the check-in answers that it gave. */
  readonly handedOver = new Set<string>();
  isConfigured = true;
  /** No token is good, and none is renewed. */
  refusesAll = false;
  #tokenNumber = 1;
  #rapidUntilMs = 0;
  #reportInstants: number[] = [];
  #lastCheckIn = "";
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** The access token of the moment. */
  token(): string {
    return this.#makeToken(this.#tokenNumber);
  }

  /** From now on only a renewed token is good. */
  revokeAccess(): void {
    this.#tokenNumber += 1;
  }

  #lifeStartMs = 0;

  #makeToken(number: number): string {
    const startS = Math.floor(this.#lifeStartMs / 1_000);
    const payload = { n: number, iat: startS, exp: startS + TOKEN_LIFE_MS / 1_000 };
    return `${encode({ alg: "HS256" })}.${encode(payload)}.c2lnbmF0dXJl`;
  }

  /** Begins the token's life now; called once, at registration. */
  enrol(): string {
    this.#lifeStartMs = this.#nowMs();
    return this.token();
  }

  /** Its last check-in's answer again, as a cache in between would give it. */
  repeatCheckIn(): HttpResponse {
    return this.#answer(200, this.#lastCheckIn === "" ? '{"commands":[]}' : this.#lastCheckIn);
  }

  handle(request: HttpRequest): HttpResponse {
    const path = request.url.slice(request.url.indexOf("/", 8));
    if (path === "/health") {
      const status = this.isConfigured ? "healthy" : "waiting for configuration";
      return this.#answer(200, JSON.stringify({ status }));
    }
    if (!this.isConfigured) return this.#answer(404, '{"error":"not configured"}');
    if (path.endsWith("/renew")) return this.#renew();
    const token = request.headers["authorization"]?.slice("Bearer ".length);
    const isOver = this.#nowMs() >= this.#lifeStartMs + TOKEN_LIFE_MS;
    if (this.refusesAll || token !== this.token() || isOver) {
      return this.#answer(401, '{"error":"invalid token"}');
    }
    if (path.endsWith("/commands")) return this.#checkIn();
    return this.#report(path.slice(path.lastIndexOf("/") + 1), request.body ?? "");
  }

  #renew(): HttpResponse {
    if (this.refusesAll) return this.#answer(401, '{"error":"refresh token is dead"}');
    this.#tokenNumber += 1;
    this.#lifeStartMs = this.#nowMs();
    return this.#answer(200, JSON.stringify({ token: this.token() }));
  }

  #checkIn(): HttpResponse {
    const commands = this.queue.splice(0, 10);
    for (const { id, type, params } of commands) {
      this.handedOver.add(id);
      if (type === "enable_heartbeat") {
        this.#rapidUntilMs = this.#nowMs() + Number(params["duration_minutes"]) * 60_000;
      }
    }
    const isRapid = this.#nowMs() < this.#rapidUntilMs;
    const until = new Date(this.#rapidUntilMs).toISOString();
    this.#lastCheckIn = JSON.stringify({
      commands,
      ...(isRapid && { rapid_polling: { enabled: true, until } }),
    });
    return this.#answer(200, this.#lastCheckIn);
  }

  #report(kind: string, body: string): HttpResponse {
    const nowMs = this.#nowMs();
    this.#reportInstants = this.#reportInstants.filter((atMs) => atMs > nowMs - 60_000);
    const resetMs = (this.#reportInstants[0] ?? nowMs) + 60_000;
    if (this.#reportInstants.length >= REPORTS_PER_MINUTE) {
      const retryAfter = String(Math.ceil((resetMs - nowMs) / 1_000));
      return this.#answer(429, '{"error":"slow down"}', { "retry-after": retryAfter });
    }
    this.#reportInstants.push(nowMs);
    if (body.includes(POISON)) {
      this.refusals.set(body, (this.refusals.get(body) ?? 0) + 1);
      return this.#answer(500, '{"error":"violates check constraint"}');
    }
    this.stored.set(body, (this.stored.get(body) ?? 0) + 1);
    if (kind === "logs") this.logged.add(JSON.parse(body).command_id);
    return this.#answer(200, '{"message":"stored"}', {
      "x-ratelimit-limit": String(REPORTS_PER_MINUTE),
      "x-ratelimit-remaining": String(REPORTS_PER_MINUTE - this.#reportInstants.length),
      "x-ratelimit-reset": String(Math.ceil(resetMs / 1_000)),
    });
  }

  #answer(status: number, body: string, headers: Record<string, string> = {}): HttpResponse {
    return { status, headers: { ...headers, date: new Date(this.#nowMs()).toUTCString() }, body };
  }
}

function encode(value: unknown): string {
  return btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
