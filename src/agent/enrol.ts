/** Enrols this host with a server, and removes it there again. */

import { pennonCommand } from "../advice.ts";
import { ACCESS_NOTE_FILE } from "./access_note.ts";
import { createClient } from "./create_client.ts";
import { registerBody } from "./host_report.ts";
import { acquireInstanceLock } from "./instance_lock.ts";
import { loadMachineBinding, machineIdForCalls, saveRegisteredId } from "./machine_binding.ts";
import { STATE_FILE } from "./saved_state.ts";
import { HOOKS_FILE } from "./hooks.ts";
import { POLICY_FILE } from "./server_policy.ts";
import { SNAPSHOT_FILE } from "../commands/reported_snapshot.ts";
import type { Config } from "../config/settings.ts";
import { KeyRing } from "../connection/key_ring.ts";
import { describeOperatorAction } from "../connection/operator_words.ts";
import { TokenRotation } from "../connection/token_rotation.ts";
import { deviceFacts } from "../host/device.ts";
import { hostFacts } from "../host/host.ts";
import { type Identity, IDENTITY_FILE, saveIdentity, secretsOf } from "../identity.ts";
import type { Log } from "../log.ts";
import { clampIntervalMs } from "../loop/schedule.ts";
import { availableScanners } from "../scanners/registry.ts";
import { Secrets } from "../redact.ts";
import type { Answer } from "../server/answer.ts";
import { type Client, isAgentUnknown } from "../server/client.ts";
import { removeServerKeys } from "../server/key_trust.ts";
import type { HttpErrorReason } from "../system/http.ts";
import type { System } from "../system/system.ts";
import { VERSION } from "../version.ts";

/** A server refused to enrol or to remove this host. */
export class EnrolError extends Error {
  override readonly name = "EnrolError";
}

const FORCE = pennonCommand("unregister", "--force");

const UNREGISTER_ADVICE =
  `try again. Or: delete the agent in the server's dashboard, and its tokens here with \`${FORCE}\``;

const REMOVE_ADVICE =
  `delete the agent in the server's dashboard, then run \`${FORCE}\` to remove its tokens here`;

/** What enrolling and its end work with. */
export interface Enrolment {
  readonly system: System;
  readonly config: Config;
  readonly stateDirectory: string;
  /** Completes the command lines in what is printed. @default it is printed as it is */
  complete?(text: string): string;
}

/**
 * Registers with a registration token and saves the identity. The state directory is locked, and a file
 * written in it, before the request: otherwise a failure could leave an agent on the server that no host
 * runs. Throws `EnrolError`, `LockedError`, `FileError`.
 */
export async function register(
  enrolment: Enrolment,
  serverUrl: string,
  token: string,
): Promise<Identity> {
  const { system, config, stateDirectory } = enrolment;
  return await whileLocked(enrolment, "register", async () => {
    const { ownId: machineId } = await loadMachineBinding(system, stateDirectory, warnOn(system));
    const client = await openClient(enrolment, serverUrl, {
      machineId,
      secrets: new Secrets([token]),
    });
    const nowMs = system.clock.nowMs();
    const scanners = await availableScanners(system, config.scanners.enabled);
    const body = registerBody(await hostFacts(system), {
      agentVersion: VERSION,
      nowMs,
      machineId,
      device: await deviceFacts(system),
      scanners: scanners.map(({ name }) => name),
    });
    await trySaving(enrolment);
    const answer = await client.register(token, body);
    if (answer.kind !== "ok") throw await registrationRefusal(client, answer);
    const { agent_id, token: accessToken, refresh_token, config: settings } = answer.value;
    const identity: Identity = {
      agentId: agent_id,
      serverUrl,
      accessToken,
      refreshToken: refresh_token,
      isRefreshTokenUnsent: true,
      intervalMs: clampIntervalMs(settings?.check_in_interval ?? NaN),
    };
    try {
      await saveRegisteredId(system, stateDirectory, machineId);
      await saveNew(enrolment, identity);
    } catch (error) {
      throw await notSaved(client, identity, error);
    }
    await pinServerKey(enrolment, client);
    return identity;
  });
}

/** Bytes of the file that is written for trial: more than an identity with the longest tokens. */
const TRIAL_BYTES = 16_384;

/** Throws `FileError` if the disk would not save an identity; the server has heard nothing then. */
async function trySaving({ system: { files }, stateDirectory }: Enrolment): Promise<void> {
  const path = `${stateDirectory}/identity.try`;
  const text = "-".repeat(TRIAL_BYTES);
  try {
    await files.writeText("try to save an identity", path, text, { mode: 0o600 });
  } finally {
    await files.remove("remove the trial", path).catch(() => {});
  }
}

const REPAIR = "make room on the disk or repair it, and register again";

