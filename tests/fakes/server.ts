/** A server in memory that speaks enough of the protocol for the loop, and fails as it is told. */

import { HttpError, type HttpRequest, type HttpResponse } from "../../src/system/http.ts";
import type { Clock } from "../../src/system/system.ts";
import { response } from "./response.ts";

/** What a server does with every request until it is told otherwise. */
export type Mood =
  | { kind: "well" }
  | { kind: "gone" }
  | { kind: "hangs" }
  | { kind: "answers"; status: number; headers?: Record<string, string>; body?: string };

/** A request as it arrived, at a monotonic instant. */
export interface SeenRequest {
  readonly atMs: number;
  readonly method: string;
  readonly path: string;
  readonly token: string | null;
  readonly body: Record<string, unknown>;
}

/** An agent that asks more often than this in no time at all would do so for ever. */
const MAX_IN_ONE_INSTANT = 1_000;

/** A command that may be handed over again. */
interface Delivered {
  readonly command: { readonly id: string };
  state: "sent" | "received" | "completed";
  sentMs: number;
  times: number;
}

export class FakeServer {
  readonly requests: SeenRequest[] = [];
  /** Reports by their path's last part, as they were taken. */
  readonly reports: { report: string; body: Record<string, unknown> }[] = [];
  mood: Mood = { kind: "well" };
  /** Requests whose path ends so are never answered, whatever its mood. */
  hangsAt: string | null = null;
  healthStatus = "healthy";
  acceptedToken = "access-1";
  refreshToken = "refresh-1";
  /** Reports whose body holds this text are answered with this status. */
  poison: { text: string; status: number } | null = null;
  /** Whether the body of that is JSON; plain text is what a router says of a route it has not. */
  isPoisonPlain = false;
  /** Its answer to each log, instead of storing it; `null`: it stores them. */
  logAnswer: { status: number; body: unknown } | null = null;
  /** Deleted on the server: check-ins are taken, reports break, host facts are answered with 404. */
  isAgentDeleted = false;
  /** Headers of its answers to reports, whatever their status. */
  rateLimit: Record<string, string> = {};
  /** What its answers to check-ins say of rapid polling. */
  rapidPolling: { enabled: boolean; until: string } | null = null;
  /** Which of the results that it is asked for it has; `null`: an old one, which is silent. */
  hasResults: ((asked: readonly string[]) => string[]) | null = null;
  /** Its signing keys, as `GET /public-keys` says them; `null`: it does not sign. */
  publicKeys: unknown[] | null = null;
  /** What it sets for its agents; `null`: an old one, which has no such route. */
  policy: Record<string, unknown> | null = null;
  /** Hands a command over again after 5 minutes, up to five times, until it is listed as received. */
  redelivers = false;
  /** How a command of which that holds got on. */
  readonly delivered = new Map<string, Delivered>();
  #hanging: (() => void)[] = [];
  /** The version that its answers name; `null`: none, as those of 0.1. */
  version: string | null = null;
  /** How far the `Date` of its answers is ahead of the host's clock; `null`: it does not say. */
  dateAheadMs: number | null = null;
  #commands: { id: string; type: string; params: unknown }[] = [];
  #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  queue(id: string, type: string, params: Record<string, unknown> = {}): void {
    this.#commands.push({ id, type, params });
  }

  /** Queues commands with whatever fields they have. */
  send(...commands: readonly { id: string; type: string; params: unknown }[]): void {
    this.#commands.push(...commands);
  }

  /** Answers what it has let hang, and is well from then on. */
  answerHanging(): void {
    this.mood = { kind: "well" };
    for (const answer of this.#hanging.splice(0)) answer();
  }

  /** How many requests wait for an answer that does not come. */
  get hanging(): number {
    return this.#hanging.length;
  }

  /** How many requests went to paths that end so. */
  count(end: string): number {
    return this.requests.filter(({ path }) => path.endsWith(end)).length;
  }

  sendHttp = (request: HttpRequest): Promise<HttpResponse> => {
    const path = new URL(request.url).pathname;
    const token = request.headers["authorization"]?.replace("Bearer ", "") ?? null;
    const body = request.body === undefined ? {} : JSON.parse(request.body);
    const atMs = this.#clock.monotonicMs();
    if (this.requests.at(-MAX_IN_ONE_INSTANT)?.atMs === atMs) {
      throw new Error(`Cannot answer: ${MAX_IN_ONE_INSTANT} requests in one instant`);
    }
    this.requests.push({ atMs, method: request.method, path, token, body });
    const isHanging = this.hangsAt !== null && path.endsWith(this.hangsAt);
    const mood: Mood = isHanging ? { kind: "hangs" } : this.mood;
    switch (mood.kind) {
      case "gone": {
        const refused = new HttpError("Cannot connect: refused", { reason: "refused" });
        return Promise.reject(refused);
      }
      case "hangs":
        return new Promise((resolve, reject) => {
          const answer = () => resolve(this.#answer(path, token, body));
          this.#hanging.push(answer);
          const stopped = new HttpError("Cannot wait: stopped", { reason: "aborted" });
          request.signal?.addEventListener("abort", () => {
            this.#hanging = this.#hanging.filter((other) => other !== answer);
            reject(stopped);
          });
        });
      case "answers": {
        const { status, headers = {}, body: text = "{}" } = mood;
        return Promise.resolve(response(status, text, headers));
      }
      case "well":
        return Promise.resolve(this.#withHeaders(this.#answer(path, token, body)));
    }
  };

  #withHeaders(answer: HttpResponse): HttpResponse {
    const headers = { ...answer.headers };
    if (this.version !== null) headers["x-redflag-version"] = this.version;
    if (this.dateAheadMs !== null) {
      headers["date"] = new Date(this.#clock.nowMs() + this.dateAheadMs).toUTCString();
    }
    return { ...answer, headers };
  }

  /** As RedFlag 0.1, without `publicKeys`. */
  #answerKeys(): HttpResponse {
    if (this.publicKeys === null) return response(404, "404 page not found");
    return json(200, this.publicKeys);
  }

  #deliver(body: Record<string, unknown>): { commands: unknown[]; confirmed: string[] } {
    const fresh = this.#commands.splice(0, 10);
    if (!this.redelivers) return { commands: fresh, confirmed: [] };
    const received = body["received_command_ids"] as string[] | undefined ?? [];
    const confirmed = received.filter((id) => this.delivered.get(id)?.state === "sent");
    for (const id of confirmed) this.delivered.get(id)!.state = "received";
    const nowMs = this.#clock.monotonicMs();
    const stuck = [...this.delivered.values()].filter(({ state, sentMs, times }) =>
      state === "sent" && nowMs - sentMs >= 300_000 && times < 6
    );
    for (const command of fresh) {
      this.delivered.set(command.id, { command, state: "sent", sentMs: nowMs, times: 0 });
    }
    const sent = [...fresh.map(({ id }) => this.delivered.get(id)!), ...stuck];
    for (const one of sent) {
      one.sentMs = nowMs;
      one.times += 1;
    }
    return { commands: sent.map(({ command }) => command), confirmed };
  }

  #answer(path: string, token: string | null, body: Record<string, unknown>): HttpResponse {
    if (path === "/health") return json(200, { status: this.healthStatus });
    if (path === "/api/v1/public-keys" || path === "/api/v1/public-key") return this.#answerKeys();
    if (path.endsWith("/renew")) {
      if (body["refresh_token"] !== this.refreshToken) return json(401, { error: "dead" });
      return json(200, { token: this.acceptedToken });
    }
    if (token !== this.acceptedToken) return json(401, { error: "expired" });
    if (path.endsWith("/config")) {
      return this.policy === null ? response(404, "404 page not found") : json(200, this.policy);
    }
    if (path.endsWith("/commands")) {
      const asked = body["pending_acknowledgments"] as string[] | undefined;
      const { commands, confirmed } = this.#deliver(body);
      return json(200, {
        commands,
        ...(confirmed.length > 0 && { receipt_confirmed_ids: confirmed }),
        ...(this.rapidPolling && { rapid_polling: this.rapidPolling }),
        ...(asked && this.hasResults && { acknowledged_ids: this.hasResults(asked) }),
      });
    }
    if (this.isAgentDeleted) {
      return path.endsWith("/system-info")
        ? json(404, { error: "agent not found" })
        : json(500, { error: "failed to save log" });
    }
    if (this.poison && JSON.stringify(body).includes(this.poison.text)) {
      if (this.isPoisonPlain) return response(this.poison.status, "404 page not found");
      return { ...json(this.poison.status, { error: "poison" }), headers: this.rateLimit };
    }
    if (this.logAnswer !== null && path.endsWith("/logs")) {
      return json(this.logAnswer.status, this.logAnswer.body);
    }
    const ended = path.endsWith("/logs") && this.delivered.get(String(body["command_id"]));
    if (ended) ended.state = "completed";
    this.reports.push({ report: path.split("/").at(-1) ?? "", body });
    return { ...json(200, { message: "stored" }), headers: this.rateLimit };
  }
}

function json(status: number, body: unknown): HttpResponse {
  return response(status, JSON.stringify(body));
}
