/** A place cannot be made or entered, for a reason that a person can do something about. */

export class PlaceError extends Error {
  override readonly name = "PlaceError";
  /** `missing`: this host lacks what the place is made with. */
  readonly reason: "missing" | "failed";

  constructor(message: string, options: { reason: "missing" | "failed"; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.reason = options.reason;
  }
}
