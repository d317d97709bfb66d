/** What the reference server was asked, kept in memory and printed: a line a request, no tokens. */

/** Requests kept; older ones go first, and are counted. */
export const MAX_REQUESTS = 100_000;

/** One request. It is added when its first line has arrived, and completed when it is over. */
export interface LoggedRequest {
  /** Milliseconds on a clock that never goes back. */
  readonly atMs: number;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** What was answered, or would have been (`lost_answer`); `null` if nothing was. */
  status: number | null;
  /** The fault that was played on it. */
  readonly fault: string | null;
  bodyBytes: number;
  /** Whether it carried an `Authorization` header; its value is never kept. */
  hasAuthorization: boolean;
  /** What it was about, in a few words. */
  summary: string;
  /** Ids of the commands that its answer hands over, or would have. */
  handedOver: readonly string[];
  /** When the whole answer had been given to the network, on the clock of `atMs`; `null`: never. */
  answeredAtMs: number | null;
}

/** How far a request has come: read whole, acted upon, answered in full. */
export type RequestStage = "arrived" | "acted" | "answered";

/** Something that a correct agent never does, whatever the server answered. */
export interface Violation {
  readonly atMs: number;
  readonly method: string;
  readonly path: string;
  readonly what: string;
}

/** Both clocks: the wall's for what is stored and told, the other for what is measured. */
export interface ServerClock {
  nowMs(): number;
  monotonicMs(): number;
}

/** The log. `print` is handed one line at a time. */
export class RequestLog {
  requests: LoggedRequest[] = [];
  readonly violations: Violation[] = [];
  /** Requests that went to make room. */
  dropped = 0;
  readonly #clock: ServerClock;
  readonly #print: (line: string) => void;

  constructor(clock: ServerClock, print: (line: string) => void) {
    this.#clock = clock;
    this.#print = print;
  }

  /** Notes that a request has arrived. */
  begin(method: string, path: string, fault: string | null): LoggedRequest {
    const request: LoggedRequest = {
      atMs: this.#clock.monotonicMs(),
      method: printable(method),
      path: printable(path),
      status: null,
      fault,
      bodyBytes: 0,
      hasAuthorization: false,
      summary: "",
      handedOver: [],
      answeredAtMs: null,
    };
    this.requests.push(request);
    if (this.requests.length > MAX_REQUESTS) {
      this.requests.shift();
      this.dropped += 1;
    }
    return request;
  }

  /** Notes that a request's answer is on its way, all of it. */
  answered(request: LoggedRequest): void {
    request.answeredAtMs = this.#clock.monotonicMs();
  }

  /** Prints a request that is over. */
  end(request: LoggedRequest): void {
    request.summary = printable(request.summary);
    const outcome = [request.status, request.fault && `[${request.fault}]`].filter(Boolean);
    this.#line(
      `${request.method} ${request.path} ${outcome.join(" ") || "-"} ${request.summary}`,
    );
  }

  /** Notes what a correct agent would not have sent. */
  violate(request: { method: string; path: string }, what: string): void {
    const { method, path } = request;
    const atMs = this.#clock.monotonicMs();
    this.violations.push({ atMs, method, path, what: printable(what) });
    this.#line(`PROTOCOL VIOLATION ${method} ${path}: ${printable(what)}`);
  }

  /** Forgets the requests; violations stay. */
  reset(): void {
    this.requests = [];
    this.dropped = 0;
  }

  #line(text: string): void {
    const time = new Date(this.#clock.nowMs()).toISOString().slice(11, 23);
    this.#print(`${time} ${text}`.trimEnd());
  }
}

/** At most 300 characters, none of them a control character. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.slice(0, 300).replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}
