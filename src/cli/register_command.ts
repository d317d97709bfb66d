/** `pennon register` and `pennon unregister`: enrols this host with a server, and removes it there. */

import { adopt, register, unregister } from "../agent/enrol.ts";
import { ConfigError } from "../config.ts";
import { readTrusted } from "../trusted_path.ts";
import { tokenFault } from "../credentials.ts";
import { adoptIdentity, loadIdentity } from "../identity.ts";
import { safeJson } from "../strip_controls.ts";
import type { System } from "../system/system.ts";
import { type Arguments, type CliCommand, JSON_OPTION, UsageError } from "./command.ts";
import { type CommandSettings, openIdentity, openSettings } from "./command_setup.ts";

/** Bytes read from stdin: more than the longest token, so that a longer one is detected. */
const INPUT_LIMIT_BYTES = 16_384;

/** Enrols this host, or adopts the identity of RedFlag's own agent. */
export const registerCommand: CliCommand = {
  usage: "--server URL --token TOKEN",
  details: [
    "The token is a registration token from the server's dashboard. With",
    '"--token -" the command reads it from stdin, where other users cannot see',
    "it. The configuration (server.url) and the environment (PENNON_SERVER_URL,",
    "PENNON_TOKEN) can provide both.",
    '"--adopt FILE" takes over from RedFlag\'s own agent instead: FILE is its',
    "config.json, and the host keeps its id. Stop that agent first.",
  ],
  options: [
    { name: "server", value: "URL", summary: "The server's address" },
    { name: "token", value: "TOKEN", summary: "Registration token; - reads it from stdin" },
    { name: "adopt", value: "FILE", summary: "Take over from RedFlag's agent, keeping its id" },
    { name: "replace", summary: "Register again even if this host already is" },
    JSON_OPTION,
  ],
  maxArguments: 0,
  async run(system, given) {
    const settings = await openSettings(system, given, { "server.url": given.values["server"] });
    await checkNotRegistered(system, settings, given.flags.has("replace"));
    const identity = given.values["adopt"] === undefined
      ? await enrol(system, settings, given)
      : await adoptAgent(system, settings, given.values["adopt"]);
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

async function checkNotRegistered(
  system: System,
  settings: CommandSettings,
  replace: boolean,
): Promise<void> {
  if (replace) return;
  const present = await loadIdentity(system, settings.stateDirectory);
  if (present === undefined) return;
  throw new Error(
    `Cannot register: this host already is, with "${present.serverUrl}" as ${present.agentId}. ` +
      `Next: pennon run; or add "--replace" to register again`,
  );
}

async function enrol(system: System, settings: CommandSettings, given: Arguments) {
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
  if (token === "") throw new UsageError("Cannot register: stdin holds no token");
  return token;
}

async function adoptAgent(system: System, settings: CommandSettings, file: string) {
  const { config, stateDirectory } = settings;
  // The file names the server that this host obeys from now on: only a trusted owner may write it.
  const read = await readTrusted(system, {
    name: "the other agent's configuration",
    path: file,
    use: "configuration",
  });
  if (read === undefined) throw new Error(`Cannot adopt: no file "${file}"`);
  if (read.errors.length > 0) throw new ConfigError(read.errors);
  for (const warning of read.warnings) system.terminal.printError(`pennon: ${warning}`);
  const identity = adoptIdentity(read.text);
  await adopt({ system, config, stateDirectory }, identity);
  return identity;
}

/** Keeps the tokens if the server does not answer, unless `--force` is given. */
export const unregisterCommand: CliCommand = {
  usage: "[--force] [--json]",
  details: [
    "Stop the agent first. With --force the tokens are deleted even if the server",
    "cannot be reached; in that case delete the agent in the server's dashboard.",
  ],
  options: [
    { name: "force", summary: "Delete the tokens even if the server cannot be reached" },
    JSON_OPTION,
  ],
  maxArguments: 0,
  async run(system, given) {
    const settings = await openSettings(system, given);
    const identity = await openIdentity(system, settings, "unregister");
    const { config, stateDirectory } = settings;
    const { deletedOnServer } = await unregister({ system, config, stateDirectory }, identity, {
      evenIfUnreached: given.flags.has("force"),
    });
    const { agentId, serverUrl } = identity;
    const answer = {
      schema: "pennon.unregister/1",
      agent_id: agentId,
      server_url: serverUrl,
      deleted_on_server: deletedOnServer,
    };
    const text = `Unregistered ${agentId} from ${serverUrl}`;
    system.terminal.print(given.flags.has("json") ? safeJson(answer) : text);
    if (!deletedOnServer) {
      system.terminal.printError("The server was not reached: delete the agent in its dashboard");
    }
    return 0;
  },
};
