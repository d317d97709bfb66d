/** The commands of the server in the simulator: handed over, received, ended, timed out, in both ages. */

/** Which RedFlag a server is like: 0.1.18 and the builds after it, or 0.2.9. */
export type Age = "0.1" | "0.2";

/** A command as an operator or the scheduler makes it. */
export interface ServerCommand {
  readonly id: string;
  readonly type: string;
  readonly params: Readonly<Record<string, unknown>> | null;
  /** At 0.2. */
  readonly signed?: Signing;
}

/** What a server of 0.2 sends with a command. */
export interface Signing {
  readonly signature: string;
  readonly key_id: string;
  readonly signed_at: string;
  readonly agent_id: string;
  readonly created_at: string;
}

type CommandState = "pending" | "sent" | "received" | "completed" | "failed" | "timed_out";

/** A command as the server keeps it. */
interface Tracked {
  readonly command: ServerCommand;
  readonly createdMs: number;
  state: CommandState;
  sentMs: number;
  receivedMs: number;
  /** How often it was sent again. */
  retries: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** A command of which nothing is heard for so long is handed over once more. */
const STUCK_MS = 5 * MINUTE_MS;
/** At 0.2: so often. */
const MOST_RETRIES = 5;
/** At 0.2: a command that is older is not handed over. */
const LIFE_MS = 4 * HOUR_MS;
/** At 0.2: how long a command may be in a state, and how often that is looked at. */
const LIMITS_MS: Readonly<Partial<Record<CommandState, number>>> = {
  pending: 30 * MINUTE_MS,
  sent: 2 * HOUR_MS,
  received: 30 * MINUTE_MS,
};
const SWEEP_MS = 5 * MINUTE_MS;
/** At 0.1: since it was handed over. */
const TIMEOUT_MS = 2 * HOUR_MS;
/** Commands in one answer. */
const BATCH: Readonly<Record<Age, number>> = { "0.1": 10, "0.2": 100 };

/** Which word of a log ends a command at 0.2, and how; all others leave it open. */
const ENDS: ReadonlyMap<string, "completed" | "failed"> = new Map([
  ["success", "completed"],
  ["completed", "completed"],
  ["failed", "failed"],
  ["failure", "failed"],
  ["dry_run_failed", "failed"],
  ["partial_failure", "failed"],
]);

/** The commands of one agent. */
export class SimCommands {
  readonly #nowMs: () => number;
  readonly #isOld: boolean;
  readonly #tracked = new Map<string, Tracked>();
  #sweptMs = 0;
  age: Age;

  /** An old server of 0.1 hands nothing over again, times nothing out and takes every log. */
  constructor(nowMs: () => number, options: { age: Age; isOld: boolean }) {
    this.#nowMs = nowMs;
    this.#isOld = options.isOld;
    this.age = options.age;
  }

