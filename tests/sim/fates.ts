/** What the faults of the moment mean for one request. */

import type { HttpRequest } from "../../src/system/http.ts";
import type { Random } from "../../src/system/system.ts";
import type { Fault } from "./episodes.ts";
import type { RequestFate } from "./sim_network.ts";

const WELL: RequestFate = { kind: "well" };

/** What takes an event; a sick part of the server, or a proxy, may break over these alone. */
const REPORT = /\/(updates|logs|dependencies|system-info)$/;

/** The world as far as a request's fate depends on it. */
export interface FateWorld {
  readonly random: Random;
  isActive(fault: Fault): boolean;
}

/** Draws what happens to a request. */
export function fateOf(world: FateWorld, request: HttpRequest): RequestFate {
  const { random } = world;
  const is = (fault: Fault) => world.isActive(fault);
  if (is("offline")) return { kind: "fails", reason: "offline" };
  if (is("dns")) return { kind: "fails", reason: "dns" };
  if (is("refused") || is("server_restart")) return { kind: "fails", reason: "refused" };
  if (is("hangs")) return { kind: "lost" };
  if (is("page")) return { kind: "page", status: random() < 0.5 ? 200 : 502 };
  if (is("redirect")) return { kind: "redirect" };
  if (is("unavailable")) return { kind: "status", status: 503, ...retryAfter(random) };
  if (is("burst_5xx")) {
    const status = [500, 502, 503, 504, 408][Math.floor(random() * 5)]!;
    return random() < 0.8 ? { kind: "status", status } : WELL;
  }
  if (is("reports_break") && REPORT.test(request.url)) {
    return { kind: "status", status: random() < 0.5 ? 500 : 404 };
  }
  const isHealth = request.url.endsWith("/health");
  if (is("limited") && !isHealth) return { kind: "status", status: 429, ...retryAfter(random) };
  if (is("late") && random() < 0.5) return { kind: "late" };
  if (is("repeated") && random() < 0.5) return { kind: "repeated" };
  if (is("requests_late") && random() < 0.3) {
    return { kind: "arrives_late", ms: random() * 120_000 };
  }
  if (is("lossy")) return lossy(random);
  return WELL;
}

/** Seconds, the useless 0, nonsense, or nothing. */
function retryAfter(random: Random): { retryAfter?: string } {
  const draw = random();
  if (draw < 0.5) return { retryAfter: String(Math.ceil(random() * 900)) };
  if (draw < 0.6) return { retryAfter: "0" };
  return draw < 0.7 ? { retryAfter: "soon" } : {};
}

function lossy(random: Random): RequestFate {
  const kinds = ["lost", "answer_lost", "stalls", "cut"] as const;
  const draw = random();
  if (draw < 0.4) return WELL;
  if (draw < 0.6) return { kind: "delayed", ms: random() * 60_000 };
  return { kind: kinds[Math.floor(random() * kinds.length)]! };
}
