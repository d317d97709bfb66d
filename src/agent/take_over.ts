/**
 * Takes an agent over from RedFlag's own agent, with its id and tokens, and hands it back. Both end with
 * exactly one program that has the tokens: two that renew them would have all of them revoked (0.2).
 */

import { pennonCommand, shellWord } from "../advice.ts";
import type { Enrolment } from "./enrol.ts";
import {
  EnrolError,
  openClient,
  pinServerKey,
  refusal,
  removePast,
  saveNew,
  whileLocked,
} from "./enrol.ts";
import { collectSystemInfo } from "./host_report.ts";
import { machineIdForCalls, saveAdoptedId, saveRegisteredId } from "./machine_binding.ts";
import { readRedflagConfig, writeRedflagConfig } from "./redflag_config.ts";
import { ConfigError } from "../config.ts";
import { TokenRotation } from "../connection/token_rotation.ts";
import { MachineIdStore, readMachineId } from "../host/machine_id.ts";
import {
  findRedflagActivity,
  findRedflagUser,
  REDFLAG_USER,
  redflagConfigPaths,
} from "../host/redflag_agent.ts";
import {
  type Identity,
  IDENTITY_FILE,
  loadIdentity,
  saveIdentity,
  secretsOf,
} from "../identity.ts";
import { type Client, isAgentUnknown, NO_ROUTE } from "../server/client.ts";
import type { System } from "../system/system.ts";
import { readTrusted } from "../trusted_path.ts";

/** An agent that was taken over. */
export interface TakenOver {
  readonly identity: Identity;
  /** The configuration that it was found in. */
  readonly file: string;
}

/**
 * Reads the identity of RedFlag's own agent, if that is stopped for good. `file`: its configuration;
 * `null`: where RedFlag's agent keeps it. Root has to do this before it becomes the account of the
 * service, which may not read that file. Throws `EnrolError`, `IdentityError`, `ConfigError`, `FileError`.
 */
export async function findRedflagIdentity(
  system: System,
  file: string | null,
): Promise<TakenOver> {
  // Before the file is read: while that agent runs, it replaces its tokens.
  await checkRedflagStopped(system);
  return await readConfiguration(system, file);
}

/**
 * Makes the agent of RedFlag's own configuration, as `findRedflagIdentity()` found it, this host's, if the
 * server accepts the identity. Throws `EnrolError`, `ConfigError`, `LockedError`, `FileError`: the identity
 * that this host had is then unchanged.
 */
export async function takeOver(enrolment: Enrolment, found: TakenOver): Promise<TakenOver> {
  const { config } = enrolment;
  return await whileLocked(enrolment, "register", async () => {
    const { identity } = found;
    const { url } = config.server;
    if (url !== null && url !== identity.serverUrl) {
      throw new EnrolError(
        `Cannot adopt: "${found.file}" names the server "${identity.serverUrl}", and server.url is ` +
          `"${url}". Next: set server.url (or "--server") to the former if that is your server. ` +
          "Or: register this host with a registration token of the latter",
      );
    }
    return { identity: await verifyAndSave(enrolment, identity), file: found.file };
  });
}

async function checkRedflagStopped(system: System): Promise<void> {
  const activity = await findRedflagActivity(system);
  if (activity.kind === "runs") {
    throw new EnrolError(
      `Cannot adopt: RedFlag's own agent may still use its identity: ${activity.fact}. ` +
        `Next: ${activity.remedy}`,
    );
  }
  if (activity.kind === "unknown") {
    system.terminal.printError(
      `pennon: cannot tell whether RedFlag's own agent runs: ${activity.why}; it has to be stopped ` +
        "and disabled",
    );
  }
}

async function readConfiguration(system: System, given: string | null): Promise<TakenOver> {
  const places = given === null ? redflagConfigPaths(system.os) : [given];
  const user = await findRedflagUser(system);
  for (const file of places) {
    // It names the server that this host obeys from now on: only a trusted owner may write it.
    const read = await readTrusted(system, {
      name: "the other agent's configuration",
      path: file,
      use: "configuration",
      ...(user !== null && { alsoTrusted: user }),
    });
    if (read === undefined) continue;
    if (read.errors.length > 0) throw new ConfigError(read.errors);
    for (const warning of read.warnings) system.terminal.printError(`pennon: ${warning}`);
    return { identity: readRedflagConfig(read.text), file };
  }
  if (given !== null) throw new EnrolError(`Cannot adopt: no file "${given}"`);
  const where = places.length === 0 ? "" : `: ${places.map((place) => `"${place}"`).join(", ")}`;
  throw new EnrolError(
    `Cannot adopt: no configuration of RedFlag's agent where that keeps it${where}. ` +
      `Next: give the file: \`${pennonCommand("register", "--adopt", "FILE")}\``,
  );
}

const REGISTER_ADVICE =
  "look at the server's log and database. Or: if both are well, the agent was deleted there or its " +
  "tokens have expired: register this host with a registration token";

/**
 * Sends this host's facts as the agent: a report that both RedFlags take, that spends nothing, and that
 * the agent would send soon anyway. A check-in would spend commands, and a renewal the refresh token: so
 * the tokens are renewed only where the access token is refused, or the recorded version is too old.
 */
