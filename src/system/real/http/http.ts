/** The HTTP port on Deno's own sockets; docs/decisions/0002-http-on-sockets.md has the reasons. */

import { HttpError, type HttpRequest, type HttpResponse, type SendHttp } from "../../http.ts";
import { ConnectionPool } from "./pool.ts";
import { Deadline, describeFailure, encodeRequest } from "./request.ts";
import type { WholeAnswer } from "./answer.ts";
import type { HttpConnection, Unanswered } from "./connection.ts";

/** A sender with its own connections. */
type RealSendHttp = SendHttp & {
  /** Closes the idle connections. */
  closeIdle(): void;
};

/**
 * Creates a sender. It follows no redirect and verifies every certificate. It sends a request again only
 * if an idle connection turns out to be closed and the server cannot act twice.
 */
export function realSendHttp(): RealSendHttp {
  const pool = new ConnectionPool();
  const send = (request: HttpRequest) => exchange(pool, request);
  return Object.assign(send, { closeIdle: () => pool.closeIdle() });
}

async function exchange(pool: ConnectionPool, request: HttpRequest): Promise<HttpResponse> {
  const url = new URL(request.url);
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
  if (!isUnanswered(answer)) return answer;
  throw closedEarly();
}

function isUnanswered(answer: WholeAnswer | Unanswered): answer is Unanswered {
  return "isUnwritten" in answer;
}

function closedEarly(): HttpError {
  return new HttpError("closed before an answer", { reason: "cut_off" });
}

/** One request on one connection. */
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
