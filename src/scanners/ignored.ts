/** Updates that the administrator does not want to hear of: `scanners.ignore`. Pure. */

import type { Update } from "./scanner.ts";
import { matchesWildcard } from "./wildcard.ts";

/**
 * The updates, with those that a pattern names in state `ignored`. A pattern is matched against the
 * package's name, each advisory, and the beginning of its description, which is the title on Windows;
 * `scanner:pattern` holds for one scanner only.
 */
export function markIgnored(
  scanner: string,
  updates: readonly Update[],
  patterns: readonly string[],
): readonly Update[] {
  const own = patterns.flatMap((written) => {
    const found = /^([a-z]+):/.exec(written);
    if (!found) return [{ written, pattern: written }];
    const [prefix, name] = found;
    return name === scanner ? [{ written, pattern: written.slice(prefix.length) }] : [];
  });
  return updates.map((update) => {
    const names = [update.package, ...update.advisories];
    const found = own.find(({ pattern }) =>
      names.some((name) => matchesWildcard(pattern, name)) ||
      update.description !== null && matchesWildcard(`${pattern}*`, update.description)
    );
    return found === undefined
      ? update
      : { ...update, state: "ignored", stateReason: `scanners.ignore: ${found.written}` };
  });
}
