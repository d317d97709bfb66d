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
  const clean = text.replace(CONTROL, "").toWellFormed();
  if (clean.length <= limit) return clean;
  return [...clean].slice(0, limit).join("");
}
