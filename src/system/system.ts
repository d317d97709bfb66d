/**
 * The ports: all there is of the outside world, as types. Nothing here does anything; `real.ts`
 * beside it is the real thing, and tests bring their own.
 *
 * Instants are milliseconds: `…Ms` from `nowMs()` count from the Unix epoch and may jump when
 * somebody sets the clock, those from `monotonicMs()` only ever grow and mean nothing in another
 * process.
 */

import type { Database } from "./database.ts";
import type { Files } from "./files.ts";
import type { SendHttp } from "./http.ts";
import type { Machine } from "./machine.ts";
import type { RunCommand } from "./process.ts";
import type { Terminal } from "./terminal.ts";

/** The operating systems that a server knows, in the server's own words. */
export type Os = "linux" | "windows" | "macos";

/** Time, and waiting for it to pass. */
export interface Clock {
  /** Milliseconds since the Unix epoch; what people call "now". */
  nowMs(): number;
  /** Milliseconds on a clock that never goes back; only differences mean anything. */
  monotonicMs(): number;
  /** How long this host has been asleep (suspended) while this process lived, as far as is known. */
  asleepMs(): number;
  /** Resolves after `ms`, or rejects with the signal's reason as soon as that is given. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Resolves when the event loop has turned: signals, timers and sockets had their chance. */
  turn(): Promise<void>;
}

/** A host that has come back: out of sleep, or onto a network. */
export type HostHint = "woke" | "network_up";

/** Chance: a number in [0, 1). Tests seed it. */
export type Random = () => number;

/** Everything the agent may ask of its surroundings. */
export interface System {
  readonly os: Os;
  /** The processor in the words of `uname -m`: `x86_64`, `aarch64`. */
  readonly architecture: string;
  /** This process's number. */
  readonly processId: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly files: Files;
  readonly machine: Machine;
  readonly terminal: Terminal;
  readonly runCommand: RunCommand;
  readonly sendHttp: SendHttp;
  /** Opens (or makes, with mode 0600) the SQLite file at `path`; throws `DatabaseError`. */
  openDatabase(path: string, options?: { readOnly?: boolean }): Database;
  /** A variable of the environment, if it is set and not empty. */
  readEnvironment(name: string): string | undefined;
  /** Calls `listener` whenever the host has come back; the result ends that. */
  onHostHint(listener: (hint: HostHint) => void): () => void;
  /**
   * Calls `listener` when the process is asked to stop (SIGINT, SIGTERM); the result ends that. The
   * process then ends within 5 s in any case, and at once when it is asked again, or asked while
   * nothing listens.
   */
  onStopRequest(listener: (signal: string) => void): () => void;
  /**
   * Ends the process, with a line in `format` on stderr and exit code 1, when the event loop has not
   * turned for `limitMs`. Nothing in the program itself could do that.
   */
  watchEventLoop(limitMs: number, format: "text" | "json"): void;
}
