/** The way to the server in the simulator, and everything that can happen to a request on it. */

import { HttpError, type HttpErrorReason } from "../../src/system/http.ts";
import type { HttpRequest, HttpResponse } from "../../src/system/http.ts";
import type { SimClock } from "./sim_clock.ts";
import type { SimServer } from "./sim_server.ts";
import { response } from "../fakes/response.ts";

/** What happens to one request. */
export type RequestFate =
  | { readonly kind: "well" }
  /** Nobody listens, the name does not resolve, or nothing leaves the host. */
  | { readonly kind: "fails"; readonly reason: HttpErrorReason }
  /** It never arrives. */
  | { readonly kind: "lost" }
  /** The server acts; its answer never arrives, stalls half-way or is cut off. */
  | { readonly kind: "answer_lost" | "stalls" | "cut" }
  | { readonly kind: "delayed"; readonly ms: number }
  /** The answer comes after twice the time limit, past everything that promises to end a call. */
  | { readonly kind: "late" }
  /** The server acts so long after the agent has given up. */
  | { readonly kind: "arrives_late"; readonly ms: number }
  /** The server acts; its answer comes when the story says so, if ever. */
  | { readonly kind: "held" }
  | { readonly kind: "status"; readonly status: number; readonly retryAfter?: string }
  | { readonly kind: "page"; readonly status: number }
  | { readonly kind: "redirect" }
  | { readonly kind: "repeated" };

/** Fates with which the server acts, and the agent does not know when, or whether. */
const UNKNOWN: ReadonlySet<RequestFate["kind"]> = new Set([
  ...["answer_lost", "stalls", "cut", "late", "held", "repeated"] as const,
]);

/** For how long the server may yet act on a request without the agent's knowledge; `null`: it knows. */
export function unknownForMs(fate: RequestFate, { timeoutMs }: HttpRequest): number | null {
  if (fate.kind === "arrives_late") return timeoutMs + fate.ms;
  return UNKNOWN.has(fate.kind) ? 0 : null;
}

const PAGE = "<html><body>Please log in</body></html>";

/** Carries one request by its fate. */
export async function carry(
  request: HttpRequest,
  fate: RequestFate,
  world: { clock: SimClock; server: SimServer; cutOff: AbortSignal; release: Promise<void> },
): Promise<HttpResponse> {
  const { clock, server, cutOff } = world;
  const wait = async (ms: number) => {
    const signals = [cutOff, ...(request.signal ? [request.signal] : [])];
    try {
      await clock.sleep(ms, signals.length === 1 ? cutOff : AbortSignal.any(signals));
    } catch {
      throw failure(request.signal?.aborted ? "aborted" : "cut_off");
    }
  };
  const answer = (status: number, body: string, headers: Record<string, string> = {}) => {
    const date = new Date(clock.serverNowMs).toUTCString();
    return response(status, body, { date, ...headers });
  };
  switch (fate.kind) {
    case "well":
      return server.handle(request);
    case "fails":
      throw failure(fate.reason);
    case "lost":
      await wait(request.timeoutMs);
      throw failure("timeout");
    case "answer_lost":
    case "stalls":
      server.handle(request);
      await wait(request.timeoutMs);
      throw failure("timeout");
    case "cut":
      server.handle(request);
      throw failure("cut_off");
    case "delayed":
      await wait(Math.min(fate.ms, request.timeoutMs));
      if (fate.ms >= request.timeoutMs) throw failure("timeout");
      return server.handle(request);
    case "late": {
      const late = server.handle(request);
      await clock.sleep(2 * request.timeoutMs, cutOff).catch(() => {});
      if (cutOff.aborted) throw failure("cut_off");
      return late;
    }
    case "arrives_late":
      clock.inWorld(request.timeoutMs + fate.ms, () => server.handleLate(request));
      await wait(request.timeoutMs);
      throw failure("timeout");
    case "held": {
      const held = server.handle(request);
      await world.release;
      return held;
    }
    case "status": {
      const headers = fate.retryAfter === undefined ? {} : { "retry-after": fate.retryAfter };
      return answer(fate.status, '{"error":"not now"}', headers);
    }
    case "page":
      return answer(fate.status, PAGE);
    case "redirect":
      return answer(302, "", { location: "http://login.invalid/" });
    case "repeated":
      return request.url.endsWith("/commands") ? server.repeatCheckIn() : server.handle(request);
  }
}

function failure(reason: HttpErrorReason): HttpError {
  return new HttpError(`Cannot reach the server: ${reason}`, { reason });
}
