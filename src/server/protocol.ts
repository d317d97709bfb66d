/**
 * The bodies of the agent protocol: what is sent, and the shapes that answers must have; and the life of
 * an access token. RedFlag server, v0.1.18 and later.
 */

import * as v from "valibot";
import { agentIdSchema, tokenSchema } from "../credentials.ts";
import { decodeJson } from "../json.ts";
import type { ReadBody } from "./answer.ts";
import { cut } from "./limits.ts";
import { LAST_INSTANT_MS } from "../system/system.ts";

const registration = v.object({
  agent_id: agentIdSchema,
  token: tokenSchema,
  refresh_token: tokenSchema,
  // The server has enrolled the agent already, so an invalid interval is ignored.
  config: v.fallback(
    v.object({ check_in_interval: v.fallback(v.nullish(v.number(), null), null) }),
    { check_in_interval: null },
  ),
});

const renewal = v.object({
  token: tokenSchema,
  // RedFlag 0.1 sends none. An invalid one is ignored: the old one still leads to another one (0.2).
  refresh_token: v.fallback(v.optional(tokenSchema), undefined),
});

/** The answer to a registration. */
export type Registration = v.InferOutput<typeof registration>;

/** The answer to a renewal. */
export type Renewal = v.InferOutput<typeof renewal>;

/** Whether a server that answered `/health` is set up. */
export interface Health {
  readonly usable: boolean;
  readonly status: string;
}

export const readRegistration: ReadBody<Registration> = (body) => decodeJson(registration, body);
export const readRenewal: ReadBody<Renewal> = (body) => decodeJson(renewal, body);

const anyObject = v.pipe(
  v.unknown(),
  v.check((json) => !Array.isArray(json), "is an array"),
  v.record(v.string(), v.unknown()),
);

/** A good answer whatever else it contains; a gateway may say of a failure of its own that all is well. */
const good = v.pipe(
  anyObject,
  v.check(({ error }) => typeof error !== "string" || error === "", "says of an error"),
);

/** Accepts any JSON object that says of no error: otherwise only the status matters. */
export const readAnyObject: ReadBody<unknown> = (body) => decodeJson(good, body);

/** What became of a report. All fields are absent if the server has simply stored it. */
export interface ReportAnswer {
  /** Of a log: the state in which its command had ended before, by a first log or without the agent. */
  readonly endedAs?: EndState;
  /** Why the server has not stored all of the events in a report. */
  readonly notStored?: string;
  /** Why the command is still open although the log is stored: it is to be sent again. */
  readonly openBecause?: string;
}

/** The states of a command that takes no log any more (RedFlag 0.2.9). */
const END_STATES = ["completed", "failed", "timed_out", "cancelled", "archived_failed"] as const;

type EndState = typeof END_STATES[number];

const endedCommand = v.pipe(
  v.object({ current_status: v.picklist(END_STATES) }),
  v.transform(({ current_status }): ReportAnswer => ({ endedAs: current_status })),
);

/** Accepts a server's 409 (after v0.1.18) for the log of a command that has ended: it takes no other. */
export const readEndedCommand: ReadBody<ReportAnswer> = (body) => decodeJson(endedCommand, body);

/** Longest reason of a server that asks for a report again, in characters. */
const REASON_LIMIT = 200;

const storedReport = v.pipe(
  good,
  v.transform(({ should_retry, reason }): ReportAnswer =>
    should_retry === true
      ? { openBecause: typeof reason === "string" ? cut(reason, REASON_LIMIT) : "" }
      : {}
  ),
);

/** Accepts a good answer: the server has stored the report, and may ask for it again. */
export const readStoredReport: ReadBody<ReportAnswer> = (body) => decodeJson(storedReport, body);

/** PostgreSQL's words on a row that is there already; in any language they name the constraint. */
const STORED_BEFORE = /duplicate key|\bsystem_events_pkey\b/;

const takenEvents = v.pipe(
  v.object({
    accepted: v.number(),
    rejected: v.number(),
    errors: v.fallback(v.array(v.string()), []),
  }),
  v.transform(({ errors }): ReportAnswer => {
    const notStored = errors.find((why) => !STORED_BEFORE.test(why));
    return notStored === undefined ? {} : { notStored: cut(notStored, REASON_LIMIT) };
  }),
);

/**
 * Accepts what RedFlag 0.2 says of a page of events one by one, whatever the status: each is stored, was
 * stored before, or was rejected by the database for any reason. A page that is repeated as a whole gets a
 * 500 of this shape; so does one for which there is no room.
 */
