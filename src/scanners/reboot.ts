/** Whether the host asks for a restart, by the word of all scanners together. Pure. */

import type { RebootState } from "./scanner.ts";

/** Required as soon as one says so; `null` where none says anything. */
export function rebootOf(
  reports: readonly { readonly reboot: RebootState | null }[],
): RebootState | null {
  const said = reports.map(({ reboot }) => reboot).filter((reboot) => reboot !== null);
  const required = said.filter(({ isRequired }) => isRequired);
  const telling = required.length > 0 ? required : said;
  if (telling.length === 0) return null;
  const reasons = new Set(telling.map(({ reason }) => reason));
  return { isRequired: required.length > 0, reason: [...reasons].join("; ") };
}
