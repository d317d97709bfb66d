import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { HttpError, type HttpErrorReason } from "../../../../src/system/http.ts";
import {
  AnswerReader,
  MOST_HEADERS,
  MOST_INTERIM_ANSWERS,
  OVERHEAD_BYTES,
  type WholeAnswer,
} from "../../../../src/system/real/http/answer.ts";
import { parserMemoryBytes } from "../../../../src/system/real/http/parser.ts";
import { httpCase, MAX_BODY_BYTES } from "../../../fuzz/http/cases.ts";

/** As much as one read of a connection brings at the most. */
const READ_BYTES = 16_384;

function latin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** Reads an answer that comes in `pieces`; `thenEnd` ends the input behind them. */
async function read(
  pieces: Iterable<Uint8Array>,
  { maxBodyBytes = MAX_BODY_BYTES, thenEnd = false } = {},
): Promise<Omit<WholeAnswer, "body"> & { body: string }> {
  const reader = new AnswerReader(maxBodyBytes);
  try {
    for (const piece of pieces) {
      for (let at = 0; at < piece.length && !reader.isComplete; at += READ_BYTES) {
        await reader.push(piece.subarray(at, at + READ_BYTES));
      }
      if (reader.isComplete) break;
    }
    if (!reader.isComplete && thenEnd) await reader.push(null);
    assert(reader.isComplete, "the reader waits for more");
    const answer = await reader.answer();
    return { ...answer, body: new TextDecoder().decode(answer.body) };
  } finally {
    reader.close();
  }
}

async function assertFails(
  pieces: Iterable<Uint8Array>,
  reason: HttpErrorReason,
  options: { maxBodyBytes?: number; thenEnd?: boolean } = {},
): Promise<void> {
  const error = await assertRejects(() => read(pieces, options), HttpError);
  assertEquals(error.reason, reason, error.message);
}

function* repeated(first: string, unit: string, count: number): Generator<Uint8Array> {
  yield latin1(first);
  const many = latin1(unit.repeat(100));
  for (let written = 0; written < count; written += 100) yield many;
}

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

