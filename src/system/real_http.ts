/**
 * The HTTP port on Deno's own sockets, with `http-parser-js` reading the answers; why not `fetch` or
 * `node:http` stands in docs/decisions/0002-http-on-sockets.md.
 */

import { HttpError, type HttpRequest, type HttpResponse, type SendHttp } from "./http.ts";
import { ConnectionPool } from "./real_http_pool.ts";
import { Deadline } from "./real_http_deadline.ts";
import { describeFailure } from "./real_http_failure.ts";
import { encodeRequest } from "./real_http_request.ts";
import { inflate } from "./real_http_inflate.ts";
import type { HttpConnection, RawResponse } from "./real_http_connection.ts";

/** A sender with connections of its own. */
export type RealSendHttp = SendHttp & {
  /** Closes the connections that wait for a next request. */
  closeIdle(): void;
};

/** Makes a sender. It follows no redirect, retries nothing and verifies every certificate. */
export function realSendHttp(): RealSendHttp {
  const pool = new ConnectionPool();
  const send = (request: HttpRequest) => exchange(pool, request);
  return Object.assign(send, { closeIdle: () => pool.closeIdle() });
}

async function exchange(pool: ConnectionPool, request: HttpRequest): Promise<HttpResponse> {
  const url = new URL(request.url);
  const deadline = new Deadline(request);
  try {
    const raw = await answerOf(pool, request, { url, deadline });
    const body = await inflate(raw, request.maxBodyBytes);
    return { status: raw.status, headers: raw.headers, body };
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
): Promise<RawResponse> {
  const bytes = encodeRequest(request, url);
  const idle = pool.take(request, url);
  if (idle) {
    const raw = await tryOn(pool, idle, { bytes, request, deadline });
    if (raw !== "closed before an answer") return raw;
  }
  const fresh = await pool.open(request, url, deadline);
  const raw = await tryOn(pool, fresh, { bytes, request, deadline });
  if (raw !== "closed before an answer") return raw;
  throw new HttpError("closed before an answer", { reason: "cut_off" });
}

/**
 * One request on one connection. A server may close an idle connection just as it is used again;
 * then not a byte of an answer has come, and a fresh connection may be tried.
 */
async function tryOn(
  pool: ConnectionPool,
  connection: HttpConnection,
  { bytes, request, deadline }: { bytes: Uint8Array; request: HttpRequest; deadline: Deadline },
): Promise<RawResponse | "closed before an answer"> {
  deadline.guard(() => connection.close());
  try {
    const raw = await connection.exchange(bytes, request.maxBodyBytes);
    if (raw === "closed before an answer") connection.close();
    else pool.giveBack(connection, raw.keepAlive);
    return raw;
  } catch (error) {
    connection.close();
    throw error;
  }
}
