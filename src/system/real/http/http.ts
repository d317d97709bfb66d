/**
 * The HTTP port on Deno's own sockets: idle connections for the next request, new ones by TCP, tunnel and
 * TLS, and one request on one of them; docs/decisions/0002-http-on-sockets.md has the reasons.
 */

import { HttpError, type HttpRequest, type HttpResponse, type SendHttp } from "../../http.ts";
import { connectTcp } from "./addresses.ts";
import type { WholeAnswer } from "./answer.ts";
import { AbandonedSockets, HttpConnection, type Stream, type Unanswered } from "./connection.ts";
import { SocketPoll } from "./socket_poll.ts";
import {
  classifyFailure,
  Deadline,
  describeFailure,
  encodeHead,
  encodeRequest,
  proxyAuthorization,
} from "./request.ts";

/** Most servers and proxies drop idle connections at this or later. */
const IDLE_MS = 60_000;

/** A connection is not used during this time before the server would drop it. */
const MARGIN_MS = 1_000;

/** Further connections to one server are closed soon: those of a fleet add up. */
const FURTHER_IDLE_MS = 5_000;

/**
 * A connection that was used again before, and has been idle for less, is used without a look at it. Servers
 * that close a connection without a word do so after the first answer, or when it has long been idle.
 */
const MOMENT_MS = 100;

/** Maximum of idle connections to one server. */
const MOST_IDLE = 8;

/** Longest answer of a proxy to the request for a tunnel. */
const TUNNEL_ANSWER_BYTES = 8_192;

interface Idle {
  readonly connection: HttpConnection;
  /** Since when, and when it is closed, in monotonic time. */
  readonly sinceMs: number;
  readonly untilMs: number;
}

export class ConnectionPool {
  readonly abandoned: AbandonedSockets = new AbandonedSockets();
  readonly #idle = new Map<string, Idle[]>();
  readonly #sockets = new SocketPoll();
  /** One for all: a drain releases hundreds in a second. Does not keep the process alive. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerMs = Infinity;

  /**
   * Removes and returns a fitting idle connection on which nothing has arrived, if there is one: neither its
   * end nor bytes that would be read as the answer to the next request.
   */
  async reuse(request: HttpRequest, url: URL): Promise<HttpConnection | undefined> {
    const key = keyOf(request, url);
    // The server is least likely to have closed the latest one.
    const waiting = this.#idle.get(key)?.pop();
    if (!waiting) return undefined;
    const { connection, sinceMs, untilMs } = waiting;
    const nowMs = performance.now();
    // The timer is late if the event loop was blocked.
    const isInTime = nowMs < untilMs;
    const isProven = connection.answers > 1 && nowMs - sinceMs < MOMENT_MS;
    if (isInTime && !isProven) await this.#sockets.poll();
    if (isInTime && connection.isQuiet) return connection;
    connection.close();
    return undefined;
  }

  async open(request: HttpRequest, url: URL, deadline: Deadline): Promise<HttpConnection> {
    const stream = await deadline.connecting(
      openStream(request, url, { deadline, abandoned: this.abandoned }),
    );
    return new HttpConnection(stream, keyOf(request, url), this.abandoned);
  }

  /** Makes a connection available for as long as its last answer allows, or closes it. */
  release(connection: HttpConnection, { keepAlive, headers }: WholeAnswer): void {
    const { key } = connection;
    const others = this.#idle.get(key) ?? [];
    const ownMs = others.length === 0 ? IDLE_MS : FURTHER_IDLE_MS;
    const idleMs = Math.min(ownMs, idleLimitMs(headers["keep-alive"]));
    if (!keepAlive || idleMs <= 0 || others.length >= MOST_IDLE) return connection.close();
    const sinceMs = performance.now();
    const idle = { connection, sinceMs, untilMs: sinceMs + idleMs };
    this.#idle.set(key, [...others, idle]);
    this.#scheduleClose(idle.untilMs);
    connection.watch(() => {
      const waiting = this.#idle.get(key) ?? [];
      if (!waiting.includes(idle)) return;
      this.#idle.set(key, waiting.filter((one) => one !== idle));
      connection.close();
    });
  }

  closeIdle(): void {
    this.#sockets.close();
    clearTimeout(this.#timer);
    this.#timerMs = Infinity;
    this.#closeExpired(Infinity);
  }

  #scheduleClose(atMs: number): void {
    if (atMs >= this.#timerMs) return;
    clearTimeout(this.#timer);
    this.#timerMs = atMs;
    this.#timer = setTimeout(() => {
      this.#timerMs = Infinity;
      const nextMs = this.#closeExpired(performance.now());
      if (nextMs < Infinity) this.#scheduleClose(nextMs);
    }, atMs - performance.now());
  }

