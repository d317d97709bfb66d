/** Reads Prometheus' text format strictly, character by character, as its specification words it. */

/** A metric as it was written; labels in their order. */
export interface ReadMetric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: { readonly labels: [string, string][]; readonly value: number }[];
}

/** Throws an `Error` that names the first line that is not of the format. */
export function parseExposition(text: string): ReadMetric[] {
  if (text === "") return [];
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const metrics: ReadMetric[] = [];
  let help: [name: string, text: string] | null = null;
  for (const line of text.slice(0, -1).split("\n")) {
    const [, comment, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/s.exec(line) ?? [];
    if (comment === "HELP") help = [name, unescape(rest, "\\n")];
    else if (comment === "TYPE") {
      if (help?.[0] !== name) throw new Error(`no help before ${line}`);
      if (metrics.some((metric) => metric.name === name)) throw new Error(`again: ${line}`);
      metrics.push({ name, help: help[1], type: rest, samples: [] });
    } else {
      const metric = metrics.at(-1);
      const sample = readSample(line);
      if (metric === undefined || metric.name !== sample.name) throw new Error(`no type: ${line}`);
      metric.samples.push({ labels: sample.labels, value: sample.value });
    }
  }
  return metrics;
}

const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|\})/s;

function readSample(line: string) {
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0] ?? "";
  let rest = line.slice(name.length);
  const labels: [string, string][] = [];
  if (rest.startsWith("{")) {
    for (let isOpen = true; isOpen;) {
      rest = rest.slice(labels.length === 0 ? 1 : 0);
      const [all = "", label = "", value = "", end] = LABEL.exec(rest) ?? [];
      if (all === "") throw new Error(`no label: ${line}`);
      labels.push([label, unescape(value, '\\"n')]);
      rest = rest.slice(all.length);
      isOpen = end === ",";
    }
  }
  const [, number = ""] = /^ ([-+]?(?:Inf|NaN|[0-9.]+(?:e[-+]?[0-9]+)?))$/.exec(rest) ?? [];
  if (name === "" || number === "") throw new Error(`no sample: ${line}`);
  return { name, labels, value: Number(number.replace("Inf", "Infinity")) };
}

/** `allowed`: what may follow a backslash. */
function unescape(text: string, allowed: string): string {
  return text.replace(/\\(.?)/gs, (_, character) => {
    if (character === "" || !allowed.includes(character)) throw new Error(`escape in ${text}`);
    return character === "n" ? "\n" : character;
  });
}
