/** The kinds of value that a setting may have: how each is written, read and shown. Pure. */

import { hasControls } from "../strip_controls.ts";
import { isTextfilePath } from "./textfile_path.ts";

/** How a value is written, read and shown. */
export interface Kind<T> {
  /** What is allowed, for people: `a duration from "10s" to "1d"`. */
  readonly allowed: string;
  /** Reads a value from TOML or the environment; `undefined` if it is not allowed. */
  read(written: unknown): T | undefined;
  /** As in the file. */
  show(value: T): string;
}

/** The factors of the units of a kind of value, smallest first. */
type Units = Readonly<Record<string, number>>;

const UNITS_MS: Units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const UNITS_BYTES: Units = { B: 1, KiB: 1_024, MiB: 1_024 ** 2, GiB: 1_024 ** 3 };

/** A length of time such as `500ms`, `5s`, `5m`, `1h`, `90d`, in ms. */
export function duration(shortest: string, longest: string): Kind<number> {
  const shape = /^(\d{1,9}(?:\.\d{1,3})?) ?(ms|s|m|h|d)$/;
  return quantity("a duration", { shape, units: UNITS_MS }, [shortest, longest]);
}

/** A size such as `4MiB`, in bytes. */
export function size(smallest: string, largest: string): Kind<number> {
  const shape = /^(\d{1,12}) ?(B|KiB|MiB|GiB)$/;
  return quantity("a size", { shape, units: UNITS_BYTES }, [smallest, largest]);
}

/** A number with a unit, within two limits. */
function quantity(
  name: string,
  { shape, units }: { shape: RegExp; units: Units },
  [from, to]: readonly [string, string],
): Kind<number> {
  const parse = (text: string) => {
    const [, amount, unit] = shape.exec(text.trim()) ?? [];
    const factor = units[unit ?? ""];
    return factor === undefined ? undefined : Math.round(Number(amount) * factor);
  };
  const least = parse(from) ?? 0;
  const most = parse(to) ?? Infinity;
  return {
    allowed: `${name} from "${from}" to "${to}"`,
    read(written) {
      const value = typeof written === "string" ? parse(written) : undefined;
      return value !== undefined && value >= least && value <= most ? value : undefined;
    },
    show(value) {
      const fitting = Object.entries(units).filter(([, factor]) =>
        value % factor === 0 && value >= factor
      );
      const [unit, factor] = fitting.at(-1) ?? Object.entries(units)[0]!;
      return `${value / factor}${unit}`;
    },
  };
}

/** A whole number within two limits. */
export function integer(smallest: number, largest: number): Kind<number> {
  return {
    allowed: `a whole number from ${smallest} to ${largest}`,
    read(written) {
      const isText = typeof written === "string" && /^\d{1,15}$/.test(written.trim());
      const number = isText ? Number(written) : written;
      const isFitting = typeof number === "number" && Number.isInteger(number) &&
        number >= smallest && number <= largest;
      return isFitting ? number : undefined;
    },
    show: String,
  };
}

/** `true` or `false`. */
export function flag(): Kind<boolean> {
  return {
    allowed: "true or false",
    read(written) {
      if (written === true || written === "true") return true;
      return written === false || written === "false" ? false : undefined;
    },
    show: String,
  };
}

/** One of several words. */
export function choice<T extends string>(...words: readonly T[]): Kind<T> {
  return {
    allowed: `one of ${words.map((word) => `"${word}"`).join(", ")}`,
    read: (written) => words.find((word) => word === written),
    show: (word) => word,
  };
}

/** A list of some of several words; separated by commas in the environment. */
export function choices(...words: readonly string[]): Kind<readonly string[]> {
  const one = choice(...words);
  return {
    allowed: `a list of ${words.map((word) => `"${word}"`).join(", ")}`,
    read(written) {
      const read = readList(written)?.map((word) => one.read(word));
      return read?.every((word) => word !== undefined) ? read : undefined;
    },
    show: (list) => list.join(", "),
  };
}

/** A list of texts; separated by commas in the environment. */
export function texts(allowed: string): Kind<readonly string[]> {
  return { allowed, read: readList, show: (list) => list.join(", ") };
}

