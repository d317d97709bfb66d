/** The port for one HTTP exchange: no redirects, no check of the status, no retry of what may have arrived. */

import { ReasonedError } from "./reasoned_error.ts";

/** One request, and the limits of its exchange. */
export interface HttpRequest {
  /** Those that the agent needs. */
  readonly method: "GET" | "POST" | "DELETE";
  /** Absolute, `http:` or `https:`. */
  readonly url: string;
  /** Sent as written, besides those that describe the connection and the body. */
  readonly headers: Readonly<Record<string, string>>;
  /** Sent with any method: RedFlag's check-in is a GET with a JSON body. */
  readonly body?: string;
  /** Limit on connecting: name resolution, TCP and TLS together. */
  readonly connectTimeoutMs: number;
  /** Limit on the whole exchange, connecting included. */
  readonly timeoutMs: number;
  /** Limit on the answer's body, as it is sent and as it is decompressed. */
  readonly maxBodyBytes: number;
  /** For `https:` alone. @default the system's authorities, no certificate of the client */
  readonly tls?: TlsOptions;
  /** The `http://[user:password@]host:port` of a proxy to go through. */
  readonly proxyUrl?: string;
  /**
   * Whether a second request has no further effect on the server, so that it may be sent again when an
   * idle connection closes before the answer. Otherwise it is sent again only if nothing of it was
   * written. @default false
   */
  readonly isIdempotent?: boolean;
  /** Ends the exchange with `aborted`. @default only the time limits do */
  readonly signal?: AbortSignal;
}

/** PEM texts that change how the server is verified, or that authenticate the client. */
export interface TlsOptions {
  /** Certificates of trusted authorities besides the system's. */
  readonly ca?: string;
  /** The client's certificate, with `key`. */
  readonly certificate?: string;
  /** The private key of `certificate`. */
  readonly key?: string;
}

/** An answer that arrived whole. */
export interface HttpResponse {
  /** Of the final answer; any status is a result, not an error. */
  readonly status: number;
  /** Names in lower case; a repeated header's values joined by ", ". At most 32 KiB in all. */
  readonly headers: Readonly<Record<string, string>>;
  /** Decompressed, not decoded: decoding 4 MiB that are not UTF-8 takes 100 ms. */
  readonly body: Uint8Array;
}

/**
 * Why no whole answer came.
 *
 * `offline`: nothing left this host (no link, no route, no resolver, no file or right to open a connection).
 * `unreachable`: a network on the way, or this host's own, does not reach the server's host. `dns`: the name
 * does not resolve.
 * `refused`: nothing listens on the port. `tls`: no trust. `timeout`: a limit of the request was reached.
 * `cut_off`: the connection ended before the answer did. `malformed`: the answer is not HTTP.
 * `too_large`: a body of more than `maxBodyBytes`, or too much around it. `proxy`: the proxy refuses, or
 * is not there. `aborted`: the request's signal.
 */
export type HttpErrorReason =
  | "offline"
  | "unreachable"
  | "dns"
  | "refused"
  | "tls"
  | "timeout"
  | "cut_off"
  | "malformed"
  | "too_large"
  | "proxy"
  | "aborted";

/** No whole answer came. Never contains a header, since headers contain tokens. */
export class HttpError extends ReasonedError<HttpErrorReason> {
  /** Precedes the message in stack traces. */
  override readonly name = "HttpError";
}

/** Whether the text of an `HttpError` blames the proxy. */
export function blamesProxy(why: string): boolean {
  return /(?:^|: )the proxy\b/.test(why);
}

/** Sends a request and reads the whole answer; throws `HttpError` and nothing else. */
export type SendHttp = (request: HttpRequest) => Promise<HttpResponse>;
