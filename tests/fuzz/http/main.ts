/**
 * `deno task fuzz:http`: the HTTP reader against a server that answers on raw sockets by a grammar of
 * valid and broken answers. Every exchange has to end within its limits, memory stays bounded, and
 * what the reader takes for an answer is what Node's own `http` makes of the same bytes.
 *
 * `--cases N`, `--seed N`; `--from N --cases 1` shows one case again.
 */

import { parseArgs } from "@std/cli/parse-args";
import { fileURLToPath } from "node:url";
import { HttpError } from "../../../src/system/http.ts";
import { realSendHttp } from "../../../src/system/real/http/http.ts";
import { type HttpCase, httpCase, MAX_BODY_BYTES, UNREAD_BODY_BYTES } from "./cases.ts";

/** What a client makes of a case: an answer, or why there is none. */
type Outcome = { readonly status: number; readonly body: string } | { readonly error: string };

const AT_ONCE = 16;
const TIMEOUT_MS = 2_000;

/** Over its time limit an exchange may be late by this, on a machine that is busy with other work. */
const GRACE_MS = 3_000;

/**
 * The process may grow by this over what it had after the first cases. A few of the requests have
 * bodies of 6 MB, which are there three times while they are sent.
 */
const MOST_GROWTH_BYTES = 96 * 1_048_576;
const WARM_UP_CASES = 2_000;

/** The longest that the event loop may stand still; printed, and far over 50 ms for other work's sake. */
const LONGEST_LAG_MS = 1_000;

const LONGEST_MESSAGE = 500;

/**
 * What Node says only where it refuses an answer for the bytes behind it: a second message that does
 * not begin as one, or that comes after `Connection: close`. The reader takes the answer, and never
 * uses the connection again.
 */
const REFUSED_FOR_SURPLUS = ["HPE_INVALID_CONSTANT", "HPE_CLOSED_CONNECTION"];

const UNREAD_BODY = "x".repeat(UNREAD_BODY_BYTES);

/** A request that was not sent, for those of other cases that are unread at this moment. */
const HELD_BACK = "earlier requests were not read";

async function main(words: string[]): Promise<number> {
  const given = parseArgs(words, { string: ["cases", "seed", "from"] });
  const cases = Number(given["cases"] ?? 100_000);
  const from = Number(given["from"] ?? 0);
  const seed = Number(given["seed"] ?? Date.now() % 1_000_000);
  console.log(`Seed ${seed}, ${cases} cases, Deno ${Deno.version.deno}`);
  const server = start(
    ["run", "--no-prompt", "-A", here("server.ts"), String(seed)],
    Deno.execPath(),
  );
  const lines = linesOf(server);
  const port = Number((await lines.next()).value);
  const run = new Run(seed, port);
  try {
    await run.all(from, cases);
  } finally {
    await run.end();
    await server.stdin.close();
    await lines.return(undefined);
    await server.status;
  }
  return run.report();
}

class Run {
  readonly #seed: number;
  readonly #port: number;
  readonly #send = realSendHttp();
  readonly #node: Deno.ChildProcess;
  readonly #question: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #waiting = new Map<string, (outcome: Outcome) => void>();
  readonly #complaints: string[] = [];
  readonly #reading: Promise<void>;
  readonly #startedMs = performance.now();
  #done = 0;
  #answers = 0;
  #compared = 0;
  #baseBytes = 0;
  #peakBytes = 0;
  #longestMs = 0;
  #longestLagMs = 0;

  constructor(seed: number, port: number) {
    this.#seed = seed;
    this.#port = port;
    const limits = [port, TIMEOUT_MS + GRACE_MS, MAX_BODY_BYTES].map(String);
    this.#node = start([here("reference.mjs"), ...limits], "node");
    this.#question = this.#node.stdin.getWriter();
    this.#reading = this.#readNode();
  }

