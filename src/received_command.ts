/** Commands from the server after validation: accepted for storage, or rejected with a reason. */

/** A command that can be stored: the journal, log lines and reports take its fields as they are. */
export interface StorableCommand {
  readonly id: string;
  readonly type: string;
  /**
   * The text of a JSON object as the server wrote it, or `null` for a command without parameters: a
   * signature covers the difference between `null` and `{}`. Parsed when the command is run, whose
   * handler sees `{}` in both cases.
   */
  readonly params: string;
}

/**
 * A command of an answer. `server/check_in_answer.ts` creates it and enforces the limits of each field.
 */
export interface ReceivedCommand extends StorableCommand {
  /** What a server after v0.1.18 signs besides, not verified; `null`: it sent none of these fields. */
  readonly signed: SignedFields | null;
}

/**
 * The fields of a command's signature as the server sent them, up to `MOST_SIGNED_LENGTH` characters
 * each; `null`: absent, `""`: unusable.
 */
export interface SignedFields {
  readonly signature: string | null;
  readonly keyId: string | null;
  readonly signedAt: string | null;
  readonly agentId: string | null;
  readonly createdAt: string | null;
}

/** A command with a usable id that is not run; it is reported as `failed`. */
export interface RejectedCommand {
  readonly id: string;
  /** The action in the report. */
  readonly type: string;
  /** Completes "not run: ...". */
  readonly why: string;
}
