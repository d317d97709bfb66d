/** Connections that wait for a next request, and the opening of new ones. */

import type { HttpRequest } from "./http.ts";
import type { WholeAnswer } from "./real_http_answer.ts";
import { HttpConnection } from "./real_http_connection.ts";
import type { Deadline } from "./real_http_deadline.ts";
import { openStream } from "./real_http_open.ts";
import { AbandonedSockets } from "./real_http_abandoned.ts";

/** Servers and proxies drop idle connections at this or later, as a rule. */
const IDLE_MS = 60_000;

/** So much before the server would drop a connection it is no longer used. */
const MARGIN_MS = 1_000;

type Timer = ReturnType<typeof setTimeout>;

export class ConnectionPool {
  readonly abandoned: AbandonedSockets = new AbandonedSockets();
  readonly #idle = new Map<string, { connection: HttpConnection; timer: Timer }>();

  /** A connection that waits, if there is one that fits and on which nothing has come unasked. */
  async take(request: HttpRequest, url: URL): Promise<HttpConnection | undefined> {
    const key = keyOf(request, url);
    const waiting = this.#idle.get(key);
    if (!waiting) return undefined;
    clearTimeout(waiting.timer);
    this.#idle.delete(key);
    if (await waiting.connection.isQuiet()) return waiting.connection;
    waiting.connection.close();
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
    const idleMs = idleLimitMs(headers["keep-alive"]);
    if (!keepAlive || idleMs <= 0 || this.#idle.has(key)) return connection.close();
    const drop = () => {
      if (this.#idle.get(key)?.connection !== connection) return;
      clearTimeout(this.#idle.get(key)?.timer);
      this.#idle.delete(key);
      connection.close();
    };
    const timer = setTimeout(drop, idleMs);
    // An idle connection is no reason for the process to go on.
    Deno.unrefTimer(Number(timer));
    this.#idle.set(key, { connection, timer });
    connection.watch(drop);
  }

  closeIdle(): void {
    for (const { connection, timer } of this.#idle.values()) {
      clearTimeout(timer);
      connection.close();
    }
    this.#idle.clear();
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
