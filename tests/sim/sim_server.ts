/** A server in memory that speaks the protocol as the real ones of both ages do, limits and traps included. */

import type { HttpRequest, HttpResponse } from "../../src/system/http.ts";
import { response } from "../fakes/response.ts";
import { type Age, type ServerCommand, SimCommands } from "./sim_commands.ts";
import { type Forgery, SimKeys } from "./sim_keys.ts";
import { SimPackages } from "./sim_packages.ts";
import { SimTokens } from "./sim_tokens.ts";
import { SimWindow } from "./sim_window.ts";

const REPORTS_PER_MINUTE = 30;
const CHECK_INS_PER_MINUTE = 60;
const RENEWALS_PER_MINUTE = 20;
/** At 0.2 every limit is halved for so long after a start. */
const YOUNG_MS = 60_000;
/** An agent asks for no more at a time. */
const MOST_ASKED = 50;
/** Commands that somebody who sees its answers keeps. */
const MOST_SEEN = 20;
/** Words that end a command; what else a log says, one of the two ages does not want. */
const RESULTS: ReadonlySet<unknown> = new Set(["success", "failed", undefined]);

/** Texts whose reports it always fails on. */
export const POISON = "poison";

/** Texts whose reports it refuses, until it is told otherwise. */
export const REFUSED_TEXT = "unwanted";

/** As each answer of a server of 0.2 says. */
const VERSION_02 = "0.2.9.3";

/** The version that it asks for at least. */
const MIN_VERSION = "0.1.26";

/** Reports of both ages, and those that only 0.2 has a route for. */
const REPORTS: Readonly<Record<Age, ReadonlySet<string>>> = {
  "0.1": new Set(["updates", "logs", "dependencies", "system-info", "rapid-mode"]),
  "0.2": new Set([
    ...["updates", "logs", "dependencies", "system-info", "rapid-mode", "metrics"],
    ...["storage-metrics", "circuit-breakers", "events", "security-events", "inventory"],
  ]),
};

/** What a check-in says, as far as the server acts on it. */
interface CheckInBody {
  readonly version?: string;
  readonly metadata?: { rapid_polling_enabled?: boolean; rapid_polling_until?: string };
  readonly pending_acknowledgments?: readonly string[];
  readonly received_command_ids?: readonly string[];
  readonly available_scanners?: readonly string[];
}

export class SimServer {
  readonly commands: SimCommands;
  readonly packages = new SimPackages();
  readonly keys: SimKeys;
  /** Every report that it stored, by its text, with how often. */
  readonly stored = new Map<string, number>();
  /** Commands that a log was stored of. */
  readonly logged = new Set<string>();
  /** Commands that a log came of, whatever the answer, with the log's text. */
  readonly told = new Map<string, string>();
  /** How often it refused or failed on a report of this text. */
  readonly refusals = new Map<string, number>();
  /** Ids of the commands in the check-in answers that it gave. */
  readonly handedOver = new Set<string>();
  /** Some of the commands that it handed over last. */
  seen: readonly ServerCommand[] = [];
  /** Commands that somebody puts into the next answer. */
  readonly replayed: ServerCommand[] = [];
  isConfigured = true;
  refusesUnwanted = true;
  /** Rapid polling that an answer with new commands asks for, whatever runs already. */
  busyMs = 10 * 60_000;
  /** Whether its answers carry its own time. */
  tellsTime = true;
  /** How often it was asked for a result in vain, and how often it had it. */
  readonly acknowledged = { no: 0, yes: 0 };
  /** Commands of which it has said that it has a result: an agent's, or its own where it timed one out. */
  readonly confirmed = new Set<string>();
  /** Requests that it turned away because a window was full: all of them, and the most reports in a row. */
  turnedAway = 0;
  mostTurnedAwayInARow = 0;
  #turnedAwayInARow = 0;
  /** No token is good, and none is renewed. */
  refusesAll = false;
  /** Healthy and broken at once: check-ins and reports break, renewals are refused. */
  isDatabaseDown = false;
  /** The agent's row is gone: its check-ins are taken, its reports break, no token is renewed. */
  isAgentDeleted = false;
  /** At 0.2: all connections to the database are in use. */
  isPoolSaturated = false;
  /** At 0.2: it stores logs, and cannot close their commands. */
  cannotClose = false;
  /** At 0.2: the lowest version that it accepts, instead of its own; `null`: its own. */
  lowestVersion: string | null = null;
  /** At 0.2: somebody has bound the agent to another machine. */
  isBoundElsewhere = false;
  /** At 0.2: what the agent is bound to; `null`: to nothing, as 0.1 leaves it. */
  machineId: string | null = null;
  /** Scanners that the agent has named; `null`: it has named none. */
  scanners: readonly string[] | null = null;
  /** Called where the agent does what a server punishes, or could not make up for. */
  onViolation: (what: string) => void = () => {};
  /** Called with the ids that a check-in lists as received, before the server acts on them. */
  onReceipts: (ids: ReadonlySet<string>) => void = () => {};
  /** Called with each log of a command. */
  onResult: (id: string, result: string | undefined) => void = () => {};
  /** Called for a request that a full window turned away. */
  onTurnedAway: (group: string) => void = () => {};
  readonly #tokens: SimTokens;
  /** As the agent last said it. */
  #believedUntil: string | null = null;
  #recordedVersion = "";
  #startedMs = -Infinity;
  readonly #reports = new SimWindow(REPORTS_PER_MINUTE);
  readonly #checkIns = new SimWindow(CHECK_INS_PER_MINUTE);
  readonly #renewals = new SimWindow(RENEWALS_PER_MINUTE);
  #lastCheckIn = "";
  readonly #nowMs: () => number;

