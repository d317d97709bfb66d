/** The errors of the ports and of scans: each has a reason on which the program can act. */

/** An error of which the message is for people, and the reason for the program. */
export class ReasonedError<Reason extends string> extends Error {
  /** What the program can act on. */
  readonly reason: Reason;

  /** `cause`: the error of the runtime or of a library. */
  constructor(message: string, options: { reason: Reason; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.reason = options.reason;
  }
}
