/**
 * Runs the program in a worker thread, and supervises it from the main thread: only another thread
 * can detect that an event loop is blocked, and end the process all the same. For the same reason the
 * main thread handles the signals that ask the process to stop.
 *
 * The worker may write only below the given directories; Deno enforces that outside of JavaScript. The
 * main thread loads no package, and drops the permissions that it does not need. It must never block:
 * in particular it writes nothing synchronously, since a pipe without a reader blocks its writer, and
 * that writer holds the process's lock on stderr.
 */

import { LOG_MESSAGES } from "../../log_messages.ts";
import { SYSLOG_PRIORITY } from "../system.ts";
import { SILENT } from "./environment.ts";
import { markPriority } from "./systemd_journal.ts";

type Report =
  | { readonly kind: "alive" }
  | { readonly kind: "watch"; readonly limitMs: number; readonly format: "text" | "json" }
  | { readonly kind: "listens"; readonly listens: boolean }
  | { readonly kind: "exit"; readonly code: number };

/** To the worker: a ping to be answered with `alive`, or a request to stop. */
type Message =
  | { readonly kind: "ping" }
  | { readonly kind: "stop"; readonly signal: StopSignal };

interface SuperviseOptions {
  /** The directories below which it may write. */
  readonly writable: readonly string[];
  /**
   * Whether the program is the agent, which runs until it is stopped. Its event loop is watched from the
   * start, and a signal that comes before it listens is delivered later. Any other command ends at once
   * at a signal that it does not listen for, and may wait without limit for the reader of its output.
   */
  readonly isAgent: boolean;
}

/** How long the event loop may be blocked unless the program sets another limit. */
const DEFAULT_LIMIT_MS = 120_000;

/** From the request to stop to the end in any case; the documented limit is 5 s. */
const STOP_LIMIT_MS = 4_600;

/** For the last line: stderr may be a full pipe, and the process ends without waiting for its reader. */
const LAST_LINE_MS = 100;

/** Maximum characters of the last line's text: a pipe accepts them in one write. */
const LONGEST_TEXT = 1_000;

/** Unanswered pings that make up the limit. Sleep of the host does not count: no ping is sent. */
const PINGS = 10;

/** The exit code of a program that crashed, or was ended because its event loop was blocked. */
const FAILED = 1;

/** Exit codes as shells report them, 128 + the signal's number. */
const INTERRUPTED = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143, SIGBREAK: 149 } as const;

type StopSignal = keyof typeof INTERRUPTED;

/** The global scope, as the worker has it. */
const workerScope = globalThis as unknown as EventTarget & { postMessage(message: Report): void };

/**
 * On Windows these are what Deno 2.9 knows of Ctrl-C, Ctrl-Break and the closing of the console. Deno 2.6
 * documents no SIGHUP there, and may refuse it; the C library reports the closing as SIGBREAK then.
 */
const STOP_SIGNALS: readonly StopSignal[] = Deno.build.os === "windows"
  ? ["SIGINT", "SIGBREAK", "SIGHUP"]
  : ["SIGINT", "SIGTERM"];

export function isWorkerThread(): boolean {
  return "WorkerGlobalScope" in globalThis;
}

/** In the worker: answers the supervisor's pings from now on, and ends the process with `work`. */
export function runInWorker(work: () => Promise<number>): void {
  workerScope.addEventListener(
    "message",
    (event) => receive((event as MessageEvent<Message>).data),
  );
  work().then((code) => report({ kind: "exit", code }));
}

function receive(message: Message): void {
  switch (message.kind) {
    case "ping":
      return report({ kind: "alive" });
    case "stop":
      // The last listener was removed while the message was on its way.
      if (listeners.size === 0) report({ kind: "exit", code: INTERRUPTED[message.signal] });
      for (const listener of [...listeners]) listener(message.signal);
  }
}

/** In the worker: ends the process if the event loop is blocked for `limitMs`. */
export function watchEventLoop(limitMs: number, format: "text" | "json"): void {
  if (isWorkerThread()) report({ kind: "watch", limitMs, format });
}

/** In the worker: called at the supervisor's request to stop. */
const listeners = new Set<(signal: string) => void>();

/**
 * Calls `listener` when the process is asked to stop; the result removes it. In the worker, the first
 * signal calls it, and the supervisor ends the process within 5 s; a second signal ends it at once.
 */
export function onStopRequest(listener: (signal: string) => void): () => void {
  return isWorkerThread() ? onStopMessage(listener) : onSignal(listener);
}

function onStopMessage(listener: (signal: string) => void): () => void {
  listeners.add(listener);
  if (listeners.size === 1) report({ kind: "listens", listens: true });
  return () => {
    if (listeners.delete(listener) && listeners.size === 0) {
      report({ kind: "listens", listens: false });
    }
  };
}

function onSignal(listener: (signal: StopSignal) => void): () => void {
  const ends = STOP_SIGNALS.map((signal) => onOneSignal(signal, listener));
  return () => ends.forEach((end) => end());
}

function onOneSignal(signal: StopSignal, listener: (signal: StopSignal) => void): () => void {
  const handle = () => listener(signal);
  try {
    Deno.addSignalListener(signal, handle);
  } catch (error) {
    if (Deno.build.os === "windows" && error instanceof TypeError) return () => {};
    throw error;
  }
  return () => Deno.removeSignalListener(signal, handle);
}

/**
 * Whether this process was started to ignore SIGHUP, as `nohup` does. Listening for any signal makes
 * Deno handle SIGHUP too, so this has to begin before. Deno reads no file in /proc without every
 * permission, but a program that it starts inherits what is ignored.
 */
