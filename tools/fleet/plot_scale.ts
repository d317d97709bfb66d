/** The scales of a plot: from seconds and rates to pixels, and where the ticks go. */

/** A rectangle in pixels. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** From least to most. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Seconds to pixels from the left. */
export function xOf(second: number, range: Range, frame: Frame): number {
  return frame.left + (second - range.from) / (range.to - range.from) * frame.width;
}

/** A rate to pixels from the top, by its logarithm; what is under the range lies on its edge. */
export function yOf(rate: number, range: Range, frame: Frame): number {
  const part = Math.log(Math.max(rate, range.from) / range.from) / Math.log(range.to / range.from);
  return frame.top + (1 - part) * frame.height;
}

/** A range of whole powers of ten around the rates, four at most: below is next to nothing. */
export function rateRange(rates: readonly number[]): Range {
  const highest = Math.max(10, ...rates);
  const lowest = Math.min(highest, ...rates.filter((rate) => rate > 0));
  const to = 10 ** Math.ceil(Math.log10(highest * 1.05));
  const from = 10 ** Math.floor(Math.log10(lowest));
  return { from: Math.min(Math.max(from, to / 10_000), to / 100), to };
}

/** The powers of ten in a range, its ends included. */
export function rateTicks({ from, to }: Range): number[] {
  const first = Math.round(Math.log10(from));
  const last = Math.round(Math.log10(to));
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
}

const STEPS_S = [10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200];

/** A dozen or so of round instants in a range of seconds. */
export function timeTicks({ from, to }: Range): number[] {
  const stepS = STEPS_S.find((step) => (to - from) / step <= 14) ?? 14_400;
  const first = Math.ceil(from / stepS);
  const count = Math.floor(to / stepS) - first + 1;
  return Array.from({ length: count }, (_, index) => (first + index) * stepS);
}

/** `-30 s`, `5 min`, `2 h 30`. */
export function timeLabel(second: number): string {
  const sign = second < 0 ? "-" : "";
  const size = Math.abs(second);
  if (size === 0) return "0";
  if (size < 60) return `${sign}${size} s`;
  if (size < 3_600) {
    const rest = size % 60 === 0 ? "" : `:${String(size % 60).padStart(2, "0")}`;
    return `${sign}${Math.floor(size / 60)}${rest} min`;
  }
  const minutes = size % 3_600 === 0 ? "" : ` ${String(size % 3_600 / 60).padStart(2, "0")}`;
  return `${sign}${Math.floor(size / 3_600)} h${minutes}`;
}
