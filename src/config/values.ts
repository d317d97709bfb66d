/** The kinds of value a setting can have: how each is written, read and shown. Pure. */

import { hasControls } from "../strip_controls.ts";

/** One kind of value. */
export interface Kind<T> {
  /** What may be written, for people: `a duration from "10s" to "1d"`. */
  readonly allowed: string;
  /** The value as TOML or the environment has it, or `undefined` if that is not allowed. */
  read(written: unknown): T | undefined;
  /** As one would write it. */
  show(value: T): string;
}

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A length of time such as `500ms`, `5s`, `5m`, `1h`, `90d`, in ms. */
export function duration(shortest: string, longest: string): Kind<number> {
  const minMs = parseDuration(shortest) ?? 0;
  const maxMs = parseDuration(longest) ?? Infinity;
  return {
    allowed: `a duration from "${shortest}" to "${longest}"`,
    read(written) {
      const ms = typeof written === "string" ? parseDuration(written) : undefined;
      return ms !== undefined && ms >= minMs && ms <= maxMs ? ms : undefined;
    },
    show: showDuration,
  };
}

function parseDuration(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,9}(?:\.\d{1,3})?) ?(ms|s|m|h|d)$/.exec(text.trim()) ?? [];
  const unitMs = UNITS_MS[unit ?? ""];
  return unitMs === undefined ? undefined : Math.round(Number(amount) * unitMs);
}

function showDuration(ms: number): string {
  const fitting = Object.entries(UNITS_MS).filter(([, unitMs]) =>
    ms % unitMs === 0 && ms >= unitMs
  );
  const [unit, unitMs] = fitting.at(-1) ?? ["ms", 1];
  return `${ms / unitMs}${unit}`;
}

const UNITS_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1_024,
  MiB: 1_024 ** 2,
  GiB: 1_024 ** 3,
};

/** A size such as `4MiB`, in bytes. */
export function size(smallest: string, largest: string): Kind<number> {
  const minBytes = parseSize(smallest) ?? 0;
  const maxBytes = parseSize(largest) ?? Infinity;
  return {
    allowed: `a size from "${smallest}" to "${largest}"`,
    read(written) {
      const bytes = typeof written === "string" ? parseSize(written) : undefined;
      return bytes !== undefined && bytes >= minBytes && bytes <= maxBytes ? bytes : undefined;
    },
    show(bytes) {
      const fitting = Object.entries(UNITS_BYTES).filter(([, unit]) => bytes % unit === 0);
      const [unit, unitBytes] = fitting.at(-1) ?? ["B", 1];
      return `${bytes / unitBytes}${unit}`;
    },
  };
}

function parseSize(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,12}) ?(B|KiB|MiB|GiB)$/.exec(text.trim()) ?? [];
  const unitBytes = UNITS_BYTES[unit ?? ""];
  return unitBytes === undefined ? undefined : Number(amount) * unitBytes;
}

/** A whole number. */
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

/** One of a few words. */
export function choice<T extends string>(...words: readonly T[]): Kind<T> {
  return {
    allowed: `one of ${words.map((word) => `"${word}"`).join(", ")}`,
    read: (written) => words.find((word) => word === written),
    show: (word) => word,
  };
}

/** Some of a few words; in the environment, with commas between them. */
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

/** Any texts; in the environment, with commas between them. */
export function texts(allowed: string): Kind<readonly string[]> {
  return { allowed, read: readList, show: (list) => list.join(", ") };
}

function readList(written: unknown): string[] | undefined {
  const list = typeof written === "string" ? written.split(",") : written;
  if (!Array.isArray(list) || list.length > 1_000) return undefined;
  if (!list.every((item): item is string => typeof item === "string")) return undefined;
  const items = list.map((item) => item.trim()).filter((item) => item !== "");
  return items.every(isPrintable) ? items : undefined;
}

/** Longer texts are none that anybody meant: a path on Linux is no longer. */
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

/** An address of a server or proxy; kept without a trailing slash. */
export function url(allowed: string, protocols: readonly string[]): Kind<string | null> {
  return {
    allowed,
    read(written) {
      // `URL` takes out line ends and tabs without a word.
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
