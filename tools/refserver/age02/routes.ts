/** Which call goes where at a server of 0.2, and what each passes before it is acted upon. */

import type { Call } from "../backend.ts";
import type { Reply } from "../connection.ts";
import type { WireRequest } from "../http_wire.ts";
import { bearerToken } from "../tokens.ts";
import { answer, type Backend02, type Handler } from "./backend.ts";
import { isUuid } from "./bodies.ts";
import { fetchTokens, reportReceipt } from "./capability_routes.ts";
import { checkIn } from "./check_in.ts";
import { reportDependencies } from "./dependencies.ts";
import { register, renew } from "./enrolment.ts";
import { reportEvents, reportSecurityEvents } from "./events.ts";
import { refuseAtGate } from "./gate.ts";
import { reportLog } from "./logs.ts";
import { health, info, noRoute, publicKey, publicKeys } from "./public_routes.ts";
import { limited, type RateGroup } from "./rate_groups.ts";
import {
  getConfig,
  reportBreakers,
  reportDocker,
  reportInventory,
  reportMetrics,
  reportProcesses,
  reportStorage,
  reportSystemInfo,
  setRapidMode,
} from "./reports.ts";
import { sweep } from "./timeouts.ts";
import { reportUpdates } from "./updates.ts";

/** An agent's route. `of`: whose agent the handler means, the token's or, uncompared, the path's. */
interface AgentRoute {
  readonly run: Handler;
  readonly group: RateGroup | undefined;
  readonly of: "token" | "path";
}

const report = (run: Handler, of: "token" | "path" = "token"): AgentRoute => ({
  run,
  group: "agent",
  of,
});

const AGENT_ROUTES: ReadonlyMap<string, AgentRoute> = new Map([
  ["GET commands", { run: checkIn, group: "checkin", of: "token" }],
  ["GET capability-tokens", { run: fetchTokens, group: "checkin", of: "token" }],
  ["POST capability-tokens/receipt", report(reportReceipt)],
  ["GET config", { run: getConfig, group: undefined, of: "path" }],
  ["POST updates", report(reportUpdates)],
  ["POST logs", report(reportLog)],
  ["POST dependencies", report(reportDependencies)],
  ["POST system-info", report(reportSystemInfo)],
  ["POST rapid-mode", report(setRapidMode, "path")],
  ["POST metrics", report(reportMetrics)],
  ["POST docker-images", report(reportDocker)],
  ["POST storage-metrics", report(reportStorage)],
  ["POST process-scan", report(reportProcesses)],
  ["POST circuit-breakers", report(reportBreakers, "path")],
  ["POST events", report(reportEvents, "path")],
  ["POST security-events", report(reportSecurityEvents, "path")],
  ["POST inventory", report(reportInventory, "path")],
]);

const PUBLIC_ROUTES: ReadonlyMap<string, { run: Handler; group: RateGroup | undefined }> = new Map([
  ["GET /health", { run: health, group: undefined }],
  ["GET /api/health", { run: health, group: undefined }],
  ["GET /api/v1/info", { run: info, group: "public" }],
  ["GET /api/v1/public-key", { run: publicKey, group: "public" }],
  ["GET /api/v1/public-keys", { run: publicKeys, group: "public" }],
  ["POST /api/v1/agents/register", { run: register, group: "register" }],
  ["POST /api/v1/agents/renew", { run: renew, group: "public" }],
]);

/** What an administrator's session alone may do: agents ask for it and get 401. */
const ADMIN_ROUTES = [
  /^(GET|DELETE) \/api\/v1\/agents\/[^/]+$/,
  /^GET \/api\/v1\/(agents|updates|packages|logs|events)$/,
  /^GET \/api\/v1\/(agents\/[^/]+\/)?updates\/verify-hash$/,
];

/** Answers a request as the real server does; every answer tells the version and the time. */
export async function route02(
  backend: Backend02,
  request: WireRequest,
  fromAddress: string,
): Promise<Reply> {
  const nowMs = backend.nowMs();
  if (!backend.isDatabaseDown()) sweep(backend, nowMs);
  const reply = await dispatch(backend, { request, agentId: "", nowMs }, fromAddress);
  const headers = {
    "X-RedFlag-Version": backend.settings.serverVersion,
    "Date": new Date(nowMs).toUTCString(),
  };
  return { ...reply, headers: { ...headers, ...reply.headers } };
}

async function dispatch(backend: Backend02, call: Call, fromAddress: string): Promise<Reply> {
  const { request } = call;
  const line = `${request.method} ${request.path}`;
  const open = PUBLIC_ROUTES.get(line);
  if (open?.group !== undefined) {
    return await limited(backend, call, { run: open.run, group: open.group, who: fromAddress });
  }
  if (open) return await open.run(backend, call);
  if (ADMIN_ROUTES.some((admin) => admin.test(line))) return await refuseAgent(backend, call);
  const { pathId, what } = splitPath(request.path);
  const found = AGENT_ROUTES.get(`${request.method} ${what}`);
  if (pathId !== undefined && found) return await pass(backend, call, { pathId, found });
  const isProbe = request.path === "/api/v1/health";
  if (/^\/api\//.test(request.path) && !isProbe) backend.log.violate(request, "no such route");
  return noRoute(call);
}

function splitPath(path: string): { pathId?: string; what: string } {
  const receipt = /^\/api\/v1\/agents\/([^/]+)\/capability-tokens\/[^/]+\/receipt$/.exec(path);
  if (receipt) return { pathId: receipt[1]!, what: "capability-tokens/receipt" };
  const plain = /^\/api\/v1\/agents\/([^/]+)\/([^/]+)$/.exec(path);
  return plain ? { pathId: plain[1]!, what: plain[2]! } : { what: "" };
}

/** Token, machine and version, pool, rate limit, handler: in this order. */
async function pass(
  backend: Backend02,
  call: Call,
  { pathId, found }: { pathId: string; found: AgentRoute },
): Promise<Reply> {
  const header = call.request.headers.get("authorization");
  const authorization = await backend.tokens.check(header, call.nowMs);
  if (!authorization.ok) return answer(401, { error: authorization.error }, authorization.error);
  const { agentId } = authorization;
  if (agentId !== pathId) backend.log.violate(call.request, "the path names another agent");
  const refused = refuseAtGate(backend, call, agentId);
  if (refused) return refused;
  if (found.of === "path" && !isUuid(pathId)) return answer(400, { error: "invalid agent ID" });
  const meant = { ...call, agentId: found.of === "token" ? agentId : pathId };
  const { group, run } = found;
  if (group === undefined) return await run(backend, meant);
  return await limited(backend, meant, { run, group, who: pathId });
}

/** The dashboard's middleware, asked by an agent: its token is of the wrong type. */
async function refuseAgent(backend: Backend02, { request, nowMs }: Call): Promise<Reply> {
  const header = request.headers.get("authorization");
  if (!header) return answer(401, { error: "missing authorization header" });
  const token = bearerToken(header) ?? header;
  const { ok } = await backend.tokens.check(`Bearer ${token}`, nowMs);
  return answer(
    401,
    { error: ok ? "invalid token type" : "invalid token" },
    "not an agent's route",
  );
}
