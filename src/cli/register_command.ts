/** `pennon register` and `pennon unregister`: enrols this host with a server, and removes it there. */

import { pennonCommand, sameCommand, shellWord } from "../advice.ts";
import { readConfiguredFile } from "../agent/create_client.ts";
import { register, unregister } from "../agent/enrol.ts";
import { findRedflagIdentity, handBack, type TakenOver, takeOver } from "../agent/take_over.ts";
import { BufferError } from "../buffer/schema.ts";
import { openBufferReadOnly } from "../buffer/store.ts";
import { tokenFault } from "../credentials.ts";
import { type Identity, isSameServer, loadIdentity } from "../identity.ts";
import { safeJson, stripControls } from "../strip_controls.ts";
import { DatabaseError } from "../system/database.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import {
  type Arguments,
  type CliCommand,
  JSON_OPTION,
  NotRegisteredError,
  UsageError,
} from "./command.ts";
import { type CommandSettings, openSettings } from "./command_setup.ts";

/** Bytes read from stdin: more than the longest token, so that a longer one is detected. */
const INPUT_LIMIT_BYTES = 16_384;

/** Enrols this host, or adopts the identity of RedFlag's own agent. */
export const registerCommand: CliCommand = {
  usage: "--server URL --token TOKEN, or --adopt [FILE]",
  details: [
    "The token is a registration token from the server's dashboard. With",
    '"--token -" the command reads it from stdin, where other users cannot see',
    "it. The configuration (server.url) and the environment (PENNON_SERVER_URL,",
    "PENNON_TOKEN) can provide both.",
    '"--adopt" takes over from RedFlag\'s own agent instead, and the host keeps its',
    "id: stop and disable that agent first. FILE is its config.json; without FILE",
    "the command looks where that agent keeps it.",
    "On a host that is registered with the same server the command changes nothing",
    "and exits with 0; it needs no token then. Only --replace registers again:",
    "buffered events stay, and go to the server under the new id; results of",
    "commands of the former agent may be refused there, as dead letters.",
  ],
  options: [
    { name: "server", value: "URL", summary: "The server's address" },
    { name: "token", value: "TOKEN", summary: "Registration token; - reads it from stdin" },
    {
      name: "token-file",
      value: "FILE",
      completes: "file",
      summary: "File with it, such as a credential of systemd",
    },
    {
      name: "adopt",
      value: "FILE",
      valueIsOptional: true,
      completes: "file",
      summary: "Take over from RedFlag's agent, keeping its id",
    },
    { name: "replace", summary: "Register again even if this host already is" },
    JSON_OPTION,
  ],
  maxArguments: 0,
  async run(system, given) {
    const isAdopted = given.values["adopt"] !== undefined || given.flags.has("adopt");
    // As the user that called: the account of the service may not read RedFlag's file.
    const redflag = isAdopted ? await lookAtRedflag(system, given) : null;
    const settings = await openSettings(system, given, { "server.url": given.values["server"] });
    const { config, stateDirectory, complete } = settings;
    const present = given.flags.has("replace")
      ? undefined
      : await loadIdentity(system, stateDirectory);
    if (present !== undefined) {
      checkSame(present, given, { url: config.server.url, redflag });
      printRegistered(system, given, present);
      return 0;
    }
    if (redflag instanceof Error) throw redflag;
    if (given.flags.has("replace")) await warnOfBuffer(system, settings);
    const { identity, file } = redflag !== null
      ? await takeOver({ system, config, stateDirectory, complete }, redflag)
      : { identity: await enrol(system, settings, given), file: null };
    const { agentId, serverUrl } = identity;
    if (given.flags.has("json")) {
      const answer = {
        schema: "pennon.register/1",
        agent_id: agentId,
        server_url: serverUrl,
        adopted_from: file,
        already_registered: false,
      };
      system.terminal.print(safeJson(answer));
      return 0;
    }
    if (file === null) system.terminal.print(`Registered with ${serverUrl} as ${agentId}`);
    else system.terminal.print(`Adopted ${agentId} at ${serverUrl} from ${file}`);
    system.terminal.printError(complete(`Next: ${pennonCommand("run")}`));
    return 0;
  },
};

