/**
 * The widths of the server's columns. It answers 500 to a longer value and loses the whole batch,
 * so nothing longer is ever sent.
 */

import { endOfPiece, stripControls } from "../strip_controls.ts";

/** Characters, per field; from the server's schema, v0.1.18. */
export const LIMITS = {
  hostname: 255,
  osVersion: 100,
  osArchitecture: 20,
  agentVersion: 20,
  packageName: 500,
  version: 100,
  repositorySource: 255,
  kbId: 50,
  logAction: 50,
} as const;

/**
 * Cuts to `limit` characters as PostgreSQL counts them: code points, not UTF-16 units. Of controls only
 * tabs and the ends of lines stay: its text cannot hold all, and nobody wants them in a dashboard.
 */
export function cut(text: string, limit: number): string {
  if (limit === Infinity) return stripControls(text, "\n\t");
  let clean = "";
  let length = 0;
  // Piece by piece, up to the limit: the text may be long, and from a server.
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

/** The beginning of a text from outside in printable ASCII, for messages; `\u001b` for others. */
export function excerpt(text: string): string {
  const ascii = text.slice(0, EXCERPT_LIMIT).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const isWhole = text.length <= EXCERPT_LIMIT && ascii.length <= EXCERPT_LIMIT;
  return isWhole ? ascii : `${ascii.slice(0, EXCERPT_LIMIT)}...`;
}