  /** Closes connections that have expired; returns when the next one does. */
  #closeExpired(nowMs: number): number {
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
 * How long a connection may be idle, in ms, by the server's `Keep-Alive: timeout=5` (RFC 2068, section
 * 19.7.1.1; Apache and Node send it): a request that is sent while the server drops it is lost.
 */
export function idleLimitMs(keepAlive: string | undefined): number {
  const [, seconds] = /(?:^|[,\s])timeout=(\d{1,9})(?:$|[,\s])/i.exec(keepAlive ?? "") ?? [];
  return seconds === undefined ? IDLE_MS : Math.min(IDLE_MS, Number(seconds) * 1_000 - MARGIN_MS);
}

function keyOf({ tls = {}, proxyUrl = "" }: HttpRequest, url: URL): string {
  return JSON.stringify([url.origin, proxyUrl, tls.ca, tls.certificate, tls.key]);
}

/** One attempt to connect: its time limit, and the count of sockets that it cannot free. */
interface Attempt {
  readonly deadline: Deadline;
  readonly abandoned: AbandonedSockets;
}

/** Opens a stream that is ready for a request; `deadline` closes one that is half open. */
async function openStream(request: HttpRequest, url: URL, attempt: Attempt): Promise<Stream> {
  if (url.protocol === "http:") return await openTcp(request, url, attempt.deadline);
  attempt.abandoned.admitHandshake();
  const { ca, certificate, key } = request.tls ?? {};
  // TLS to the server itself; Deno trusts the system's authorities besides the given one.
  const caCerts = ca === undefined ? [] : [ca];
  if (certificate !== undefined && key !== undefined) {
    const options = { caCerts, cert: certificate, key };
    return await openTlsAsClient(request, url, { attempt, options });
  }
  const tcp = await openTcp(request, url, attempt.deadline);
  try {
    const stream = await Deno.startTls(tcp, { hostname: bareHost(url), caCerts });
    await handshake(stream, attempt);
    return stream;
  } catch (error) {
    closeQuietly(tcp);
    throw error;
  }
}

/** TLS with a client certificate, which Deno shows only on a connection that it opens itself. */
async function openTlsAsClient(
  { proxyUrl }: HttpRequest,
  url: URL,
  { attempt, options }: {
    attempt: Attempt;
    options: Deno.TlsCertifiedKeyPem & { caCerts: string[] };
  },
): Promise<Stream> {
  if (proxyUrl !== undefined) {
    throw new HttpError("a client certificate cannot be shown through a proxy", {
      reason: "proxy",
    });
  }
  checkPair(options);
  const stream = await Deno.connectTls({ hostname: bareHost(url), port: portOf(url), ...options });
  await handshake(stream, attempt);
  return stream;
}

/**
 * Throws unless TLS accepts the certificate and its key. Deno 2.6.8 and 2.9.6 end the whole process
 * ("Deno has panicked") when a client connects with a key of another certificate, a key of a type that
 * rustls does not support, or a damaged certificate. A listener with the same pair only throws; it is
 * closed before anything can reach it.
 */
function checkPair({ cert, key }: Deno.TlsCertifiedKeyPem): void {
  try {
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
  } catch (error) {
    const fact = error instanceof Error ? error.message : String(error);
    throw new HttpError(`the client certificate and its key cannot be used: ${fact}`, {
      reason: "tls",
      cause: error,
    });
  }
}

/** Waits for the handshake. A late one goes on, since its socket cannot be freed before its end. */
async function handshake(stream: Deno.TlsConn, { deadline, abandoned }: Attempt): Promise<void> {
  const shaking = stream.handshake();
  let isDone = false;
  deadline.guard(() => {
    if (isDone) closeQuietly(stream);
    else abandoned.addHandshake(shaking);
  });
  try {
    await shaking;
    isDone = true;
  } catch (error) {
    closeQuietly(stream);
    throw error;
  }
}

async function openTcp(
  { proxyUrl }: HttpRequest,
  url: URL,
  deadline: Deadline,
): Promise<Deno.TcpConn> {
  const tcp = proxyUrl === undefined
    ? await connectTcp({ hostname: bareHost(url), port: portOf(url) })
    : await connectToProxy(new URL(proxyUrl));
  deadline.guard(() => closeQuietly(tcp));
  tcp.setNoDelay();
  // Without keep-alive, a socket waits for ever for a peer that has silently died.
  tcp.setKeepAlive();
  if (proxyUrl !== undefined && url.protocol === "https:") await tunnel(tcp, proxyUrl, url);
  return tcp;
}

/** A proxy that is not there is the proxy's fault, not the server's; a network that is not, is neither's. */
async function connectToProxy(url: URL): Promise<Deno.TcpConn> {
  try {
    return await connectTcp({ hostname: bareHost(url), port: portOf(url) });
  } catch (error) {
    const [reason, fact] = classifyFailure(error);
    if (reason === "offline") throw error;
    throw new HttpError(`the proxy ${url.host}: ${fact}`, { reason: "proxy", cause: error });
  }
}

