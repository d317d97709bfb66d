/** A build that cannot be made, for a reason that a person can do something about. */

export class BuildError extends Error {
  override readonly name = "BuildError";
  /** 1: it failed. 2: it was asked for wrongly. */
  readonly exitCode: number;

  constructor(message: string, options: { exitCode?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}
