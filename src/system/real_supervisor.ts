/**
 * Runs the program in a worker thread, and watches it from the main thread: a thread of its own is
 * the only place from which an event loop that no longer turns can be seen and ended.
 *
 * The worker may write below the directories it is given and nowhere else; Deno checks that outside
 * of JavaScript. The main thread loads no package, and gives up what it does not need.
 */

/** From the worker. */
type Report =
  | { readonly kind: "alive" }
  | { readonly kind: "watch"; readonly limitMs: number; readonly format: "text" | "json" }
  | { readonly kind: "exit"; readonly code: number };

/** How long the event loop may stand still unless the program says otherwise. */
const DEFAULT_LIMIT_MS = 120_000;

/** After a request to stop: a program that does not turn cannot have noticed it. */
const STOPPING_LIMIT_MS = 4_000;

/**
 * Unanswered questions that make up the limit. Time alone does not count: while the host sleeps or
 * the process is stopped, no question is asked either.
 */
const QUESTIONS = 10;

/** The exit code of a program that was ended because its event loop did not turn, or that crashed. */
const FAILED = 1;

/** Whether this is the worker, not the main thread. */
export function isWorkerThread(): boolean {
  return "WorkerGlobalScope" in globalThis;
}

/** In the worker: answers the supervisor's questions from now on, and ends the process with `work`. */
export function runInWorker(work: () => Promise<number>): void {
  const scope = workerScope();
  scope.addEventListener("message", () => report({ kind: "alive" }));
  work().then((code) => report({ kind: "exit", code }));
}

/** In the worker: ends the process if the event loop has not turned for `limitMs`. */
export function watchEventLoop(limitMs: number, format: "text" | "json"): void {
  if (isWorkerThread()) report({ kind: "watch", limitMs, format });
}

function report(message: Report): void {
  workerScope().postMessage(message);
}

interface WorkerScope extends EventTarget {
  postMessage(message: Report): void;
}

function workerScope(): WorkerScope {
  return globalThis as unknown as WorkerScope;
}

/**
 * In the main thread: runs the module at `url` in a worker that may write below `writable` alone.
 * Resolves with the exit code.
 */
export function supervise(url: string, writable: readonly string[]): Promise<number> {
  const inherited = "inherit" as const;
  const worker = new Worker(url, {
    type: "module",
    name: "agent",
    deno: {
      permissions: {
        write: [...writable],
        read: inherited,
        net: inherited,
        env: inherited,
        sys: inherited,
        run: inherited,
        ffi: false,
      },
    },
  });
  for (const name of ["write", "run", "net"] as const) Deno.permissions.revokeSync({ name });
  return new Promise((resolve) => new Supervisor(worker, resolve).start());
}

class Supervisor {
  readonly #worker: Worker;
  readonly #end: (code: number) => void;
  #limitMs = DEFAULT_LIMIT_MS;
  #format: "text" | "json" = "text";
  #unanswered = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(worker: Worker, end: (code: number) => void) {
    this.#worker = worker;
    this.#end = end;
  }

  start(): void {
    this.#worker.onmessage = ({ data }: MessageEvent<Report>) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#print("program crashed", { why: event.message });
      this.#end(FAILED);
    };
    for (const signal of stopSignals()) {
      Deno.addSignalListener(signal, () => this.#watch(Math.min(this.#limitMs, STOPPING_LIMIT_MS)));
    }
    this.#watch(DEFAULT_LIMIT_MS);
  }

  #receive(report: Report): void {
    switch (report.kind) {
      case "alive":
        this.#unanswered = 0;
        return;
      case "watch":
        this.#format = report.format;
        return this.#watch(report.limitMs);
      case "exit":
        return this.#end(report.code);
    }
  }

  #watch(limitMs: number): void {
    this.#limitMs = limitMs;
    this.#unanswered = 0;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#ask(), limitMs / QUESTIONS);
    this.#worker.postMessage("alive?");
  }

  #ask(): void {
    this.#unanswered += 1;
    if (this.#unanswered <= QUESTIONS) return this.#worker.postMessage("alive?");
    clearInterval(this.#timer);
    this.#print("event loop blocked, ending to be started again", {
      blocked_s: this.#limitMs / 1_000,
    });
    this.#end(FAILED);
  }

  /** A line like those of the log, which lives in the worker. */
  #print(message: string, fields: Readonly<Record<string, string | number>>): void {
    const time = new Date().toISOString();
    const words = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    const line = this.#format === "json"
      ? JSON.stringify({ time, level: "error", message, ...fields })
      : [time, "ERROR", message, ...words].join(" ");
    console.error(line);
  }
}

/** Windows has no SIGTERM; closing the console or Ctrl-Break comes as SIGBREAK. */
export function stopSignals(): readonly Deno.Signal[] {
  return ["SIGINT", Deno.build.os === "windows" ? "SIGBREAK" : "SIGTERM"];
}