/** Asks a proxy for a tunnel (RFC 9110, section 9.3.6). */
async function tunnel(tcp: Deno.TcpConn, proxyUrl: string, url: URL): Promise<void> {
  const target = `${url.hostname}:${portOf(url)}`;
  const head = encodeHead(`CONNECT ${target} HTTP/1.1`, {
    host: target,
    ...proxyAuthorization(proxyUrl),
  });
  try {
    const status = await askTunnel(tcp, head);
    if (status !== 200) {
      throw new HttpError(`the proxy answers HTTP ${status}`, { reason: "proxy" });
    }
  } catch (error) {
    closeQuietly(tcp);
    if (error instanceof HttpError) throw error;
    throw new HttpError("the proxy does not answer", { reason: "proxy", cause: error });
  }
}

/** Returns the status of the proxy's answer; what follows the headers of a 200 belongs to the tunnel. */
async function askTunnel(tcp: Deno.TcpConn, head: Uint8Array): Promise<number> {
  // One call may write a part only.
  for (let written = 0; written < head.length;) written += await tcp.write(head.subarray(written));
  let text = "";
  const byte = new Uint8Array(1);
  // Byte by byte: nothing of the tunnel may be read here. An answer has a few hundred bytes.
  while (!text.endsWith("\r\n\r\n")) {
    const length = await tcp.read(byte);
    if (length === null || text.length > TUNNEL_ANSWER_BYTES) return 0;
    text += String.fromCharCode(byte[0] ?? 0);
  }
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0);
}

function closeQuietly(connection: { close(): void }): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}

function portOf(url: URL): number {
  return Number(url.port) || (url.protocol === "https:" ? 443 : 80);
}

function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "");
}

/**
 * Creates a sender; `closeIdle` closes the idle connections. It follows no redirect and verifies every certificate. It sends a request again only
 * if an idle connection turns out to be closed and the server cannot act twice.
 */
export function realSendHttp(): SendHttp & Pick<ConnectionPool, "closeIdle"> {
  const pool = new ConnectionPool();
  const send = (request: HttpRequest) => exchange(pool, request);
  return Object.assign(send, { closeIdle: () => pool.closeIdle() });
}

/** The latest address that was parsed: a drain sends hundreds of reports to one. */
let latest: { readonly text: string; readonly url: URL } | undefined;

function parseUrl(text: string): URL {
  if (latest?.text !== text) latest = { text, url: new URL(text) };
  return latest.url;
}

async function exchange(pool: ConnectionPool, request: HttpRequest): Promise<HttpResponse> {
  const url = parseUrl(request.url);
  const deadline = new Deadline(request);
  try {
    const { status, headers, body } = await answerOf(pool, request, { url, deadline });
    return { status, headers, body };
  } catch (error) {
    throw describeFailure(error, { host: url.host, endedBy: deadline.endedBy });
  } finally {
    deadline.clear();
  }
}

async function answerOf(
  pool: ConnectionPool,
  request: HttpRequest,
  { url, deadline }: { url: URL; deadline: Deadline },
): Promise<WholeAnswer> {
  const bytes = encodeRequest(request, url);
  pool.abandoned.admit(bytes.length);
  const idle = pool.abandoned.isFull ? undefined : await pool.reuse(request, url);
  if (idle) {
    const answer = await exchangeOn(pool, idle, { bytes, request, deadline });
    if (!isUnanswered(answer)) return answer;
    // The server may have read the request before it closed: resending a report could store it twice.
    if (!request.isIdempotent && !answer.isUnwritten) throw closedEarly();
  }
  const fresh = await pool.open(request, url, deadline);
  const answer = await exchangeOn(pool, fresh, { bytes, request, deadline });
  if (isUnanswered(answer)) throw closedEarly();
  return answer;
}

function isUnanswered(answer: WholeAnswer | Unanswered): answer is Unanswered {
  return "isUnwritten" in answer;
}

function closedEarly(): HttpError {
  return new HttpError("closed before an answer", { reason: "cut_off" });
}

async function exchangeOn(
  pool: ConnectionPool,
  connection: HttpConnection,
  { bytes, request, deadline }: { bytes: Uint8Array; request: HttpRequest; deadline: Deadline },
): Promise<WholeAnswer | Unanswered> {
  deadline.guard(() => connection.close());
  try {
    const answer = await deadline.race(connection.exchange(bytes, request.maxBodyBytes));
    if (isUnanswered(answer)) connection.close();
    else pool.release(connection, answer);
    return answer;
  } catch (error) {
    connection.close();
    throw error;
  }
}
