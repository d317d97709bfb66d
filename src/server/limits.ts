/**
 * The widths of the server's columns. It answers 500 to a longer value and loses the whole batch,
 * so nothing longer is ever sent.
 */

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

/** What PostgreSQL's text cannot hold, and what nobody wants in a dashboard. */
// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Cuts to `limit` characters as PostgreSQL counts them: code points, not UTF-16 units. */
export function cut(text: string, limit: number): string {
  let kept = 0;
  let end = 0;
  // Stops at the limit: the text may be long, and from a server.
  while (kept < limit && end < text.length) {
    const code = text.codePointAt(end) ?? 0;
    if (!isControl(code)) kept += 1;
    end += code > 0xffff ? 2 : 1;
  }
  return text.slice(0, end).replace(CONTROL, "").toWellFormed();
}

/** Whether `CONTROL` matches a code point. */
function isControl(code: number): boolean {
  return code <= 0x08 || code >= 0x0b && code <= 0x1f || code >= 0x7f && code <= 0x9f;
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
