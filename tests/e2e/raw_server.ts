/**
 * A server of a test's own, on raw sockets: it speaks the protocol as far as an agent needs it to
 * stay well, and answers a chosen request with exactly the bytes that the test wants.
 */

import { pause } from "./outage.ts";

/** A request as it came. */
export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

/** What a hostile answer does to its connection; it is closed when this returns. */
export type Attack = (write: (bytes: Uint8Array | string) => Promise<void>) => Promise<void>;

/** Every wait of a test's ends after this. */
const PATIENCE_MS = 120_000;

/** Tokens are opaque to the agent; this one never ends. */
const TOKEN = "a-token";

export class RawServer implements AsyncDisposable {
  readonly requests: RawRequest[] = [];
  /** Handed over with the next good answer to a check-in. */
  commands: unknown[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections = new Set<Deno.TcpConn>();
  readonly #attacks: { path: RegExp; attack: Attack; isUnread: boolean }[] = [];
  #attacked = 0;

  constructor() {
    void this.#accept();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** How many hostile answers have been begun. */
  get attacked(): number {
    return this.#attacked;
  }

  /** Answers the next request whose path matches with `attack`. */
  attackNext(path: RegExp, attack: Attack): void {
    this.#attacks.push({ path, attack, isUnread: false });
  }

  /** As `attackNext`, for a request of which nothing but the head is read. */
  attackUnread(path: RegExp, attack: Attack): void {
    this.#attacks.push({ path, attack, isUnread: true });
  }

  count(path: RegExp): number {
    return this.requests.filter((request) => path.test(request.path)).length;
  }

  async until(what: string, isReached: () => boolean): Promise<void> {
    for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 50) {
      if (isReached()) return;
      await pause(50);
    }
    throw new Error(`Cannot go on: still no ${what}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) quietly(() => connection.close());
    return Promise.resolve();
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) {
        this.#connections.add(connection);
        this.#serve(connection).catch(() => {}).finally(() => {
          this.#connections.delete(connection);
          quietly(() => connection.close());
        });
      }
    } catch {
      // Closed by the test.
    }
  }

  async #serve(connection: Deno.TcpConn): Promise<void> {
    let rest = "";
    while (true) {
      const heard = await hear(connection, rest, (path) => this.#attackOn(path)?.isUnread ?? false);
      if (heard === undefined) return;
      rest = heard.rest;
      this.requests.push(heard.request);
      const next = this.#attackOn(heard.request.path);
      if (next) {
        this.#attacks.splice(this.#attacks.indexOf(next), 1);
        this.#attacked += 1;
        return await next.attack((bytes) => writeAll(connection, bytes));
      }
      await writeAll(connection, jsonAnswer(this.#goodAnswer(heard.request)));
    }
  }

  #attackOn(path: string) {
    return this.#attacks.find((attack) => attack.path.test(path));
  }

  #goodAnswer({ path }: RawRequest): unknown {
    if (path === "/health") return { status: "healthy" };
    if (path.endsWith("/register")) {
      const config = { check_in_interval: 10 };
      return { agent_id: "raw-agent", token: TOKEN, refresh_token: "a-refresh-token", config };
    }
    if (path.endsWith("/renew")) return { token: TOKEN };
    if (!path.endsWith("/commands")) return { message: "ok" };
    return { commands: this.commands.splice(0) };
  }
}

/** An answer with status 200 and a JSON body, framed as it should be. */
export function jsonAnswer(value: unknown): Uint8Array {
  return answer(JSON.stringify(value));
}

/** An answer with status 200 and this body, framed as it should be. */
export function answer(body: string): Uint8Array {
  const bytes = new TextEncoder().encode(body);
  const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${bytes.length}\r\n\r\n`;
  const all = new Uint8Array(head.length + bytes.length);
  all.set(new TextEncoder().encode(head));
  all.set(bytes, head.length);
  return all;
}

async function hear(
  connection: Deno.TcpConn,
  before: string,
  isUnread: (path: string) => boolean,
): Promise<{ request: RawRequest; rest: string } | undefined> {
  let text = before;
  const buffer = new Uint8Array(16_384);
  while (true) {
    const end = text.indexOf("\r\n\r\n");
    const length = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
    const [method = "", path = ""] = text.slice(0, Math.max(0, end)).split(" ", 2);
    if (end >= 0 && isUnread(path)) return { request: { method, path, body: "" }, rest: "" };
    if (end >= 0 && text.length >= end + 4 + length) {
      const body = text.slice(end + 4, end + 4 + length);
      return { request: { method, path, body }, rest: text.slice(end + 4 + length) };
    }
    const read = await connection.read(buffer);
    if (read === null) return undefined;
    text += new TextDecoder("latin1").decode(buffer.subarray(0, read));
  }
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array | string): Promise<void> {
  const all = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  for (let written = 0; written < all.length;) {
    written += await connection.write(all.subarray(written));
  }
}

function quietly(close: () => void): void {
  try {
    close();
  } catch {
    // Closed already.
  }
}