export const readTakenEvents: ReadBody<ReportAnswer> = (body) => decodeJson(takenEvents, body);

const storedEvents = v.union([takenEvents, storedReport]);

/** Accepts a good answer to a report of events, one by one or to all of them. */
export const readStoredEvents: ReadBody<ReportAnswer> = (body) => decodeJson(storedEvents, body);

/** Longest status of a server's health, in characters. */
const HEALTH_LIMIT = 200;

const health = v.pipe(
  v.object({ status: v.string() }),
  v.transform(({ status }): Health => ({
    usable: status === "healthy",
    status: cut(status, HEALTH_LIMIT),
  })),
);

/** A server that is up but not set up answers 200 too, with another status. */
export const readHealth: ReadBody<Health> = (body) => decodeJson(health, body);

/** Body of `POST /agents/register`; the texts fit the server's columns already. */
export interface RegisterBody {
  readonly hostname: string;
  readonly os_type: "linux" | "windows" | "macos";
  readonly os_version: string;
  readonly os_architecture: string;
  readonly agent_version: string;
  /** RedFlag 0.2 binds the agent to it: without it, every later call is refused. */
  readonly machine_id: string;
  /** The server reads any word that it does not know as `server`. */
  readonly device_type: "server" | "desktop" | "laptop" | "vm" | "container";
  readonly device_model?: string;
  readonly os_distro?: string;
  /** In the server's names: RedFlag 0.2 sends scans for these alone. */
  readonly available_scanners: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** Body of the check-in. */
export interface CheckInBody {
  readonly cpu_percent?: number;
  readonly memory_percent?: number;
  readonly memory_used_gb?: number;
  readonly memory_total_gb?: number;
  readonly disk_used_gb?: number;
  readonly disk_total_gb?: number;
  readonly disk_percent?: number;
  readonly uptime?: string;
  readonly version: string;
  /** Commands whose result may have been lost; the answer lists those that the server has. */
  readonly pending_acknowledgments?: readonly string[];
  /** Commands that are on disk: the server no longer hands them over. Servers after v0.1.18 read it. */
  readonly received_command_ids?: readonly string[];
  /** The server's names of the package managers on this host; `subsystems.ts`. */
  readonly available_scanners?: readonly string[];
  readonly metadata: {
    /** The server asserts this type and panics at another. */
    readonly rapid_polling_enabled: boolean;
    /** RFC 3339; the server asserts a string. */
    readonly rapid_polling_until?: string;
    readonly [name: string]: string | number | boolean | undefined;
  };
}

/**
 * Body of `POST /agents/{id}/logs`. The server knows more results, and all of them leave the command
 * open or are stored as another one.
 */
export interface LogBody {
  readonly command_id: string;
  readonly action: string;
  readonly result: "success" | "failed";
  readonly stdout: string;
  readonly stderr: string;
  readonly exit_code: number;
  readonly duration_seconds: number;
}

/** A token's life as it states it, in ms since the epoch. */
interface TokenLife {
  readonly startMs: number;
  readonly endMs: number;
}

/** Assumed life of a token that does not contain its start. */
const USUAL_LIFE_MS = 24 * 3_600_000;

/** The last instant that a `Date` can hold (ECMA-262, time values), in seconds. */
const LAST_INSTANT_S = LAST_INSTANT_MS / 1_000;

const instant = v.pipe(v.number(), v.minValue(0), v.maxValue(LAST_INSTANT_S));

const claims = v.object({ exp: instant, iat: v.fallback(v.nullish(instant, null), null) });

/** Reads `iat` and `exp` (RFC 7519, section 4.1); `null` if it is no JWT, or `exp` is no valid date. */
export function readTokenLife(accessToken: string): TokenLife | null {
  const payload = decodePayload(accessToken);
  const read = payload === null ? null : decodeJson(claims, payload);
  // A token without an end is renewed when the server answers 401.
  if (!read?.ok) return null;
  const { iat, exp } = read.value;
  const endMs = exp * 1_000;
  const startMs = iat !== null && iat < exp ? iat * 1_000 : endMs - USUAL_LIFE_MS;
  return { startMs, endMs };
}

/** The JSON text in the middle of a JWT in its compact form (RFC 7519, section 3). */
function decodePayload(token: string): string | null {
  const [, payload, signature, ...rest] = token.split(".");
  if (payload === undefined || signature === undefined || rest.length > 0) return null;
  try {
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    return new TextDecoder().decode(Uint8Array.from(binary, (byte) => byte.charCodeAt(0)));
  } catch {
    return null; // It is not base64.
  }
}
