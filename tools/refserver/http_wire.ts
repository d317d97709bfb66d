/**
 * HTTP/1.1 on a bare connection: reads requests, writes answers. Not `node:http`: on Deno 2.6.8 its
 * server loses the body of a GET and cannot cut an answer off.
 */

/** Bound on a request's first line and headers together. */
const MAX_HEAD_BYTES = 65_536;

/** Bytes read at once while the first line is incomplete: what is left unread makes a close a reset. */
const LINE_STEP_BYTES = 16;

/** A request's first line. */
export interface RequestLine {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly version: string;
}

/** A request that has arrived whole. */
export interface WireRequest extends RequestLine {
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Read as UTF-8. */
  readonly body: string;
  readonly bodyBytes: number;
  readonly keepAlive: boolean;
}

/** An answer to be written. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A request that cannot be read as one; `status` is what to answer before closing. */
export class WireError extends Error {
  override readonly name = "WireError";
  readonly status: 400 | 413;

  constructor(message: string, options: { status: 400 | 413 }) {
    super(message);
    this.status = options.status;
  }
}

/** What is read from and written to: a `Deno.Conn`, or less. */
export interface Wire {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
}

/** Reads one request after another from a connection. */
export class RequestReader {
  readonly #wire: Wire;
  #unread: Uint8Array = new Uint8Array(0);

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** The next request's first line; `undefined` if the other side has closed. */
  async readLine(): Promise<RequestLine | undefined> {
    if (this.#unread.length === 0 && !await this.#readMore(LINE_STEP_BYTES)) return undefined;
    // The mark of a GET whose body was sent without its length, which node:http does unless told.
    if (!/^[A-Z]/.test(String.fromCharCode(this.#unread[0]!))) {
      throw new WireError("Cannot read request: bytes that belong to none", { status: 400 });
    }
    const line = await this.#readUntil("\r\n", LINE_STEP_BYTES);
    if (line === undefined) return undefined;
    const match = /^([A-Z]+) (\/[^ ?#]*)[^ ]* (HTTP\/1\.[01])$/.exec(line);
    if (!match) throw new WireError("Cannot read request: malformed first line", { status: 400 });
    return { method: match[1]!, path: match[2]!, version: match[3]! };
  }

  /** The rest of the request that `line` begins. */
  async readRest(line: RequestLine, maxBodyBytes: number): Promise<WireRequest> {
    const headers = parseHeaders(await this.#readHead());
    if (headers.get("expect") === "100-continue") {
      await writeAll(this.#wire, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    const bytes = headers.get("transfer-encoding") === "chunked"
      ? await this.#readChunks(maxBodyBytes)
      : await this.#readExactly(contentLength(headers, maxBodyBytes));
    const connection = headers.get("connection")?.toLowerCase();
    return {
      ...line,
      headers,
      body: new TextDecoder().decode(bytes),
      bodyBytes: bytes.length,
      keepAlive: line.version === "HTTP/1.1" ? connection !== "close" : connection === "keep-alive",
    };
  }

  /** Header lines up to the empty one. */
  async #readHead(): Promise<string[]> {
    const lines: string[] = [];
    let bytes = 0;
    while (true) {
      const line = await this.#mustReadLine();
      if (line === "") return lines;
      bytes += line.length;
      if (bytes > MAX_HEAD_BYTES) {
        throw new WireError("Cannot read request: headers too long", { status: 400 });
      }
      lines.push(line);
    }
  }

  async #readChunks(maxBodyBytes: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let total = 0;
    while (true) {
      const size = Number.parseInt(await this.#mustReadLine(), 16);
      if (!(size >= 0)) throw new WireError("Cannot read request: bad chunk", { status: 400 });
      total += size;
      if (total > maxBodyBytes) throw tooLarge(maxBodyBytes);
      if (size === 0) break;
      chunks.push(await this.#readExactly(size));
      await this.#mustReadLine();
    }
    while (await this.#mustReadLine() !== "");
    return concat(chunks);
  }

  async #mustReadLine(): Promise<string> {
    const line = await this.#readUntil("\r\n", 16_384);
    if (line === undefined) throw new Error("Cannot read request: connection closed");
    return line;
  }

  async #readUntil(end: string, stepBytes: number): Promise<string | undefined> {
    let searched = 0;
    while (true) {
      const at = indexOf(this.#unread, end, searched);
      if (at >= 0) {
        const line = new TextDecoder().decode(this.#unread.subarray(0, at));
        this.#unread = this.#unread.slice(at + end.length);
        return line;
      }
      if (this.#unread.length > MAX_HEAD_BYTES) {
        throw new WireError("Cannot read request: line too long", { status: 400 });
      }
      searched = Math.max(0, this.#unread.length - end.length);
      if (!await this.#readMore(stepBytes)) return undefined;
    }
  }

  /** Reads at most so many bytes; `false` if the other side has closed. */
  async #readMore(maxBytes: number): Promise<boolean> {
    const step = new Uint8Array(maxBytes);
    const read = await this.#wire.read(step);
    if (read === null) return false;
    this.#unread = concat([this.#unread, step.subarray(0, read)]);
    return true;
  }

  async #readExactly(size: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    let filled = Math.min(size, this.#unread.length);
    bytes.set(this.#unread.subarray(0, filled));
    this.#unread = this.#unread.slice(filled);
    while (filled < size) {
      const read = await this.#wire.read(bytes.subarray(filled));
      if (read === null) throw new Error("Cannot read request: connection closed");
      filled += read;
    }
    return bytes;
  }
}

/** An answer's head and body as bytes, apart, so that the body can be cut. */
export function encodeAnswer(
  answer: WireAnswer,
  options: { keepAlive: boolean },
): { head: Uint8Array; body: Uint8Array } {
  const body = new TextEncoder().encode(answer.body);
  const headers = {
    ...answer.headers,
    "Content-Length": String(body.length),
    "Connection": options.keepAlive ? "keep-alive" : "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${answer.status} ${reason(answer.status)}\r\n${lines.join("")}\r\n`;
  return { head: new TextEncoder().encode(head), body };
}

/** Writes all of it, however many writes that takes. */
export async function writeAll(wire: Wire, data: Uint8Array | string): Promise<void> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  for (let sent = 0; sent < bytes.length;) sent += await wire.write(bytes.subarray(sent));
}

function parseHeaders(lines: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 1) throw new WireError("Cannot read request: malformed header", { status: 400 });
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const known = headers.get(name);
    headers.set(name, known === undefined ? value : `${known}, ${value}`);
  }
  return headers;
}

function contentLength(headers: ReadonlyMap<string, string>, maxBodyBytes: number): number {
  const text = headers.get("content-length") ?? "0";
  if (!/^\d{1,15}$/.test(text)) {
    throw new WireError("Cannot read request: malformed length", { status: 400 });
  }
  if (Number(text) > maxBodyBytes) throw tooLarge(maxBodyBytes);
  return Number(text);
}

function tooLarge(maxBodyBytes: number): WireError {
  return new WireError(`Cannot read request: body over ${maxBodyBytes} bytes`, { status: 413 });
}

function indexOf(bytes: Uint8Array, text: string, from: number): number {
  const first = text.charCodeAt(0);
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if ([...text].every((char, offset) => bytes[at + offset] === char.charCodeAt(0))) return at;
  }
  return -1;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function reason(status: number): string {
  return REASONS.get(status) ?? "Unknown";
}

const REASONS = new Map([
  [200, "OK"],
  [302, "Found"],
  [400, "Bad Request"],
  [401, "Unauthorized"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [408, "Request Timeout"],
  [413, "Content Too Large"],
  [429, "Too Many Requests"],
  [500, "Internal Server Error"],
  [502, "Bad Gateway"],
  [503, "Service Unavailable"],
  [504, "Gateway Timeout"],
]);
