/** One client's connection: request after request, each answered or met by the fault that is set. */

import type { FaultPlan, RequestFault } from "./faults.ts";
import {
  encodeAnswer,
  RequestReader,
  type WireAnswer,
  WireError,
  type WireRequest,
  writeAll,
} from "./http_wire.ts";
import type { LoggedRequest, RequestLog, RequestStage } from "./request_log.ts";

/** An answer, and what the request was about. */
export interface Reply extends WireAnswer {
  readonly summary: string;
  /** Ids of the commands that it hands over. @default none */
  readonly handedOver?: readonly string[];
}

/** What a connection leads to. */
export interface Site {
  readonly faults: FaultPlan;
  readonly log: RequestLog;
  readonly maxBodyBytes: number;
  /** Ends every wait when the server closes. */
  readonly signal: AbortSignal;
  /** Acts on a request. */
  handle(request: WireRequest, fromAddress: string): Promise<Reply>;
  /** Replaces an answer after the site has acted. */
  rewrite?(request: WireRequest, reply: Reply): Reply;
  /** Answers in place of a server that is not set up. @default as a server of 0.1 */
  welcome?(request: WireRequest): Reply;
  /** Told at each stage of a request, before anything else is done. */
  onStage?(request: LoggedRequest, stage: RequestStage): void;
}

/** Serves a connection until one side has had enough, and closes it. Never throws. */
export async function serveConnection(connection: Deno.Conn, site: Site): Promise<void> {
  const reader = new RequestReader(connection);
  try {
    while (await serveOne(connection, reader, site));
  } catch {
    // A client may go away at any moment; that is its right and no news.
  } finally {
    closeQuietly(connection);
  }
}

/** Closes a connection that may already be closed. */
export function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // Closed by the other end of this program.
  }
}

async function serveOne(
  connection: Deno.Conn,
  reader: RequestReader,
  site: Site,
): Promise<boolean> {
  let entry: LoggedRequest | undefined;
  try {
    const line = await reader.readLine();
    if (!line) return false;
    const fault = site.faults.take(line.path);
    entry = site.log.begin(line.method, line.path, fault?.mode ?? null);
    // The rest stays unread: closing now resets the connection.
    if (fault?.mode === "reset") return false;
    const request = await reader.readRest(line, site.maxBodyBytes);
    entry.bodyBytes = request.bodyBytes;
    entry.hasAuthorization = request.headers.has("authorization");
    site.onStage?.(entry, "arrived");
    if (fault?.mode === "hang") return await neverAnswer(connection, entry);
    if (fault?.mode === "slow") await pause(fault.delayMs, site.signal);
    const reply = standIn(fault, request, site) ?? await act(connection, request, site);
    entry.status = reply.status;
    entry.summary = reply.summary;
    entry.handedOver = reply.handedOver ?? [];
    site.onStage?.(entry, "acted");
    return await answer(connection, reply, { fault, keepAlive: request.keepAlive, entry, site });
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    entry ??= site.log.begin("?", "?", null);
    entry.status = error.status;
    site.log.violate(entry, error.message);
    const reply = { status: error.status, headers: {}, body: error.message, summary: "" };
    return await answer(connection, reply, { fault: undefined, keepAlive: false, entry, site });
  } finally {
    if (entry) site.log.end(entry);
  }
}

async function act(connection: Deno.Conn, request: WireRequest, site: Site): Promise<Reply> {
  const { hostname } = connection.remoteAddr as Deno.NetAddr;
  const reply = await site.handle(request, hostname);
  return site.rewrite?.(request, reply) ?? reply;
}

async function answer(
  connection: Deno.Conn,
  reply: Reply,
  options: {
    fault: RequestFault | undefined;
    keepAlive: boolean;
    entry: LoggedRequest;
    site: Site;
  },
): Promise<boolean> {
  const { fault, keepAlive, entry, site } = options;
  if (fault?.mode === "lost_answer") return false;
  const { head, body } = encodeAnswer(reply, { keepAlive });
  const half = body.subarray(0, Math.floor(body.length / 2));
  if (fault?.mode === "cut" || fault?.mode === "stall") {
    await writeAll(connection, head);
    await writeAll(connection, half);
    return fault.mode === "stall" && await neverAnswer(connection, entry);
  }
  await writeAll(connection, head);
  await writeAll(connection, body);
  site.log.answered(entry);
  site.onStage?.(entry, "answered");
  return keepAlive;
}

/** Stays silent until the client gives up or the server closes. */
async function neverAnswer(connection: Deno.Conn, entry: LoggedRequest): Promise<false> {
  entry.summary ||= "left waiting";
  const ignored = new Uint8Array(16_384);
  while (await connection.read(ignored) !== null);
  return false;
}

/** What a proxy, or a server not set up yet, says in place of the server. */
function standIn(
  fault: RequestFault | undefined,
  request: WireRequest,
  site: Site,
): Reply | undefined {
  switch (fault?.mode) {
    case "status":
      return {
        status: fault.status,
        headers: {
          "Content-Type": "application/json; charset=utf-8",
          ...(fault.retryAfter === undefined ? {} : { "Retry-After": fault.retryAfter }),
        },
        body: JSON.stringify({ error: `status ${fault.status} on request` }),
        summary: "",
      };
    case "html":
      return {
        status: fault.status,
        headers: { "Content-Type": "text/html" },
        body: "<html><head><title>Proxy</title></head>" +
          "<body><h1>The server is not available</h1></body></html>",
        summary: "",
      };
    case "redirect":
      return { status: 302, headers: { "Location": fault.location }, body: "", summary: "" };
    case "waiting_for_configuration":
      if (site.welcome) return site.welcome(request);
      return /^\/(api\/)?health$/.test(request.path)
        ? {
          status: 200,
          headers: { "Content-Type": "application/json; charset=utf-8" },
          body: JSON.stringify({ status: "waiting for configuration" }),
          summary: "",
        }
        : { status: 404, headers: {}, body: "404 page not found", summary: "" };
    default:
      return undefined;
  }
}

/** Waits `ms`, or rejects as soon as the signal says so. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
