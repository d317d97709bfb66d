/** What goes wrong with the server itself, and what its operators do to it: begins and ends. */

import type { Fault } from "./episodes.ts";
import type { SimServer } from "./sim_server.ts";

/** A version that no agent has. */
const UNREACHED_VERSION = "999.0.0";

/** Begins or ends a fault of the server; does nothing for others. */
export function setServerFault(server: SimServer, fault: Fault, isOn: boolean): void {
  switch (fault) {
    case "access_revoked":
      if (isOn) server.revokeAccess();
      return;
    case "all_401":
      server.refusesAll = isOn;
      return;
    case "not_configured":
      server.isConfigured = !isOn;
      return;
    case "database_down":
      server.isDatabaseDown = isOn;
      return;
    case "agent_deleted":
      server.isAgentDeleted = isOn;
      return;
    case "server_restart":
      if (!isOn) server.restart();
      return;
    case "pool_saturated":
      server.isPoolSaturated = isOn;
      return;
    case "cannot_close":
      server.cannotClose = isOn;
      return;
    case "minimum_raised":
      server.lowestVersion = isOn ? UNREACHED_VERSION : null;
      return;
    case "bound_elsewhere":
      server.isBoundElsewhere = isOn;
      return;
  }
}