async function ignoresHangup(): Promise<boolean> {
  if (Deno.build.os !== "linux") return false;
  const cat = new Deno.Command("/usr/bin/cat", {
    ...SILENT,
    args: ["/proc/self/status"],
    stdout: "piped",
  });
  const status = await cat.output().catch(() => null);
  return isHangupIgnored(new TextDecoder().decode(status?.stdout));
}

/** Reads `SigIgn` of a process's status: a mask in hexadecimal, in which SIGHUP (1) is the lowest bit. */
function isHangupIgnored(status: string): boolean {
  const lastDigit = /^SigIgn:\s*[0-9a-f]*([0-9a-f])$/m.exec(status)?.[1];
  return lastDigit !== undefined && (Number.parseInt(lastDigit, 16) & 1) === 1;
}

function report(message: Report): void {
  workerScope.postMessage(message);
}

/** In the main thread: runs the module at `url` in a worker. Resolves with the exit code. */
export function supervise(url: string, options: SuperviseOptions): Promise<number> {
  return new Promise((resolve) => {
    const supervisor = new Supervisor(resolve, options.isAgent);
    const isIgnored = options.isAgent ? ignoresHangup() : null;
    // Before the worker starts: until here a signal has its default effect.
    onSignal((signal) => supervisor.stop(signal));
    // Any other command ends at SIGHUP by default, with the same exit code.
    if (isIgnored !== null && Deno.build.os !== "windows") {
      onOneSignal("SIGHUP", async (signal) => {
        if (!await isIgnored) supervisor.stop(signal);
      });
    }
    supervisor.start(startWorker(url, options.writable));
    for (const name of ["write", "run", "net"] as const) Deno.permissions.revokeSync({ name });
  });
}

function startWorker(url: string, writable: readonly string[]): Worker {
  const all = "inherit" as const;
  const inherited = { read: all, net: all, env: all, sys: all, run: all };
  return new Worker(url, {
    type: "module",
    name: "agent",
    deno: { permissions: { ...inherited, write: [...writable], ffi: false } },
  });
}

class Supervisor {
  readonly #end: (code: number) => void;
  readonly #isAgent: boolean;
  #worker: Worker | undefined;
  #limitMs = DEFAULT_LIMIT_MS;
  #format: "text" | "json" = "text";
  #unanswered = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** The first signal that came. */
  #signal: StopSignal | undefined;
  /** Whether the program listens for signals; `early`: it will. */
  #listening: "early" | "yes" | "no";

  constructor(end: (code: number) => void, isAgent: boolean) {
    this.#end = end;
    this.#isAgent = isAgent;
    this.#listening = isAgent ? "early" : "no";
  }

  start(worker: Worker): void {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Report>) => this.#receive(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#endWith(FAILED, "agent.crashed", { why: event.message.slice(0, LONGEST_TEXT) });
    };
    if (this.#isAgent) this.#watch(DEFAULT_LIMIT_MS);
  }

  /** Passes the first signal to the program if it listens; otherwise ends the process. */
  stop(signal: StopSignal): void {
    const code = INTERRUPTED[signal];
    if (this.#signal !== undefined || this.#listening === "no") return this.#end(code);
    this.#signal = signal;
    setTimeout(() => {
      this.#endWith(code, "agent.stop_overdue", { limit_s: STOP_LIMIT_MS / 1_000 });
    }, STOP_LIMIT_MS);
    if (this.#listening === "yes") this.#post({ kind: "stop", signal });
  }

  #receive(report: Report): void {
    switch (report.kind) {
      case "alive":
        this.#unanswered = 0;
        return;
      case "watch":
        this.#format = report.format;
        return this.#watch(report.limitMs);
      case "listens":
        return this.#setListening(report.listens);
      case "exit":
        return this.#end(report.code);
    }
  }

  #setListening(listens: boolean): void {
    const isFirst = this.#listening === "early";
    this.#listening = listens ? "yes" : "no";
    if (isFirst && this.#signal !== undefined) this.#post({ kind: "stop", signal: this.#signal });
  }

  #watch(limitMs: number): void {
    this.#limitMs = limitMs;
    this.#unanswered = 0;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#ping(), limitMs / PINGS);
    this.#post({ kind: "ping" });
  }

  #ping(): void {
    this.#unanswered += 1;
    if (this.#unanswered <= PINGS) return this.#post({ kind: "ping" });
    this.#endWith(FAILED, "agent.blocked", {
      blocked_s: this.#limitMs / 1_000,
    });
  }

  #post(message: Message): void {
    this.#worker?.postMessage(message);
  }

  /** Ends the process, after a line on stderr if that can be written in time. */
  #endWith(code: number, event: LastEvent, fields: Fields): void {
    clearInterval(this.#timer);
    setTimeout(() => this.#end(code), LAST_LINE_MS);
    const marked = markPriority(this.#formatLine(event, fields), SYSLOG_PRIORITY.error);
    const line = new TextEncoder().encode(`${marked}\n`);
    // A thread of Deno writes it and may block; this thread goes on.
    Deno.stderr.write(line).catch(() => {}).finally(() => this.#end(code));
  }

  /** Formats a line like those of the log, which runs in the worker. */
  #formatLine(code: LastEvent, fields: Fields): string {
    const time = new Date().toISOString();
    const message = LOG_MESSAGES[code];
    if (this.#format === "json") {
      return JSON.stringify({ time, level: "error", code, message, ...fields });
    }
    const words = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    return [time, "ERROR", message, ...words].join(" ");
  }
}

type Fields = Readonly<Record<string, string | number>>;

/** The code of a line that ends the process. */
type LastEvent = "agent.crashed" | "agent.stop_overdue" | "agent.blocked";
