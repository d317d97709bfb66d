/**
 * The widths of the server's columns. It answers 500 to a longer value and loses the whole batch,
 * so nothing longer is ever sent.
 */

import { stripControls } from "../strip_controls.ts";

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
  const clean = stripControls(text, "\n\t");
  if (clean.length <= limit) return clean;
  return [...clean].slice(0, limit).join("");
}
