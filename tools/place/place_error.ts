/** A place cannot be made or entered, for a reason that a person can do something about. */

/** `missing`: this host lacks what the place is made with. `failed`: a step did not work. */
export type PlaceErrorReason = "missing" | "failed";

export class PlaceError extends Error {
  override readonly name = "PlaceError";
  readonly reason: PlaceErrorReason;

  constructor(message: string, options: { reason: PlaceErrorReason; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.reason = options.reason;
  }
}
