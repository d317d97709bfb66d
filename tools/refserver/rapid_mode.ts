/** `POST /agents/{id}/rapid-mode`: an agent asks for rapid polling. */

import { type Backend, type Call, decode, json } from "./backend.ts";
import { RapidModeSchema } from "./bodies.ts";
import { instant } from "./check_in.ts";
import type { Reply } from "./connection.ts";

/** From now on the server believes in it, until a check-in does not say so. */
export function setRapidMode(backend: Backend, call: Call): Reply {
  const { agents } = backend.store;
  if (!agents.get(call.agentId)) return json(404, { error: "agent not found" });
  const decoded = decode(backend, call, RapidModeSchema);
  if ("reply" in decoded) return decoded.reply;
  const { enabled, duration_minutes } = decoded.value;
  const until = instant(call.nowMs + duration_minutes * 60_000);
  agents.setRapidUntil(call.agentId, enabled ? until : null);
  return json(200, {
    message: `Rapid polling mode ${enabled ? "enabled" : "disabled"}`,
    enabled,
    duration_minutes,
    rapid_polling_until: until,
  }, enabled ? `until ${until}` : "off");
}
