/** How a server of 0.2 compares versions: part by part, and 0 for a part that is no number. */

/** Whether `version` is `minimum` or newer. */
export function isAtLeast(version: string, minimum: string): boolean {
  const [own, other] = [partsOf(version), partsOf(minimum)];
  for (let at = 0; at < Math.max(own.length, other.length); at++) {
    const difference = (own[at] ?? 0) - (other[at] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function partsOf(version: string): number[] {
  return version.replace(/^v/, "").split(".")
    .map((part) => /^[+-]?\d+$/.test(part) ? Number(part) : 0);
}
