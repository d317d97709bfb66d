/** `pennon unregister`: deletes the agent on the server and forgets its tokens. */

import { unregister } from "../agent/enrol.ts";
import type { CliCommand } from "./command.ts";
import { openIdentity } from "./registered.ts";
import { openSettings } from "./settings.ts";
import { safeJson } from "../strip_controls.ts";

export const unregisterCommand: CliCommand = {
  usage: "[--force] [--json]",
  details: [
    "Stop the agent first. With --force the tokens are forgotten even if the",
    "server cannot be told; delete the agent in its dashboard then.",
  ],
  options: [
    { name: "force", summary: "Forget the tokens although the server was not reached" },
    { name: "json", summary: "Answer in JSON" },
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
    system.terminal.print(
      given.flags.has("json")
        ? safeJson({
          schema: "pennon.unregister/1",
          agent_id: agentId,
          server_url: serverUrl,
          deleted_on_server: deletedOnServer,
        })
        : `Unregistered ${agentId} from ${serverUrl}`,
    );
    if (!deletedOnServer) {
      system.terminal.printError("The server was not told: delete the agent in its dashboard");
    }
    return 0;
  },
};
