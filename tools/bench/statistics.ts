/** The middle of many measurements, and their spread. Pure. */

/** The middle one, or the mean of the middle two. Throws on none. */
export function median(values: readonly number[]): number {
  return quartiles(values)[1];
}

/** The values that a quarter, a half and three quarters are below. Throws on none. */
export function quartiles(values: readonly number[]): [number, number, number] {
  if (values.length === 0) throw new Error("Cannot take quartiles: no values");
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number) => {
    const place = part * (sorted.length - 1);
    const [below, above] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
    return below + (above - below) * (place % 1);
  };
  return [at(0.25), at(0.5), at(0.75)];
}

/** The smallest value that so many of them do not exceed; `NaN` of none. */
export function percentileOf(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? NaN;
}
