/** The checks of this host alone: configuration, certificate files, state directory, disk, registration. */

import { examineHooks } from "../agent/config_check.ts";
import { createClient } from "../agent/create_client.ts";
import { ConfigError, type LoadedConfig } from "../config.ts";
import type { Config } from "../config/settings.ts";
import { type Identity, IdentityError, loadIdentity } from "../identity.ts";
import type { Client } from "../server/client.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { pennonCommand, registerCommand, shellWord } from "../advice.ts";
import { checkStateDirectory, directoryFault } from "../trusted_path.ts";
import { adviceOf, fail, type Finding, ok, skip, warn } from "./finding.ts";

/** The configuration, or the error that says what is wrong with it. */
export type Configuration = LoadedConfig | ConfigError;

/** Judges the configuration as it was read. */
export function judgeConfiguration(configuration: Configuration): Finding {
  const check = "configuration";
  if (configuration instanceof ConfigError) {
    const { seen, next } = adviceOf(
      configuration.problems,
      `correct the file; \`${pennonCommand("config", "check")}\` says whether it is valid then`,
    );
    return fail(check, seen, next);
  }
  const { file, warnings } = configuration;
  const name = file === null ? "no file, defaults only" : `"${file}"`;
  if (warnings.length === 0) return ok(check, `valid: ${name}`);
  const { seen, next } = adviceOf(
    warnings,
    `see \`${pennonCommand("config", "show")}\`, and change what is named`,
  );
  return warn(check, `valid: ${name}; ${seen}`, next);
}

/** The client for the server, or why there is none. */
export type ClientOrError = Client | Error;

