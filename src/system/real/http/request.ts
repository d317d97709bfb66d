/** One exchange apart from its connection: the encoded request, the deadline, failures. */

import { HttpError, type HttpErrorReason, type HttpRequest } from "../../http.ts";
import { realClock } from "../clock.ts";

/** Shared: making one takes a microsecond. */
const ENCODER = new TextEncoder();

/** Encodes a request (HTTP/1.1, RFC 9112). Throws `HttpError` for an invalid header. */
export function encodeRequest(request: HttpRequest, url: URL): Uint8Array {
  const body = ENCODER.encode(request.body ?? "");
  const isProxied = request.proxyUrl !== undefined && url.protocol === "http:";
  const target = isProxied
    ? `${url.origin}${url.pathname}${url.search}`
    : url.pathname + url.search;
  const headers: Record<string, string> = {
    host: url.host,
    "accept-encoding": "gzip",
    connection: "keep-alive",
    ...(request.body !== undefined || request.method === "POST"
      ? { "content-length": String(body.length) }
      : {}),
    ...(isProxied ? proxyAuthorization(request.proxyUrl ?? "") : {}),
    ...request.headers,
  };
  const head = encodeHead(`${request.method} ${target} HTTP/1.1`, headers);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

/** Encodes the first line and the headers, with the empty line that ends them. */
export function encodeHead(start: string, headers: Readonly<Record<string, string>>): Uint8Array {
  const lines = Object.entries(headers).map(([name, value]) => {
    if (!/^[\w-]+$/.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw new HttpError(`header "${name}" contains a character that no header may contain`, {
        reason: "malformed",
      });
    }
    return `${name}: ${value}\r\n`;
  });
  return ENCODER.encode(`${start}\r\n${lines.join("")}\r\n`);
}

/** The header with the user and password in a proxy's URL; none if there is no user. In UTF-8 (RFC 7617). */
export function proxyAuthorization(proxyUrl: string): Record<string, string> {
  const { username, password } = new URL(proxyUrl);
  if (username === "") return {};
  const words = ENCODER.encode(`${decodeUserinfo(username)}:${decodeUserinfo(password)}`);
  return { "proxy-authorization": `Basic ${words.toBase64()}` };
}

/** A percent sign that is written as it is, as in a password of a variable, stands for itself. */
function decodeUserinfo(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (codes) => {
    try {
      return decodeURIComponent(codes);
    } catch {
      return codes; // No UTF-8.
    }
  });
}

type EndedBy = "timeout" | "abort" | null;

type Limits = Pick<HttpRequest, "timeoutMs" | "connectTimeoutMs" | "signal">;

/**
 * The time limits of one exchange and the caller's signal. The first to end closes the socket and rejects
 * the waiting, since closing alone does not: a write that the peer does not read goes on in a closed
 * socket (Deno 2.6.8).
 */
export class Deadline {
  readonly #limits: Limits;
  readonly #cancelLimit: () => void;
  #close: () => void = () => {};
  #endedBy: EndedBy = null;
  readonly #ended = Promise.withResolvers<never>();
  readonly #onAbort = () => this.#end("abort");

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#ended.promise.catch(() => {}); // `race` reports it.
    this.#cancelLimit = realClock.after(limits.timeoutMs, () => this.#end("timeout"));
    if (limits.signal?.aborted) this.#end("abort");
    limits.signal?.addEventListener("abort", this.#onAbort);
  }

  get endedBy(): EndedBy {
    return this.#endedBy;
  }

  /** Calls `close` when the time is over, in place of the function set before; at once if it is over. */
  guard(close: () => void): void {
    this.#close = close;
    if (this.#endedBy !== null) close();
  }

  /** Waits for a connection within `connectTimeoutMs`; closes one that comes too late. */
  async connecting<T extends { close(): void }>(connect: Promise<T>): Promise<T> {
    const { connectTimeoutMs } = this.#limits;
    const cancel = realClock.after(connectTimeoutMs, () => this.#end("timeout"));
    connect.then((connection) => {
      if (this.#endedBy !== null) connection.close();
    }, () => {});
    try {
      return await this.race(connect);
    } finally {
      cancel();
    }
  }

  /** Waits for `work` until the time is over; unfinished work goes on. */
  async race<T>(work: Promise<T>): Promise<T> {
    return await Promise.race([work, this.#ended.promise]);
  }

  clear(): void {
    this.#cancelLimit();
    this.#limits.signal?.removeEventListener("abort", this.#onAbort);
  }

  #end(by: Exclude<EndedBy, null>): void {
    if (this.#endedBy !== null) return;
    this.#endedBy = by;
    this.#ended.reject(new Error(by));
    this.#close();
  }
}

/** The system itself refuses: no file or memory is left, or a rule of this host forbids it. */
const OPENS_NONE = "this host opens no connection";

/**
 * Texts of the operating system and of rustls in Deno's messages, the same on 2.6.8 and 2.9.6. Deno
 * gives no code for a name that does not resolve or a certificate that does not verify.
 *
 * Windows writes its texts in the user's language, so only its numbers are matched:
 * https://learn.microsoft.com/en-us/windows/win32/winsock/windows-sockets-error-codes-2.
 */
const FAILURES: readonly [RegExp, HttpErrorReason, string][] = [
  [
    /temporary failure in name resolution|os error 1100[23]\b/i,
    "offline",
    "no name service answers for it",
  ],
  // 97 and 99: no address of that family on this host, as without IPv6.
  [
    /network is (unreachable|down)|os error (97|99|10[01]|10047|10049|1005[01])\b/i,
    "offline",
    "no route to it",
  ],
  [
    /os error (1|12|13|23|24|105|10013|10024|10055)\b/i,
    "offline",
    OPENS_NONE,
  ],
  // A router says so of a server that is switched off as well.
  [/no route to host|os error (113|10065)\b/i, "unreachable", "no route to its host"],
  [
    /failed to lookup address|name or service not known|no such host|os error 1100[14]\b/i,
    "dns",
    "no such name",
  ],
  [/os error (110|10060)\b/i, "timeout", "no answer in time"],
  [/invalid peer certificate: (\w+)/i, "tls", "its certificate is not trusted"],
  [/certificate|fatal alert|corrupt message|tls|handshake/i, "tls", "TLS failed"],
  [/connection refused|os error (111|10061)\b/i, "refused", "connection refused"],
  [
    /connection reset|broken pipe|unexpected eof|close_notify|os error (32|104|10053|10054)\b/i,
    "cut_off",
    "",
  ],
];

/** Converts any error to the port's; `endedBy` overrides what the socket then reports. */
export function describeFailure(
  error: unknown,
  context: { host: string; endedBy: EndedBy },
): HttpError {
  const { host, endedBy } = context;
  const fail = (reason: HttpErrorReason, fact: string) =>
    new HttpError(`Cannot reach "${host}": ${fact}`, { reason, cause: error });
  if (endedBy === "abort") return fail("aborted", "stopped");
  if (endedBy === "timeout") return fail("timeout", "no answer in time");
  if (error instanceof HttpError) return fail(error.reason, error.message);
  return fail(...classifyFailure(error));
}

/** What any other error than the port's own means, and the fact for its message. */
export function classifyFailure(error: unknown): [reason: HttpErrorReason, fact: string] {
  const message = error instanceof Error ? error.message : String(error);
  const known = FAILURES.find(([pattern]) => pattern.test(message));
  if (!known) return ["cut_off", message];
  const [, reason, fact] = known;
  const isVague = reason === "tls" || fact === OPENS_NONE;
  return [reason, isVague ? `${fact} (${message})` : fact || "connection cut off"];
}
