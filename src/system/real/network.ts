/** The network port on Deno: names by `getaddrinfo`, certificates by `node:tls`. */

import { connect as connectNode, isIP } from "node:net";
import {
  connect as connectTls,
  type ConnectionOptions,
  type PeerCertificate as NodeCertificate,
  type TLSSocket,
} from "node:tls";
import { HttpError } from "../http.ts";
import type { Network, PeerCertificate } from "../network.ts";
import { connectTcp, lookup } from "./http/addresses.ts";
import { describeFailure, proxyAuthorization } from "./http/request.ts";

export const realNetwork: Network = {
  resolve: (host, timeoutMs) => within(host, timeoutMs, () => lookup(host)),
  connect: (peer) =>
    within(peer.host, peer.timeoutMs, async () => {
      const connection = await connectTcp({ hostname: peer.host, port: peer.port });
      const { remoteAddr } = connection;
      connection.close();
      return remoteAddr.hostname;
    }),
  readCertificates: (peer) =>
    within(peer.host, peer.timeoutMs, (onEnd) => readCertificates(peer, onEnd)),
};

/** Runs `work` for `timeoutMs` at most, and then the functions that it gave to `onEnd`. */
async function within<T>(
  host: string,
  timeoutMs: number,
  work: (onEnd: (end: () => void) => void) => Promise<T>,
): Promise<T> {
  const ends: (() => void)[] = [];
  const late = Promise.withResolvers<never>();
  let endedBy: "timeout" | null = null;
  const timer = setTimeout(() => {
    endedBy = "timeout";
    late.reject(new Error("timeout"));
  }, timeoutMs);
  try {
    return await Promise.race([work((end) => ends.push(end)), late.promise]);
  } catch (error) {
    throw describeFailure(withCode(error), { host, endedBy });
  } finally {
    clearTimeout(timer);
    for (const end of ends) end();
  }
}

/** Node's codes of failures, in words that `describeFailure` knows. */
const CODES: Readonly<Record<string, string>> = {
  ENOTFOUND: "name or service not known",
  EAI_AGAIN: "temporary failure in name resolution",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
  ETIMEDOUT: "os error 110",
};

function withCode(error: unknown): unknown {
  const { code } = error as { code?: unknown };
  const words = typeof code === "string" ? CODES[code] : undefined;
  return words === undefined ? error : new Error(words, { cause: error });
}

type TlsPeer = Parameters<Network["readCertificates"]>[0];

function readCertificates(
  peer: TlsPeer,
  onEnd: (end: () => void) => void,
): Promise<readonly PeerCertificate[]> {
  return new Promise((resolve, reject) => {
    const { host, port, proxyUrl } = peer;
    const watch = (options: ConnectionOptions) =>
      handshake({ ...options, ...serverName(host) }, { resolve, reject, onEnd });
    if (proxyUrl === undefined) return watch({ host, port });
    const proxy = new URL(proxyUrl);
    const socket = connectNode({
      host: proxy.hostname.replace(/^\[|\]$/g, ""),
      port: Number(proxy.port) || 80,
    });
    onEnd(() => socket.destroy());
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("connection reset")));
    socket.once("connect", () => socket.write(tunnelRequest(peer, proxyUrl)));
    socket.once("data", (bytes) => {
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(String(bytes))?.[1];
      // In this very event: Deno 2.6.8 would read on from the socket, and TLS never begin.
      if (status === "200") return watch({ socket });
      const fact = status === undefined ? "does not answer" : `answers HTTP ${status}`;
      reject(new HttpError(`the proxy ${fact}`, { reason: "proxy" }));
    });
  });
}

/** A server name is a name: none is sent for an address (RFC 6066, section 3). */
function serverName(host: string): { servername?: string } {
  return isIP(host) === 0 ? { servername: host } : {};
}

function tunnelRequest({ host, port }: TlsPeer, proxyUrl: string): string {
  const target = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const headers = Object.entries({ host: target, ...proxyAuthorization(proxyUrl) })
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return `CONNECT ${target} HTTP/1.1\r\n${headers.join("")}\r\n`;
}

/** Longest chain that is read: real ones have two or three certificates. */
const MOST_CERTIFICATES = 10;

/** Most names of a certificate that are read. */
const MOST_NAMES = 20;

/** Between two looks for the certificates. */
const LOOK_EVERY_MS = 10;

interface Watcher {
  resolve(chain: readonly PeerCertificate[]): void;
  reject(error: unknown): void;
  onEnd(end: () => void): void;
}

function handshake(options: ConnectionOptions, { resolve, reject, onEnd }: Watcher): void {
  const tls = connectTls({ ...options, rejectUnauthorized: false });
  // Deno 2.6.8 says that it is connected before the handshake ends, and not again after it.
  const timer = setInterval(() => {
    const found = lookAtPeer(tls);
    if (found.length > 0) resolve(found);
  }, LOOK_EVERY_MS);
  onEnd(() => {
    clearInterval(timer);
    tls.destroy();
  });
  tls.once("error", reject);
  tls.once("close", () => reject(new Error("connection reset")));
}

function lookAtPeer(tls: TLSSocket): PeerCertificate[] {
  try {
    return readChain(tls.getPeerCertificate(true));
  } catch {
    return []; // Before the handshake Deno 2.6.8 throws a TypeError.
  }
}

interface ChainLink extends NodeCertificate {
  issuerCertificate?: ChainLink;
}

function readChain(leaf: ChainLink | null): PeerCertificate[] {
  const found: PeerCertificate[] = [];
  const seen = new Set<string>();
  for (let link: ChainLink | undefined = leaf ?? undefined; link; link = link.issuerCertificate) {
    // The last one names itself as its issuer.
    if (!link.valid_to || seen.has(link.fingerprint256)) break;
    seen.add(link.fingerprint256);
    found.push({
      subject: nameOf(link.subject),
      issuer: nameOf(link.issuer),
      names: readNames(link.subjectaltname),
      validFromMs: Date.parse(link.valid_from),
      validToMs: Date.parse(link.valid_to),
    });
    if (found.length === MOST_CERTIFICATES) break;
  }
  return found;
}

/** `DNS:a.test, IP Address:192.0.2.1` as its values. Deno 2.6.8 has an address in hexadecimal. */
function readNames(text: string | undefined): string[] {
  return (text ?? "").split(", ").slice(0, MOST_NAMES).map((name) => {
    const [, bytes] = /^IP Address:([0-9A-F]{8}|[0-9A-F]{32})$/.exec(name) ?? [];
    if (bytes === undefined) return name.replace(/^(?:DNS|IP Address):/, "");
    const parts = bytes.match(bytes.length === 8 ? /../g : /..../g) ?? [];
    return bytes.length === 8
      ? parts.map((part) => parseInt(part, 16)).join(".")
      : parts.join(":").toLowerCase();
  }).filter((name) => name !== "");
}

function nameOf(name: NodeCertificate["subject"]): string {
  const { CN, O } = name ?? {};
  return String(CN ?? O ?? Object.values(name ?? {}).join(", "));
}
