/** What an agent's requests get while the server cannot reach its database. */

import { type Backend, type Call, json } from "./backend.ts";
import type { Reply } from "./connection.ts";

/**
 * The answer of RedFlag 0.1.18 (internal/api/handlers/agents.go, updates.go). Check-ins and reports
 * begin with `UpdateAgentLastSeen`; host facts begin with `GetAgentByID`, whose every error is taken
 * for "no such agent".
 */
export function withoutDatabase(_backend: Backend, { request }: Call): Reply {
  return request.path.endsWith("/system-info") || request.path.endsWith("/rapid-mode")
    ? json(404, { error: "agent not found" }, "no database")
    : json(500, { error: "failed to update last seen" }, "no database");
}
