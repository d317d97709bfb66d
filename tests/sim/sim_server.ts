/** A server in memory that speaks the protocol as the real one does, its limits and traps included. */

import type { HttpRequest, HttpResponse } from "../../src/system/http.ts";
import { response } from "../fakes/response.ts";

/** A command as the server sees it. */
export interface ServerCommand {
  readonly id: string;
  readonly type: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** A command that it has handed over, as a server after v0.1.18 keeps it. */
interface Tracked {
  readonly command: ServerCommand;
  readonly sentMs: number;
  readonly status: "sent" | "completed" | "failed" | "timed_out";
}

const REPORTS_PER_MINUTE = 30;
const COMMAND_TIMEOUT_MS = 2 * 3_600_000;
/** A command of which nothing is heard for so long is handed over once more. */
const STUCK_MS = 5 * 60_000;
/** An agent asks for no more at a time. */
const MOST_ASKED = 50;
const TOKEN_LIFE_MS = 24 * 3_600_000;

/** Texts whose reports it always fails on. */
export const POISON = "poison";

/** Texts whose reports it refuses, until it is told otherwise. */
export const REFUSED_TEXT = "unwanted";

export class SimServer {
  readonly queue: ServerCommand[] = [];
  /** Every report that it stored, by its text, with how often. */
  readonly stored = new Map<string, number>();
  /** Commands that a log was stored of. */
  readonly logged = new Set<string>();
  /** How often it refused or failed on a report of this text. */
  readonly refusals = new Map<string, number>();
  /** Ids of the commands in the check-in answers that it gave. */
  readonly handedOver = new Set<string>();
  isConfigured = true;
  refusesUnwanted = true;
  /** Rapid polling that an answer with new commands asks for, whatever runs already. */
  busyMs = 10 * 60_000;
  /** Whether its answers carry its own time. */
  tellsTime = true;
  /** How often it was asked for a result in vain, and how often it had it. */
  readonly acknowledged = { no: 0, yes: 0 };
  /** Requests that it turned away because its window was full: the most in a row. */
  mostTurnedAwayInARow = 0;
  #turnedAwayInARow = 0;
  readonly #tracked = new Map<string, Tracked>();
  /** No token is good, and none is renewed. */
  refusesAll = false;
  /** Healthy and broken at once: check-ins and reports break, renewals are refused. */
  isDatabaseDown = false;
  /** The agent's row is gone: its check-ins are taken, its reports break, no token is renewed. */
  isAgentDeleted = false;
  #tokenNumber = 1;
  /** As last made: asked for with each request. */
  #token: [number: number, startMs: number, text: string] = [0, 0, ""];
  /** As the agent last said it. */
  #believedUntil: string | null = null;
  #reportInstants: number[] = [];
  #lastCheckIn = "";
  readonly #nowMs: () => number;

  /** An old one knows no acknowledgements, times nothing out and takes every log. */
  constructor(nowMs: () => number, readonly isOld: boolean) {
    this.#nowMs = nowMs;
  }

  /** The access token of the moment. */
  token(): string {
    const [number, startMs, text] = this.#token;
    if (number === this.#tokenNumber && startMs === this.#lifeStartMs) return text;
    const made = this.#makeToken(this.#tokenNumber);
    this.#token = [this.#tokenNumber, this.#lifeStartMs, made];
    return made;
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
    if (path.endsWith("/config")) return this.#answer(404, "404 page not found");
    if (path.endsWith("/system-info") && (this.isDatabaseDown || this.isAgentDeleted)) {
      return this.#answer(404, '{"error":"agent not found"}');
    }
    if (this.isDatabaseDown) return this.#answer(500, '{"error":"failed to update last seen"}');
    if (path.endsWith("/commands")) {
      if (this.isAgentDeleted) return this.#answer(200, '{"commands":[]}');
      return this.#checkIn(request.body ?? "{}");
    }
    if (this.isAgentDeleted) return this.#answer(500, '{"error":"foreign key"}');
    return this.#report(path.slice(path.lastIndexOf("/") + 1), request.body ?? "");
  }

  #renew(): HttpResponse {
    if (this.refusesAll || this.isDatabaseDown || this.isAgentDeleted) {
      return this.#answer(401, '{"error":"invalid or expired refresh token"}');
    }
    this.#tokenNumber += 1;
    this.#lifeStartMs = this.#nowMs();
    return this.#answer(200, JSON.stringify({ token: this.token() }));
  }

