/**
 * The one reader and writer of the small state files: JSON with the name of its schema, keys in
 * snake_case, instants as RFC 3339 text in keys that end in `_at`, durations in keys that end in `_ms`.
 */

import * as v from "valibot";
import { ANSWER_LIMITS, type Decoded, decodeJson, type JsonLimits } from "./json.ts";
import type { Durability, Files } from "./system/files.ts";
import { LAST_INSTANT_MS } from "./system/system.ts";

/** What a state file holds. */
interface JsonFileOptions<T> {
  /** `state.json`, in the state directory. */
  readonly name: string;
  /** Completes "Cannot read ..." and "Cannot save ...". */
  readonly what: string;
  /** The schema's name and version, which the file holds under `schema`. */
  readonly schema: string;
  /** Validates the value as it is in memory. */
  readonly value: v.GenericSchema<unknown, T>;
  /**
   * The file's names of keys that have another name in memory. Where such a name ends in `_at`, the
   * value in memory is a number, in ms since the epoch; `null` stays `null`.
   */
  readonly keys?: Readonly<Record<string, string>>;
  /** Keys in memory of objects whose own keys are data, such as package names: they stay as they are. */
  readonly records?: readonly string[];
  /** The form that earlier releases wrote; the next `write()` replaces it. */
  readonly earlier?: EarlierForm;
  /** @default ANSWER_LIMITS */
  readonly limits?: JsonLimits;
  /** @default the file port's, 1 MiB */
  readonly maxBytes?: number;
}

interface EarlierForm {
  /** `undefined`: the file does not name its schema. */
  readonly schema: string | undefined;
  /** Its names of keys that have another name in memory. Its instants are numbers. @default none */
  readonly keys?: Readonly<Record<string, string>>;
  /** Turns the parsed file into the value in memory. @default only `keys` differ */
  toValue?(json: Readonly<Record<string, unknown>>): unknown;
}

/** One small state file. `T` is its value in memory. */
export class JsonFile<T> {
  readonly #options: JsonFileOptions<T>;
  readonly #form: v.GenericSchema<unknown, T>;
  readonly #toFile: KeyMap;
  readonly #toMemory: KeyMap;

  constructor(options: JsonFileOptions<T>) {
    this.#options = options;
    const keys = Object.entries(options.keys ?? {});
    const records = options.records ?? [];
    const fileNameOf = (key: string) => options.keys?.[key] ?? key;
    const isInstant = ([, fileName]: readonly string[]) => fileName?.endsWith("_at");
    this.#toFile = {
      names: new Map(keys),
      records: new Set(records),
      instants: new Map(keys.filter(isInstant).map(([key]) => [key, formatInstant])),
    };
    this.#toMemory = {
      names: new Map(keys.map(([key, fileName]) => [fileName, key])),
      records: new Set(records.map(fileNameOf)),
      instants: new Map(keys.filter(isInstant).map(([, fileName]) => [fileName, parseInstant])),
    };
    this.#form = v.pipe(
      v.unknown(),
      v.transform((json) => this.#readForm(json)),
      options.value,
    );
  }

  pathIn(stateDirectory: string): string {
    return `${stateDirectory}/${this.#options.name}`;
  }

  /**
   * Reads the file; `undefined` if there is none, or an unreadable one, after `onUnreadable` was called
   * with the reason. Throws `FileError`.
   */
  async read(
    files: Files,
    stateDirectory: string,
    onUnreadable: (why: string) => void = () => {},
  ): Promise<T | undefined> {
    const { what, maxBytes } = this.#options;
    const text = await files.readText(`read ${what}`, this.pathIn(stateDirectory), { maxBytes });
    if (text === undefined) return undefined;
    const read = this.decode(text);
    if (read.ok) return read.value;
    onUnreadable(read.why);
    return undefined;
  }

  /** Saves the value in a file that only its user can read. Throws `FileError`. */
  async write(
    files: Files,
    stateDirectory: string,
    value: T,
    { durability = "name" }: { durability?: Durability } = {},
  ): Promise<void> {
    const options = { mode: 0o600, durability };
    const path = this.pathIn(stateDirectory);
    await files.writeText(`save ${this.#options.what}`, path, this.encode(value), options);
  }

  /** Removes the file; no error if there is none. Throws `FileError`. */
  async remove(files: Files, stateDirectory: string): Promise<void> {
    await files.remove(`remove ${this.#options.what}`, this.pathIn(stateDirectory));
  }

  /** The text of the file for a value. */
  encode(value: T): string {
    const { schema } = this.#options;
    return `${JSON.stringify({ schema, ...rename(value, this.#toFile) as object })}\n`;
  }

  /** The value in a file's text, in the present form or the earlier one. Never throws. */
  decode(text: string): Decoded<T> {
    return decodeJson(this.#form, text, this.#options.limits ?? ANSWER_LIMITS);
  }

  #readForm(json: unknown): unknown {
    const { schema, earlier } = this.#options;
    if (!isObject(json)) return undefined;
    const named = Object.hasOwn(json, "schema") ? json["schema"] : undefined;
    if (named === schema) return rename(json, this.#toMemory);
    if (earlier === undefined || named !== earlier.schema) return undefined;
    if (earlier.toValue !== undefined) return earlier.toValue(json);
    const names = new Map(Object.entries(earlier.keys ?? {}).map(([key, name]) => [name, key]));
    return rename(json, { names, records: new Set(), instants: new Map() });
  }
}

interface KeyMap {
  readonly names: ReadonlyMap<string, string>;
  readonly records: ReadonlySet<string>;
  readonly instants: ReadonlyMap<string, (instant: unknown) => unknown>;
}

function rename(value: unknown, map: KeyMap): unknown {
  if (Array.isArray(value)) return value.map((item) => rename(item, map));
  if (!isObject(value)) return value;
  const renamed = Object.entries(value).map(([key, inner]) => {
    const name = map.names.get(key) ?? key;
    const convert = map.instants.get(key);
    if (convert !== undefined) return [name, convert(inner)] as const;
    if (!map.records.has(key) || !isObject(inner)) return [name, rename(inner, map)] as const;
    const entries = Object.entries(inner).map(([own, item]) => [own, rename(item, map)] as const);
    return [name, Object.fromEntries(entries)] as const;
  });
  return Object.fromEntries(renamed);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function formatInstant(ms: unknown): string | null {
  const isKnown = typeof ms === "number" && Math.abs(ms) <= LAST_INSTANT_MS;
  return isKnown ? new Date(ms).toISOString() : null;
}

/** Reads what `formatInstant` writes; anything else becomes NaN, which no schema accepts as a number. */
function parseInstant(text: unknown): number | null {
  if (text === null) return null;
  const ms = typeof text === "string" ? Date.parse(text) : NaN;
  return formatInstant(ms) === text ? ms : NaN;
}