  async all(from: number, cases: number): Promise<void> {
    let next = from;
    let lastMs = performance.now();
    const lag = setInterval(() => {
      const nowMs = performance.now();
      this.#longestLagMs = Math.max(this.#longestLagMs, nowMs - lastMs - 10);
      lastMs = nowMs;
    }, 10);
    const work = async () => {
      while (next < from + cases && this.#complaints.length < 20) await this.#one(next++);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    clearInterval(lag);
  }

  async end(): Promise<void> {
    this.#send.closeIdle();
    await this.#question.close();
    await this.#node.status;
    await this.#reading;
  }

  report(): number {
    const tookS = (performance.now() - this.#startedMs) / 1_000;
    const growthMb = (this.#peakBytes - this.#baseBytes) / 1e6;
    if (this.#peakBytes - this.#baseBytes > MOST_GROWTH_BYTES) {
      this.#complain("memory", `the process grew by ${growthMb.toFixed(0)} MB`);
    }
    if (this.#longestLagMs > LONGEST_LAG_MS) this.#complain("lag", `${this.#longestLagMs} ms`);
    for (const complaint of this.#complaints) console.log(`FAILED ${complaint}`);
    console.log(
      `${this.#done} cases in ${tookS.toFixed(0)} s: ${this.#answers} answers, ` +
        `${this.#compared} compared with Node's; longest ${this.#longestMs.toFixed(0)} ms, ` +
        `event loop late by ${this.#longestLagMs.toFixed(0)} ms at most, grew by ` +
        `${growthMb.toFixed(0)} MB (peak ${(this.#peakBytes / 1e6).toFixed(0)} MB resident)`,
    );
    console.log(`${this.#complaints.length === 0 ? "1 passed, 0 failed" : "0 passed, 1 failed"}`);
    return this.#complaints.length === 0 ? 0 : 1;
  }

  async #one(n: number): Promise<void> {
    const one = httpCase(this.#seed, n);
    const { name, expected } = one;
    const startedMs = performance.now();
    const ours = await this.#ask(n, one);
    const tookMs = performance.now() - startedMs;
    this.#longestMs = Math.max(this.#longestMs, tookMs);
    if (tookMs > TIMEOUT_MS + GRACE_MS) this.#complain(`${n} (${name})`, `took ${tookMs} ms`);
    if ("error" in ours && ours.error.includes(HELD_BACK)) return;
    if (expected && !isSame(ours, expected)) {
      this.#complain(`${n} (${name})`, `expected ${show(expected)}, read ${show(ours)}`);
    }
    if (expected !== null || "status" in ours) await this.#compare(n, one, ours);
    this.#done += 1;
    if ("status" in ours) this.#answers += 1;
    if (this.#done % 500 === 0) this.#weigh();
  }

  async #ask(n: number, { name, isUnread }: HttpCase): Promise<Outcome> {
    try {
      const { status, body } = await this.#send({
        method: isUnread ? "POST" : "GET",
        ...(isUnread && { body: UNREAD_BODY }),
        url: `http://127.0.0.1:${this.#port}/${n}`,
        headers: {},
        // Earlier cases close connections that they promised to keep, and the server counts nothing.
        isIdempotent: true,
        connectTimeoutMs: TIMEOUT_MS,
        timeoutMs: TIMEOUT_MS,
        maxBodyBytes: MAX_BODY_BYTES,
      });
      return { status, body: new TextDecoder().decode(body) };
    } catch (error) {
      if (!(error instanceof HttpError)) this.#complain(`${n} (${name})`, `threw ${error}`);
      const { message } = error as Error;
      if (message.length > LONGEST_MESSAGE) this.#complain(`${n} (${name})`, "says too much");
      return { error: message };
    }
  }

  /** What both take for an answer is the same, and what is valid is one to both. */
  async #compare(n: number, { name, bytes }: HttpCase, ours: Outcome): Promise<void> {
    const theirs = await this.#askNode(String(n));
    this.#compared += 1;
    if (isSame(ours, theirs) || name === "two answers") return;
    if ("error" in theirs && await this.#isForSurplus(n, { bytes, ours, error: theirs.error })) {
      return;
    }
    this.#complain(`${n} (${name})`, `Node read ${show(theirs)}, we ${show(ours)}`);
  }

  /** Whether Node refuses an answer for the bytes behind it, and reads it as we do without them. */
  async #isForSurplus(
    n: number,
    { bytes, ours, error }: { bytes: Uint8Array; ours: Outcome; error: string },
  ): Promise<boolean> {
    if (REFUSED_FOR_SURPLUS.includes(error)) return true;
    const text = new TextDecoder("latin1").decode(bytes);
    for (const { index } of text.matchAll(/\r\n\r\n/g)) {
      if (isSame(ours, await this.#askNode(`${n}/${index + 4}`))) return true;
    }
    return false;
  }

  async #askNode(path: string): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.#waiting.set(path, resolve);
    await this.#question.write(new TextEncoder().encode(`${path}\n`));
    return await promise;
  }

  async #readNode(): Promise<void> {
    for await (const line of linesOf(this.#node)) {
      const { path, ...outcome } = JSON.parse(line);
      this.#waiting.get(path)?.(outcome);
      this.#waiting.delete(path);
    }
  }

  #weigh(): void {
    const { rss } = Deno.memoryUsage();
    if (this.#done <= WARM_UP_CASES) this.#baseBytes = Math.max(this.#baseBytes, rss);
    this.#peakBytes = Math.max(this.#peakBytes, rss);
  }

  #complain(what: string, fact: string): void {
    this.#complaints.push(`case ${what}: ${fact}`);
  }
}

function isSame(a: Outcome, b: Outcome): boolean {
  return "status" in a && "status" in b && a.status === b.status && a.body === b.body;
}

function show(outcome: Outcome): string {
  return JSON.stringify(outcome).slice(0, 200);
}

function here(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

function start(args: string[], program: string): Deno.ChildProcess {
  const stdio = { stdin: "piped", stdout: "piped", stderr: "inherit" } as const;
  return new Deno.Command(program, { args, ...stdio }).spawn();
}

async function* linesOf(child: Deno.ChildProcess): AsyncGenerator<string> {
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