  #checkIn(body: string): HttpResponse {
    this.#timeOut();
    const fresh = this.queue.splice(0, 10);
    const commands = [...fresh, ...this.#takeStuck()];
    for (const command of commands) {
      this.handedOver.add(command.id);
      this.#tracked.set(command.id, { command, sentMs: this.#nowMs(), status: "sent" });
    }
    const told = JSON.parse(body);
    const { rapid_polling_enabled: isOn, rapid_polling_until: believed } = told.metadata ?? {};
    if (typeof believed === "string") this.#believedUntil = isOn === true ? believed : null;
    const until = fresh.length > 0
      ? new Date(this.#nowMs() + this.busyMs).toISOString()
      : this.#believedUntil;
    const isRapid = isOn === true || this.#believedUntil === null;
    this.#lastCheckIn = JSON.stringify({
      commands,
      ...(isRapid && until !== null && Date.parse(until) > this.#nowMs() && {
        rapid_polling: { enabled: true, until },
      }),
      ...this.#acknowledge(told),
    });
    return this.#answer(200, this.#lastCheckIn);
  }

  /** RedFlag's `VerifyResultsRecorded`: whatever has a result, the server's own included. */
  #acknowledge(
    { pending_acknowledgments: asked = [] }: { pending_acknowledgments?: string[] },
  ): { acknowledged_ids?: string[] } {
    if (asked.length > MOST_ASKED) throw new Error(`asked for ${asked.length} results`);
    if (this.isOld || asked.length === 0) return {};
    const has = asked.filter((id) => (this.#tracked.get(id)?.status ?? "sent") !== "sent");
    this.acknowledged.yes += has.length;
    this.acknowledged.no += asked.length - has.length;
    return { acknowledged_ids: has };
  }

  /** Those of which nothing was heard, once more each. */
  #takeStuck(): ServerCommand[] {
    if (this.isOld) return [];
    return [...this.#tracked.values()]
      .filter(({ status, sentMs }) => status === "sent" && this.#nowMs() - sentMs > STUCK_MS)
      .map(({ command }) => command);
  }

  #timeOut(): void {
    for (const [id, tracked] of this.#tracked) {
      const isLate = this.#nowMs() - tracked.sentMs > COMMAND_TIMEOUT_MS;
      if (!isLate) continue;
      if (this.isOld || tracked.status !== "sent") this.#tracked.delete(id);
      else this.#tracked.set(id, { ...tracked, status: "timed_out" });
    }
  }

  /** Why a later server does not take a log: its command is over. */
  #conflict({ command_id: id }: { command_id?: string }): string | null {
    this.#timeOut();
    const status = this.#tracked.get(id ?? "")?.status ?? "sent";
    return this.isOld || status === "sent" ? null : status;
  }

  #report(kind: string, body: string): HttpResponse {
    const nowMs = this.#nowMs();
    this.#reportInstants = this.#reportInstants.filter((atMs) => atMs > nowMs - 60_000);
    const resetMs = (this.#reportInstants[0] ?? nowMs) + 60_000;
    if (this.#reportInstants.length >= REPORTS_PER_MINUTE) {
      this.#turnedAwayInARow += 1;
      this.mostTurnedAwayInARow = Math.max(this.mostTurnedAwayInARow, this.#turnedAwayInARow);
      // Rounded down, as RedFlag does.
      const retryAfter = String(Math.trunc((resetMs - nowMs) / 1_000));
      return this.#answer(429, '{"error":"slow down"}', { "retry-after": retryAfter });
    }
    this.#reportInstants.push(nowMs);
    this.#turnedAwayInARow = 0;
    const headers = {
      "x-ratelimit-limit": String(REPORTS_PER_MINUTE),
      "x-ratelimit-remaining": String(REPORTS_PER_MINUTE - this.#reportInstants.length),
      // As RedFlag says it: a window from now, whenever a place is free.
      "x-ratelimit-reset": String(Math.floor((nowMs + 60_000) / 1_000)),
    };
    if (body.includes(POISON)) {
      this.refusals.set(body, (this.refusals.get(body) ?? 0) + 1);
      return this.#answer(500, '{"error":"violates check constraint"}', headers);
    }
    if (this.refusesUnwanted && body.includes(REFUSED_TEXT)) {
      this.refusals.set(body, (this.refusals.get(body) ?? 0) + 1);
      return this.#answer(400, '{"error":"not wanted"}', headers);
    }
    if (kind === "logs") {
      const log = JSON.parse(body);
      const status = this.#conflict(log);
      if (status !== null) {
        this.refusals.set(body, (this.refusals.get(body) ?? 0) + 1);
        return this.#answer(
          409,
          JSON.stringify({ error: "duplicate", current_status: status }),
          headers,
        );
      }
      this.logged.add(log.command_id);
      const tracked = this.#tracked.get(log.command_id);
      const ended = log.result === "success" ? "completed" : "failed";
      if (tracked) this.#tracked.set(log.command_id, { ...tracked, status: ended });
    }
    this.stored.set(body, (this.stored.get(body) ?? 0) + 1);
    return this.#answer(200, '{"message":"stored"}', headers);
  }

  #answer(status: number, body: string, headers: Record<string, string> = {}): HttpResponse {
    if (!this.tellsTime) return response(status, body, headers);
    return response(status, body, { ...headers, date: new Date(this.#nowMs()).toUTCString() });
  }
}

function encode(value: unknown): string {
  return btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