/**
 * The error for an identity that the disk refused after the server had registered it. The agent deletes
 * itself there again; a server of RedFlag 0.2 leaves that to an administrator.
 */
async function notSaved(
  client: Client,
  identity: Identity,
  cause: unknown,
): Promise<EnrolError> {
  const { agentId } = identity;
  const why = cause instanceof Error ? cause.message : String(cause);
  const answer = await client.unregister(identity);
  const isDeleted = saysDeleted(answer);
  const rest = isDeleted
    ? `the server has deleted the agent ${agentId} again. Next: ${REPAIR}`
    : `the server still has the agent ${agentId}, which no host runs. Next: delete it in the server's ` +
      `dashboard, ${REPAIR}`;
  return new EnrolError(`Cannot register: ${why}; ${rest}`, { cause });
}

/**
 * Pins the key of the server that the owner of this host has just chosen. If the server does not answer,
 * the agent does it after its first check-in.
 */
export async function pinServerKey(
  { system, config, stateDirectory, complete = (text) => text }: Enrolment,
  client: Client,
): Promise<void> {
  const configuredKey = config.server.publicKey;
  const keyRing = new KeyRing({ system, log: NO_LOG, stateDirectory, client, configuredKey });
  await keyRing.lookUp(new AbortController().signal);
  if ((keyRing.keys?.trust.refusedKeyIds.length ?? 0) === 0) return;
  const words =
    "pennon: the server's key is not the one of server.public_key or RedFlag's key file: its " +
    `commands will be refused. Next: \`${pennonCommand("status")}\`, which says what to do`;
  system.terminal.printError(complete(words));
}

/** The command prints what matters of it. */
const NO_LOG: Log = { debug() {}, info() {}, warning() {}, error() {} };

/**
 * Deletes the agent on the server, and its tokens on this host, even if the server does not know the
 * agent any more. Throws `LockedError`, or `EnrolError` if the server did not delete it and
 * `evenIfUnreached` is not set. `whyNot`: why the server did not; `null` if it did.
 */
export async function unregister(
  enrolment: Enrolment,
  identity: Identity,
  options: { evenIfUnreached: boolean },
): Promise<{ deletedOnServer: boolean; whyNot: string | null }> {
  const { system, stateDirectory } = enrolment;
  return await whileLocked(enrolment, "unregister", async () => {
    const client = await openClient(enrolment, identity.serverUrl, {
      machineId: await machineIdForCalls(system, stateDirectory, warnOn(system)),
      secrets: secretsOf(identity),
    });
    const answer = await deleteOnServer(enrolment, client, identity);
    const isDeleted = saysDeleted(answer);
    if (!isDeleted && !options.evenIfUnreached) {
      const isRefused = answer.kind === "operator_required";
      throw refusal("unregister", answer, isRefused ? REMOVE_ADVICE : UNREGISTER_ADVICE);
    }
    await IDENTITY_FILE.remove(system.files, stateDirectory);
    await saveRegisteredId(system, stateDirectory, null);
    await removePast(system, stateDirectory);
    return { deletedOnServer: isDeleted, whyNot: isDeleted ? null : explain(answer) };
  });
}

/** A client that prints warnings on stderr. */
export async function openClient(
  { system, config }: Enrolment,
  serverUrl: string,
  options: { machineId: string; secrets: Secrets },
): Promise<Client> {
  return await createClient(system, config, serverUrl, { ...options, warn: warnOn(system) });
}

function warnOn({ terminal }: System): (why: string) => void {
  return (why) => terminal.printError(`pennon: ${why}`);
}

