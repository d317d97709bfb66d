/**
 * The agent protocol's bodies: what is sent, and the shapes an answer must have before anything
 * believes it. RedFlag server, v0.1.18 and later.
 */

import * as v from "valibot";
import type { ReadShape } from "./answer.ts";

/** Longest text believed in an answer's field: ids and tokens are far shorter. */
const TEXT_LIMIT = 8_192;

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(TEXT_LIMIT));

/** Ids go into URLs and file names, so only what can do no harm there is an id. */
const id = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/));

const registration = v.object({
  agent_id: id,
  token: text,
  refresh_token: text,
  config: v.optional(v.nullable(v.object({
    check_in_interval: v.optional(v.nullable(v.number())),
  }))),
});

/**
 * One command. The server never repeats it, so whatever has an id is taken: what is wrong with the
 * rest of it can then be reported, instead of leaving it to time out.
 */
const command = v.object({
  id,
  type: v.fallback(v.pipe(v.string(), v.minLength(1), v.maxLength(100)), "unreadable"),
  params: v.fallback(v.record(v.string(), v.unknown()), {}),
});

/** One command of the server's. */
export type ServerCommand = v.InferOutput<typeof command>;

/** More commands than a server hands over at once; the rest would be an attack. */
const COMMANDS_LIMIT = 1_000;

const checkIn = v.object({
  // RedFlag's Go server sends null for an empty list.
  commands: v.pipe(v.nullable(v.array(v.unknown())), v.transform(readCommands)),
  rapid_polling: v.fallback(
    v.nullish(v.object({ enabled: v.boolean(), until: v.nullish(v.string()) })),
    null,
  ),
  acknowledged_ids: v.fallback(v.nullish(v.array(id)), null),
});

function readCommands(list: unknown[] | null): ServerCommand[] {
  return (list ?? []).slice(0, COMMANDS_LIMIT).flatMap((item) => {
    const result = v.safeParse(command, item);
    return result.success ? [result.output] : [];
  });
}

/** The answer to a registration. */
export type Registration = v.InferOutput<typeof registration>;

/** The answer to a check-in. */
export type CheckInAnswer = v.InferOutput<typeof checkIn>;

/** Whether a server that answered `/health` can be worked with. */
export interface Health {
  readonly usable: boolean;
  readonly status: string;
}

export const readRegistration: ReadShape<Registration> = shape(registration);
export const readCheckIn: ReadShape<CheckInAnswer> = shape(checkIn);
export const readRenewal: ReadShape<{ token: string }> = shape(v.object({ token: text }));

/** Any JSON object will do: the status has said it all. */
export const readAnyObject: ReadShape<Record<string, unknown>> = shape(
  v.pipe(
    v.unknown(),
    v.check((json) => !Array.isArray(json)),
    v.record(v.string(), v.unknown()),
  ),
);

/**
 * A log that a server after v0.1.18 turns away with 409 because its command is over already: it has
 * the result. Of one that the server itself has given up (`timed_out`) it has none.
 */
export const readEndedCommand: ReadShape<unknown> = shape(
  v.object({ current_status: v.picklist(["completed", "failed"]) }),
);

/** A server that is up but not set up answers 200 too: only its word tells. */
export const readHealth: ReadShape<Health> = (json) => {
  const read = shape(v.object({ status: v.pipe(v.string(), v.maxLength(200)) }))(json);
  return read && { usable: read.status === "healthy", status: read.status };
};

function shape<T>(schema: v.GenericSchema<unknown, T>): ReadShape<T> {
  return (json) => {
    const result = v.safeParse(schema, json);
    return result.success ? result.output : undefined;
  };
}

/** Body of `POST /agents/register`; cut to the server's columns by whoever fills it. */
export interface RegisterBody {
  readonly hostname: string;
  readonly os_type: "linux" | "windows" | "macos";
  readonly os_version: string;
  readonly os_architecture: string;
  readonly agent_version: string;
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
  /** Commands whose result may have got lost: those that the server has are in its answer. */
  readonly pending_acknowledgments?: readonly string[];
  readonly metadata: {
    /** The server asserts this type and panics at another. */
    readonly rapid_polling_enabled: boolean;
    /** RFC 3339; the server asserts a string. */
    readonly rapid_polling_until?: string;
    readonly [name: string]: string | number | boolean | undefined;
  };
}

/** Body of `POST /agents/{id}/logs`. A command's last word is never `partial`. */
export interface LogBody {
  readonly command_id: string;
  readonly action: string;
  readonly result: "success" | "failed" | "partial";
  readonly stdout: string;
  readonly stderr: string;
  readonly exit_code: number;
  readonly duration_seconds: number;
}