/** What is there to be adopted, or why nothing is: a host that is registered already may need nothing. */
async function lookAtRedflag(system: System, given: Arguments): Promise<TakenOver | Error> {
  try {
    return await findRedflagIdentity(system, given.values["adopt"] ?? null);
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}

/** Throws unless the host is registered as it is asked to be, so that nothing is left to do. */
function checkSame(
  { agentId, serverUrl }: Identity,
  given: Arguments,
  { url, redflag }: { url: string | null; redflag: TakenOver | Error | null },
): void {
  const about = `this host is registered with "${serverUrl}" as ${agentId}`;
  if (redflag !== null) {
    const other = redflag instanceof Error ? null : redflag.identity;
    if (other?.agentId === agentId && isSameServer(other.serverUrl, serverUrl)) return;
    const file = given.values["adopt"] ?? (redflag instanceof Error ? "FILE" : redflag.file);
    const adopt = file === "FILE" ? file : shellWord(file);
    const replace = sameCommand("register", given, { adopt, replace: true });
    const fact = other === null ? "" : `, and the file names ${other.agentId}`;
    throw new Error(`Cannot adopt: ${about}${fact}. Next: stop the agent, then run \`${replace}\``);
  }
  if (url === null || isSameServer(url, serverUrl)) return;
  const replace = sameCommand("register", given, {
    server: shellWord(url),
    replace: true,
    token: "-",
  });
  throw new Error(
    `Cannot register with "${url}": ${about}, which keeps that agent until it is deleted there. ` +
      `Next: stop the agent, then run \`${replace}\``,
  );
}

/** What is buffered outlives the registration, and goes to the server of the new agent. */
async function warnOfBuffer(
  system: System,
  { config, stateDirectory }: CommandSettings,
): Promise<void> {
  const opened = await openBufferReadOnly(system, stateDirectory, config.buffer).catch((error) => {
    if (error instanceof DatabaseError || error instanceof FileError) return undefined;
    if (error instanceof BufferError) return undefined;
    throw error;
  });
  if (opened == null) return;
  const { pending, deadLetters } = opened.buffer.counts();
  opened.close();
  if (pending + deadLetters === 0) return;
  system.terminal.printError(
    `pennon: the buffer holds ${pending} events that wait, and ${deadLetters} dead letters: they stay, ` +
      "and those that wait go to the server under the agent's new id. Results of commands of the former " +
      "agent may be refused there, and become dead letters",
  );
}

function printRegistered(system: System, given: Arguments, { agentId, serverUrl }: Identity): void {
  const answer = {
    schema: "pennon.register/1",
    agent_id: agentId,
    server_url: serverUrl,
    adopted_from: null,
    already_registered: true,
  };
  const text = `Already registered with ${serverUrl} as ${agentId}`;
  system.terminal.print(given.flags.has("json") ? safeJson(answer) : text);
}

async function enrol(system: System, settings: CommandSettings, given: Arguments) {
  const { config, stateDirectory, complete } = settings;
  const { url, registrationToken } = config.server;
  if (url === null) throw new UsageError('Cannot register: no server given; add "--server URL"');
  const token = await readToken(system, given) ?? registrationToken;
  if (!token) throw new UsageError('Cannot register: no token given; add "--token TOKEN"');
  const fault = tokenFault(token);
  if (fault !== null) {
    const next = "copy it from the server's dashboard as one word";
    throw new UsageError(`Cannot register: the registration token ${fault}; ${next}`);
  }
  return await register({ system, config, stateDirectory, complete }, url, token);
}

async function readToken(
  system: System,
  { values: { token: given, "token-file": file } }: Arguments,
): Promise<string | undefined> {
  if (file !== undefined) {
    if (given !== undefined) {
      throw new UsageError('Cannot register: give either "--token" or "--token-file"');
    }
    const named = { name: "--token-file", path: file, use: "key" } as const;
    const text = await readConfiguredFile(system, named, (why) => {
      system.terminal.printError(`pennon: ${stripControls(why)}`);
    });
    if (text.trim() === "") throw new UsageError(`Cannot register: "${file}" holds no token`);
    return text.trim();
  }
  if (given !== "-") return given;
  const token = (await system.terminal.readInput(INPUT_LIMIT_BYTES)).trim();
  if (token === "") throw new UsageError("Cannot register: stdin holds no token");
  return token;
}

/** Keeps the tokens if the server does not answer, unless `--force` is given. */
export const unregisterCommand: CliCommand = {
  usage: "[--force or --keep-server] [--json]",
  details: [
    "Stop the agent first. With --force the tokens are deleted even if the server",
    "does not delete the agent; in that case delete it in the server's dashboard.",
    "RedFlag 0.2 lets only an administrator delete an agent.",
    "With --keep-server the server keeps the agent, and RedFlag's own agent can go",
    "on with its id: the tokens move into redflag-config.json in the state",
    "directory, and the command prints how to put that in place.",
  ],
  options: [
    { name: "force", summary: "Delete the tokens even if the server keeps the agent" },
    { name: "keep-server", summary: "Hand the agent back to RedFlag's own agent" },
    JSON_OPTION,
  ],
  maxArguments: 0,
  async run(system, given) {
    if (given.flags.has("keep-server") && given.flags.has("force")) {
      throw new UsageError('Cannot unregister: "--force" has no meaning with "--keep-server"');
    }
    const settings = await openSettings(system, given);
    // Its tokens go to the server that issued them, whatever server.url says now.
    const identity = await loadIdentity(system, settings.stateDirectory);
    if (identity === undefined) throw new NotRegisteredError("unregister");
    return given.flags.has("keep-server")
      ? await keepOnServer(system, settings, given)
      : await removeFromServer(system, settings, given, identity);
  },
};

async function removeFromServer(
  system: System,
  { config, stateDirectory }: CommandSettings,
  given: Arguments,
  identity: Identity,
): Promise<0> {
  const enrolment = { system, config, stateDirectory };
  const { deletedOnServer, whyNot } = await unregister(enrolment, identity, {
    evenIfUnreached: given.flags.has("force"),
  });
  const { agentId, serverUrl } = identity;
  const answer = {
    schema: "pennon.unregister/1",
    agent_id: agentId,
    server_url: serverUrl,
    deleted_on_server: deletedOnServer,
    redflag_config: null,
  };
  const text = `Unregistered ${agentId} from ${serverUrl}`;
  system.terminal.print(given.flags.has("json") ? safeJson(answer) : text);
  if (whyNot !== null) {
    system.terminal.printError(
      `The server did not delete the agent: ${whyNot}. Next: delete it in the server's dashboard`,
    );
  }
  return 0;
}

async function keepOnServer(
  system: System,
  { config, stateDirectory }: CommandSettings,
  given: Arguments,
): Promise<0> {
  const handed = await handBack({ system, config, stateDirectory });
  if (handed === undefined) throw new NotRegisteredError("unregister");
  const { identity: { agentId, serverUrl }, file, commands, strangeMachineId } = handed;
  if (given.flags.has("json")) {
    const answer = {
      schema: "pennon.unregister/1",
      agent_id: agentId,
      server_url: serverUrl,
      deleted_on_server: false,
      redflag_config: file,
      commands,
    };
    system.terminal.print(safeJson(answer));
  } else {
    system.terminal.print(
      `Forgot ${agentId} here; ${serverUrl} keeps it. Its tokens are in ${file}`,
    );
    if (commands.length > 0) {
      system.terminal.print("RedFlag's agent takes it over with:");
      for (const command of commands) system.terminal.print(`  ${command}`);
    }
  }
  if (strangeMachineId !== null) {
    system.terminal.printError(
      "pennon: the server may have another machine id of this host than RedFlag's agent sends. " +
        `Next: if it answers 403, let an administrator bind the agent to ${strangeMachineId}`,
    );
  }
  return 0;
}
