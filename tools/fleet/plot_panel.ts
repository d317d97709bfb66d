/** One panel of a plot, as SVG: axes, the outage's shade, and a line for each policy. */

import { type Frame, type Range, rateTicks, timeLabel, timeTicks, xOf, yOf } from "./plot_scale.ts";
import { whole } from "./figure_tables.ts";

/** A line: requests by the second, the first at `fromS` after the outage's beginning. */
export interface Line {
  readonly name: string;
  readonly color: string;
  readonly width: number;
  /** An SVG dash pattern; empty: drawn through. */
  readonly dash: string;
  readonly fromS: number;
  readonly counts: Uint32Array;
}

/** What a panel shows. */
export interface Panel {
  readonly title: string;
  readonly timeTitle: string;
  readonly frame: Frame;
  /** Seconds since the outage began. */
  readonly time: Range;
  readonly rate: Range;
  readonly outageS: number;
  readonly capacity: number;
  /** A point is the highest mean of so many seconds among those in its column. */
  readonly windowS: number;
  readonly columnS: number;
  /** The last is drawn on top. */
  readonly lines: readonly Line[];
}

const INK = "#333";

/** The panel's SVG. */
export function panelSvg(panel: Panel): string {
  const { frame, title } = panel;
  return [
    shadeSvg(panel),
    ...rateTicks(panel.rate).map((rate) => rateTickSvg(rate, panel)),
    ...timeTicks(panel.time).map((second) => timeTickSvg(second, panel)),
    capacitySvg(panel),
    ...panel.lines.map((line) => lineSvg(line, panel)),
    `<rect x="${frame.left}" y="${frame.top}" width="${frame.width}" height="${frame.height}" ` +
    `fill="none" stroke="${INK}"/>`,
    text(title, frame.left, frame.top - 8, `font-weight="bold"`),
    text(
      panel.timeTitle,
      frame.left + frame.width / 2,
      frame.top + frame.height + 36,
      MIDDLE,
    ),
  ].join("\n");
}

/** A text at a place; `rest`: further attributes. */
export function text(words: string, x: number, y: number, rest = ""): string {
  return `<text x="${round(x)}" y="${round(y)}" ${rest}>${words}</text>`;
}

const MIDDLE = `text-anchor="middle"`;

function shadeSvg({ frame, time, outageS }: Panel): string {
  const left = xOf(Math.max(0, time.from), time, frame);
  const right = xOf(Math.min(outageS, time.to), time, frame);
  return `<rect x="${round(left)}" y="${frame.top}" width="${round(right - left)}" ` +
    `height="${frame.height}" fill="#ececec"/>`;
}

function rateTickSvg(rate: number, { frame, rate: range }: Panel): string {
  const y = round(yOf(rate, range, frame));
  const right = frame.left + frame.width;
  return `<line x1="${frame.left}" y1="${y}" x2="${right}" y2="${y}" stroke="#d0d0d0"/>\n` +
    text(whole(rate), frame.left - 6, y + 4, `text-anchor="end"`);
}

function timeTickSvg(second: number, { frame, time }: Panel): string {
  const x = round(xOf(second, time, frame));
  const bottom = frame.top + frame.height;
  return `<line x1="${x}" y1="${bottom}" x2="${x}" y2="${bottom + 5}" stroke="${INK}"/>\n` +
    text(timeLabel(second), x, bottom + 18, MIDDLE);
}

function capacitySvg({ frame, rate, capacity }: Panel): string {
  if (capacity < rate.from || capacity > rate.to) return "";
  const y = round(yOf(capacity, rate, frame));
  return `<line x1="${frame.left}" y1="${y}" x2="${frame.left + frame.width}" y2="${y}" ` +
    `stroke="${INK}" stroke-dasharray="1 4"/>`;
}

function lineSvg(line: Line, panel: Panel): string {
  const { frame, time, rate, columnS } = panel;
  const path = columnsOf(line, panel).map((value, column) => {
    const x = round(xOf(time.from + (column + 0.5) * columnS, time, frame));
    return `${column === 0 ? "M" : "L"}${x} ${round(yOf(value, rate, frame))}`;
  }).join("");
  const dash = line.dash === "" ? "" : ` stroke-dasharray="${line.dash}"`;
  return `<path d="${path}" fill="none" stroke="${line.color}" stroke-width="${line.width}"` +
    `${dash} stroke-linejoin="round"/>`;
}

/** A rate for each column: its windows lie end to end. */
export function columnsOf(
  line: Line,
  panel: Pick<Panel, "time" | "windowS" | "columnS">,
): number[] {
  const { time, windowS, columnS } = panel;
  const columns: number[] = [];
  for (let fromS = time.from; fromS + columnS <= time.to; fromS += columnS) {
    let highest = 0;
    for (let windowAt = fromS; windowAt < fromS + columnS; windowAt += windowS) {
      const first = windowAt - line.fromS;
      const counts = line.counts.subarray(Math.max(0, first), Math.max(0, first + windowS));
      highest = Math.max(highest, counts.reduce((sum, count) => sum + count, 0) / windowS);
    }
    columns.push(highest);
  }
  return columns;
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}
