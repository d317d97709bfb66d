/**
 * `pennon doctor`: looks at everything that an agent needs, and judges it. It changes nothing but a trial
 * file that it removes, and a note for `status` where the server refuses the agent; it takes no lock,
 * receives no command and spends no token; each look has a limit.
 */

import { noteAccess } from "../agent/access_note.ts";
import { peekMachineId } from "../agent/machine_binding.ts";
import { readStatus, type Status } from "../agent/status.ts";
import { ConfigError } from "../config.ts";
import { assemble, type Config } from "../config/settings.ts";
import { type Identity, tokensOf } from "../identity.ts";
import { Secrets } from "../redact.ts";
import { availableScanners } from "../scanners/registry.ts";
import type { Answer } from "../server/answer.ts";
import { Client } from "../server/client.ts";
import { type AnnouncedKey, confirmKeys } from "../server/signing_keys.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { judgeAccess, judgeAgent, judgeSignatures, judgeTokens } from "./agent_checks.ts";
import { type Finding, skip } from "./finding.ts";
import {
  type Configuration,
  examineStateDirectory,
  judgeConfiguration,
  judgeDisk,
  judgeHooks,
  judgeRegistration,
  judgeTlsFiles,
  openClient,
  readIdentity,
  tryWrite,
} from "./local_checks.ts";
import { examineService, judgeScanner, judgeScanners, lookAtScanner } from "./scanner_checks.ts";
import { judgeServer, lookAtServer, skipServer } from "./server_checks.ts";

/** What is examined. */
export interface DoctorOptions {
  readonly configuration: Configuration;
  readonly stateDirectory: string;
}

/** Limit on each call that asks what the server thinks of this agent. */
const ACCESS_MS = 5_000;

/** Examines this host and its server; returns a finding per check, in an order that can be read. */
export async function examine(system: System, options: DoctorOptions): Promise<Finding[]> {
  const { configuration, stateDirectory } = options;
  const isValid = !(configuration instanceof ConfigError);
  const config = isValid ? configuration.config : DEFAULTS;
  const directory = await examineStateDirectory(system, stateDirectory);
  const status = directory.level === "fail"
    ? null
    : await unlessDenied(() => readStatus(system, { stateDirectory, config }));
  const secrets = new Secrets([config.server.registrationToken ?? ""]);
  const [local, server, scanners, service, hooks] = await Promise.all([
    examineDisk(system, { config, stateDirectory, directory, status }),
    examineServer(system, {
      config,
      stateDirectory,
      isValid,
      directory,
      status,
      secrets,
    }),
    examineScanners(system, config, status),
    examineService(system, {
      stateDirectory,
      hasAgent: status !== null && status.holder !== null,
    }),
    judgeHooks(system, config),
  ]);
  const first = [judgeConfiguration(configuration), server.tlsFiles, directory, local];
  // A server or a program may have repeated a secret; the advice is this program's own.
  return [...first, ...server.findings, ...scanners, service, ...hooks]
    .map((finding) => ({ ...finding, seen: secrets.hide(finding.seen) }));
}

/** The settings of a host whose configuration cannot be read. */
const DEFAULTS: Config = assemble(({ fallback }) => fallback);

async function unlessDenied<T>(read: () => Promise<T>): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}

async function examineDisk(
  system: System,
  { config, stateDirectory, directory, status }: {
    config: Config;
    stateDirectory: string;
    directory: Finding;
    status: Status | null;
  },
): Promise<Finding> {
  if (directory.level === "fail") return skip("disk", `"${directory.check}" failed`);
  const facts = {
    freeBytes: system.machine.disk(stateDirectory)?.freeBytes ?? null,
    refusal: await tryWrite(system, stateDirectory),
    bufferError: status?.disk.bufferError ?? null,
  };
  return judgeDisk(facts, { stateDirectory, maxBytes: config.buffer.maxBytes });
}

