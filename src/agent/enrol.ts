/** Enrols this host with a server, and takes it off again. */

import type { Config } from "../config.ts";
import { hostFacts } from "../host/host.ts";
import { forgetIdentity, type Identity, saveIdentity } from "../identity.ts";
import { clampIntervalMs } from "../loop/schedule.ts";
import type { Answer } from "../server/answer.ts";
import type { System } from "../system/system.ts";
import { VERSION } from "../version.ts";
import { clientFor } from "./client_for.ts";
import { registerBody } from "./host_report.ts";
import { forgetState } from "./state_file.ts";

/** A server that would not enrol this host. */
export class EnrolError extends Error {
  override readonly name = "EnrolError";
}

/** Where to enrol, and where to keep what comes of it. */
export interface Enrolment {
  readonly system: System;
  readonly config: Config;
  readonly stateDirectory: string;
}

/** Registers with a registration token and keeps the identity; throws `EnrolError`, `FileError`. */
export async function register(
  { system, config, stateDirectory }: Enrolment,
  serverUrl: string,
  token: string,
): Promise<Identity> {
  const client = await clientFor(system, config, serverUrl);
  const nowMs = system.clock.nowMs();
  const body = registerBody(await hostFacts(system), { agentVersion: VERSION, nowMs });
  const answer = await client.register(token, body);
  if (answer.kind !== "ok") throw new EnrolError(`Cannot register: ${explain(answer)}`);
  const { agent_id, token: accessToken, refresh_token, config: told } = answer.value;
  const identity: Identity = {
    agentId: agent_id,
    serverUrl,
    accessToken,
    refreshToken: refresh_token,
    intervalMs: clampIntervalMs(told?.check_in_interval ?? NaN),
    registeredMs: nowMs,
  };
  await adopt({ system, config, stateDirectory }, identity);
  return identity;
}

/** Keeps an identity as this host's own; what an earlier one left of the loop's state is void. */
export async function adopt(
  { system, stateDirectory }: Enrolment,
  identity: Identity,
): Promise<void> {
  await system.files.makeDirectory("make the state folder", stateDirectory, { mode: 0o700 });
  await forgetState(system, stateDirectory);
  await saveIdentity(system, stateDirectory, identity);
}

/**
 * Deletes the agent on the server and forgets its tokens. One that the server no longer knows is
 * forgotten too; throws `EnrolError` if the server was not reached and `evenIfUnreached` is not set.
 */
export async function unregister(
  { system, config, stateDirectory }: Enrolment,
  identity: Identity,
  options: { evenIfUnreached: boolean },
): Promise<{ deletedOnServer: boolean }> {
  const client = await clientFor(system, config, identity.serverUrl);
  let answer = await client.unregister(identity);
  if (answer.kind === "unauthorized") {
    const renewed = await client.renew(identity.agentId, identity.refreshToken);
    if (renewed.kind === "ok") {
      const { agentId } = identity;
      answer = await client.unregister({ agentId, accessToken: renewed.value.token });
    }
  }
  const isGone = answer.kind === "ok" || (answer.kind === "refused" && answer.status === 404);
  if (!isGone && !options.evenIfUnreached) {
    throw new EnrolError(`Cannot unregister: ${explain(answer)}`);
  }
  await forgetIdentity(system, stateDirectory);
  await forgetState(system, stateDirectory);
  return { deletedOnServer: isGone };
}

function explain(answer: Answer<unknown>): string {
  switch (answer.kind) {
    case "ok":
    case "aborted":
      return "stopped";
    case "unauthorized":
      return `the server does not take this token (${answer.why})`;
    case "limited":
      return `the server wants fewer requests (${answer.why}); try again in a minute`;
    case "failed":
    case "refused":
    case "needs_person":
      return answer.why;
  }
}
