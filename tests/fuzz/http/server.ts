/**
 * A server on raw sockets that answers `GET /n` with case `n` of a seed, byte for byte, and `GET /n/l`
 * with its first `l` bytes alone. Prints its port, and lives until its stdin ends.
 */

import { type HttpCase, httpCase, MOST_ENDLESS_BYTES, UNREAD_BODY_BYTES } from "./cases.ts";

/** How long a case that stalls keeps its connection; longer than any client of the fuzzer waits. */
const STALL_MS = 5_000;

/** What was written has arrived by then; closing with a part of the request unread takes it back. */
const ARRIVAL_MS = 50;

/** What an endless case writes at once. */
const WRITE_BYTES = 32_768;

const seed = Number(Deno.args[0]);
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(listener.addr.port);
void accept();
for await (const _ of Deno.stdin.readable) {
  // Nothing is ever said; the end of it is the signal.
}
Deno.exit(0);

async function accept(): Promise<void> {
  for await (const connection of listener) {
    connection.setNoDelay();
    serve(connection).catch(() => {}).finally(() => close(connection));
  }
}

async function serve(connection: Deno.TcpConn): Promise<void> {
  while (true) {
    const heard = await hear(connection);
    if (heard === null) return;
    const one = httpCase(seed, heard.n);
    if (heard.length !== null) {
      return await writeAll(connection, one.bytes.subarray(0, heard.length));
    }
    await answer(connection, one);
    if (one.ending === "stall") {
      await Promise.race([connection.read(new Uint8Array(1)), pause(STALL_MS)]);
    }
    if (heard.isUnread) return await pause(ARRIVAL_MS);
    if (one.ending !== "keep") return;
  }
}

async function answer(connection: Deno.TcpConn, { bytes, cuts, endless }: HttpCase): Promise<void> {
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    await writeAll(connection, bytes.subarray(from, to));
    if (cuts.length > 0) await pause(0);
    from = to;
  }
  if (endless === null) return;
  const many = endless.repeat(Math.max(1, Math.floor(WRITE_BYTES / endless.length)));
  const block = new TextEncoder().encode(many);
  for (let sent = 0; sent < MOST_ENDLESS_BYTES; sent += block.length) {
    await writeAll(connection, block);
  }
}

/** What is asked for. */
interface Heard {
  readonly n: number;
  /** `null`: all of it. */
  readonly length: number | null;
  readonly isUnread: boolean;
}

/** The case that is asked for; `null` at the end of the connection. */
async function hear(connection: Deno.TcpConn): Promise<Heard | null> {
  const buffer = new Uint8Array(4_096);
  let text = "";
  while (!text.includes("\r\n\r\n")) {
    const length = await connection.read(buffer);
    if (length === null) return null;
    text += new TextDecoder().decode(buffer.subarray(0, length));
  }
  const [, n, length] = /^(?:GET|POST) \/(\d+)(?:\/(\d+))? /.exec(text) ?? [];
  return {
    n: Number(n),
    length: length === undefined ? null : Number(length),
    isUnread: text.includes(`content-length: ${UNREAD_BODY_BYTES}\r\n`),
  };
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await connection.write(bytes.subarray(written));
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // The client was faster.
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
