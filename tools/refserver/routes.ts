/** Which call goes where: routes, who may call, how often. */

import { type Backend, type Call, json, refuse } from "./backend.ts";
import { withoutDatabase } from "./database_outage.ts";
import { checkIn } from "./check_in.ts";
import type { Reply } from "./connection.ts";
import { register, renew, unregister } from "./enrolment.ts";
import type { WireRequest } from "./http_wire.ts";
import { setRapidMode } from "./rapid_mode.ts";
import type { RateLimits } from "./rate_limit.ts";
import { reportDependencies, reportLog, reportSystemInfo, reportUpdates } from "./reports.ts";

type Route = (backend: Backend, call: Call) => Reply | Promise<Reply>;

const AGENT_ROUTES = new Map<string, { run: Route; limited: boolean }>([
  ["GET commands", { run: checkIn, limited: false }],
  ["POST updates", { run: reportUpdates, limited: true }],
  ["POST logs", { run: reportLog, limited: true }],
  ["POST dependencies", { run: reportDependencies, limited: true }],
  ["POST system-info", { run: reportSystemInfo, limited: true }],
  ["POST rapid-mode", { run: setRapidMode, limited: true }],
  ["DELETE ", { run: unregister, limited: false }],
]);

/** Answers a request as the real server does. */
export async function route(
  backend: Backend,
  request: WireRequest,
  fromAddress: string,
): Promise<Reply> {
  const nowMs = backend.nowMs();
  const call: Call = { request, agentId: "", nowMs };
  if (!backend.isDatabaseDown()) backend.store.commands.expire(nowMs);
  switch (`${request.method} ${request.path}`) {
    case "GET /health":
    case "GET /api/health":
      return json(200, { status: "healthy" });
    case "POST /api/v1/agents/register":
      return await limited(backend, call, { kind: "register", who: fromAddress, run: register });
    case "POST /api/v1/agents/renew":
      return await limited(backend, call, { kind: "public", who: fromAddress, run: renew });
  }
  const [, agentId, what = ""] = /^\/api\/v1\/agents\/([^/]+)(?:\/([^/]+))?$/.exec(request.path) ??
    [];
  const found = AGENT_ROUTES.get(`${request.method} ${what}`);
  if (agentId === undefined || !found || (backend.old && what === "system-info")) {
    const isNewer = NEWER_ROUTES.has(`${request.method} ${what}`) || LOOK_UPS.test(request.path);
    if (!backend.old && !isNewer) backend.log.violate(request, "no such route");
    return { status: 404, headers: { "Content-Type": "text/plain" }, body: NOT_FOUND, summary: "" };
  }
  return await authorized(backend, { ...call, agentId }, found);
}

/** Routes of 0.2: an agent finds out by asking, now and then, that this server has none of them. */
const NEWER_ROUTES: ReadonlySet<string> = new Set([
  "GET config",
  "POST storage-metrics",
  "POST metrics",
  "POST circuit-breakers",
  "POST events",
]);

const NOT_FOUND = "404 page not found";

/** What an agent has to ask in order to learn that this server has none of it. */
const LOOK_UPS = /^\/api\/v1\/public-keys?$/;

async function authorized(
  backend: Backend,
  call: Call,
  found: { run: Route; limited: boolean },
): Promise<Reply> {
  const header = call.request.headers.get("authorization");
  const authorization = await backend.tokens.check(header, call.nowMs);
  if (!authorization.ok) return json(401, { error: authorization.error }, authorization.error);
  if (authorization.agentId !== call.agentId) {
    return refuse(backend, call, { status: 403, error: "token belongs to another agent" });
  }
  const run = backend.isDatabaseDown() ? withoutDatabase : found.run;
  if (!found.limited) return await run(backend, call);
  return await limited(backend, call, { kind: "agent", who: call.agentId, run });
}

async function limited(
  backend: Backend,
  call: Call,
  options: { kind: keyof RateLimits; who: string; run: Route },
): Promise<Reply> {
  const { kind, who, run } = options;
  const limit = backend.limits[kind];
  const verdict = backend.limiter.take(`${kind} ${who}`, limit, call.nowMs);
  const reply = verdict.allowed
    ? await run(backend, call)
    : json(429, { error: "Rate limit exceeded", limit, window: "1m0s" }, "rate limit exceeded");
  return { ...reply, headers: { ...reply.headers, ...verdict.headers } };
}
