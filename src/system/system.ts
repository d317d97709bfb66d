/**
 * The ports: everything the agent uses of the outside world, as types. `real.ts` implements them; tests
 * have their own implementations.
 *
 * Instants are milliseconds: `…Ms` from `nowMs()` count from the Unix epoch and may jump when the clock
 * is set; those from `monotonicMs()` never decrease and mean nothing in another process.
 */

import type { Cryptography } from "./cryptography.ts";
import type { Database } from "./database.ts";
import type { Files } from "./files.ts";
import type { SendHttp } from "./http.ts";
import type { Network } from "./network.ts";
import type { RunCommand } from "./process.ts";

/** The operating systems that a server knows, by the server's names. */
export type Os = "linux" | "windows" | "macos";

/** The last instant that has a date, in ms since the Unix epoch (ECMAScript, section 21.4.1.1). */
export const LAST_INSTANT_MS = 8.64e15;

/** The priorities of syslog(3) for lines on stderr. */
export const SYSLOG_PRIORITY = { error: 3, warning: 4, info: 6, debug: 7 } as const;

/** A user of this host. */
export interface Account {
  /** The user's number. */
  readonly userId: number;
  /** Of the user's own group. */
  readonly groupId: number;
  /** The user's home directory. */
  readonly home: string;
}

/** Time and timers. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Milliseconds on a clock that never goes back; only differences have a meaning. */
  monotonicMs(): number;
  /** How long this host has been asleep (suspended) since this process began, as far as is known. */
  asleepMs(): number;
  /** Resolves after `ms`, or rejects with the signal's reason as soon as it is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /**
   * Calls `call` after `ms`, unless the returned function is called before: a time limit that is rarely
   * reached costs a tenth of what `sleep` and its signal cost. Limits are at most 24 days.
   */
  after(ms: number, call: () => void): () => void;
  /** Resolves when the event loop has turned, after pending signals, timers and sockets. */
  turn(): Promise<void>;
}

/** The host has resumed from sleep, or come onto a network. */
export type HostEvent = "woke" | "network_up";

/** A random number in [0, 1). Tests seed it. */
export type Random = () => number;

/** The service manager that started this process, if there is one that wants to hear of it. */
export interface ServiceManager {
  /** Reports that the agent runs, or that it ends. Resolves with why it could not, or with `null`. */
  report(state: "ready" | "stopping"): Promise<string | null>;
  /** Ends the signs of life for its watchdog, too. */
  close(): void;
}

/** Everything the agent uses of its surroundings. */
export interface System {
  /** The one that this process runs on. */
  readonly os: Os;
  /** The processor as `uname -m` prints it: `x86_64`, `aarch64`. */
  readonly architecture: string;
  /** Of this process, as the system numbers it. */
  readonly processId: number;
  /** The path of the executable; `null` if the program runs from source. */
  readonly executable: string | null;
  /** The only source of time. */
  readonly clock: Clock;
  /** Not for secrets. */
  readonly random: Random;
  /** Hashes, and verifies signatures. */
  readonly cryptography: Cryptography;
  /** The file system, as this process may use it. */
  readonly files: Files;
  /** Facts about the hardware and the system. */
  readonly machine: Machine;
  /** The streams of this process. */
  readonly terminal: Terminal;
  /** Runs another program. */
  readonly runCommand: RunCommand;
  /** Sends one request. */
  readonly sendHttp: SendHttp;
  /** Looks at the way to a server. */
  readonly network: Network;
  /** Opens (or creates, with mode 0600) the SQLite file at `path`; throws `DatabaseError`. */
  openDatabase(path: string, options?: { readOnly?: boolean }): Database;
  /** Makes this process one of another user, for good: only root can. Throws an `Error` if not. */
  becomeUser(account: Account): void;
  /** A variable of the environment, if it is set and not empty. */
  readEnvironment(name: string): string | undefined;
  /** Calls `listener` at each event of the host; the result removes it. */
  onHostEvent(listener: (event: HostEvent) => void): () => void;
  /**
   * Calls `listener` when the process is asked to stop (SIGINT, SIGTERM; the agent by SIGHUP too); the
   * result removes it. The process then ends within 5 s in any case, and at once at a second request or
   * without a listener.
   */
  onStopRequest(listener: (signal: string) => void): () => void;
  /**
   * Ends the process, with a line in `format` on stderr and exit code 1, when the event loop has been
   * blocked for `limitMs`. Another thread does that, since a blocked program cannot.
   */
  watchEventLoop(limitMs: number, format: "text" | "json"): void;
  /**
   * Connects to the service manager that started this process; its watchdog gets signs of life from now
   * on. `stateDirectory` must exist. Never rejects; without a service manager, a report does nothing.
   */
  connectServiceManager(stateDirectory: string): Promise<ServiceManager>;
}

/** Standard input, output and error. Output is stripped of what controls a terminal. */
export interface Terminal {
  /**
   * Writes a line to stdout; drops it if the reader of stdout has ended. `colours`: the text has passed a
   * `Paint` of `cli/colour.ts`, and its colours stay. @default false
   */
  print(text: string, options?: { readonly colours?: boolean }): void;
  /**
   * Writes a line to stderr. `priority`, one of `SYSLOG_PRIORITY`, is for systemd's journal, if that
   * reads it. @default the journal's own, that of information
   */
  printError(text: string, priority?: number): void;
  /** Replaces the current line of stderr if that is a terminal; otherwise does nothing. */
  showProgress(text: string): void;
  /** Clears the terminal on stdout and moves the cursor to its top. */
  clearScreen(): void;
  /** `false`: stdout is a file or a pipe. */
  readonly stdoutIsTerminal: boolean;
  /** Width of the terminal on stdout in columns; 80 where there is none. */
  columns(): number;
  /** Reads stdin to its end or to `maxBytes`. Throws an `Error` if stdin cannot be read. */
  readInput(maxBytes: number): Promise<string>;
  /**
   * Writes a question to stderr and reads one line; `undefined` if stdin is not a terminal, where there
   * is nobody to answer, or has ended.
   */
  ask(question: string): Promise<string | undefined>;
}

/** The times of one processor since boot. */
export interface CpuTimes {
  /** As the system names it; may be empty. */
  readonly model: string;
  /** All time that was not idle. */
  readonly busyMs: number;
  /** Busy and idle time. */
  readonly totalMs: number;
}

/** One address of a network interface. */
export interface NetworkAddress {
  /** The type of `address`. */
  readonly family: "IPv4" | "IPv6";
  /** In text form, without a prefix length. */
  readonly address: string;
  /** Six bytes in hexadecimal, separated by colons. */
  readonly mac: string;
}

/** No method throws: an unknown fact is `null` or empty. */
export interface Machine {
  /** Not necessarily a full domain name. */
  hostName(): string;
  /** The kernel's release: `6.1.0-18-amd64`, `10.0.22631`. */
  kernelRelease(): string;
  /** Seconds since the system started. */
  uptimeS(): number | null;
  /** Physical memory; available: for new programs, without swapping. */
  memory(): { totalBytes: number; availableBytes: number } | null;
  /** One entry per logical processor. */
  cpus(): CpuTimes[];
  /** The file system that holds `path`. */
  disk(path: string): { totalBytes: number; freeBytes: number } | null;
  /** Every address of every interface, loopback included. */
  networkAddresses(): NetworkAddress[];
  /** The user's number; 0 is root, `null` on Windows. */
  userId(): number | null;
  /** The user's home directory, if it is known. */
  homeDirectory(): string | null;
}
