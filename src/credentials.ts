/**
 * Schemas of the ids and tokens that a server issues, shared by the protocol, the identity file and
 * the command line, so that no value is accepted in one place and refused in the next.
 */

import * as v from "valibot";

/** Longest token, in characters; an access token of RedFlag has about 300. */
const LONGEST_TOKEN = 8_192;

/**
 * An id of an agent or a command. URLs, SQL, log lines and terminal output contain it as it is, so it
 * has no separators, dots or white space. Ids are never file names or command line arguments.
 */
export const IDENTIFIER = /^[A-Za-z0-9_-]{1,64}$/;

/** The id of an agent. */
export const agentIdSchema = v.pipe(v.string(), v.regex(IDENTIFIER));

/** An access, refresh or registration token. An HTTP header contains it as it is. */
export const tokenSchema = v.pipe(
  v.string(),
  v.check((text) => tokenFault(text) === null, ({ input }) => tokenFault(input) ?? "is no token"),
);

/** Why a token is invalid, completing "the token ..."; `null` if it is valid. Never quotes it. */
export function tokenFault(text: string): string | null {
  if (text === "") return "is empty";
  if (text.length > LONGEST_TOKEN) return `is longer than ${LONGEST_TOKEN} characters`;
  if (/[\r\n]/.test(text)) return "contains a line break";
  if (/\s/.test(text)) return "contains white space";
  return /^[\x21-\x7e]+$/.test(text) ? null : "contains a character that is not printable ASCII";
}
