/** Opens the way to a server: TCP, a proxy's tunnel where there is one, TLS where the URL wants it. */

import { HttpError, type HttpRequest } from "../../http.ts";
import type { AbandonedSockets } from "./abandoned.ts";
import type { Deadline } from "./deadline.ts";
import { type Stream, writeAll } from "./connection.ts";
import { encodeHead, proxyAuthorization } from "./request.ts";

/** Longest answer of a proxy to the request for a tunnel. */
const TUNNEL_ANSWER_BYTES = 8_192;

/** When an attempt is over, and where sockets go that it cannot free then. */
interface Attempt {
  readonly deadline: Deadline;
  readonly abandoned: AbandonedSockets;
}

/** A stream that is ready for a request; what is half open is closed when the time is over. */
export async function openStream(
  request: HttpRequest,
  url: URL,
  attempt: Attempt,
): Promise<Stream> {
  if (url.protocol === "http:") return await openTcp(request, url, attempt.deadline);
  attempt.abandoned.admitHandshake();
  return await openTls(request, url, attempt);
}

/** TLS to the server itself; the runtime adds the system's authorities to the one given. */
async function openTls(request: HttpRequest, url: URL, attempt: Attempt): Promise<Stream> {
  const { ca, certificate, key } = request.tls ?? {};
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

/** TLS with a certificate of ours: Deno shows one only on a connection that it opens itself. */
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
    throw new HttpError(
      `the client certificate and its key cannot be used: ${
        error instanceof Error ? error.message : String(error)
      }`,
      { reason: "tls", cause: error },
    );
  }
}

/**
 * Waits for the handshake. When the time is over it is left to end by itself, since closing the stream
 * before that would not free its socket; `Deadline.connecting` closes a stream that comes too late.
 */
async function handshake(
  stream: Deno.TlsConn,
  { deadline, abandoned }: Attempt,
): Promise<void> {
  const shaking = stream.handshake();
  let isOver = false;
  deadline.guard(() => {
    if (isOver) closeQuietly(stream);
    else abandoned.addHandshake(shaking);
  });
  try {
    await shaking;
    isOver = true;
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
  const first = proxyUrl === undefined ? url : new URL(proxyUrl);
  const tcp = await Deno.connect({ hostname: bareHost(first), port: portOf(first) });
  deadline.guard(() => closeQuietly(tcp));
  tcp.setNoDelay();
  // Else a peer that is gone without a word holds a socket that waits for it for ever.
  tcp.setKeepAlive();
  if (proxyUrl !== undefined && url.protocol === "https:") await tunnel(tcp, proxyUrl, url);
  return tcp;
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

/** The status of the proxy's answer; what follows a 200's headers belongs to the tunnel. */
async function askTunnel(tcp: Deno.TcpConn, head: Uint8Array): Promise<number> {
  await writeAll(tcp, head);
  let text = "";
  const byte = new Uint8Array(1);
  // Byte by byte: nothing of the tunnel may be read here. It is a few hundred, once a connection.
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
