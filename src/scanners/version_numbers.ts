/** The order of versions that consist of numbers. Pure. */

/** Compares number by number (`1.9` before `1.10`); a missing number counts as 0. */
export function compareVersionNumbers(a: readonly number[], b: readonly number[]): number {
  const length = Math.max(a.length, b.length);
  const differences = Array.from({ length }, (_, index) => (a[index] ?? 0) - (b[index] ?? 0));
  return differences.find((difference) => difference !== 0) ?? 0;
}
