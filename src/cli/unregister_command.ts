/** `pennon unregister`: deletes the agent on the server, and its tokens on this host. */

import { unregister } from "../agent/enrol.ts";
import { safeJson } from "../strip_controls.ts";
import { type CliCommand, JSON_OPTION } from "./command.ts";
import { openIdentity, openSettings } from "./command_setup.ts";

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
