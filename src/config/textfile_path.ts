/**
 * The path of the file of metrics, `metrics.textfile`. The main thread has to know it before the
 * configuration is loaded: it starts the worker with the permission to write this file. So this module
 * imports no package, and reads that one setting from TOML by lines. Where the real parser reads another
 * path, the runtime refuses the writes, and the agent goes on without the file.
 */

import { hasControls } from "../strip_controls.ts";

/** Longest path, in characters. */
const LONGEST_PATH = 4_096;

/** Whether a path can be that file: absolute, without `..`, printable, and ending in `.prom`. */
export function isTextfilePath(path: string): boolean {
  if (path.length > LONGEST_PATH || hasControls(path)) return false;
  return /^(?:\/|[A-Za-z]:[\\/])(?:.*[\\/])?[^\\/]+\.prom$/.test(path) &&
    !path.split(/[\\/]/).includes("..");
}

/** What the file is called while it is written; node_exporter reads no file with this ending. */
export function temporaryOf(path: string): string {
  return `${path}.tmp`;
}

/** The path in the text of a configuration file; `undefined`: none that is usable. */
export function findTextfilePath(toml: string): string | undefined {
  let table = "";
  for (const line of toml.split("\n")) {
    const header = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line);
    if (header !== null) {
      table = header[1] ?? "";
      continue;
    }
    const [, key, basic, literal] =
      /^\s*([\w.]+)\s*=\s*(?:"([^"\\]*)"|'([^']*)')\s*(?:#.*)?$/.exec(line) ?? [];
    const name = table === "" ? key : `${table}.${key}`;
    const path = basic ?? literal;
    if (name === "metrics.textfile" && path !== undefined && isTextfilePath(path)) return path;
  }
  return undefined;
}
