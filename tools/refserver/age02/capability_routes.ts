/** How an agent fetches capability tokens, and what it says it did with them. */

import type { Call } from "../backend.ts";
import type { Reply } from "../connection.ts";
import { answer, type Backend02, read } from "./backend.ts";
import { isUuid, ReceiptSchema } from "./bodies.ts";

/** `GET /agents/{id}/capability-tokens`: an answer that is lost has taken its tokens with it. */
export function fetchTokens(backend: Backend02, call: Call): Reply {
  if (!backend.settings.signing) return answer(503, { error: "capability gate not enabled" });
  const tokens = backend.capabilities.deliver(call.agentId, call.nowMs);
  return answer(200, { tokens }, `${tokens.length} capability tokens`);
}

/** `POST /agents/{id}/capability-tokens/{token_id}/receipt`: only what is executed installs. */
export function reportReceipt(backend: Backend02, call: Call): Reply {
  if (!backend.settings.signing) return answer(503, { error: "capability gate not enabled" });
  const tokenId = call.request.path.split("/").at(-2)!;
  if (!isUuid(tokenId)) {
    backend.log.violate(call.request, "token id is no UUID");
    return answer(400, { error: "invalid token_id" });
  }
  const decoded = read(backend, call, ReceiptSchema, "invalid receipt body");
  if ("reply" in decoded) return decoded.reply;
  const stored = backend.capabilities.get(tokenId);
  if (!stored) return answer(404, { error: "token not found" });
  if (stored.token.agent_id !== call.agentId) {
    backend.log.violate(call.request, "receipt for another agent's token");
    return answer(403, { error: "token not bound to this agent" });
  }
  if (stored.consumedAtMs !== null) {
    return answer(409, { error: "duplicate receipt — token already consumed" });
  }
  const receipt = decoded.value;
  if (!["executed", "denied", "failed"].includes(receipt.decision)) {
    backend.log.violate(call.request, `decision "${receipt.decision}" means nothing here`);
  }
  backend.capabilities.consume(tokenId, receipt, call.nowMs);
  const known = backend.store.reports.getPackage(stored.updateId);
  if (known) {
    const isInstalled = receipt.decision === "executed" && receipt.exit_code === 0;
    backend.packages.move(known, isInstalled ? "installed" : "failed");
  }
  return answer(200, { message: "receipt recorded" }, `${receipt.decision}, ${receipt.exit_code}`);
}
