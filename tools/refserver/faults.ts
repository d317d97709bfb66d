/** The faults the reference server can be told to have, and which request meets one. */

import * as v from "valibot";
import type { Random } from "../../src/system/system.ts";

const MAX_DELAY_MS = 3_600_000;

/**
 * Which requests: those whose path the expression matches, each with so much of a chance, so many,
 * then healthy again.
 */
const which = {
  chance: v.exactOptional(v.pipe(v.number(), v.minValue(0), v.maxValue(1))),
  path: v.exactOptional(v.pipe(v.string(), v.maxLength(500), v.check(isExpression, "no regexp"))),
  count: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1))),
};

const simple = <Mode extends string>(mode: Mode) =>
  v.strictObject({ mode: v.literal(mode), ...which });

/** A fault as it is set, over the control port too. Unknown keys are refused: a typo is loud. */
export const FaultSchema = v.variant("mode", [
  v.strictObject({ mode: v.literal("none") }),
  v.strictObject({ mode: v.literal("refuse") }),
  v.strictObject({ mode: v.literal("waiting_for_configuration") }),
  v.strictObject({ mode: v.literal("database_down") }),
  simple("reset"),
  simple("hang"),
  simple("stall"),
  simple("cut"),
  simple("lost_answer"),
  v.strictObject({
    mode: v.literal("status"),
    status: v.picklist([401, 403, 404, 408, 413, 429, 500, 502, 503, 504]),
    retryAfter: v.exactOptional(v.pipe(v.string(), v.regex(/^[\x20-\x7e]*$/), v.maxLength(200))),
    ...which,
  }),
  v.strictObject({
    mode: v.literal("html"),
    status: v.optional(v.picklist([200, 502]), 502),
    ...which,
  }),
  v.strictObject({
    mode: v.literal("slow"),
    delayMs: v.pipe(v.number(), v.minValue(0), v.maxValue(MAX_DELAY_MS)),
    ...which,
  }),
  v.strictObject({
    mode: v.literal("redirect"),
    location: v.optional(
      v.pipe(v.string(), v.regex(/^[\x21-\x7e]+$/)),
      "http://login.invalid/?from=update-server",
    ),
    ...which,
  }),
]);

/**
 * A fault.
 *
 * `none`: healthy. `refuse`: nobody listens. `reset`: accepts, reads the request's first line, tears
 * the connection down (end of file, and a TCP reset right behind it). `hang`: reads the request, never answers. `stall`: acts, sends half the body, then
 * nothing. `cut`: acts, sends half the body, closes. `lost_answer`: acts, closes without a word.
 * `status`, `html`, `redirect`: a proxy answers, nothing is done. `slow`: waits, then as usual.
 * `waiting_for_configuration`: up, but not set up: `/health` says so, all else is 404.
 * `database_down`: the server runs without its database, as RedFlag 0.1.18 does: `/health` is well,
 * tokens are still checked, check-ins and reports are 500, registration and renewal 401.
 */
export type Fault = v.InferOutput<typeof FaultSchema>;

/** A fault as a caller writes it, defaults left out. */
export type FaultInput = v.InferInput<typeof FaultSchema>;

/** A fault that a single request can meet. */
export type RequestFault = Exclude<Fault, { mode: "none" | "refuse" }>;

/** The one fault that is set, and how many requests it is still for. */
export class FaultPlan {
  readonly #random: Random;
  #fault: Fault = { mode: "none" };
  #left = Infinity;

  constructor(random: Random = Math.random) {
    this.#random = random;
  }

  /** What is set now; `none` once its requests are used up. */
  get fault(): Fault {
    return this.#fault;
  }

  /** Sets a fault in place of the one before. @throws {TypeError} if it is none */
  set(input: FaultInput): Fault {
    const parsed = v.safeParse(FaultSchema, input);
    if (!parsed.success) throw new TypeError(`Cannot set fault: ${v.summarize(parsed.issues)}`);
    this.#fault = parsed.output;
    this.#left = "count" in parsed.output ? parsed.output.count ?? Infinity : Infinity;
    return parsed.output;
  }

  /** The fault that a request for `path` meets, which uses it up by one. */
  take(path: string): RequestFault | undefined {
    const fault = this.#fault;
    if (fault.mode === "none" || fault.mode === "refuse") return undefined;
    if (fault.mode === "waiting_for_configuration" || fault.mode === "database_down") return fault;
    if (fault.path !== undefined && !new RegExp(fault.path).test(path)) return undefined;
    if (fault.chance !== undefined && this.#random() >= fault.chance) return undefined;
    this.#left -= 1;
    if (this.#left === 0) this.#fault = { mode: "none" };
    return fault;
  }
}

function isExpression(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
