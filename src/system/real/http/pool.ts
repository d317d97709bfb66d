/** Connections that wait for a next request, and the opening of new ones. */

import type { HttpRequest } from "../../http.ts";
import type { WholeAnswer } from "./answer.ts";
import { HttpConnection } from "./connection.ts";
import type { Deadline } from "./deadline.ts";
import { openStream } from "./open.ts";
import { AbandonedSockets } from "./abandoned.ts";

/** Servers and proxies drop idle connections at this or later, as a rule. */
const IDLE_MS = 60_000;

/** So much before the server would drop a connection it is no longer used. */
const MARGIN_MS = 1_000;

/** Besides the first one, connections to one server are for the next moment alone: a fleet's add up. */
const FURTHER_IDLE_MS = 5_000;

/** Idle connections to one server. */
const MOST_IDLE = 8;

interface Idle {
  readonly connection: HttpConnection;
  /** Monotonic: then it is closed. */
  readonly untilMs: number;
}

export class ConnectionPool {
  readonly abandoned: AbandonedSockets = new AbandonedSockets();
  readonly #idle = new Map<string, Idle[]>();
  /**
   * One for all that wait: a drain gives hundreds of connections back in a second. It holds up nobody:
   * the process ends by `Deno.exit`, and until then the reads that watch the connections go on too.
   */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerMs = Infinity;

  /** A connection that waits, if there is one that fits and on which nothing has come unasked. */
  async take(request: HttpRequest, url: URL): Promise<HttpConnection | undefined> {
    const key = keyOf(request, url);
    // The latest is the least likely to have been closed meanwhile.
    const waiting = this.#idle.get(key)?.pop();
    if (!waiting) return undefined;
    const { connection, untilMs } = waiting;
    // The timer is late where the event loop stood still.
    const isInTime = performance.now() < untilMs;
    if (isInTime && await connection.isQuiet()) return connection;
    connection.close();
    return undefined;
  }

  async open(request: HttpRequest, url: URL, deadline: Deadline): Promise<HttpConnection> {
    const stream = await deadline.connecting(
      openStream(request, url, { deadline, abandoned: this.abandoned }),
    );
    return new HttpConnection(stream, keyOf(request, url), this.abandoned);
  }

  /** Keeps a connection for the next request, for as long as its last answer allows, or closes it. */
  giveBack(connection: HttpConnection, { keepAlive, headers }: WholeAnswer): void {
    const { key } = connection;
    const others = this.#idle.get(key) ?? [];
    const ownMs = others.length === 0 ? IDLE_MS : FURTHER_IDLE_MS;
    const idleMs = Math.min(ownMs, idleLimitMs(headers["keep-alive"]));
    if (!keepAlive || idleMs <= 0 || others.length >= MOST_IDLE) return connection.close();
    const idle = { connection, untilMs: performance.now() + idleMs };
    this.#idle.set(key, [...others, idle]);
    this.#closeAt(idle.untilMs);
    connection.watch(() => {
      const waiting = this.#idle.get(key) ?? [];
      if (!waiting.includes(idle)) return;
      this.#idle.set(key, waiting.filter((one) => one !== idle));
      connection.close();
    });
  }

  closeIdle(): void {
    clearTimeout(this.#timer);
    this.#timerMs = Infinity;
    this.#closeUntil(Infinity);
  }

  #closeAt(atMs: number): void {
    if (atMs >= this.#timerMs) return;
    clearTimeout(this.#timer);
    this.#timerMs = atMs;
    this.#timer = setTimeout(() => {
      this.#timerMs = Infinity;
      const nextMs = this.#closeUntil(performance.now());
      if (nextMs < Infinity) this.#closeAt(nextMs);
    }, atMs - performance.now());
  }

  /** Closes what has waited until then; answers when the next one has. */
  #closeUntil(nowMs: number): number {
    let nextMs = Infinity;
    for (const [key, waiting] of this.#idle) {
      const left = waiting.filter(({ untilMs }) => untilMs > nowMs);
      for (const idle of waiting) if (!left.includes(idle)) idle.connection.close();
      this.#idle.set(key, left);
      nextMs = Math.min(nextMs, ...left.map(({ untilMs }) => untilMs));
    }
    return nextMs;
  }
}

/**
 * How long a connection may wait, by the server's `Keep-Alive: timeout=5` (RFC 2068, section 19.7.1.1;
 * Apache and Node send it): one that is used as the server drops it loses its request.
 */
export function idleLimitMs(keepAlive: string | undefined): number {
  const [, seconds] = /(?:^|[,\s])timeout=(\d{1,9})(?:$|[,\s])/i.exec(keepAlive ?? "") ?? [];
  return seconds === undefined ? IDLE_MS : Math.min(IDLE_MS, Number(seconds) * 1_000 - MARGIN_MS);
}

function keyOf({ tls = {}, proxyUrl = "" }: HttpRequest, url: URL): string {
  return JSON.stringify([url.origin, proxyUrl, tls.ca, tls.certificate, tls.key]);
}