/** Most arguments of a program. */
const MOST_ARGUMENTS = 20;

/** The arguments of a program, each as it is written; separated by commas in the environment. */
export function argumentList(): Kind<readonly string[]> {
  return {
    allowed: `a list of at most ${MOST_ARGUMENTS} texts`,
    read(written) {
      const list = written === "" ? [] : typeof written === "string" ? written.split(",") : written;
      if (!Array.isArray(list) || list.length > MOST_ARGUMENTS) return undefined;
      return list.every((item) => typeof item === "string" && isPrintable(item)) ? list : undefined;
    },
    show: (list) => list.join(", "),
  };
}

function readList(written: unknown): string[] | undefined {
  const list = typeof written === "string" ? written.split(",") : written;
  if (!Array.isArray(list) || list.length > 1_000) return undefined;
  if (!list.every((item): item is string => typeof item === "string")) return undefined;
  const items = list.map((item) => item.trim()).filter((item) => item !== "");
  return items.every(isPrintable) ? items : undefined;
}

/** Longest text, in characters: that of a path on Linux. */
const LONGEST_TEXT = 4_096;

function isPrintable(text: string): boolean {
  return text !== "" && text.length <= LONGEST_TEXT && !hasControls(text);
}

/** A text without control characters, of 4,096 characters at most. */
export function text(allowed: string): Kind<string | null> {
  return {
    allowed,
    read: (written) => typeof written === "string" && isPrintable(written) ? written : undefined,
    show: (value) => value ?? "",
  };
}

/** An address of a server or proxy, without a trailing slash. */
export function url(allowed: string, protocols: readonly string[]): Kind<string | null> {
  return {
    allowed,
    read(written) {
      // `URL` silently removes line ends and tabs.
      if (typeof written !== "string" || !isPrintable(written)) return undefined;
      if (!URL.canParse(written)) return undefined;
      const parsed = new URL(written);
      const isFitting = protocols.includes(parsed.protocol) && parsed.hostname !== "" &&
        parsed.search === "" && parsed.hash === "";
      return isFitting ? parsed.href.replace(/\/+$/, "") : undefined;
    },
    show(value) {
      if (value === null) return "";
      const parsed = new URL(value);
      if (parsed.password !== "") parsed.password = "hidden";
      return parsed.href.replace(/\/+$/, "");
    },
  };
}

/** A plain name that is no other file of the state directory's. */
export function fileName(): Kind<string | null> {
  return {
    allowed: 'a name such as "pennon.log": letters, digits, "-" and "_", and ".log" at the end',
    read: (written) =>
      typeof written === "string" && /^[\w-]{1,60}\.log$/.test(written) ? written : undefined,
    show: (value) => value ?? "",
  };
}

/** The path of a file for node_exporter's textfile collector. */
export function textfile(): Kind<string | null> {
  return {
    allowed: 'an absolute path that ends in ".prom"',
    read: (written) =>
      typeof written === "string" && isPrintable(written) && isTextfilePath(written)
        ? written
        : undefined,
    show: (value) => value ?? "",
  };
}

/** Headers of requests, as `name=value`; names as RFC 9110, section 5.1, values of printable ASCII. */
export function headers(): Kind<readonly string[]> {
  const isHeader = (item: string) => /^[\w!#$%&'*+.^`|~-]+=[\x20-\x7e]+$/.test(item);
  return {
    allowed: 'a list of texts like "authorization=Bearer TOKEN"',
    read(written) {
      const list = readList(written);
      return list?.every(isHeader) ? list : undefined;
    },
    show: (list) => list.join(", "),
  };
}

/** A public key of a server: 64 hexadecimal digits. */
export function publicKey(): Kind<string | null> {
  return {
    allowed: "64 hexadecimal digits",
    read(written) {
      const isKey = typeof written === "string" && /^[0-9a-f]{64}$/i.test(written.trim());
      return isKey ? written.trim().toLowerCase() : undefined;
    },
    show: (value) => value ?? "",
  };
}
