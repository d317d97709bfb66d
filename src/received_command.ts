/** Commands from the server after validation: accepted for storage, or rejected with a reason. */

/**
 * A command that can be stored: the journal, log lines and reports take its fields as they are.
 * `server/check_in_answer.ts` creates it and enforces the limits of each field.
 */
export interface ReceivedCommand {
  readonly id: string;
  readonly type: string;
  /** The text of a JSON object; validated when the command is run. */
  readonly params: string;
}

/** A command with a usable id that is not run; it is reported as `failed`. */
export interface RejectedCommand {
  readonly id: string;
  /** The action in the report. */
  readonly type: string;
  /** Completes "not run: ...". */
  readonly why: string;
}