interface ServerExamination {
  readonly tlsFiles: Finding;
  readonly findings: readonly Finding[];
}

async function examineServer(
  system: System,
  { config, stateDirectory, isValid, directory, status, secrets }: {
    config: Config;
    stateDirectory: string;
    isValid: boolean;
    directory: Finding;
    status: Status | null;
    secrets: Secrets;
  },
): Promise<ServerExamination> {
  const found = await readIdentity(system, stateDirectory);
  const registration = directory.level === "fail"
    ? skip("registration", `"${directory.check}" failed`)
    : judgeRegistration(found, config.server.url);
  const identity = registration.level === "ok" ? found as Identity : undefined;
  for (const token of identity ? tokensOf(identity) : []) secrets.add(token);
  const serverUrl = identity?.serverUrl ?? config.server.url;
  const machineId = await unlessDenied(() => peekMachineId(system, stateDirectory));
  const client = await openClient(system, config, {
    serverUrl: serverUrl ?? "https://localhost",
    machineId: machineId ?? "",
  });
  const tlsFiles = isValid
    ? judgeTlsFiles(config, client)
    : skip("tls files", '"configuration" failed');
  const obstacle = !isValid
    ? '"configuration" failed'
    : !(client instanceof Client)
    ? '"tls files" failed'
    : serverUrl === null
    ? "no server is known: this host is not registered, and server.url is not set"
    : null;
  const way = obstacle === null && client instanceof Client && serverUrl !== null
    ? judgeServer(await lookAtServer(system, config, { client, serverUrl }))
    : skipServer(obstacle ?? "there is no client");
  if (status === null) {
    const because = "the state directory cannot be read";
    const skipped = ["agent", "access", "tokens", "signatures"].map((check) =>
      skip(check, because)
    );
    return { tlsFiles, findings: [registration, ...way, ...skipped] };
  }
  const isReached = way.some(({ check, level }) => check === "health" && level === "ok");
  const because = identity === undefined
    ? "this host is not registered"
    : machineId === null
    ? "this host has no machine id yet"
    : obstacle ?? "the server is not reached";
  const answer: Answer<unknown> | null =
    identity !== undefined && isReached && machineId !== null && client instanceof Client
      // Reads what the server sets for its agents: neither age of RedFlag changes anything at that.
      ? await client.policy(identity, { timeoutMs: ACCESS_MS })
      : null;
  if (answer !== null && identity !== undefined) {
    await noteAccess(system, { stateDirectory, agentId: identity.agentId }, answer);
  }
  const announced = answer !== null && client instanceof Client
    ? await readAnnounced(system, client)
    : [];
  const findings = [
    registration,
    judgeAgent(status),
    ...way,
    judgeAccess(answer, { status, because }),
    judgeTokens(status),
    judgeSignatures(status, announced),
  ];
  return { tlsFiles, findings };
}

/** The keys that the server shows to everyone; none where it does not answer, or shows none. */
async function readAnnounced(
  { cryptography }: System,
  client: Client,
): Promise<readonly AnnouncedKey[]> {
  const answer = await client.publicKeys({ timeoutMs: ACCESS_MS });
  if (answer.kind !== "ok") return [];
  const confirmed = await confirmKeys(cryptography, answer.value);
  return confirmed.ok ? confirmed.value : [];
}

async function examineScanners(
  system: System,
  config: Config,
  status: Status | null,
): Promise<Finding[]> {
  const { enabled } = config.scanners;
  const available = async () => (await availableScanners(system, enabled)).map(({ name }) => name);
  const known = status ?? {
    scanners: { enabled, available: await available() },
    scans: {},
    scannerBreakers: {},
    nowMs: system.clock.nowMs(),
  };
  const facts = await Promise.all(
    known.scanners.available.map((name) => lookAtScanner(system, name)),
  );
  return [...judgeScanners(known), ...facts.map((one) => judgeScanner(one, known))];
}
