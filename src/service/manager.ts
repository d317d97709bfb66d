/** What the services of all systems share: their error, a manager's programs, what they look at. */

import { CommandError, type RunResult } from "../system/process.ts";
import type { System } from "../system/system.ts";

/** What the service manager says of the service. */
export interface ServiceStatus {
  readonly isInstalled: boolean;
  readonly isRunning: boolean;
  /** What it says besides, by its own names, in its own words. */
  readonly details: Readonly<Record<string, string>>;
}

/** The service under this host's service manager. Each method may throw `ServiceError`. */
export interface Service {
  /** The text that `install` gives to the service manager. */
  definition(): string;
  /**
   * Installs the service and starts it, if this host is registered; what is so already stays. Returns
   * what it did, one line each.
   */
  install(): Promise<string[]>;
  /** Stops and removes the service; returns what it did. State and configuration stay. */
  uninstall(): Promise<string[]>;
  /** Needs no rights. */
  status(): Promise<ServiceStatus>;
  /** The last lines of the log. */
  logs(lines: number): Promise<string>;
}

/** The message says what cannot be done, why, and the next step. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
}

/** A start waits until the agent is ready; systemd itself gives it 90 s. */
const TIMEOUT_MS = 120_000;

/** Runs a program of the service manager. `action`: what it is for, as in "Cannot install the service". */
export async function runManager(
  { runCommand }: Pick<System, "runCommand">,
  action: string,
  argv: readonly string[],
): Promise<RunResult> {
  try {
    return await runCommand(argv, { timeoutMs: TIMEOUT_MS });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new ServiceError(`Cannot ${action}: ${error.message}`, { cause: error });
  }
}

/** As `runManager()`, for a program that must succeed. */
export async function runOrFail(
  system: Pick<System, "runCommand">,
  action: string,
  argv: readonly string[],
): Promise<string> {
  const { code, stdout, stderr } = await runManager(system, action, argv);
  if (code === 0) return stdout;
  const said = [stderr, stdout].map((text) => text.trim()).find((text) => text !== "");
  throw new ServiceError(
    `Cannot ${action}: "${argv[0]}" ended with ${code}${said === undefined ? "" : `: ${said}`}`,
  );
}

/** The executable to be started, which a program that runs from source has not. */
export function executableOf({ executable }: Pick<System, "executable">, action: string): string {
  if (executable !== null) return executable;
  throw new ServiceError(
    `Cannot ${action}: this program runs from source. Next: deno task build, and run the executable`,
  );
}

/** Whether the agent of this state directory is enrolled; it is not started before that. */
export async function isRegistered(
  { files }: Pick<System, "files">,
  stateDirectory: string,
): Promise<boolean> {
  // IDENTITY_FILE of identity.ts, which builds on the paths that this directory chooses.
  const path = `${stateDirectory}/identity.json`;
  return await files.inspect("look for the identity", path) !== undefined;
}

/** A log file rotates long before. */
const LONGEST_LOG_BYTES = 134_217_728;

/** The last lines of a log file; says so if there is none yet. */
export async function tailOf(
  { files }: Pick<System, "files">,
  path: string,
  lines: number,
): Promise<string> {
  const text = await files.readText("read the log", path, { maxBytes: LONGEST_LOG_BYTES });
  if (text === undefined) throw new ServiceError(`Cannot read the log: there is no "${path}" yet`);
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}
