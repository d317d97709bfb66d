/**
 * Limits and encoding of the texts that are sent. The server answers 500 to a text that is longer than
 * its column, and loses the whole report; other limits make reports small, and lists readable.
 */

import { endOfPiece, stripControls } from "../strip_controls.ts";

/**
 * Characters per field, from the live tables of RedFlag 0.1.18 and 0.2.9 (`agents`, `update_logs`,
 * `update_events`, `current_package_state`). The narrower columns of `update_packages` do not matter: no
 * report is written there.
 */
export const LIMITS = {
  /** `agents`, as the next five: VARCHAR; the last two since 0.2. */
  hostname: 255,
  osVersion: 100,
  osArchitecture: 20,
  agentVersion: 20,
  deviceModel: 255,
  osDistro: 50,
  /**
   * TEXT in two indexes: PostgreSQL refuses an index entry of more than 2,704 bytes, and a character
   * has up to 4.
   */
  packageName: 500,
  /** TEXT without an index, as the next: the agent's own limits. */
  version: 1_000,
  repositorySource: 1_000,
  /** The server reads it, and stores it nowhere. */
  kbId: 255,
  /** `update_logs`: VARCHAR. */
  logAction: 50,
  /** `storage_metrics` of RedFlag 0.2, as the next two: VARCHAR. */
  mountPoint: 255,
  device: 255,
  fileSystem: 50,
  /** `system_events` of RedFlag 0.2: its type, subtype and component, VARCHAR. */
  eventType: 50,
} as const;

/**
 * Truncates to `limit` characters as PostgreSQL counts them: code points, not UTF-16 units. Control
 * characters except tabs and line ends are removed: a column cannot hold all of them.
 */
export function cut(text: string, limit: number): string {
  if (limit === Infinity) return stripControls(text, "\n\t");
  let clean = "";
  let length = 0;
  // In pieces, up to the limit: the text may be long, and from a server.
  for (let from = 0; from < text.length && length < limit;) {
    const to = endOfPiece(text, from);
    const characters = [...stripControls(text.slice(from, to), "\n\t")];
    clean += characters.slice(0, limit - length).join("");
    length += characters.length;
    from = to;
  }
  return clean;
}

/** Longest excerpt, in characters. */
const EXCERPT_LIMIT = 80;

/** The beginning of a text from outside in printable ASCII, for messages; others as `\u001b`. */
export function excerpt(text: string): string {
  const ascii = text.slice(0, EXCERPT_LIMIT).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const isWhole = text.length <= EXCERPT_LIMIT && ascii.length <= EXCERPT_LIMIT;
  return isWhole ? ascii : `${ascii.slice(0, EXCERPT_LIMIT)}...`;
}

/** The first and the last instant of the years that RFC 3339 can write, in ms since the epoch. */
const FIRST_TIMESTAMP_MS = Date.parse("0001-01-01T00:00:00Z");
const LAST_TIMESTAMP_MS = Date.parse("9999-12-31T23:59:59Z");

/** An instant as RFC 3339, however wrong the clock is: the server refuses a report with another text. */
export function timestampOf(atMs: number): string {
  return new Date(Math.min(Math.max(atMs, FIRST_TIMESTAMP_MS), LAST_TIMESTAMP_MS)).toISOString();
}

/**
 * Encodes a body for the server, without the characters that PostgreSQL refuses in a column and in JSON:
 * U+0000, other control characters and half a surrogate pair. They would fail the whole transaction, on
 * every retry: https://www.postgresql.org/docs/current/datatype-json.html.
 */
export function encodeBody(body: object): string {
  return JSON.stringify(
    body,
    (_, value: unknown) => typeof value === "string" ? cut(value, Infinity) : value,
  );
}
