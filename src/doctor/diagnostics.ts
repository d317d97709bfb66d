/**
 * What an archive for support holds besides the status and the findings: configuration, state, dead
 * letters, log; and how secrets are kept out of all of it. Decision 0041 says what counts as one.
 */

import { tokensOf } from "../identity.ts";
import { peekMachineId } from "../agent/machine_binding.ts";
import type { Status } from "../agent/status.ts";
import { openBufferReadOnly } from "../buffer/store.ts";
import { ConfigError, describeSettings } from "../config.ts";
import type { Config } from "../config/settings.ts";
import { MachineIdStore } from "../host/machine_id.ts";
import { decodePercent, HIDDEN, redact, Secrets } from "../redact.ts";
import { safeJson } from "../strip_controls.ts";
import { ServiceError } from "../service/manager.ts";
import { hostService } from "../service/service.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { VERSION } from "../version.ts";
import type { Configuration } from "./local_checks.ts";
import { readIdentity } from "./local_checks.ts";
import type { ArchiveEntry } from "./tar.ts";

/** The secrets of this host that a text may hold. */
export interface HostSecrets {
  /** Hides them, and what looks like one, in one line. */
  readonly secrets: Secrets;
  /** Those too short for `secrets`, which replaces no word of fewer than 8 characters. */
  readonly short: readonly string[];
  /** The beginning of the machine id's SHA-256, by which two archives can be compared; `null`: no id. */
  readonly machineIdHash: string | null;
}

/**
 * Collects what must not be in an archive: tokens, the registration token, passwords in addresses, and
 * the machine id, which RedFlag 0.2 asks for beside the token.
 */
export async function collectSecrets(
  system: System,
  { config, stateDirectory }: { readonly config: Config | null; readonly stateDirectory: string },
): Promise<HostSecrets> {
  const found = await readIdentity(system, stateDirectory);
  const identity = found instanceof Error ? undefined : found;
  const addresses = [
    identity?.serverUrl,
    config?.server.url,
    config?.proxy.http,
    config?.proxy.https,
  ];
  const store = new MachineIdStore(system, stateDirectory);
  const choice = await store.peek().catch(() => null);
  const sent = await peekMachineId(system, stateDirectory).catch(() => null);
  const all = [
    ...identity ? tokensOf(identity) : [],
    config?.server.registrationToken,
    ...addresses.flatMap((address) => passwordsOf(address ?? null)),
    choice?.registered,
    choice?.current.id,
    sent,
  ].filter((text) => typeof text === "string" && text !== "") as string[];
  return {
    secrets: new Secrets(all),
    short: all.filter((text) => text.length < 8),
    machineIdHash: sent === null ? null : await hashOf(system, sent),
  };
}

function passwordsOf(address: string | null): string[] {
  if (address === null || !URL.canParse(address)) return [];
  const { password } = new URL(address);
  return password === "" ? [] : [...new Set([password, decodePercent(password)])];
}

const HASH_DIGITS = 16;

async function hashOf({ cryptography }: System, text: string): Promise<string> {
  const hash = await cryptography.sha256(new TextEncoder().encode(text));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("").slice(0, HASH_DIGITS);
}

/** Returns `value` with secrets hidden in every text in it. */
export function hideIn<T>(value: T, host: HostSecrets): T {
  return hideAny(value, host) as T;
}

function hideAny(value: unknown, host: HostSecrets): unknown {
  if (typeof value === "string") return hideText(value, host);
  if (Array.isArray(value)) return value.map((item) => hideAny(item, host));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, hideAny(item, host)]),
  );
}

/** Hides secrets line by line: a log of many lines stays one. */
function hideText(text: string, { secrets, short }: HostSecrets): string {
  return text.split("\n").map((line) => {
    // A short password is hidden beside an @ alone, where an address has it.
    const shown = short.reduce((rest, word) => rest.replaceAll(`:${word}@`, `:${HIDDEN}@`), line);
    return secrets.hide(shown);
  }).join("\n");
}

