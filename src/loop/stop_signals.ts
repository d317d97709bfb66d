/** How the loop is told to stop. */

/** The two steps of stopping. */
export interface StopSignals {
  /** Begin nothing new; a command that runs is ended, and waits in the journal. */
  readonly stop: AbortSignal;
  /**
   * Cut off what is under way with the server. Until then a call may end by itself: an answer that
   * nobody reads may hold commands, and a report whose answer is lost is sent twice.
   */
  readonly cut: AbortSignal;
}
