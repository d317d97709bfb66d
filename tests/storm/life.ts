/** One life of an agent: started, and killed with -9 at the instant that was drawn for it. */

import type { Program } from "../../tools/program.ts";
import type { LoggedRequest, RequestStage } from "../../tools/refserver/request_log.ts";
import type { Host } from "../e2e/harness.ts";
import type { ToldLine } from "./record.ts";
import { isAwaited, type Strike } from "./strike.ts";

/** Where what a strike waits for does not come, the life ends all the same, so long after its start. */
const LONGEST_LIFE_MS = 1_500;

/** And so long after its birth, if it does not come to that. */
const LONGEST_START_MS = 10_000;

/** The agent's own words for it: the first line of `pennon run`. */
export const STARTED = "agent started";

export class Life {
  readonly bornMs = performance.now();
  deadMs = Infinity;
  readonly lines: ToldLine[] = [];
  /** Whether it died at the instant that was drawn, not of old age. */
  isStruck = false;
  readonly #program: Program;
  readonly #strike: Strike;
  readonly #watcher: Deno.FsWatcher | null;
  readonly #timers: ReturnType<typeof setTimeout>[] = [];
  readonly #longestMs: number;
  #seen = 0;

  constructor(
    host: Host,
    strike: Strike,
    { instead, longestMs = LONGEST_LIFE_MS }: { instead?: string; longestMs?: number } = {},
  ) {
    this.#strike = strike;
    const isWatched = strike.kind === "write" || strike.kind === "move";
    this.#watcher = isWatched ? this.#watch(host.stateDirectory) : null;
    this.#program = host.start(["run", "--log-format", "json", "--log-level", "debug"], {
      onLine: (line) => this.#take(line),
      ...instead !== undefined && { instead },
    });
    const isTimed = strike.kind === "clock" || strike.kind === "start";
    if (isTimed) this.#killIn(strike.afterMs);
    this.#longestMs = longestMs;
    this.#later(longestMs + LONGEST_START_MS, () => this.kill());
  }

  get program(): Program {
    return this.#program;
  }

  /** The server has got so far with a request of this life's. */
  onStage(request: LoggedRequest, stage: RequestStage): void {
    if (isAwaited(this.#strike, request, stage)) this.#count();
  }

  /** Kills it now; harmless if it is dead. */
  kill(): void {
    if (this.deadMs !== Infinity) return;
    try {
      Deno.kill(this.#program.processId, "SIGKILL");
    } catch {
      // It has ended by itself, which the judge will hear of.
    }
    this.deadMs = performance.now();
  }

  /** Resolves when it is dead, and all that it had printed is read. */
  async ended(): Promise<Deno.CommandStatus> {
    const status = await this.#program.ended;
    if (this.deadMs === Infinity) this.deadMs = performance.now();
    for (const timer of this.#timers) clearTimeout(timer);
    this.#watcher?.close();
    return status;
  }

  #take(line: string): void {
    if (!line.startsWith("{")) {
      this.lines.push({ message: line });
      return;
    }
    const told: ToldLine = JSON.parse(line);
    this.lines.push(told);
    if (told.message === STARTED) this.#later(this.#longestMs, () => this.kill());
    if (this.#strike.kind === "line" && told.message === this.#strike.message) this.#count();
  }

  /** What is awaited has happened, once more. */
  #count(): void {
    if (!("nth" in this.#strike)) return;
    this.#seen += 1;
    if (this.#seen === this.#strike.nth) this.#killIn(this.#strike.afterMs);
  }

  #killIn(ms: number): void {
    const strike = () => {
      this.isStruck ||= this.deadMs === Infinity;
      this.kill();
    };
    // A timer would come a millisecond late: at once is at once.
    if (ms === 0) strike();
    else this.#later(ms, strike);
  }

  #later(ms: number, work: () => void): void {
    this.#timers.push(setTimeout(work, ms));
  }

  #watch(folder: string): Deno.FsWatcher {
    const watcher = Deno.watchFs(folder, { recursive: false });
    void (async () => {
      for await (const { kind, paths } of watcher) {
        const isAwaited = this.#strike.kind === "move"
          ? paths.some((path) => path.includes("buffer.sqlite."))
          : kind === "modify" && paths.some((path) => path.endsWith("-wal"));
        if (isAwaited) this.#count();
      }
    })();
    return watcher;
  }
}
