/** `pennon unregister`: deletes the agent on the server and forgets its tokens. */

import { unregister } from "../agent/enrol.ts";
import type { CliCommand } from "./command.ts";
import { openIdentity } from "./registered.ts";
import { openSettings } from "./settings.ts";

export const unregisterCommand: CliCommand = {
  name: "unregister",
  summary: "Delete the agent on the server and forget its tokens",
  usage: "[--force]",
  details: [
    "Stop the agent first. With --force the tokens are forgotten even if the",
    "server cannot be told; delete the agent in its dashboard then.",
  ],
  options: [{ name: "force", summary: "Forget the tokens although the server was not reached" }],
  maxArguments: 0,
  async run(system, given) {
    const settings = await openSettings(system, given);
    const identity = await openIdentity(system, settings, "unregister");
    const { config, stateDirectory } = settings;
    const { deletedOnServer } = await unregister({ system, config, stateDirectory }, identity, {
      evenIfUnreached: given.flags.has("force"),
    });
    system.terminal.print(`Unregistered ${identity.agentId} from ${identity.serverUrl}`);
    if (!deletedOnServer) {
      system.terminal.printError("The server was not told: delete the agent in its dashboard");
    }
    return 0;
  },
};
