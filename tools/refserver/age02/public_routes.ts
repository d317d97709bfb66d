/** What a server of 0.2 answers to anybody: whether it is well, what it is, its signing keys, its pages. */

import type { Call } from "../backend.ts";
import type { Reply } from "../connection.ts";
import type { WireRequest } from "../http_wire.ts";
import { answer, type Backend02 } from "./backend.ts";

const PAGE = "<!doctype html><html><head><title>RedFlag</title></head>" +
  '<body><div id="root"></div></body></html>';

/** `GET /health`, `GET /api/health`: whatever the database does. */
export function health(backend: Backend02): Reply {
  return answer(200, { status: "healthy", version: backend.settings.serverVersion });
}

/** `GET /api/v1/info`. */
export function info(backend: Backend02): Reply {
  const { serverVersion, infoMinAgentVersion, latestAgentVersion } = backend.settings;
  return answer(200, {
    version: serverVersion,
    latest_agent_version: latestAgentVersion,
    min_agent_version: infoMinAgentVersion,
    name: "RedFlag Aggregator",
    description: "Self-hosted update management platform",
    features: [
      "agent_management",
      "update_tracking",
      "command_execution",
      "ed25519_signing",
      "key_rotation",
    ],
  });
}

/** `GET /api/v1/public-key`: the primary key. */
export function publicKey(backend: Backend02): Reply {
  if (!backend.settings.signing) {
    return answer(503, {
      error: "signing service not configured",
      hint: "Set REDFLAG_SIGNING_PRIVATE_KEY environment variable",
    });
  }
  const { publicKey: key, keyId, version } = backend.keys.primary();
  return answer(200, {
    public_key: key,
    fingerprint: keyId,
    algorithm: "ed25519",
    key_size: 32,
    key_id: keyId,
    version: backend.isDatabaseDown() ? 1 : version,
  }, keyId);
}

/** `GET /api/v1/public-keys`: the active keys; without a database, the primary one alone. */
export function publicKeys(backend: Backend02): Reply {
  if (!backend.settings.signing) return answer(503, { error: "signing service not configured" });
  const isDown = backend.isDatabaseDown();
  const keys = isDown ? [{ ...backend.keys.primary(), version: 1 }] : backend.keys.active();
  return answer(
    200,
    keys.map(({ keyId, publicKey, isPrimary, version }) => ({
      key_id: keyId,
      public_key: publicKey,
      is_primary: isPrimary,
      version,
      algorithm: "ed25519",
    })),
    `${keys.length} keys`,
  );
}

/** What no route answers: JSON under `/api/`, the embedded page for any other GET. */
export function noRoute({ request }: Call): Reply {
  return isPage(request) ? page() : answer(404, { error: "not found" });
}

/** Answers while the server is not set up: there are no agent routes at all. */
export function welcome(request: WireRequest): Reply {
  const { method, path } = request;
  if (method === "GET" && /^\/(api\/)?health$|^\/api\/v1\/health$/.test(path)) {
    return answer(200, { status: "waiting for configuration" });
  }
  return isPage(request) ? page() : answer(404, { error: "not found" });
}

function isPage({ method, path }: WireRequest): boolean {
  return method === "GET" && !/^\/api\/|^\/(metrics|health)$/.test(path);
}

function page(): Reply {
  const headers = { "Content-Type": "text/html; charset=utf-8" };
  return { status: 200, headers, body: PAGE, summary: "the embedded page" };
}
