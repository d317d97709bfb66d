/** Whether the administrator keeps packages from dnf, which then does not speak of their updates. */

import type { DnfConfiguration } from "./dnf_configuration.ts";

/** The settings that do, in dnf itself or in one of its repositories; the first is an older word. */
const EXCLUDING = ["exclude", "excludepkgs", "includepkgs"];

/** A line of a version lock; dnf 5 begins its list with the version of its form. */
const LOCK = /^[ \t]*(?!version[ \t]*=)[^#\s]/m;

/** Whether there may be an exclude or a version lock: what could not be read may hold one. */
export function mayExclude({ settings, locks, isWhole }: DnfConfiguration): boolean {
  return !isWhole || LOCK.test(locks) ||
    [...settings.values()].some((section) => EXCLUDING.some((key) => section.get(key)));
}