Deno.test("AnswerReader reads a valid answer the same way in any pieces", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(1_000_000),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 8 }),
      async (n, places) => {
        const { bytes, expected, ending } = httpCase(7, n);
        if (expected === null) return;
        const cuts = places.map((place) => Math.floor(place * bytes.length)).sort((a, b) => a - b);
        const pieces = [0, ...cuts].map((from, index) => bytes.subarray(from, cuts[index]));
        const { status, body } = await read(pieces, { thenEnd: ending === "close" });
        assertEquals({ status, body }, expected);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("AnswerReader accepts only digits as a length", async () => {
  const numbers = [
    ..."-5|+5|1e3|0x10||zz|5 5|5,5|5.0|0b1|-0|\u0665|9e9".split("|"),
    "9".repeat(40),
  ];
  for (const number of numbers) {
    const length = `HTTP/1.1 200 OK\r\nContent-Length: ${number}\r\n\r\nhello`;
    const chunk = `${CHUNKED}${number}\r\nhello\r\n0\r\n\r\n`;
    for (const answer of [length, chunk]) {
      const error = await assertRejects(
        () => read([new TextEncoder().encode(answer)], { thenEnd: true }),
        HttpError,
      );
      assert(error.reason !== "timeout", `${JSON.stringify(number)}: ${error.message}`);
    }
  }
});

Deno.test("AnswerReader accepts the name of a coding in any case", async () => {
  for (const coding of ["chunked", "Chunked", "CHUNKED"]) {
    const head = `HTTP/1.1 200 OK\r\nTransfer-Encoding: ${coding}\r\n\r\n`;
    assertEquals((await read([latin1(`${head}5\r\nhello\r\n0\r\n\r\n`)])).body, "hello");
  }
});

Deno.test("AnswerReader refuses ambiguous framing", async () => {
  const rows = [
    "Content-Length: 5\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding: chunked, gzip\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "A: b\r\n folded: c\r\n",
    "no colon\r\n",
  ];
  for (const headers of rows) {
    const answer = `HTTP/1.1 200 OK\r\n${headers}\r\n5\r\nhello\r\n0\r\n\r\n`;
    await assertFails([latin1(answer)], "malformed", { thenEnd: true });
  }
  for (const line of ["HTTP/2.0 200 OK", "HTTP/1.1 101 Switching Protocols", "HTTP/1.1 99 x"]) {
    await assertFails([latin1(`${line}\r\nUpgrade: x\r\n\r\n`)], "malformed", { thenEnd: true });
  }
});

Deno.test("AnswerReader limits the head of an answer", async () => {
  const start = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ";
  const fill = (length: number) => `${start}${"v".repeat(length - start.length - 4)}\r\n\r\n`;
  assertEquals((await read([latin1(fill(OVERHEAD_BYTES))])).status, 200);
  await assertFails([latin1(fill(OVERHEAD_BYTES + 1))], "too_large");
});

Deno.test("AnswerReader limits every part around a body alike", async () => {
  const many = 1_000_000;
  const rows: [first: string, unit: string][] = [
    ["HTTP/1.1 200 ", "O"],
    ["HTTP/1.1 200 OK\r\n", "a"],
    ["HTTP/1.1 200 OK\r\nX: ", "a"],
    [`${CHUNKED}5;`, "a"],
    [`${CHUNKED}5;a=`, "b"],
    [`${CHUNKED}0\r\n`, "T"],
    [CHUNKED, "1\r\na\r\n"],
    ["", "\r\n"],
  ];
  for (const [first, unit] of rows) await assertFails(repeated(first, unit, many), "too_large");
});

Deno.test("AnswerReader allows overhead of a quarter of the body's length, and no more", async () => {
  const chunks = (size: number, bodyBytes: number) =>
    latin1(`${size.toString(16)}\r\n${"a".repeat(size)}\r\n`.repeat(bodyBytes / size));
  const options = { maxBodyBytes: 4_000_000 };
  // Five bytes around 20, and six around 24: just over a quarter, and just a quarter.
  await assertFails([latin1(CHUNKED), chunks(18, 1_800_000)], "too_large", options);
  const whole = [latin1(CHUNKED), chunks(24, 2_400_000), latin1("0\r\n\r\n")];
  assertEquals((await read(whole, options)).body.length, 2_400_000);
});

Deno.test("AnswerReader does not count bytes after the answer", async () => {
  const head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ";
  const first = `${head}${"v".repeat(OVERHEAD_BYTES - head.length - 4)}\r\n\r\n`;
  const bytes = latin1(`${first}HTTP/1.1 200 OK\r\n`);
  assertEquals((await read([bytes.subarray(0, 20_000), bytes.subarray(20_000)])).status, 200);
});

Deno.test("AnswerReader does not mix answers that arrive at the same time", async () => {
  const pieces = (letter: string) => {
    const chunk = `100\r\n${letter.repeat(256)}\r\n`;
    return [latin1(CHUNKED), ...Array(40).fill(latin1(chunk.repeat(30))), latin1("0\r\n\r\n")];
  };
  const options = { maxBodyBytes: 1_000_000 };
  const letters = ["a", "b", "c"];
  const answers = await Promise.all(letters.map((letter) => read(pieces(letter), options)));
  assertEquals(answers.map(({ body }) => [...new Set(body)]), letters.map((letter) => [letter]));
});

Deno.test("AnswerReader needs no more memory for the ten-thousandth answer", async () => {
  const bytes = latin1("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const external: number[] = [];
  for (let count = 0; count <= 20_000; count++) {
    await read([bytes]);
    if (count % 10_000 === 0) external.push(parserMemoryBytes());
  }
  assertEquals(new Set(external).size, 1, external.join());
});

Deno.test("AnswerReader counts headers and trailers", async () => {
  const head = (count: number) => `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(count)}`;
  const end = "Content-Length: 0\r\n\r\n";
  const { headers } = await read([latin1(head(MOST_HEADERS - 1) + end)]);
  assertEquals(headers["a"]?.split(", ").length, MOST_HEADERS - 1);
  await assertFails([latin1(head(MOST_HEADERS) + end)], "too_large");
  const trailers = (count: number) => `${CHUNKED}0\r\n${"T: 1\r\n".repeat(count)}\r\n`;
  assertEquals((await read([latin1(trailers(MOST_HEADERS - 1))])).headers["t"], undefined);
  await assertFails([latin1(trailers(MOST_HEADERS + 1))], "too_large");
});

Deno.test("AnswerReader skips a limited number of interim answers with all their headers", async () => {
  const interim = "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n";
  const last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const answer = await read([latin1(interim.repeat(MOST_INTERIM_ANSWERS) + last)]);
  assertEquals([answer.status, answer.body, answer.headers["x-early"]], [200, "ok", undefined]);
  const more = interim.repeat(MOST_INTERIM_ANSWERS + 1);
  await assertFails([latin1(more + last)], "malformed");
  await assertFails([latin1(interim)], "cut_off", { thenEnd: true });
  const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  for (const headers of ["", upgrade]) {
    const switching = `HTTP/1.1 101 Switching Protocols\r\n${headers}\r\n`;
    await assertFails([latin1(switching + last)], "malformed");
  }
});

Deno.test("AnswerReader accepts a body at the limit, and refuses one byte more before reading it", async () => {
  const limits = { maxBodyBytes: 5 };
  const stated = (length: number) => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`;
  assertEquals((await read([latin1(`${stated(5)}12345`)], limits)).body, "12345");
  await assertFails([latin1(stated(6))], "too_large", limits);
  assertEquals((await read([latin1(`${CHUNKED}5\r\n12345\r\n0\r\n\r\n`)], limits)).body, "12345");
  await assertFails([latin1(`${CHUNKED}6\r\n123456`)], "too_large", limits);
  const none = "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n";
  assertEquals((await read([latin1(none)], limits)).status, 304);
  const open = (body: string) => [latin1(`HTTP/1.1 200 OK\r\n\r\n${body}`)];
  assertEquals((await read(open("12345"), { ...limits, thenEnd: true })).body, "12345");
  await assertFails(open("123456"), "too_large", limits);
});

Deno.test("AnswerReader returns the first of two answers, and does not reuse the connection", async () => {
  const first = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst";
  for (const second of ["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond", "junk", "\r\n"]) {
    const { body, keepAlive } = await read([latin1(first + second)]);
    assertEquals([body, keepAlive], ["first", false]);
  }
  assertEquals((await read([latin1(first)])).keepAlive, true);
});

Deno.test("AnswerReader joins repeated headers, also those named like properties of objects", async () => {
  const answer = "HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\n__proto__: x\r\nContent-Length: 0\r\n\r\n";
  const { headers } = await read([latin1(answer)]);
  assertEquals([headers["a"], headers["__proto__"], headers["constructor"]], [
    "1, 2",
    "x",
    undefined,
  ]);
});

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function packed(body: Uint8Array, encoding = "gzip", length = body.length): Uint8Array[] {
  const head = `Content-Encoding: ${encoding}\r\nContent-Length: ${length}\r\n\r\n`;
  return [latin1(`HTTP/1.1 200 OK\r\n${head}`), body];
}

Deno.test("AnswerReader inflates up to the limit, and frees everything past it", async () => {
  const atLimit = await gzip(new Uint8Array(MAX_BODY_BYTES).fill(0x61));
  assertEquals((await read(packed(atLimit))).body.length, MAX_BODY_BYTES);
  // What is sent counts as well as what it inflates to.
  const noise = crypto.getRandomValues(new Uint8Array(60_000));
  assertEquals((await read(packed(await gzip(noise)))).status, 200);
  const [, sent = noise] = packed(await gzip(noise));
  const head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
  const limits = { maxBodyBytes: 60_010, thenEnd: true };
  await assertFails([latin1(head), sent], "too_large", limits);
  const past = await gzip(new Uint8Array(MAX_BODY_BYTES + 1).fill(0x61));
  await assertFails(packed(past), "too_large");
  // 64 MiB out of 64 KiB: it is refused while the first few slices inflate.
  const bomb = await gzip(new Uint8Array(67_108_864));
  const before = Deno.memoryUsage().external;
  await assertFails(packed(bomb), "too_large", { maxBodyBytes: 100_000 });
  assert(Deno.memoryUsage().external - before < 16_777_216, "it held on to what it inflated");
});

Deno.test("AnswerReader refuses compression that is damaged, cut short or not requested", async () => {
  const whole = await gzip(latin1("a text that is long enough to be cut"));
  for (const length of [1, 9, 12, whole.length - 9, whole.length - 1]) {
    await assertFails(packed(whole.subarray(0, length)), "malformed");
    await assertFails(packed(whole, "gzip", whole.length + 1), "cut_off", { thenEnd: true });
  }
  await assertFails(packed(latin1("junk")), "malformed");
  for (const encoding of ["deflate", "br", "gzip, gzip", "zstd"]) {
    await assertFails(packed(whole, encoding), "malformed");
  }
  assertEquals((await read(packed(new Uint8Array(0)))).body, "");
});

Deno.test("AnswerReader reports the parser's reason", async () => {
  const junk = () => read([latin1("SSH-2.0-OpenSSH_9.2\r\n\r\n")]);
  const error = await assertRejects(junk, HttpError);
  assertEquals(error.message, "that is not HTTP (Expected HTTP/, RTSP/ or ICE/)");
});

Deno.test("AnswerReader refuses a request in place of an answer", async () => {
  await assertFails([latin1("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")], "malformed");
});
