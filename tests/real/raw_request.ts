/** A request on a bare socket, and exactly what became of it: for tests that `fetch` is too polite for. */

/** What to send. */
export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, with any method; a string is sent as it is. */
  readonly body?: unknown;
}

/** An answer that arrived whole, whatever its status. */
export interface RawAnswer {
  readonly kind: "answer";
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
  /** The body as JSON; empty if it is none. */
  // deno-lint-ignore no-explicit-any
  readonly json: any;
}

/**
 * What can become of a request. `refused`: nobody listens. `reset`: torn down. `closed`: ended before
 * the answer did. `silent`: nothing more came in the time given.
 */
export type RawOutcome =
  | RawAnswer
  | { readonly kind: "refused" | "reset" }
  | { readonly kind: "closed" | "silent"; readonly received: string };

/** Sends a request to `origin` on a connection of its own. */
export async function rawRequest(
  origin: string,
  request: RawRequest,
  options: { silenceMs?: number; caCerts?: string[] } = {},
): Promise<RawOutcome> {
  const { hostname, port, protocol } = new URL(origin);
  const address = { hostname, port: Number(port) };
  try {
    const connection = protocol === "https:"
      ? await Deno.connectTls({ ...address, caCerts: options.caCerts ?? [] })
      : await Deno.connect(address);
    using _ = { [Symbol.dispose]: () => closeQuietly(connection) };
    await connection.write(new TextEncoder().encode(encode(request)));
    return await receive(connection, options.silenceMs ?? 10_000);
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return { kind: "refused" };
    if (error instanceof Deno.errors.ConnectionReset) return { kind: "reset" };
    if (error instanceof Deno.errors.BrokenPipe) return { kind: "reset" };
    throw error;
  }
}

/** Like `rawRequest`, for where anything but an answer is a failure. */
export async function call(origin: string, request: RawRequest): Promise<RawAnswer> {
  const outcome = await rawRequest(origin, request);
  if (outcome.kind !== "answer") throw new Error(`Cannot read answer: ${outcome.kind}`);
  return outcome;
}

function encode(request: RawRequest): string {
  const body = typeof request.body === "string"
    ? request.body
    : request.body === undefined
    ? ""
    : JSON.stringify(request.body);
  const headers: Record<string, string> = {
    "Host": "refserver.test",
    "Connection": "close",
    "Content-Type": "application/json",
    "Content-Length": String(new TextEncoder().encode(body).length),
    ...request.headers,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${request.method} ${request.path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}

async function receive(connection: Deno.Conn, silenceMs: number): Promise<RawOutcome> {
  let received = "";
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(16_384);
  while (true) {
    const answer = parse(received);
    if (answer) return answer;
    const read = await within(connection.read(buffer), silenceMs);
    if (read === "silent") return { kind: "silent", received };
    if (read === null) return { kind: "closed", received };
    received += decoder.decode(buffer.subarray(0, read), { stream: true });
  }
}

function parse(received: string): RawAnswer | undefined {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first = "", ...lines] = received.slice(0, end).split("\r\n");
  const headers = new Map(lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  }));
  const text = received.slice(end + 4);
  if (new TextEncoder().encode(text).length < Number(headers.get("content-length"))) {
    return undefined;
  }
  return { kind: "answer", status: Number(first.split(" ")[1]), headers, text, json: json(text) };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | "silent"> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<"silent">((resolve) => {
    timer = setTimeout(() => resolve("silent"), ms);
  });
  // What a later close does to the read is nobody's business any more.
  promise.catch(() => {});
  try {
    return await Promise.race([promise, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // The other side was first.
  }
}