/** Creates the client, and so reads the files of `[tls]` as the agent does. */
export async function openClient(
  system: System,
  config: Config,
  { serverUrl, machineId }: { readonly serverUrl: string; readonly machineId: string },
): Promise<ClientOrError> {
  try {
    return await createClient(system, config, serverUrl, { machineId });
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

/** Judges the files of `[tls]` by the client that was created from them. */
export function judgeTlsFiles({ tls }: Config, client: ClientOrError): Finding {
  const check = "tls files";
  const files = [tls.caFile, tls.certificateFile, tls.keyFile].filter((file) => file !== null);
  if (client instanceof Error) {
    const { seen, next } = adviceOf(
      [client.message],
      `let pennon read it, or correct its name in the configuration: \`ls -l ${
        shellWord(files[0] ?? "")
      }\``,
    );
    return fail(check, seen, next);
  }
  if (files.length === 0) return ok(check, "none is set; the system's authorities are trusted");
  return ok(check, `can be read: ${files.join(", ")}`);
}

/** Looks at the programs of `[hooks]`; nothing is said of a host without any. */
export async function judgeHooks(system: System, { hooks }: Config): Promise<Finding[]> {
  const check = "hooks";
  const found = await examineHooks(system, hooks);
  const faults = found.flatMap(({ name, fault }) => fault === null ? [] : [`${name}: ${fault}`]);
  if (faults.length > 0) {
    const { seen, next } = adviceOf(faults, `look at \`ls -l ${shellWord(found[0]?.path ?? "")}\``);
    return [warn(check, `starts nothing: ${seen}`, next)];
  }
  if (found.length === 0) return [];
  return [ok(check, `may be started: ${found.map(({ path }) => path).join(", ")}`)];
}

/** Looks at the state directory: owner, mode, and whether this user may read it. */
export async function examineStateDirectory(
  system: System,
  stateDirectory: string,
): Promise<Finding> {
  const check = "state directory";
  const asAgent = `run this as the agent's user or as root: \`ls -ld ${
    shellWord(stateDirectory)
  }\``;
  const fault = await directoryFault(system, stateDirectory);
  if (fault !== null) {
    const { seen, next } = adviceOf([fault], asAgent);
    return fail(check, seen, next);
  }
  const { errors, warnings } = await checkStateDirectory(system, stateDirectory);
  if (errors.length > 0) {
    const { seen, next } = adviceOf(errors, asAgent);
    return fail(check, seen, next);
  }
  try {
    const facts = await system.files.inspect("look for the state directory", stateDirectory);
    if (facts === undefined) {
      return skip(check, `there is no "${stateDirectory}"; ${pennonCommand("register")} makes it`);
    }
    await system.files.list("read the state directory", stateDirectory);
    const rights = facts.mode === null
      ? ""
      : `, mode ${facts.mode.toString(8)}, of user ${facts.owner}`;
    if (warnings.length === 0) return ok(check, `"${stateDirectory}"${rights}`);
    const { seen, next } = adviceOf(warnings, asAgent);
    return warn(check, seen, next);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    return fail(check, error.message, asAgent);
  }
}

/** With less room than this the buffer soon cannot take an event. */
const LEAST_FREE_BYTES = 16 * 1_024 ** 2;

const MIB = 1_024 ** 2;

/** What is known of the disk below the state directory. */
export interface DiskFacts {
  /** `null`: unknown. */
  readonly freeBytes: number | null;
  /** Why a file could not be written; `null`: it could; `undefined`: there is no state directory. */
  readonly refusal: FileError | null | undefined;
  /** Why the buffer could not be read; `null`: it could, or there is none. */
  readonly bufferError: string | null;
}

/** Judges the disk below the state directory; `maxBytes`: what the buffer may take. */
export function judgeDisk(
  { freeBytes, refusal, bufferError }: DiskFacts,
  { stateDirectory, maxBytes }: { readonly stateDirectory: string; readonly maxBytes: number },
): Finding {
  const check = "disk";
  const path = shellWord(stateDirectory);
  if (refusal) {
    const next = refusal.reason === "full"
      ? `make room on its file system: \`df -h ${path}\``
      : refusal.reason === "denied"
      ? `let the agent's user write there, or mount it for writing: \`ls -ld ${path}\``
      : `look at the file system and the kernel's log: \`df -h ${path}\``;
    return fail(check, `accepts no writes: ${refusal.message}`, next);
  }
  if (bufferError !== null) {
    return fail(
      check,
      `the buffer cannot be read: ${bufferError}`,
      "start the agent, which repairs a damaged buffer and keeps what can be read of it: " +
        `\`${pennonCommand("run", "--once")}\``,
    );
  }
  if (refusal === undefined) return skip(check, "there is no state directory");
  if (freeBytes === null) return ok(check, "accepts writes");
  const free = `${Math.floor(freeBytes / MIB)} MiB free`;
  if (freeBytes < LEAST_FREE_BYTES || freeBytes < maxBytes) {
    return warn(
      check,
      `accepts writes, but there are only ${free}, and the buffer may take ${
        Math.ceil(maxBytes / MIB)
      } MiB (buffer.max_size)`,
      `make room on its file system: \`df -h ${path}\``,
    );
  }
  return ok(check, `accepts writes, ${free}`);
}

/** A page and a little: what a database needs to write anything at all. */
const TRIAL = "pennon doctor\n".repeat(600);

/**
 * Writes a file of 8 KiB to the state directory and removes it: unlike `status`, `doctor` may, because
 * an operator asks for it once. Returns the refusal, `null` on success, `undefined` without a directory.
 */
export async function tryWrite(
  { files }: Pick<System, "files">,
  stateDirectory: string,
): Promise<FileError | null | undefined> {
  const path = `${stateDirectory}/doctor.try`;
  try {
    const directory = await files.inspect("look for the state directory", stateDirectory);
    if (directory === undefined) return undefined;
    await files.writeText("write to the state directory", path, TRIAL, { mode: 0o600 });
    await files.remove("remove the trial file", path);
    return null;
  } catch (error) {
    if (error instanceof FileError) return error;
    throw error;
  }
}

/** The identity; `undefined`: this host is not registered; an error: it cannot be used. */
export type IdentityOrError = Identity | undefined | IdentityError | FileError;

/** Reads the identity. */
export async function readIdentity(
  system: System,
  stateDirectory: string,
): Promise<IdentityOrError> {
  try {
    return await loadIdentity(system, stateDirectory);
  } catch (error) {
    if (error instanceof IdentityError || error instanceof FileError) return error;
    throw error;
  }
}

/** Judges the registration; `configuredUrl`: `server.url`. */
export function judgeRegistration(
  identity: IdentityOrError,
  configuredUrl: string | null,
): Finding {
  const check = "registration";
  if (identity === undefined) {
    return warn(
      check,
      "this host is not registered",
      `\`${registerCommand()}\` with a registration token of the dashboard`,
    );
  }
  if (identity instanceof Error) {
    const { seen, next } = adviceOf(
      [identity.message],
      "run this as the agent's user, or as root",
    );
    return fail(check, seen, next);
  }
  const { agentId, serverUrl } = identity;
  if (configuredUrl !== null && configuredUrl !== serverUrl) {
    return fail(
      check,
      `registered with "${serverUrl}", but server.url is "${configuredUrl}"`,
      `set server.url back, or run \`${
        pennonCommand("unregister")
      }\` and register with the new server`,
    );
  }
  return ok(check, `agent ${agentId} of "${serverUrl}"`);
}
