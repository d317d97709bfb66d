/** The plot of a scenario, as SVG: the whole of it above, the server's return below, a legend. */

import { whole } from "./figure_tables.ts";
import { type Line, type Panel, panelSvg, text } from "./plot_panel.ts";
import { type Frame, type Range, rateRange } from "./plot_scale.ts";
import type { PolicyRun, ScenarioRun } from "./scenario_run.ts";

const WIDTH = 1_000;
const HEIGHT = 760;
const ABOVE: Frame = { left: 80, top: 70, width: 710, height: 270 };
const BELOW: Frame = { left: 80, top: 430, width: 710, height: 270 };
const LEGEND_LEFT = 810;

/** Colours that the colour-blind can tell apart too (Okabe and Ito). */
const COLORS: Readonly<Record<string, string>> = {
  "pennon": "#0072b2",
  "redflag-rapid": "#d55e00",
  "redflag-normal": "#e69f00",
  "fixed-5s": "#777777",
  "equal-jitter": "#009e73",
  "decorrelated-jitter": "#cc79a7",
};

/** How finely each outage is shown, in seconds; and how much of the return, either side of it. */
const LOOKS: Readonly<Record<string, Look>> = {
  "20s": { windowS: 1, columnS: 1, beforeS: 30, afterS: 150 },
  "28m": { windowS: 10, columnS: 10, beforeS: 60, afterS: 720 },
  "6h": { windowS: 10, columnS: 60, beforeS: 60, afterS: 720 },
};

interface Look {
  readonly windowS: number;
  readonly columnS: number;
  readonly beforeS: number;
  readonly afterS: number;
}

/** The SVG of a scenario's runs. */
export function plotSvg({ scenario, capacity, runs }: ScenarioRun): string {
  const { outage, cut, isRapid } = scenario;
  const look = LOOKS[outage.name]!;
  const outageS = outage.ms / 1_000;
  const time = { from: -outage.leadMs / 1_000, to: outageS + outage.tailMs / 1_000 };
  const close = { from: outageS - look.beforeS, to: outageS + look.afterS };
  const lines = linesOf(runs);
  const rate = rateRange(ratesOf(lines));
  const shared = { rate, outageS, capacity, lines };
  const panels: Panel[] = [
    {
      ...shared,
      ...look,
      title: `Requests/s, /health included: ${meaning(look)}`,
      timeTitle: "time since the outage began",
      frame: ABOVE,
      time,
    },
    {
      ...shared,
      title: "The server's return: a point is 1 s",
      timeTitle: "time since the server's return",
      frame: BELOW,
      windowS: 1,
      columnS: 1,
      ...sinceReturn(close, outageS, lines),
    },
  ];
  const name = `Outage of ${outage.name}, noticed ${CUT_WORDS[cut]}, ` +
    `rapid polling ${isRapid ? "on" : "off"}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" ` +
    `font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#222">`,
    `<title>${name}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(name, ABOVE.left, 28, `font-size="16" font-weight="bold"`),
    ...panels.map(panelSvg),
    legendSvg(lines, capacity),
    "</svg>\n",
  ].join("\n");
}

const CUT_WORDS = { staggered: "at each agent's next check-in", together: "by all at once" };

function meaning({ windowS, columnS }: Look): string {
  if (windowS === columnS) return `a point is ${windowS} s`;
  return `a point is the highest ${windowS} s in ${columnS} s`;
}

/** The same lines on a clock that begins with the server's return. */
function sinceReturn(time: Range, outageS: number, lines: readonly Line[]) {
  return {
    time: { from: time.from - outageS, to: time.to - outageS },
    outageS: 0,
    lines: lines.map((line) => ({ ...line, fromS: line.fromS - outageS })),
  };
}

/** Pennon last, and so on top. */
function linesOf(runs: readonly PolicyRun[]): Line[] {
  return runs.toReversed().flatMap(({ figures: { policy: name }, series }) => {
    const line = { name, color: COLORS[name] ?? "#000", dash: "", fromS: -series.outageAtS };
    if (name !== "pennon") return [{ ...line, width: 1.2, counts: series.requests }];
    const checkIns = { name: "pennon, check-ins", dash: "5 3", counts: series.checkIns };
    return [
      { ...line, ...checkIns, width: 1.2 },
      { ...line, width: 2.4, counts: series.requests },
    ];
  });
}

/** Means of 10 s: the scale need not reach down to each second's odd request. */
function ratesOf(lines: readonly Line[]): number[] {
  return lines.flatMap(({ counts }) => {
    const rates = [counts.reduce((most, count) => Math.max(most, count), 0)];
    for (let from = 0; from + 10 <= counts.length; from += 10) {
      rates.push(counts.subarray(from, from + 10).reduce((sum, count) => sum + count, 0) / 10);
    }
    return rates;
  });
}

function legendSvg(lines: readonly Line[], capacity: number): string {
  const rows = lines.toReversed().map((line, row) => {
    const y = ABOVE.top + 10 + row * 22;
    const dash = line.dash === "" ? "" : ` stroke-dasharray="${line.dash}"`;
    return `<line x1="${LEGEND_LEFT}" y1="${y}" x2="${LEGEND_LEFT + 28}" y2="${y}" ` +
      `stroke="${line.color}" stroke-width="${line.width * 1.3}"${dash}/>\n` +
      text(line.name, LEGEND_LEFT + 36, y + 4);
  });
  const y = ABOVE.top + 10 + lines.length * 22;
  return [
    ...rows,
    `<line x1="${LEGEND_LEFT}" y1="${y}" x2="${LEGEND_LEFT + 28}" y2="${y}" stroke="#333" ` +
    `stroke-dasharray="1 4"/>`,
    text(`capacity, ${whole(capacity)}/s`, LEGEND_LEFT + 36, y + 4),
    `<rect x="${LEGEND_LEFT}" y="${y + 14}" width="28" height="14" fill="#ececec"/>`,
    text("the outage", LEGEND_LEFT + 36, y + 26),
  ].join("\n");
}