async function verifyAndSave(enrolment: Enrolment, identity: Identity): Promise<Identity> {
  const { system } = enrolment;
  const client = await openClient(enrolment, identity.serverUrl, {
    machineId: (await readMachineId(system)).id,
    secrets: secretsOf(identity),
  });
  const { body } = await collectSystemInfo(system, enrolment.stateDirectory);
  const answer = await client.report(identity, { report: "system-info", body });
  const isRenewable = answer.kind === "ok" && answer.value === NO_ROUTE ||
    answer.kind === "unauthorized" ||
    answer.kind === "operator_required" && answer.refusal?.cause === "version_too_old";
  if (answer.kind !== "ok" && !isRenewable) {
    throw refusal("adopt", answer, isAgentUnknown(answer) ? REGISTER_ADVICE : undefined);
  }
  const adopted = isRenewable ? await renewAndSave(enrolment, client, identity) : identity;
  if (!isRenewable) {
    await saveAdoptedId(system, enrolment.stateDirectory);
    await saveNew(enrolment, identity);
  }
  await pinServerKey(enrolment, client);
  return adopted;
}

/**
 * Renews the tokens, which proves the identity as well. They are saved before anything else, and the new
 * ones before they are used: a renewal spends the refresh token in RedFlag's configuration.
 */
async function renewAndSave(
  enrolment: Enrolment,
  client: Client,
  identity: Identity,
): Promise<Identity> {
  const { system, stateDirectory } = enrolment;
  const before = await loadIdentity(system, stateDirectory).catch(() => undefined);
  const { registered } = await new MachineIdStore(system, stateDirectory).load(() => {});
  await saveAdoptedId(system, stateDirectory);
  await saveIdentity(system, stateDirectory, identity);
  const faults: string[] = [];
  const log = {
    error: (message: string, { why = "" }: { why?: unknown } = {}) => {
      faults.push(`${message}: ${why}`);
    },
  };
  const rotation = new TokenRotation({ system, stateDirectory, client, log }, identity);
  const renewed = await rotation.renew();
  const [fault] = faults;
  if (renewed.kind === "ok" && fault === undefined) {
    await removePast(system, stateDirectory);
    return rotation.identity;
  }
  // The server replaces a token that was never used, so the one in RedFlag's configuration is still good.
  if (before === undefined) await IDENTITY_FILE.remove(system.files, stateDirectory);
  else await saveIdentity(system, stateDirectory, before);
  await saveRegisteredId(system, stateDirectory, registered);
  if (renewed.kind === "ok") throw new EnrolError(`Cannot adopt: ${fault}`);
  throw refusal("adopt", renewed, renewed.kind === "unauthorized" ? REGISTER_ADVICE : undefined);
}

/** What RedFlag's agent needs to go on as this one. */
export interface HandedBack {
  readonly identity: Identity;
  /** The configuration for it, in the state directory. */
  readonly file: string;
  /** The commands that put it in place and start RedFlag's agent. */
  readonly commands: readonly string[];
  /** The machine id that RedFlag's agent will send, where the server has another one; else `null`. */
  readonly strangeMachineId: string | null;
}

/** The file of `handBack` in the state directory. */
const HANDED_BACK = "redflag-config.json";

/**
 * Writes the identity as a configuration of RedFlag's agent, then forgets it. The server is not asked
 * for anything. Throws `LockedError`, `FileError`, `IdentityError`.
 */
export async function handBack(enrolment: Enrolment): Promise<HandedBack | undefined> {
  const { system, stateDirectory } = enrolment;
  return await whileLocked(enrolment, "unregister", async () => {
    // Again, under the lock: an agent that has just ended may have renewed its tokens.
    const identity = await loadIdentity(system, stateDirectory);
    if (identity === undefined) return undefined;
    const sentId = await machineIdForCalls(system, stateDirectory, () => {});
    const { id } = await readMachineId(system);
    const file = `${stateDirectory}/${HANDED_BACK}`;
    const text = writeRedflagConfig(identity);
    await system.files.writeText("save RedFlag's configuration", file, text, { mode: 0o600 });
    await IDENTITY_FILE.remove(system.files, stateDirectory);
    await saveRegisteredId(system, stateDirectory, null);
    await removePast(system, stateDirectory);
    const commands = placingCommands(system.os, file, await findPlace(system));
    return { identity, file, commands, strangeMachineId: id === sentId ? null : id };
  });
}

/** Where RedFlag's agent has its configuration; the newest layout's place if it has none. */
async function findPlace({ os, files }: System): Promise<string | undefined> {
  const places = redflagConfigPaths(os);
  for (const place of places) {
    const found = await files.inspect("look for RedFlag's configuration", place)
      .catch(() => undefined);
    if (found !== undefined) return place;
  }
  return places[0];
}

function placingCommands(
  os: System["os"],
  file: string,
  place: string | undefined,
): readonly string[] {
  if (place === undefined) return [];
  switch (os) {
    case "windows":
      return [
        `move /Y "${file.replaceAll("/", "\\")}" "${place}"`,
        "sc.exe config RedFlagAgent start= auto",
        "sc.exe start RedFlagAgent",
      ];
    default: {
      const owner = `-o ${REDFLAG_USER} -g ${REDFLAG_USER}`;
      return [
        `sudo install -m 600 ${owner} ${shellWord(file)} ${place}`,
        `sudo rm ${shellWord(file)}`,
        "sudo systemctl enable --now redflag-agent",
      ];
    }
  }
}
