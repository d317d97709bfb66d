/** What each reason for which the disk refuses the buffer means, and what an operator does about it. */

import type { DiskFailure } from "./store_supervisor.ts";

/** The words on one reason: without a full stop. */
export interface DiskWords {
  /** What is wrong. */
  readonly what: string;
  /** What to do. */
  readonly next: string;
  /** What a running agent does as soon as that is done; `null`: that is in `next`. */
  readonly then: string | null;
}

const GOES_ON = "it then goes on by itself";

/** The words by reason. */
export const DISK_WORDS: Readonly<Record<DiskFailure, DiskWords>> = {
  full: {
    what: "the disk is full",
    next: "make room on the disk of the state directory",
    then: "the agent then goes on by itself, and a restart before that loses what is in memory",
  },
  denied: {
    what: "the disk is read-only or forbidden",
    next: "make the state directory writable for the agent's user",
    then: GOES_ON,
  },
  io: {
    what: "the disk has errors",
    next: "see the kernel's log for the errors of the disk that has the state directory",
    then: null,
  },
  corrupt: {
    what: "the buffer is damaged",
    next: "see the log of the agent, which salvages a damaged buffer as soon as the disk lets it",
    then: null,
  },
  busy: {
    what: "another process locks the buffer",
    next: "end the program that has buffer.sqlite open, such as sqlite3 or a backup",
    then: "the agent then goes on by itself",
  },
  gone: {
    what: "the state directory is gone",
    next: "see why it cannot be made again: what is above it is gone, or may not be written",
    then: "the agent makes it as soon as it can",
  },
  held: {
    what: "the state directory belongs to another agent",
    next: "stop one of the two agents, or give it a directory of its own with `--state-dir`",
    then: null,
  },
  failed: {
    what: "the buffer cannot be used",
    next: "see the log of the agent",
    then: null,
  },
};
