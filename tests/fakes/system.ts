/** A whole machine in memory: virtual time, seeded chance, files, SQLite in `:memory:`. */

import { CommandError, type RunCommand } from "../../src/system/process.ts";
import { HttpError, type SendHttp } from "../../src/system/http.ts";
import type { Cryptography } from "../../src/system/cryptography.ts";
import type { Database } from "../../src/system/database.ts";
import type {
  Account,
  HostEvent,
  Machine,
  Os,
  ServiceManager,
  System,
  Terminal,
} from "../../src/system/system.ts";
import { openRealDatabase } from "../../src/system/real/database.ts";
import { promptCryptography } from "./cryptography.ts";
import { FakeClock } from "./clock.ts";
import { FakeFiles } from "./files.ts";

/** A terminal that keeps what is printed. */
export class FakeTerminal implements Terminal {
  out = "";
  err = "";
  input = "";
  stdoutIsTerminal = false;
  width = 80;

  print(text: string): void {
    this.out += `${text}\n`;
  }
  printError(text: string): void {
    this.err += `${text}\n`;
  }
  showProgress(_text: string): void {}
  clearScreen(): void {
    this.out += "(clear)";
  }
  columns(): number {
    return this.width;
  }
  readInput(maxBytes: number): Promise<string> {
    return Promise.resolve(this.input.slice(0, maxBytes));
  }
}

/** The same numbers for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The part of a system for an agent from source that no service manager has started. */
export const UNSUPERVISED = {
  executable: null,
  becomeUser: () => {},
  onStopRequest: () => () => {},
  watchEventLoop: () => {},
  connectServiceManager: () =>
    Promise.resolve({ report: () => Promise.resolve(null), close: () => {} }),
};

/** The id that most hosts have. */
export const MACHINE_ID: readonly [path: string, text: string] = [
  "/etc/machine-id",
  "0123456789abcdef0123456789abcdef\n",
];

const idleMachine: Machine = {
  hostName: () => "test-host",
  kernelRelease: () => "6.1.0-test",
  uptimeS: () => 3_600,
  memory: () => ({ totalBytes: 8_000_000_000, availableBytes: 6_000_000_000 }),
  cpus: () => [{ model: "Test CPU", busyMs: 1_000, totalMs: 10_000 }],
  disk: () => ({ totalBytes: 100_000_000_000, freeBytes: 40_000_000_000 }),
  networkAddresses: () => [],
  userId: () => 1000,
  homeDirectory: () => "/home/test",
};

/** A fake `System`; its parts are public so that a test can look into and break them. */
export class FakeSystem implements System {
  os: Os = "linux";
  architecture = "x86_64";
  processId = 4_242;
  executable: string | null = null;
  clock: FakeClock = new FakeClock();
  random: () => number;
  cryptography: Cryptography = promptCryptography;
  files: FakeFiles = new FakeFiles();
  terminal: FakeTerminal = new FakeTerminal();
  machine: Machine = { ...idleMachine };
  environment = new Map<string, string>();
  /** Databases by path: closing one and opening it again finds what was written. */
  databases = new Map<string, Database>();
  hintListeners = new Set<(hint: HostEvent) => void>();
  stopListeners = new Set<(signal: string) => void>();
  /** The limit that the program wants its event loop held to. */
  watchedMs: number | null = null;
  /** What the service manager was told, and its answer: why it could not be told. */
  reported: string[] = [];
  reportFailure: string | null = null;

  constructor(seed: number = 1) {
    this.random = seededRandom(seed);
    this.files.ofHost.set(...MACHINE_ID);
  }

  runCommand: RunCommand = (argv) =>
    Promise.reject(
      new CommandError(`Cannot run "${argv[0]}": no such program`, { reason: "not_found" }),
    );

  sendHttp: SendHttp = () =>
    Promise.reject(new HttpError("Cannot connect: refused", { reason: "refused" }));

  openDatabase(path: string): Database {
    if (path === ":memory:") return openRealDatabase(path);
    const known = this.databases.get(path);
    if (known) return known;
    const database = openRealDatabase(":memory:");
    const kept = { ...bind(database), close: () => {} };
    this.databases.set(path, kept);
    this.files.texts.set(path, "");
    return kept;
  }

  readEnvironment(name: string): string | undefined {
    return this.environment.get(name) || undefined;
  }

  onHostEvent(listener: (hint: HostEvent) => void): () => void {
    this.hintListeners.add(listener);
    return () => this.hintListeners.delete(listener);
  }

  onStopRequest(listener: (signal: string) => void): () => void {
    this.stopListeners.add(listener);
    return () => this.stopListeners.delete(listener);
  }

  watchEventLoop(limitMs: number): void {
    this.watchedMs = limitMs;
  }

  becomeUser({ userId, home }: Account): void {
    this.machine = { ...this.machine, userId: () => userId, homeDirectory: () => home };
  }

  connectServiceManager(stateDirectory: string): Promise<ServiceManager> {
    this.reported.push(`connected in ${stateDirectory}`);
    return Promise.resolve({
      report: (state) => {
        this.reported.push(state);
        return Promise.resolve(this.reportFailure);
      },
      close: () => void this.reported.push("closed"),
    });
  }
}

function bind(database: Database): Database {
  return {
    execute: (sql) => database.execute(sql),
    run: (sql, ...values) => database.run(sql, ...values),
    all: (sql, ...values) => database.all(sql, ...values),
    transaction: (work) => database.transaction(work),
    close: () => database.close(),
  };
}
