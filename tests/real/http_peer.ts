/** A server whose connections a test plays one by one, and a client to speak with it. */

import { assertEquals, assertRejects } from "@std/assert";
import { HttpError, type HttpErrorReason, type HttpRequest } from "../../src/system/http.ts";
import { realSendHttp } from "../../src/system/real/http/http.ts";
import type { Certificate } from "./certificates.ts";

/** Longer than anything here takes on a busy machine. */
export const PATIENCE_MS = 20_000;

/** One connection of a client's, as the server has it. */
export class Peer {
  readonly number: number;
  readonly #connection: Deno.Conn;
  #text = "";

  constructor(connection: Deno.Conn, number: number) {
    this.#connection = connection;
    this.number = number;
  }

  /** The head of the next request, its body read too; `undefined`: the client has closed. */
  async hear(): Promise<string | undefined> {
    const buffer = new Uint8Array(65_536);
    while (true) {
      const end = this.#text.indexOf("\r\n\r\n");
      const head = this.#text.slice(0, Math.max(0, end));
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (end >= 0 && this.#text.length >= end + 4 + length) {
        this.#text = this.#text.slice(end + 4 + length);
        return head;
      }
      const count = await this.#connection.read(buffer).catch(() => null);
      if (count === null) return undefined;
      this.#text += new TextDecoder("latin1").decode(buffer.subarray(0, count));
    }
  }

  /** The head of the next request; what follows it stays unread, but for a few bytes. */
  async hearHead(): Promise<string | undefined> {
    const buffer = new Uint8Array(256);
    let head = "";
    while (!head.includes("\r\n\r\n")) {
      const count = await this.#connection.read(buffer).catch(() => null);
      if (count === null) return undefined;
      head += new TextDecoder("latin1").decode(buffer.subarray(0, count));
    }
    return head;
  }

  async say(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  close(): void {
    try {
      this.#connection.close();
    } catch {
      // The client was first.
    }
  }
}

export type Serve = (peer: Peer, server: Server) => Promise<void>;

/** A server whose connections a test plays, one by one. */
export class Server implements AsyncDisposable {
  connections = 0;
  /** Connections that the client has closed. */
  closed = 0;
  /** By its connection's number, each request that was heard: its first line. */
  readonly heard: string[] = [];
  readonly #listener: Deno.TcpListener | Deno.TlsListener;
  readonly #peers: Peer[] = [];
  readonly #serving: Promise<void>;
  readonly #scheme: string;

  constructor(serve: Serve, tls?: Certificate) {
    const address = { hostname: "127.0.0.1", port: 0 };
    this.#scheme = tls ? "https" : "http";
    this.#listener = tls
      ? Deno.listenTls({ ...address, cert: tls.certificate, key: tls.key })
      : Deno.listen(address);
    this.#serving = this.#accept(serve);
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const peer of this.#peers) peer.close();
    await this.#serving;
  }

  async #accept(serve: Serve): Promise<void> {
    const served: Promise<void>[] = [];
    try {
      for await (const connection of this.#listener) {
        const peer = new Peer(connection, ++this.connections);
        this.#peers.push(peer);
        served.push(serve(peer, this).catch(() => {})); // The client went away.
      }
    } catch {
      // Closed by the test.
    }
    await Promise.all(served);
  }
}

export function ok(body: string, headers = ""): string {
  return `HTTP/1.1 200 OK\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** Answers each request with its connection's number, and notes when the client closes. */
export function byNumber(headers = ""): Serve {
  return async (peer, server) => {
    for (let head = await peer.hear(); head !== undefined; head = await peer.hear()) {
      server.heard.push(`${peer.number} ${head.split("\r\n")[0]}`);
      await peer.say(ok(String(peer.number), headers));
    }
    server.closed += 1;
  };
}

export function request(url: string, parts: Partial<HttpRequest> = {}): HttpRequest {
  return {
    method: "GET",
    url,
    headers: {},
    connectTimeoutMs: PATIENCE_MS,
    timeoutMs: PATIENCE_MS,
    maxBodyBytes: 100_000,
    ...parts,
  };
}

/** A sender that gives bodies as text. */
export type TextSender = ReturnType<typeof textSender>;

export function textSender() {
  const send = realSendHttp();
  const sendForText = async (request: HttpRequest) => {
    const answer = await send(request);
    return { ...answer, body: new TextDecoder().decode(answer.body) };
  };
  return Object.assign(sendForText, { closeIdle: () => send.closeIdle() });
}

/** Plays a story with a sender of its own. */
export async function withSender(story: (send: TextSender) => Promise<void>): Promise<void> {
  const send = textSender();
  try {
    await story(send);
  } finally {
    send.closeIdle();
  }
}

/** Waits for something to come true on the server's side. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 5) {
    if (isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`Cannot go on: still no ${what}`);
}

/** What comes of `work`, which does not take long. */
export async function inTime<T>(what: string, work: Promise<T>): Promise<T> {
  let timer;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Cannot go on: still no ${what}`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export async function assertFails(work: Promise<unknown>, reason: HttpErrorReason): Promise<void> {
  const error = await assertRejects(() => work, HttpError);
  assertEquals(error.reason, reason, error.message);
}

/** Requests that differ in one thing each: none may go out on the connection of another. */
export async function assertKeptApart(
  send: TextSender,
  server: Server,
  requests: readonly HttpRequest[],
): Promise<void> {
  const used: string[] = [];
  for (let round = 0; round < 2; round++) {
    for (const each of requests) used.push((await send(each)).body);
  }
  const own = requests.map((_, index) => String(index + 1));
  assertEquals(used, [...own, ...own]);
  assertEquals(server.connections, requests.length);
}
