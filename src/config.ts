/** Loads the configuration from file, environment and flags, and checks it. */

import { ALL_SETTINGS, assemble, type Config, type Setting } from "./config/settings.ts";
import { locations, LONGEST_CONFIG_BYTES } from "./config/locations.ts";
import type { Written } from "./config/toml.ts";
import { crossCheck } from "./config/cross_check.ts";
import type { ServerOverride } from "./config/server_policy.ts";
import { readTrusted } from "./trusted_path.ts";
import { FileError } from "./system/files.ts";
import { quoteWords } from "./redact.ts";
import { safeJson } from "./strip_controls.ts";
import type { System } from "./system/system.ts";
import { didYouMean } from "./wording.ts";

/** An invalid configuration, with one line per problem. The command line exits with 2. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

/** Where a value came from. */
export interface Source {
  readonly from: "default" | "file" | "environment" | "flag";
  /** The line of the file, the name of the variable, or that it was a flag. */
  readonly detail: string;
}

/** A valid configuration. */
export interface LoadedConfig {
  readonly config: Config;
  readonly values: ReadonlyMap<string, unknown>;
  readonly sources: ReadonlyMap<string, Source>;
  /** `null`: there is none. */
  readonly file: string | null;
  readonly warnings: readonly string[];
}

export interface LoadOptions {
  /** In place of the default files; it must exist. */
  readonly file?: string;
  /** Values by the path of the setting, as written. */
  readonly flags?: Readonly<Record<string, string>>;
  /** A file of the host's that this user may not read is replaced by the defaults, with a warning. */
  readonly isOptional?: boolean;
}

interface Candidate extends Source {
  readonly value: unknown;
}

/**
 * Reads file, environment and flags; a later one overrides an earlier one. Throws `ConfigError` with
 * every problem, not only the first.
 */
export async function loadConfig(
  system: System,
  options: LoadOptions = {},
): Promise<LoadedConfig> {
  const { file, text, warnings: fileWarnings } = await findFile(system, options);
  const problems: string[] = [];
  const written = file === null ? new Map() : await readWritten(file, text, problems);
  const values = new Map<string, unknown>();
  const sources = new Map<string, Source>();
  for (const setting of ALL_SETTINGS) {
    const found = candidate(system, setting, { file, written, flags: options.flags ?? {} });
    const { value, ...source } = found;
    const read = source.from === "default" ? value : setting.kind.read(value);
    if (read === undefined) problems.push(invalidValue(setting, found));
    values.set(setting.path, read ?? setting.fallback);
    sources.set(setting.path, source);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const config = assemble((setting) => values.get(setting.path));
  const { errors, warnings } = crossCheck(config);
  if (errors.length > 0) throw new ConfigError(errors);
  return { config, values, sources, file, warnings: [...fileWarnings, ...warnings] };
}

/** Unknown keys that an error names; further ones are counted. */
const MAX_NAMED_UNKNOWN = 20;

/** Longest part of a written value that a message quotes, in characters. */
const QUOTE_LIMIT = 100;

interface ShownSetting {
  readonly path: string;
  /** As in the file; `(set)` for a secret; empty: not set. */
  readonly value: string;
  readonly from: string;
}

/** Every setting with its value, secrets hidden. `overrides`: what the server's policy has changed. */
export function describeSettings(
  loaded: LoadedConfig,
  overrides: readonly ServerOverride[] = [],
): ShownSetting[] {
  return ALL_SETTINGS.map((setting) => {
    const override = overrides.find(({ path }) => path === setting.path);
    if (override !== undefined) {
      const from = `server, instead of ${setting.kind.show(loaded.values.get(setting.path))}`;
      return { path: setting.path, value: setting.kind.show(override.valueMs), from };
    }
    const value = loaded.values.get(setting.path) ?? null;
    const source = loaded.sources.get(setting.path);
    const text = value === null ? "" : setting.kind.show(value);
    const shown = setting.isSecret && text !== "" ? "(set)" : text;
    const from = source?.from === "default" ? "default" : `${source?.from}: ${source?.detail}`;
    return { path: setting.path, value: shown, from };
  });
}

/** Whether a setting has been set, in the file, the environment or on the command line. */
export function isSet({ sources }: LoadedConfig, path: string): boolean {
  return (sources.get(path)?.from ?? "default") !== "default";
}

async function findFile(
  system: System,
  { file: named, isOptional = false }: LoadOptions,
): Promise<{ file: string | null; text: string; warnings: readonly string[] }> {
  for (const file of named === undefined ? locations(system).configFiles : [named]) {
    const read = await readTrusted(system, {
      name: "the configuration",
      path: file,
      use: "configuration",
      maxBytes: LONGEST_CONFIG_BYTES,
    }).catch((error: unknown) => {
      if (!(error instanceof FileError)) throw error;
      const mayPass = isOptional && named === undefined && error.reason === "denied";
      if (mayPass) return error;
      const next = error.reason === "denied"
        ? '. Next: let this user read it, or name another file with "--config"'
        : "";
      throw new ConfigError([`${error.message}${next}`]);
    });
    if (read === undefined) continue;
    if (read instanceof FileError) {
      return { file: null, text: "", warnings: [`${read.message}; the defaults are used`] };
    }
    if (read.errors.length > 0) throw new ConfigError(read.errors);
    return { file, ...read };
  }
  if (named === undefined) return { file: null, text: "", warnings: [] };
  throw new ConfigError([`Cannot read the configuration: no file "${named}"`]);
}

/** Reads the file's keys. The TOML parser is loaded only if there is a file. */
async function readWritten(
  file: string,
  text: string,
  problems: string[],
): Promise<ReadonlyMap<string, Written>> {
  const { readToml, TomlError } = await import("./config/toml.ts");
  try {
    const written = readToml(text);
    const known = ALL_SETTINGS.map(({ path }) => path);
    const unknown = [...written].filter(([path]) => !known.includes(path));
    for (const [path, { line }] of unknown.slice(0, MAX_NAMED_UNKNOWN)) {
      const next = didYouMean(path, known);
      const name = quoteWords(path, QUOTE_LIMIT);
      problems.push(`Cannot read ${file}, line ${line}: "${name}" is no setting${next}`);
    }
    const more = unknown.length - MAX_NAMED_UNKNOWN;
    if (more > 0) {
      problems.push(`Cannot read ${file}: keys besides these that are no settings: ${more}`);
    }
    return written;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new ConfigError([`Cannot read ${file}, ${error.message}`]);
  }
}

function candidate(
  system: System,
  setting: Setting<unknown>,
  given: {
    file: string | null;
    written: ReadonlyMap<string, Written>;
    flags: Readonly<Record<string, string>>;
  },
): Candidate {
  const flag = given.flags[setting.path];
  if (flag !== undefined) return { from: "flag", detail: "on the command line", value: flag };
  for (const name of setting.environment) {
    const value = system.readEnvironment(name);
    if (value !== undefined) return { from: "environment", detail: name, value };
  }
  const written = given.written.get(setting.path);
  if (written) {
    return { from: "file", detail: `${given.file}, line ${written.line}`, value: written.value };
  }
  return { from: "default", detail: "", value: setting.fallback };
}

function invalidValue(setting: Setting<unknown>, { detail, value }: Candidate): string {
  const found = setting.isSecret ? "a value" : quoteWords(safeJson(value), QUOTE_LIMIT);
  return `Cannot use ${setting.path} (${detail}): found ${found}, allowed is ${setting.kind.allowed}`;
}