  add(command: ServerCommand): void {
    this.#tracked.set(command.id, {
      command,
      createdMs: this.#nowMs(),
      state: "pending",
      sentMs: 0,
      receivedMs: 0,
      retries: 0,
    });
  }

  /** What has become of a command; `undefined`: the server has none, or has forgotten it. */
  stateOf(id: string): CommandState | undefined {
    this.#timeOut();
    return this.#tracked.get(id)?.state;
  }

  /** Whether a command of this type waits already: the scheduler makes no second one. */
  isPending(type: string): boolean {
    return this.#inState("pending").some(({ command }) => command.type === type);
  }

  /** Ids of commands that were sent, and that the agent has not listed as received. */
  unconfirmed(): string[] {
    return this.#inState("sent").map(({ command }) => command.id);
  }

  /** What one check-in hands over: what is new, and what is stuck; of 0.2, some of it twice. */
  take(): { fresh: number; commands: ServerCommand[] } {
    this.#timeOut();
    const nowMs = this.#nowMs();
    const isAlive = ({ createdMs }: Tracked) => this.age === "0.1" || createdMs > nowMs - LIFE_MS;
    const fresh = this.#inState("pending").filter(isAlive).slice(0, BATCH[this.age]);
    const stuck = this.#findStuck(nowMs).filter(isAlive);
    // Both were looked for before anything is marked.
    for (const tracked of stuck) tracked.retries += 1;
    const taken = [...fresh, ...stuck];
    for (const tracked of taken) {
      tracked.state = "sent";
      tracked.sentMs = nowMs;
    }
    return { fresh: fresh.length, commands: taken.map(({ command }) => command) };
  }

  #findStuck(nowMs: number): Tracked[] {
    if (this.age === "0.1") {
      if (this.#isOld) return [];
      return this.#inState("sent").filter(({ sentMs }) => nowMs - sentMs > STUCK_MS);
    }
    return this.#inState("pending", "sent").filter(({ state, sentMs, createdMs, retries }) =>
      retries < MOST_RETRIES && nowMs - (state === "sent" ? sentMs : createdMs) > STUCK_MS
    );
  }

  /** The agent lists these as received; the ids of those that it had been sent, and now has. */
  receive(ids: readonly string[]): string[] {
    if (this.age === "0.1") return [];
    return [...new Set(ids)].filter((id) => {
      const tracked = this.#tracked.get(id);
      if (tracked?.state !== "sent") return false;
      tracked.state = "received";
      tracked.receivedMs = this.#nowMs();
      return true;
    });
  }

  /** RedFlag's `VerifyResultsRecorded`: whatever has a result, the server's own included. */
  recorded(ids: readonly string[]): string[] {
    return ids.filter((id) =>
      ["completed", "failed", "timed_out"].includes(this.#tracked.get(id)?.state ?? "sent")
    );
  }

  /** Why a later server does not take a log: its command is over. */
  conflict(id: string): CommandState | null {
    this.#timeOut();
    if (this.age === "0.1" && this.#isOld) return null;
    const [state = null] = this.recorded([id]).map((over) => this.#tracked.get(over)!.state);
    return state;
  }

  /** A log was stored. */
  end(id: string, result: string): void {
    const tracked = this.#tracked.get(id);
    if (tracked === undefined) return;
    const ended = this.age === "0.2"
      ? ENDS.get(result)
      : result === "success"
      ? "completed"
      : "failed";
    if (ended !== undefined) tracked.state = ended;
  }

  #inState(...states: CommandState[]): Tracked[] {
    return [...this.#tracked.values()].filter(({ state }) => states.includes(state));
  }

  #timeOut(): void {
    if (this.age === "0.2") return this.#sweep();
    for (const tracked of this.#inState("sent", "completed", "failed", "timed_out")) {
      if (this.#nowMs() - tracked.sentMs <= TIMEOUT_MS) continue;
      if (this.#isOld || tracked.state !== "sent") this.#tracked.delete(tracked.command.id);
      else tracked.state = "timed_out";
    }
  }

  /** Every 5 min; nobody asked since, so it does not matter that all of it happens now. */
  #sweep(): void {
    const atMs = Math.floor(this.#nowMs() / SWEEP_MS) * SWEEP_MS;
    if (atMs <= this.#sweptMs) return;
    this.#sweptMs = atMs;
    for (const tracked of this.#inState("pending", "sent", "received")) {
      const { state, createdMs, sentMs, receivedMs } = tracked;
      const sinceMs = { pending: createdMs, sent: sentMs, received: receivedMs }[state as "sent"];
      if (atMs - sinceMs > (LIMITS_MS[state] ?? Infinity)) tracked.state = "timed_out";
    }
    // What is long over takes time to look through; nobody asks for it any more.
    for (const { command, createdMs } of this.#inState("completed", "failed", "timed_out")) {
      if (atMs - createdMs > 12 * HOUR_MS) this.#tracked.delete(command.id);
    }
  }
}
