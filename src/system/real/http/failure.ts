/** What a socket's or parser's error means, in the port's closed list of reasons. */

import { HttpError, type HttpErrorReason } from "../../http.ts";
import type { EndedBy } from "./deadline.ts";

/**
 * Words of the operating system and of rustls in Deno's messages, the same on 2.6.8 and 2.9.6. Deno
 * gives no code for a name that does not resolve or a certificate that does not verify.
 *
 * Windows has its words in the user's language, so of those only the numbers count:
 * https://learn.microsoft.com/en-us/windows/win32/winsock/windows-sockets-error-codes-2.
 */
const WORDS: readonly [RegExp, HttpErrorReason, string][] = [
  [
    /temporary failure in name resolution|os error 1100[23]\b/i,
    "offline",
    "no name service can be reached",
  ],
  [
    /network is unreachable|no route to host|os error (101|113|10050|10051|10065)\b/i,
    "offline",
    "no route to it",
  ],
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

/** The error that the port promises; `endedBy` outranks what the socket then says. */
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
  const message = error instanceof Error ? error.message : String(error);
  const known = WORDS.find(([words]) => words.test(message));
  if (!known) return fail("cut_off", message);
  const [, reason, fact] = known;
  const detail = reason === "tls" ? `${fact} (${message})` : fact || "connection cut off";
  return fail(reason, detail);
}