/** Longest text of an entry. */
const LONGEST_ENTRY = 2 * 1_024 ** 2;

/** Dead letters whose headers are listed. */
const MOST_DEAD_LETTERS = 200;

/** What the entries are made from. */
export interface DiagnosticsOptions {
  readonly configuration: Configuration;
  readonly config: Config;
  readonly stateDirectory: string;
  /** `null`: the state directory cannot be read. */
  readonly status: Status | null;
  /** As `readServiceLog` returned it. */
  readonly log: string;
  readonly host: HostSecrets;
}

/** Collects everything but the status and the findings; no text holds a secret. */
export async function collectEntries(
  system: System,
  options: DiagnosticsOptions,
): Promise<ArchiveEntry[]> {
  const { configuration, status, log, host } = options;
  const json = (name: string, value: unknown): ArchiveEntry => ({
    name: `${name}.json`,
    text: `${safeJson(hideIn(value, host), 2)}\n`,
  });
  return [
    json("about", about(system, host)),
    json("configuration", describeConfiguration(configuration)),
    ...status === null ? [] : [json("state", stateOf(status))],
    json("dead_letters", await deadLetters(system, options)),
    { name: "log.txt", text: cutStart(hideText(log, host)) },
  ];
}

function about({ os, architecture, machine, clock }: System, { machineIdHash }: HostSecrets) {
  return {
    schema: "pennon.diagnostics/1",
    made_at: new Date(clock.nowMs()).toISOString(),
    pennon: VERSION,
    os,
    architecture,
    kernel: machine.kernelRelease(),
    host_name: machine.hostName(),
    uptime_s: machine.uptimeS(),
    memory: machine.memory(),
    processors: machine.cpus().length,
    user_id: machine.userId(),
    machine_id_sha256: machineIdHash,
  };
}

function describeConfiguration(configuration: Configuration) {
  if (configuration instanceof ConfigError) {
    return { file: null, problems: configuration.problems, settings: [] };
  }
  const { file, warnings } = configuration;
  return { file, problems: warnings, settings: describeSettings(configuration) };
}

/** What the small files of the state directory hold, as they were read. */
function stateOf({ state, scannerBreakers, scans, signing, disk, holder, damaged }: Status) {
  return { state, scanner_breakers: scannerBreakers, scans, signing, disk, holder, damaged };
}

async function deadLetters(
  system: System,
  { stateDirectory, config, status }: DiagnosticsOptions,
) {
  const counts = status?.buffer ?? null;
  try {
    const opened = await openBufferReadOnly(system, stateDirectory, config.buffer);
    try {
      const events = opened?.buffer.list({ state: "dead_lettered", limit: MOST_DEAD_LETTERS }) ??
        [];
      return {
        counts,
        // Without their bodies, which name the host's packages and the output of its commands.
        dead_letters: events.map(({ id, kind, createdMs, attempts, lastError, sizeBytes }) => ({
          id,
          kind,
          created_at: new Date(createdMs).toISOString(),
          attempts,
          size_bytes: sizeBytes,
          last_error: lastError,
        })),
      };
    } finally {
      opened?.close();
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { counts, error: redact(why) };
  }
}

const LOG_LINES = 5_000;

/** The end of the service's log, or why there is none. With secrets in it. */
export async function readServiceLog(system: System, stateDirectory: string): Promise<string> {
  try {
    return `${await hostService(system, stateDirectory).logs(LOG_LINES)}\n`;
  } catch (error) {
    if (!(error instanceof ServiceError || error instanceof FileError)) throw error;
    return `No log here: ${error.message}\n`;
  }
}

/** The end of a log is what counts. */
function cutStart(text: string): string {
  if (text.length <= LONGEST_ENTRY) return text;
  const rest = text.slice(-LONGEST_ENTRY);
  return `(cut)\n${rest.slice(rest.indexOf("\n") + 1)}`;
}
