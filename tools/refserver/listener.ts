/** A listening socket that can be closed and opened again on the same port. */

import { closeQuietly, serveConnection, type Site } from "./connection.ts";

/** Where to listen, and how. */
export interface ListenOptions {
  readonly hostname: string;
  /** 0: any free one; it stays the same from then on. */
  readonly port: number;
  /** PEM texts; without them plain TCP. */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

/** Accepts connections and serves each of them. */
export class Listener {
  readonly #options: ListenOptions;
  readonly #site: Site;
  #socket: Deno.Listener | undefined;
  #port: number;
  #connections = new Map<Deno.Conn, Promise<void>>();
  #accepting: Promise<void> = Promise.resolve();

  constructor(options: ListenOptions, site: Site) {
    this.#options = options;
    this.#site = site;
    this.#port = options.port;
  }

  /** The port, known after the first `open()`. */
  get port(): number {
    return this.#port;
  }

  /** Listens; nothing to do if it does already. */
  open(): void {
    if (this.#socket) return;
    const { hostname, tls } = this.#options;
    const address = { hostname, port: this.#port };
    this.#socket = tls
      ? Deno.listenTls({ ...address, cert: tls.certificate, key: tls.key })
      : Deno.listen(address);
    this.#port = (this.#socket.addr as Deno.NetAddr).port;
    this.#accepting = this.#accept(this.#socket);
  }

  /** Closes the socket and every connection, so that connecting is refused. */
  async close(): Promise<void> {
    this.#socket?.close();
    this.#socket = undefined;
    await this.#accepting;
    for (const connection of this.#connections.keys()) closeQuietly(connection);
    await Promise.all(this.#connections.values());
  }

  async #accept(socket: Deno.Listener): Promise<void> {
    for await (const connection of socket) {
      const served = serveConnection(connection, this.#site)
        .finally(() => this.#connections.delete(connection));
      this.#connections.set(connection, served);
    }
  }
}