  /** An old one of 0.1 knows no acknowledgements, times nothing out and takes every log. */
  constructor(nowMs: () => number, readonly isOld: boolean, age: Age = "0.1") {
    this.#nowMs = nowMs;
    this.commands = new SimCommands(nowMs, { age, isOld });
    this.keys = new SimKeys(nowMs);
    this.#tokens = new SimTokens(nowMs);
  }

  /** A command for the agent; at 0.2 the server signs it, or somebody in its name does something else. */
  queue(command: ServerCommand, forgery?: Forgery): void {
    if (this.age === "0.1") return this.commands.add(command);
    this.commands.add(
      forgery === undefined ? this.keys.sign(command) : this.keys.forge(command, forgery),
    );
  }

  get age(): Age {
    return this.commands.age;
  }

  /** It is another program from now on, with the same database. */
  upgrade(): void {
    this.commands.age = "0.2";
    this.restart();
  }

  /** It starts anew: what is in memory is gone, and it is careful at first. */
  restart(): void {
    this.#startedMs = this.#nowMs();
    for (const window of [this.#reports, this.#checkIns, this.#renewals]) window.forget();
  }

  /** Whether it has been up for less than a minute, in which it halves its limits. */
  get isYoung(): boolean {
    return this.age === "0.2" && this.#nowMs() - this.#startedMs < YOUNG_MS;
  }

  /** The access token of the moment. */
  token(): string {
    return this.#tokens.access();
  }

  /** From now on only a renewed token is good. */
  revokeAccess(): void {
    this.#tokens.revokeAccess();
  }

  /** Begins the tokens' lives now; called once, at registration. */
  enrol(machineId: string): string {
    if (this.age === "0.2") this.machineId = machineId;
    return this.#tokens.begin();
  }

  /** Its last check-in's answer again, as a cache in between would give it. */
  repeatCheckIn(): HttpResponse {
    return this.#answer(200, this.#lastCheckIn === "" ? '{"commands":[]}' : this.#lastCheckIn);
  }

  /** A request that was on its way for minutes: what it says may be long out of date, and no agent's fault. */
  handleLate(request: HttpRequest): void {
    const { onClosed } = this.packages;
    this.packages.onClosed = () => {};
    this.handle(request);
    this.packages.onClosed = onClosed;
  }

  handle(request: HttpRequest): HttpResponse {
    const path = request.url.slice(request.url.indexOf("/", 8));
    if (path === "/health") {
      const status = this.isConfigured ? "healthy" : "waiting for configuration";
      return this.#answer(200, JSON.stringify({ status }));
    }
    if (!this.isConfigured) return this.#answer(404, '{"error":"not configured"}');
    const route = path.slice(path.lastIndexOf("/") + 1);
    if (route === "renew") return this.#renew(request);
    if (route === "public-key" || route === "public-keys") return this.#shownKeys(route);
    const refusal = this.#authenticate(request) ?? this.#checkBinding(request) ??
      this.#checkDatabase(route);
    if (refusal !== null) return refusal;
    if (route === "commands") {
      if (this.isAgentDeleted) return this.#answer(200, '{"commands":[]}');
      return this.#limited(this.#checkIns, "check-in", () => this.#checkIn(request.body ?? "{}"));
    }
    if (route === "config" && this.age === "0.2") return this.#config();
    if (!REPORTS[this.age].has(route)) return this.#noRoute();
    if (this.isAgentDeleted) return this.#answer(500, '{"error":"foreign key"}');
    return this.#limited(this.#reports, "report", () => this.#report(route, request.body ?? ""));
  }

  #authenticate(request: HttpRequest): HttpResponse | null {
    const token = request.headers["authorization"]?.slice("Bearer ".length);
    if (!this.refusesAll && this.#tokens.isGood(token, this.age)) return null;
    return this.#answer(401, '{"error":"invalid token"}');
  }

  /** The middleware of 0.2: every error of its query is taken for "no such agent". */
  #checkBinding(request: HttpRequest): HttpResponse | null {
    if (this.age === "0.1") return null;
    if (this.isDatabaseDown || this.isAgentDeleted) {
      return this.#answer(401, '{"error":"agent not found"}');
    }
    const minimum = this.lowestVersion ?? MIN_VERSION;
    if (this.#recordedVersion !== "" && isBelow(this.#recordedVersion, minimum)) {
      return this.#answer(
        426,
        JSON.stringify({
          error: "agent version too old - upgrade required for security",
          current_version: this.#recordedVersion,
          minimum_version: minimum,
          upgrade_instructions: "Please upgrade to the latest agent version and re-register",
        }),
      );
    }
    const refused = this.#refuseMachine(request, {
      missing: "missing machine ID header - agent version too old or tampered",
      other: "machine ID mismatch - config file copied to different machine",
    });
    if (refused !== null) return refused;
    if (!this.isPoolSaturated) return null;
    const body = '{"error":"database pool saturated, retry shortly"}';
    return this.#answer(503, body, { "retry-after": "2" });
  }

  #refuseMachine(
    request: HttpRequest,
    words: { missing: string; other: string },
  ): HttpResponse | null {
    const shown = request.headers["x-machine-id"] ?? "";
    const error = shown === ""
      ? words.missing
      : this.machineId === null
      ? "agent not bound to machine - re-registration required"
      : this.machineId === shown && !this.isBoundElsewhere
      ? null
      : words.other;
    return error === null ? null : this.#answer(403, JSON.stringify({ error, hint: "…" }));
  }

  #checkDatabase(route: string): HttpResponse | null {
    if (route === "system-info" && (this.isDatabaseDown || this.isAgentDeleted)) {
      return this.#answer(404, '{"error":"agent not found"}');
    }
    return this.isDatabaseDown ? this.#answer(500, '{"error":"failed to update last seen"}') : null;
  }

  #renew(request: HttpRequest): HttpResponse {
    if (this.age === "0.2") {
      return this.#limited(this.#renewals, "renewal", () => this.#rotate(request));
    }
    if (this.refusesAll || this.isDatabaseDown || this.isAgentDeleted) {
      return this.#answer(401, '{"error":"invalid or expired refresh token"}');
    }
    return this.#answer(200, JSON.stringify({ token: this.#tokens.renewAccess() }));
  }

  /** A renewal of 0.2: the token first, then the machine; a refusal spends nothing. */
  #rotate(request: HttpRequest): HttpResponse {
    const body: { refresh_token?: string; agent_version?: string } = JSON.parse(
      request.body ?? "{}",
    );
    const shown = body.refresh_token ?? "";
    const isRefused = this.refusesAll || this.isDatabaseDown || this.isAgentDeleted;
    const refusal = isRefused ? "invalid" : this.#tokens.refusalOf(shown);
    if (refusal !== null) {
      const error = refusal === "expired" ? "refresh token expired" : INVALID_REFRESH_TOKEN;
      return this.#answer(401, JSON.stringify({ error }));
    }
    const machine = this.#refuseMachine(request, {
      missing: "missing machine ID header",
      other: "machine ID mismatch - refresh token presented from a different machine",
    });
    if (machine !== null) return machine;
    const rotation = this.#tokens.rotate(shown);
    if (rotation.kind !== "rotated") {
      this.onViolation(`the token family was revoked: ${shown} was used again`);
      return this.#answer(401, '{"error":"refresh token reuse detected"}');
    }
    this.#recordedVersion = body.agent_version ?? this.#recordedVersion;
    const { refreshToken: refresh_token } = rotation;
    return this.#answer(200, JSON.stringify({ token: this.#tokens.renewAccess(), refresh_token }));
  }

  #shownKeys(route: "public-key" | "public-keys"): HttpResponse {
    if (this.age === "0.1") return this.#noRoute();
    return this.#answer(200, route === "public-keys" ? this.keys.all() : this.keys.primary());
  }

  #noRoute(): HttpResponse {
    return this.age === "0.1"
      ? this.#answer(404, "404 page not found")
      : this.#answer(404, '{"error":"not found"}');
  }

  #config(): HttpResponse {
    const on = { enabled: true, interval_minutes: 60, auto_run: true };
    return this.#answer(
      200,
      JSON.stringify({
        subsystems: { apt: on, dnf: on },
        polling: { jitter_max_seconds: 30, backoff_base_seconds: 10, backoff_max_seconds: 300 },
        command_signing: { stale_key_max_age_hours: 168 },
        version: Math.floor(this.#nowMs() / 1_000),
      }),
    );
  }

  #checkIn(body: string): HttpResponse {
    const told: CheckInBody = JSON.parse(body);
    this.#recordedVersion = told.version ?? this.#recordedVersion;
    this.scanners = told.available_scanners ?? this.scanners;
    this.onReceipts(new Set(told.received_command_ids));
    const received = this.commands.receive(told.received_command_ids ?? []);
    const { fresh, commands } = this.commands.take();
    for (const { id } of commands) this.handedOver.add(id);
    const sent = [...commands, ...this.replayed.splice(0)];
    this.seen = [...this.seen, ...commands].slice(-MOST_SEEN);
    this.#lastCheckIn = JSON.stringify({
      commands: sent.map(({ signed, ...command }) => ({ ...command, ...signed })),
      ...this.#rapidPolling(told, { hasFresh: fresh > 0, isBusy: commands.length > 0 }),
      ...this.#acknowledge(told),
      ...received.length > 0 && {
        receipt_confirmed_ids: received,
        confirmed_command_ids: received,
      },
    });
    return this.#answer(200, this.#lastCheckIn);
  }

  /** At 0.2 it reaches only an agent that claims it already. */
  #rapidPolling(
    { metadata = {} }: CheckInBody,
    { hasFresh, isBusy }: { hasFresh: boolean; isBusy: boolean },
  ): { rapid_polling?: { enabled: true; until: string } } {
    const { rapid_polling_enabled: isOn, rapid_polling_until: believed } = metadata;
    if (typeof believed === "string") this.#believedUntil = isOn === true ? believed : null;
    const asks = this.age === "0.2" ? isBusy : hasFresh;
    const until = asks ? new Date(this.#nowMs() + this.busyMs).toISOString() : this.#believedUntil;
    const isRapid = isOn === true || this.age === "0.1" && this.#believedUntil === null;
    const isAhead = until !== null && Date.parse(until) > this.#nowMs();
    return isRapid && isAhead ? { rapid_polling: { enabled: true, until } } : {};
  }

  #acknowledge(
    { pending_acknowledgments: asked = [] }: CheckInBody,
  ): { acknowledged_ids?: string[] } {
    if (asked.length > MOST_ASKED) throw new Error(`asked for ${asked.length} results`);
    if ((this.isOld && this.age === "0.1") || asked.length === 0) return {};
    const has = this.commands.recorded(asked);
    for (const id of has) this.confirmed.add(id);
    this.acknowledged.yes += has.length;
    this.acknowledged.no += asked.length - has.length;
    return { acknowledged_ids: has };
  }

  /** A request that counts against a window; 0.1 has none for check-ins, and other renewals share that one. */
  #limited(window: SimWindow, group: string, act: () => HttpResponse): HttpResponse {
    const isReport = window === this.#reports;
    if (this.age === "0.1" && !isReport) return act();
    const { isAllowed, limit, headers } = window.take(this.#nowMs(), this.isYoung);
    if (isAllowed) {
      if (isReport) this.#turnedAwayInARow = 0;
      const answer = act();
      return { ...answer, headers: { ...answer.headers, ...headers } };
    }
    this.turnedAway += 1;
    if (isReport) {
      this.#turnedAwayInARow += 1;
      this.mostTurnedAwayInARow = Math.max(this.mostTurnedAwayInARow, this.#turnedAwayInARow);
    }
    this.onTurnedAway(group);
    const body = JSON.stringify({ error: "Rate limit exceeded", limit, window: "1m0s" });
    return this.#answer(429, body, headers);
  }

  #report(kind: string, body: string): HttpResponse {
    // An event names a command that it is about, and is stored by another statement.
    if (kind !== "events" && body.includes(POISON)) {
      this.#countRefusal(body);
      return this.#answer(500, '{"error":"violates check constraint"}');
    }
    if (this.refusesUnwanted && body.includes(REFUSED_TEXT)) {
      this.#countRefusal(body);
      return this.#answer(400, '{"error":"not wanted"}');
    }
    if (kind === "logs") return this.#log(body);
    if (kind === "updates") this.#updates(body);
    return this.#store(body);
  }

  #updates(body: string): void {
    this.packages.report(JSON.parse(body), this.age === "0.2");
  }

  #log(body: string): HttpResponse {
    const log: { command_id?: string; result?: string } = JSON.parse(body);
    const { command_id: id = "", result } = log;
    if (!RESULTS.has(result)) this.onViolation(`a log's result is "${result}"`);
    const before = this.told.get(id);
    if (before !== undefined && before !== body && id !== "") {
      this.onViolation(`command ${id} has two results`);
    }
    this.told.set(id, body);
    this.onResult(id, result);
    const status = this.commands.conflict(id);
    if (status !== null) {
      this.#countRefusal(body);
      const error = "duplicate log submission";
      return this.#answer(
        409,
        JSON.stringify({ error, command_id: id, current_status: status }),
      );
    }
    this.logged.add(id);
    if (this.cannotClose && this.age === "0.2" && id !== "") {
      this.#countRefusal(body);
      this.#store(body);
      const message = "log saved but command state update failed";
      return this.#answer(200, JSON.stringify({ message, should_retry: true, reason: "timeout" }));
    }
    this.commands.end(id, result ?? "");
    return this.#store(body);
  }

  #store(body: string): HttpResponse {
    this.stored.set(body, (this.stored.get(body) ?? 0) + 1);
    return this.#answer(200, '{"message":"stored"}');
  }

  #countRefusal(body: string): void {
    this.refusals.set(body, (this.refusals.get(body) ?? 0) + 1);
  }

  #answer(status: number, body: string, headers: Record<string, string> = {}): HttpResponse {
    return response(status, body, {
      ...headers,
      ...this.tellsTime && { date: new Date(this.#nowMs()).toUTCString() },
      ...this.age === "0.2" && { "x-redflag-version": VERSION_02 },
    });
  }
}

const INVALID_REFRESH_TOKEN = "invalid or expired refresh token";

/** Part by part; what is no number counts as 0. */
function isBelow(version: string, minimum: string): boolean {
  const parts = (text: string) =>
    text.replace(/^v/, "").split(".").map((part) => /^\d+$/.test(part) ? Number(part) : 0);
  const [own, least] = [parts(version), parts(minimum)];
  for (let at = 0; at < Math.max(own.length, least.length); at++) {
    const difference = (own[at] ?? 0) - (least[at] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
