/** `pennon register`: enrols this host with a server. */

import { adopt, register } from "../agent/enrol.ts";
import { ConfigError } from "../config.ts";
import { readTrusted } from "../config/trusted.ts";
import { tokenFault } from "../credentials.ts";
import { adoptIdentity, loadIdentity } from "../identity.ts";
import type { System } from "../system/system.ts";
import type { Arguments } from "./arguments.ts";
import { type CliCommand, UsageError } from "./command.ts";
import { openSettings, type Settings } from "./settings.ts";
import { safeJson } from "../strip_controls.ts";

/** Bytes read from stdin: more than the longest token, so that a longer one is detected. */
const INPUT_LIMIT_BYTES = 16_384;

export const registerCommand: CliCommand = {
  usage: "--server URL --token TOKEN",
  details: [
    "The token is a registration token from the server's dashboard; with",
    '"--token -" it is read from stdin, where other users do not see it. Both',
    "may also stand in the configuration (server.url) and the environment",
    "(PENNON_SERVER_URL, PENNON_TOKEN).",
    '"--adopt FILE" takes over from RedFlag\'s own agent instead: FILE is its',
    "config.json, and the host keeps its id. Stop that agent first.",
  ],
  options: [
    { name: "server", value: "URL", summary: "The server's address" },
    { name: "token", value: "TOKEN", summary: "A registration token; - reads it from stdin" },
    { name: "adopt", value: "FILE", summary: "Take over from RedFlag's agent, keeping its id" },
    { name: "replace", summary: "Register anew although this host already is" },
    { name: "json", summary: "Answer in JSON" },
  ],
  maxArguments: 0,
  async run(system, given) {
    const settings = await openSettings(system, given, { "server.url": given.values["server"] });
    await refuseTwice(system, settings, given.flags.has("replace"));
    const identity = given.values["adopt"] === undefined
      ? await enrol(system, settings, given)
      : await takeOver(system, settings, given.values["adopt"]);
    const { agentId, serverUrl } = identity;
    if (given.flags.has("json")) {
      const answer = { schema: "pennon.register/1", agent_id: agentId, server_url: serverUrl };
      system.terminal.print(safeJson(answer));
    } else {
      system.terminal.print(`Registered with ${serverUrl} as ${agentId}`);
      system.terminal.printError("Next: pennon run");
    }
    return 0;
  },
};

async function refuseTwice(system: System, settings: Settings, replace: boolean): Promise<void> {
  if (replace) return;
  const present = await loadIdentity(system, settings.stateDirectory);
  if (present === undefined) return;
  throw new Error(
    `Cannot register: this host already is, with "${present.serverUrl}" as ${present.agentId}. ` +
      `Next: pennon run; or give "--replace" to register anew`,
  );
}

async function enrol(system: System, settings: Settings, given: Arguments) {
  const { config, stateDirectory } = settings;
  const { url, registrationToken } = config.server;
  if (url === null) throw new UsageError('Cannot register: no server given; add "--server URL"');
  const token = await readToken(system, given.values["token"]) ?? registrationToken;
  if (!token) throw new UsageError('Cannot register: no token given; add "--token TOKEN"');
  const fault = tokenFault(token);
  if (fault !== null) {
    const next = "copy it from the server's dashboard as one word";
    throw new UsageError(`Cannot register: the registration token ${fault}; ${next}`);
  }
  return await register({ system, config, stateDirectory }, url, token);
}

async function readToken(system: System, given: string | undefined): Promise<string | undefined> {
  if (given !== "-") return given;
  const token = (await system.terminal.readInput(INPUT_LIMIT_BYTES)).trim();
  if (token === "") throw new UsageError("Cannot register: no token came on stdin");
  return token;
}

async function takeOver(system: System, settings: Settings, file: string) {
  const { config, stateDirectory } = settings;
  // It names the server that is obeyed from then on, as the configuration does.
  const read = await readTrusted(system, {
    name: "the other agent's configuration",
    path: file,
    use: "configuration",
  });
  if (read === undefined) throw new Error(`Cannot take over: no file "${file}"`);
  if (read.errors.length > 0) throw new ConfigError(read.errors);
  for (const warning of read.warnings) system.terminal.printError(`pennon: ${warning}`);
  const identity = adoptIdentity(read.text, system.clock.nowMs());
  await adopt({ system, config, stateDirectory }, identity);
  return identity;
}