/** A running agent would continue with the old identity, and overwrite the new tokens. */
export async function whileLocked<T>(
  { system, stateDirectory }: Enrolment,
  action: string,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await acquireInstanceLock(system, stateDirectory, action);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** Saves the identity of an agent that begins here. */
export async function saveNew(
  { system, stateDirectory }: Enrolment,
  identity: Identity,
): Promise<void> {
  await removePast(system, stateDirectory);
  await saveIdentity(system, stateDirectory, identity);
}

/** The state of an earlier identity does not apply, nor does the snapshot of its reports. */
export async function removePast(system: System, stateDirectory: string): Promise<void> {
  await STATE_FILE.remove(system.files, stateDirectory);
  await POLICY_FILE.remove(system.files, stateDirectory);
  await ACCESS_NOTE_FILE.remove(system.files, stateDirectory);
  await SNAPSHOT_FILE.remove(system.files, stateDirectory);
  await HOOKS_FILE.remove(system.files, stateDirectory);
  await removeServerKeys(system.files, stateDirectory);
}

/**
 * Deletes the agent with its own token, renewed once where the server refuses it. RedFlag 0.2 lets only
 * an administrator delete an agent, and answers 401 to a valid token as well.
 */
async function deleteOnServer(
  { system, stateDirectory }: Enrolment,
  client: Client,
  identity: Identity,
): Promise<Answer<unknown>> {
  const answer = await client.unregister(identity);
  if (answer.kind !== "unauthorized") return answer;
  const log = {
    error: (message: string, { why }: { why?: unknown } = {}) =>
      system.terminal.printError(`pennon: ${message}: ${why}`),
  };
  const rotation = new TokenRotation({ system, stateDirectory, client, log }, identity);
  const renewed = await rotation.renew();
  if (renewed.kind !== "ok") return answer;
  const { agentId } = identity;
  const again = await client.unregister({ agentId, accessToken: renewed.value.token });
  if (again.kind !== "unauthorized") return again;
  const why = "an administrator has to remove it: this server lets no agent delete itself " +
    `(${again.why})`;
  return { kind: "operator_required", why };
}

/** Whether the agent is no longer on the server: it says so itself, and not a proxy or a missing route. */
function saysDeleted(answer: Answer<unknown>): boolean {
  return answer.kind === "ok" || isAgentUnknown(answer);
}

/**
 * A server that has not been set up has no route for registrations (404), or returns something else than
 * a registration: only `/health` reports why.
 */
async function registrationRefusal(client: Client, answer: Answer<unknown>): Promise<EnrolError> {
  const mayBeUnconfigured = answer.kind === "refused" && answer.status === 404 ||
    answer.kind === "failed" && answer.status === 200;
  const health = mayBeUnconfigured ? await client.health() : null;
  if (health?.kind !== "ok" || health.value.usable) {
    return refusal("register", answer);
  }
  const why = `the server says "${health.value.status}": it has not been set up yet`;
  return refusal("register", { kind: "operator_required", why }, SETUP_ADVICE);
}

/** The error for a call that was no success; `next` is what the user can do. */
export function refusal(
  action: string,
  answer: Answer<unknown>,
  next: string | undefined = adviceOn(answer),
): EnrolError {
  const advice = next === undefined ? "" : `. Next: ${next}`;
  return new EnrolError(`Cannot ${action}: ${explain(answer)}${advice}`);
}

function explain(answer: Answer<unknown>): string {
  switch (answer.kind) {
    case "ok":
    case "aborted":
      return "stopped";
    case "unauthorized":
      return `the server does not take this token (${answer.why})`;
    case "limited":
      return `the server wants fewer requests (${answer.why})`;
    case "operator_required": {
      if (answer.refusal === undefined) return answer.why;
      const { cause, facts } = answer.refusal;
      const { what, because } = describeOperatorAction(cause, facts);
      return `${what}: ${because} (${answer.why})`;
    }
    case "failed":
    case "refused":
    case "report_failed":
      return answer.why;
  }
}

const BY_REASON: Readonly<Record<HttpErrorReason, string | undefined>> = {
  offline: "see that this host has a network and a name service, and try again",
  unreachable: "see that the server's host runs, and that no firewall or missing route is between",
  dns: "see that the server's address is spelt right, and known to this host's name service",
  refused: "see that the server runs, and that the address names its port",
  tls:
    "see that the server speaks https, by the name in its certificate; an authority of your own " +
    "goes into tls.ca_file",
  timeout: "see that no firewall is between, and that the address names the right port",
  cut_off: "see that the address begins with what the server speaks, http:// or https://",
  malformed: "see that the address is a RedFlag server's",
  too_large: "see that the address is a RedFlag server's",
  proxy: "see to proxy.http and proxy.https, or except the server by proxy.except_for",
  aborted: undefined,
};

const SETUP_ADVICE =
  "finish the server's setup in a browser, take a registration token from its dashboard, and try again";

/**
 * What the user can do about an answer that was no success; `undefined`: there is no advice. RedFlag
 * 0.1.18 also answers 401 "invalid or expired registration token" to any error of its database.
 */
export function adviceOn(answer: Answer<unknown>): string | undefined {
  switch (answer.kind) {
    case "unauthorized":
      return "take a registration token from the server's dashboard that has not run out. Or: where the " +
        "token is good, see whether the server's database is up, without which it answers the same";
    case "limited":
      return "try again in a minute";
    case "refused":
      return answer.status === 404 ? "see that the address is a RedFlag server's" : undefined;
    case "operator_required": {
      if (answer.refusal === undefined) return undefined;
      const { cause, facts } = answer.refusal;
      return describeOperatorAction(cause, facts).remedy;
    }
    case "failed":
      return answer.reason === undefined ? byStatus(answer.status) : BY_REASON[answer.reason];
    default:
      return undefined;
  }
}

function byStatus(status: number | null): string {
  const isServers = status !== null && status >= 500;
  return isServers
    ? "see the server's own log, and try again"
    : "see that the address is a RedFlag server's, and names no other path";
}
