/** One HTTP exchange, as a port: no redirect, no opinion on the status, no retry of what may have arrived. */

/** What one request needs. */
export interface HttpRequest {
  readonly method: "GET" | "POST" | "DELETE";
  /** Absolute, `http:` or `https:`. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent with any method, GET included: RedFlag's check-in is a GET with a JSON body. */
  readonly body?: string;
  /** Limit on reaching the server: name, TCP and TLS together. */
  readonly connectTimeoutMs: number;
  /** Limit on the whole exchange, connecting included. */
  readonly timeoutMs: number;
  /** Limit on the answer's body, as it is sent and after decompression. */
  readonly maxBodyBytes: number;
  readonly tls?: TlsOptions;
  /** The `http://[user:password@]host:port` of a proxy to go through. */
  readonly proxyUrl?: string;
  /**
   * The server does nothing else for a second request than for the first: one whose kept-alive
   * connection closes before the answer may be sent again. Without this it is sent again only if
   * nothing of it was written. @default false
   */
  readonly isIdempotent?: boolean;
  readonly signal?: AbortSignal;
}

/** PEM texts that change how the other side is verified, or how we show who we are. */
export interface TlsOptions {
  /** Certificates of authorities trusted besides the system's. */
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
}

/** An answer that arrived whole. */
export interface HttpResponse {
  readonly status: number;
  /** Names in lower case; a repeated header's values joined by ", ". At most 32 KiB in all. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * Decompressed. Any bytes: decoding 4 MiB that are not UTF-8 takes 100 ms, so whoever reads them
   * decodes no more than it needs.
   */
  readonly body: Uint8Array;
}

/**
 * Why no whole answer came.
 *
 * `offline`: nothing left this host (no link, no route, no resolver). `dns`: the name does not
 * resolve. `refused`: nobody listens there. `tls`: no trust. `timeout`: ours ran out. `cut_off`: the
 * connection ended before the answer did. `malformed`: that was not HTTP. `too_large`: a body
 * of more than `maxBodyBytes`, or too much around it. `aborted`: our own signal. `proxy`: the proxy
 * would not.
 */
export type HttpErrorReason =
  | "offline"
  | "dns"
  | "refused"
  | "tls"
  | "timeout"
  | "cut_off"
  | "malformed"
  | "too_large"
  | "proxy"
  | "aborted";

/** A request that brought no whole answer. Never holds a header: those carry tokens. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly reason: HttpErrorReason;

  constructor(
    message: string,
    options: { reason: HttpErrorReason; cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.reason = options.reason;
  }
}

/** Sends a request and reads its answer whole; throws `HttpError` and nothing else. */
export type SendHttp = (request: HttpRequest) => Promise<HttpResponse>;
