/**
 * Tests a configuration as `run` and `register` will use it: the files of `[tls]`, the proxy, and the
 * environment. Asks no server.
 */

import { type HookName, hookProgram } from "../config/locations.ts";
import type { Config } from "../config/settings.ts";
import { ALL_SETTINGS } from "../config/settings.ts";
import { FileError } from "../system/files.ts";
import type { CertificateFacts } from "../system/cryptography.ts";
import type { System } from "../system/system.ts";
import { programFault, readTrusted } from "../trusted_path.ts";
import { didYouMean } from "../wording.ts";
import { proxyFault, tlsFiles } from "./create_client.ts";

/** What a check found, each with a next step. */
export interface ConfigFindings {
  /** With any of these, `run` and `register` fail. */
  readonly errors: readonly string[];
  /** What has no effect, or will fail later. */
  readonly warnings: readonly string[];
}

/** `serverUrl`: the configured server, or the one that this host is registered with; `null`: neither. */
export async function checkForUse(
  system: System,
  config: Config,
  serverUrl: string | null,
): Promise<ConfigFindings> {
  const tls = await checkTls(system, config.tls);
  const fault = serverUrl === null ? null : proxyFault(serverUrl, config);
  const hooks = await examineHooks(system, config.hooks);
  return {
    errors: [...tls.errors, ...fault === null ? [] : [fault]],
    warnings: [
      ...tls.warnings,
      ...hooks.flatMap(({ name, fault }) =>
        fault === null ? [] : [`hooks.${name} starts nothing: ${fault}`]
      ),
      ...config.log.eventLog && system.os !== "windows"
        ? ["log.event_log has no effect: only Windows has an Event Log"]
        : [],
      ...await unknownVariables(system),
    ],
  };
}

/** The programs of `[hooks]` that are wanted, each with what keeps the agent from starting it, or `null`. */
export async function examineHooks(
  system: Pick<System, "os" | "files" | "machine" | "readEnvironment">,
  hooks: Config["hooks"],
): Promise<{ readonly name: HookName; readonly path: string; readonly fault: string | null }[]> {
  const all: readonly (readonly [HookName, boolean])[] = [
    ["on_outage", hooks.onOutage],
    ["on_security_update", hooks.onSecurityUpdate],
  ];
  const wanted = all.filter(([, isWanted]) => isWanted);
  return await Promise.all(wanted.map(async ([name]) => {
    const path = hookProgram(system, name);
    return { name, path, fault: await programFault(system, { name, path }) };
  }));
}

async function checkTls(system: System, tls: Config["tls"]): Promise<ConfigFindings> {
  const errors: string[] = [];
  const warnings: string[] = [];
  const texts = new Map<string, string>();
  for (const file of tlsFiles(tls)) {
    const { name, path } = file;
    try {
      const read = await readTrusted(system, file);
      if (read === undefined) {
        errors.push(`Cannot use ${name}: no file "${path}". Next: correct the path`);
        continue;
      }
      errors.push(...read.errors);
      warnings.push(...read.warnings);
      texts.set(name, read.text);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      const next = "let the agent's user read it, and run this as that user";
      errors.push(`Cannot use ${name}: ${error.message}. Next: ${next}`);
    }
  }
  for (const name of ["tls.ca_file", "tls.certificate_file"]) {
    const text = texts.get(name);
    if (text === undefined) continue;
    const found = await system.cryptography.readCertificates(text);
    const problem = describeCertificates(found);
    if (problem !== null) {
      errors.push(`Cannot use ${name}: ${problem}`);
      texts.delete(name);
      continue;
    }
    for (const certificate of found) {
      if (certificate === null || certificate.validToMs >= system.clock.nowMs()) continue;
      const day = new Date(certificate.validToMs).toISOString().slice(0, 10);
      const fact =
        `"${certificate.subject}" in ${name} expired on ${day}. Next: have its issuer renew it`;
      // Other authorities of the list may still do.
      if (name === "tls.ca_file") warnings.push(fact);
      else errors.push(`Cannot use ${name}: ${fact}`);
    }
  }
  const certificate = texts.get("tls.certificate_file");
  const key = texts.get("tls.key_file");
  if (certificate !== undefined && key !== undefined) {
    const problem = KEY_PROBLEMS[await system.cryptography.matchKey(certificate, key)];
    if (problem !== null) errors.push(`Cannot use tls.key_file: ${problem}`);
  }
  return { errors, warnings };
}

const KEY_PROBLEMS = {
  fits: null,
  unknown: null,
  other: "it is not the key of the first certificate in tls.certificate_file. Next: name the key " +
    "that belongs to it; in a chain the host's own certificate comes first",
  unreadable: "it holds no private key in PEM. Next: name the file that begins with " +
    '"-----BEGIN PRIVATE KEY-----" or a similar line',
  encrypted: "it needs a passphrase. Next: store it without, by openssl pkey -in FILE -out FILE",
} as const;

function describeCertificates(found: readonly (CertificateFacts | null)[]): string | null {
  if (found.length === 0) {
    return "it holds no certificate in PEM. Next: convert it, by openssl x509 -inform DER";
  }
  const broken = found.indexOf(null);
  if (broken < 0) return null;
  return `certificate ${
    broken + 1
  } of ${found.length} is damaged. Next: fetch it again from where it was issued`;
}

/** Longest environment that is read. */
const MAX_ENVIRONMENT_BYTES = 2_097_152;

/** Most variables that are named; a directory of thousands is no mistake of a person. */
const MAX_NAMED = 20;

/**
 * A warning for each variable `PENNON_…` that no setting reads. Only on Linux, where the kernel lists the
 * environment: the executable may read the variables that it knows and no others, and cannot list them.
 */
export async function unknownVariables(
  { os, processId, runCommand }: Pick<System, "os" | "processId" | "runCommand">,
): Promise<string[]> {
  if (os !== "linux") return [];
  const known = ALL_SETTINGS.flatMap(({ environment }) => environment);
  const names = (await readVariableNames(runCommand, processId))
    .filter((name) => name.startsWith("PENNON_") && !known.includes(name));
  return names.slice(0, MAX_NAMED).map((name) =>
    `the variable ${name} has no effect: there is no such setting${didYouMean(name, known)}`
  );
}

async function readVariableNames(
  runCommand: System["runCommand"],
  processId: number,
): Promise<string[]> {
  try {
    const { code, stdout } = await runCommand(["/usr/bin/cat", `/proc/${processId}/environ`], {
      timeoutMs: 5_000,
      maxOutputBytes: MAX_ENVIRONMENT_BYTES,
    });
    if (code !== 0) return [];
    return stdout.split("\0").map((entry) => entry.replace(/=.*$/s, "")).sort();
  } catch {
    return []; // A warning less. Where /proc is hidden, nothing else lists the environment.
  }
}
