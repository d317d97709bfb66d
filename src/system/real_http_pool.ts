/** Connections that wait for a next request, and the opening of new ones. */

import type { HttpRequest } from "./http.ts";
import { HttpConnection } from "./real_http_connection.ts";
import type { Deadline } from "./real_http_deadline.ts";
import { openStream } from "./real_http_open.ts";
import { AbandonedSockets } from "./real_http_abandoned.ts";

/** Servers and proxies drop idle connections at this or later, as a rule. */
const IDLE_MS = 60_000;

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

  /** Keeps a connection for the next request, or closes it. */
  giveBack(connection: HttpConnection, keepAlive: boolean): void {
    const { key } = connection;
    if (!keepAlive || this.#idle.has(key)) return connection.close();
    const drop = () => {
      if (this.#idle.get(key)?.connection !== connection) return;
      clearTimeout(this.#idle.get(key)?.timer);
      this.#idle.delete(key);
      connection.close();
    };
    const timer = setTimeout(drop, IDLE_MS);
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

function keyOf({ tls = {}, proxyUrl = "" }: HttpRequest, url: URL): string {
  return JSON.stringify([url.origin, proxyUrl, tls.ca, tls.certificate, tls.key]);
}
