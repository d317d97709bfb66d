/**
 * A grammar of HTTP answers, valid and broken: case `n` of a seed is always the same. A valid case
 * knows what a reader must make of it; a broken one only that the reader has to end.
 */

import { gzipSync } from "node:zlib";
import { seededRandom } from "../../fakes/system.ts";

/** How the connection goes on behind the bytes of a case. */
export type Ending = "close" | "keep" | "stall" | "reset";

export interface HttpCase {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where the bytes are cut into several writes. */
  readonly cuts: readonly number[];
  /** Written again and again behind the bytes, until the client goes away or `MOST_ENDLESS_BYTES`. */
  readonly endless: string | null;
  readonly ending: Ending;
  /** Whether the request has a large body, of which nothing is read. */
  readonly isUnread: boolean;
  /** What a reader must make of it; `null` for a broken case. */
  readonly expected: { readonly status: number; readonly body: string } | null;
}

/** The limit that the client under test is given. */
export const MAX_BODY_BYTES = 65_536;

/** The body of a request that is not read: more than the system takes for such a peer. */
export const UNREAD_BODY_BYTES = 6_000_000;

const UNREAD_SHARE = 0.01;

/** An endless case ends after this all the same, in case no one stops it. */
export const MOST_ENDLESS_BYTES = 16_777_216;

const BROKEN_SHARE = 0.6;

/** Numbers that a lenient parser takes for a length. */
const BAD_NUMBERS = [
  ..."-5|-0|+5|1e3|0x10||zz| |5 5|5,5|5;|0b1|５|٣|1_0|NaN|Infinity|-1|5.0|.5|5.".split("|"),
  "9".repeat(30),
  "f".repeat(17),
  "18446744073709551616",
  "18446744073709551615",
  "9007199254740993",
  "-9223372036854775808",
  "5\u0000",
  "\u00005",
  "5\t",
  "0".repeat(5_000) + "5",
];

interface Draw {
  readonly random: () => number;
  /** An integer in [0, below). */
  below(limit: number): number;
  one<T>(values: readonly T[]): T;
  chance(share: number): boolean;
}

/** The case `n` of `seed`. */
export function httpCase(seed: number, n: number): HttpCase {
  const random = seededRandom((seed * 1_000_003 + n) >>> 0);
  const draw: Draw = {
    random,
    below: (limit) => Math.floor(random() * limit),
    one: (values) => values[Math.floor(random() * values.length)]!,
    chance: (share) => random() < share,
  };
  return draw.chance(BROKEN_SHARE) ? brokenCase(draw, n) : validCase(draw, n);
}

/** An answer in parts, so that each can be broken by itself. */
interface Answer {
  status: number;
  version: string;
  reason: string;
  interim: string[];
  headers: [name: string, value: string][];
  framing: "length" | "chunked" | "close" | "none";
  /** As it is sent. */
  body: Uint8Array<ArrayBuffer>;
  text: string;
  chunkSize: number;
  extension: string;
  trailers: string;
}

function validAnswer(draw: Draw, n: number): Answer {
  const status = draw.one([200, 200, 200, 201, 204, 304, 400, 401, 404, 429, 500, 503, 299, 599]);
  const isBodyless = status === 204 || status === 304;
  const text = isBodyless ? "" : bodyText(draw, n);
  const plain = encode(text);
  const isPacked = !isBodyless && draw.chance(0.2);
  // Level 0 makes a body longer, and 24 bytes of it a chunk that costs as much as any.
  const level = plain.length < MAX_BODY_BYTES - 100 ? draw.one([0, 6]) : 6;
  const body = isPacked ? new Uint8Array(gzipSync(plain, { level })) : plain;
  const version = draw.chance(0.9) ? "1.1" : "1.0";
  const framing = isBodyless
    ? "none"
    : version === "1.0"
    ? draw.one(["length", "close"] as const)
    : draw.one(["length", "chunked", "chunked", "close"] as const);
  const headers: [string, string][] = Array.from({ length: draw.below(12) }, () => header(draw));
  if (isPacked) headers.push([draw.one(["Content-Encoding", "content-encoding"]), "gzip"]);
  if (draw.chance(0.1)) headers.push(["Connection", draw.one(["close", "keep-alive"])]);
  return {
    status,
    version,
    reason: draw.one(["OK", "", "Not Found At All", "caf\u00e9"]),
    interim: Array.from({ length: draw.chance(0.1) ? draw.below(4) : 0 }, () => interim(draw)),
    headers,
    framing,
    body,
    text,
    chunkSize: draw.one([24, 100, 1_000, 5_000, 70_000]),
    extension: draw.chance(0.2) ? draw.one([";a", ";a=b", ';a="b;c"', ";x;y=z"]) : "",
    trailers: draw.chance(0.2) ? "X-Sum: 1\r\n" : "",
  };
}

function bodyText(draw: Draw, n: number): string {
  const start = `{"case":${n},"text":"`;
  const room = MAX_BODY_BYTES - start.length - 2;
  const length = draw.one([0, 1, 10, 100, 1_000, 16_384, 20_000, room]);
  const fill = draw.one(["a", "ab\\n", "0", " "]);
  const body = start + fill.repeat(length).slice(0, length) + '"}';
  return draw.chance(0.1) ? body.slice(0, -2) + "\u00e4\u20ac\ud83d\ude00".slice(0, 1) : body;
}

function header(draw: Draw): [string, string] {
  const name = draw.one(["X-A", "x-b", "Server", "Date", "X_under.score", "ETag", "Set-Cookie"]);
  const value = draw.one([
    "",
    "b",
    "a b",
    "a\tb",
    "v".repeat(900),
    'W/"x"',
    "\u00ff\u00e4",
    "1, 2",
  ]);
  return [name, value];
}

function interim(draw: Draw): string {
  return draw.one([
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Early: 1\r\n\r\n",
    "HTTP/1.1 102 Processing\r\n\r\n",
  ]);
}

/** The bytes of an answer; `latin1` text, except for the body. */
function write(answer: Answer, framing = framingHeader(answer)): Uint8Array<ArrayBuffer> {
  const lines = [...answer.headers.map(([name, value]) => `${name}: ${value}\r\n`), framing];
  const head = `HTTP/${answer.version} ${answer.status} ${answer.reason}\r\n${lines.join("")}\r\n`;
  return join(latin1(answer.interim.join("") + head), bodyBytes(answer));
}

function framingHeader({ framing, body }: Answer): string {
  if (framing === "length") return `Content-Length: ${body.length}\r\n`;
  return framing === "chunked" ? "Transfer-Encoding: chunked\r\n" : "";
}

function bodyBytes(answer: Answer, size = (length: number) => length.toString(16)) {
  const { framing, body, chunkSize, extension, trailers } = answer;
  if (framing !== "chunked") return body;
  const parts: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += chunkSize) {
    const chunk = body.subarray(at, at + chunkSize);
    parts.push(latin1(`${size(chunk.length)}${extension}\r\n`), chunk, latin1("\r\n"));
  }
  parts.push(latin1(`0${extension}\r\n${trailers}\r\n`));
  return join(...parts);
}

function validCase(draw: Draw, n: number): HttpCase {
  const answer = validAnswer(draw, n);
  const bytes = write(answer);
  return {
    name: `valid ${answer.framing}`,
    bytes,
    cuts: cutsOf(draw, bytes),
    endless: null,
    ending: answer.framing === "close" || draw.chance(0.1) ? "close" : "keep",
    // An answer that goes on to the end of the connection has none where that is reset.
    isUnread: answer.framing !== "close" && draw.chance(UNREAD_SHARE),
    expected: { status: answer.status, body: answer.text },
  };
}

function cutsOf(draw: Draw, bytes: Uint8Array): number[] {
  if (!draw.chance(0.2)) return [];
  const cuts = Array.from({ length: 1 + draw.below(5) }, () => draw.below(bytes.length));
  return cuts.sort((a, b) => a - b);
}

type Breaking = (
  draw: Draw,
  answer: Answer,
) => { bytes: Uint8Array<ArrayBuffer>; endless?: string };

/** Ways to break an answer, by name. */
const BREAKINGS: Readonly<Record<string, Breaking>> = {
  "content length": (draw, answer) => ({
    bytes: write(
      { ...answer, framing: "length" },
      `${draw.one(["Content-Length", "content-length "])}: ${draw.one(BAD_NUMBERS)}\r\n`,
    ),
  }),
  "wrong content length": (draw, answer) => ({
    bytes: write(
      { ...answer, framing: "length" },
      `Content-Length: ${
        Math.max(0, answer.body.length + draw.one([-7, -1, 1, 100, 1e9, 1e15]))
      }\r\n`,
    ),
  }),
  "two lengths": (draw, answer) => ({
    bytes: write(
      { ...answer, framing: "length" },
      `Content-Length: ${answer.body.length}\r\n${
        draw.one([
          `Content-Length: ${answer.body.length}\r\n`,
          "Content-Length: 3\r\n",
          "Transfer-Encoding: chunked\r\n",
          "Transfer-Encoding : chunked\r\n",
          "Transfer-Encoding: identity\r\n",
        ])
      }`,
    ),
  }),
  "transfer coding": (draw, answer) => ({
    bytes: write(
      { ...answer, framing: "chunked" },
      `Transfer-Encoding: ${
        draw.one([
          ..."gzip|gzip, chunked|chunked, gzip|chunked, chunked|xchunked|chunked;a=b|cow|,".split(
            "|",
          ),
          "chunked\r\nTransfer-Encoding: gzip",
          "\u000bchunked",
        ])
      }\r\n`,
    ),
  }),
  "chunk size": (draw, answer) => {
    const bad = draw.one(BAD_NUMBERS);
    const chunked: Answer = { ...answer, framing: "chunked", body: encode("hello chunked world") };
    return { bytes: join(head(chunked), bodyBytes(chunked, () => bad)) };
  },
  "chunk ends": (draw, answer) => {
    const end = draw.one(["", "\n", "\r", "x\r\n", "\r\n\r\n"]);
    const chunked: Answer = { ...answer, framing: "chunked" };
    return { bytes: join(head(chunked), latin1(`5\r\nhello${end}5\r\nworld\r\n0\r\n\r\n`)) };
  },
  "tiny chunks": (_draw, answer) => ({
    bytes: head({ ...answer, framing: "chunked" }),
    endless: "1\r\na\r\n",
  }),
  "endless body": (_draw, answer) => ({
    bytes: head({ ...answer, framing: "close" }),
    endless: "x",
  }),
  "endless chunks": (_draw, answer) => ({
    bytes: head({ ...answer, framing: "chunked" }),
    endless: `1000\r\n${"y".repeat(4_096)}\r\n`,
  }),
  "endless extension": (draw, answer) => ({
    bytes: join(head({ ...answer, framing: "chunked" }), latin1("5;")),
    endless: draw.one(["a", "a=b;", ' "', ";"]),
  }),
  "endless trailers": (draw, answer) => ({
    bytes: join(head({ ...answer, framing: "chunked" }), latin1("0\r\n")),
    endless: draw.one(["X-T: 1\r\n", "a", `${"T".repeat(1_000)}: v\r\n`]),
  }),
  "endless headers": (draw) => ({
    bytes: latin1("HTTP/1.1 200 OK\r\n"),
    endless: draw.one(["a: b\r\n", "a", "X: \t ", `H: ${"v".repeat(70_000)}\r\n`]),
  }),
  "endless status line": (draw) => ({
    bytes: latin1("HTTP/1.1 200 "),
    endless: draw.one([" ", "O"]),
  }),
  "endless interim": (draw) => ({
    bytes: new Uint8Array(0),
    endless: draw.one(["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Hi\r\nA: b\r\n\r\n"]),
  }),
  "endless white space": (draw) => ({
    bytes: new Uint8Array(0),
    endless: draw.one(["\r\n", "\n", " "]),
  }),
  "gzip bomb": (draw, answer) => {
    const body = BOMBS[draw.below(BOMBS.length)]!;
    return {
      bytes: write({
        ...answer,
        status: 200,
        body,
        framing: draw.one(["length", "chunked"] as const),
        headers: [["Content-Encoding", "gzip"]],
      }),
    };
  },
  "empty deflate blocks": (draw, answer) => ({
    bytes: write({
      ...answer,
      status: 200,
      body: emptyBlocks(draw.one([1, 1_000, 13_000, 20_000])),
      framing: draw.one(["length", "chunked"] as const),
      chunkSize: draw.one([24, 1_000]),
      headers: [["Content-Encoding", "gzip"]],
    }),
  }),
  "damaged gzip": (draw, answer) => {
    const packed = new Uint8Array(gzipSync(encode(answer.text)));
    const body = draw.chance(0.5)
      ? packed.slice(0, draw.below(packed.length))
      : damage(draw, packed);
    const headers: [string, string][] = [["Content-Encoding", draw.one(["gzip", "deflate", "br"])]];
    return { bytes: write({ ...answer, status: 200, framing: "length", body, headers }) };
  },
  "line ends": (draw, answer) => ({
    bytes: latin1(
      `HTTP/1.1 200 OK${draw.one(["\n", "\r", "\r\r\n", "\n\r"])}` +
        `A: b${draw.one(["\r\n", "\n", "\r"])}Content-Length: 2${
          draw.one(["\n\n", "\r\n\n", "\r\n\r\n"])
        }` +
        `{}${answer.text.slice(0, draw.below(5))}`,
    ),
  }),
  "header syntax": (draw, answer) => ({
    bytes: write({
      ...answer,
      headers: [
        ...answer.headers,
        draw.one<[string, string]>([
          ["", "empty name"],
          ["a b", "space in name"],
          ["X\u0000", "nul"],
          ["X", "a\u0000b"],
          ["X", "a\rb"],
          ["X", "a\r\n folded"],
          ["X", "a\r\nno colon"],
          ["X ", "space before colon"],
          ["\u00e4", "name"],
          ["__proto__", "x"],
          ["constructor", "x"],
          ["Upgrade", "websocket\r\nConnection: upgrade"],
        ]),
      ],
    }),
  }),
  "status line": (draw, answer) => {
    const rest = `\r\nContent-Length: ${answer.body.length}\r\n\r\n`;
    const line = draw.one([
      ..."HTTP/2.0 200 OK|HTTP/1.2 200 OK|HTTP/0.9 200 OK|HTTP/1.1 20 OK|HTTP/1.1 2000 OK".split(
        "|",
      ),
      ..."HTTP/1.1 -20 OK|HTTP/1.1 +200 OK|HTTP/1.1  200 OK|http/1.1 200 OK|HTTP/1.1 200".split(
        "|",
      ),
      ..."HTTP/1.1 000 OK|HTTP/1.1 099 OK|HTTP/1.1 101 Switching|HTTP/1.1 999 OK|HTTP/1,1 200 OK"
        .split("|"),
      ..."GET / HTTP/1.1|ICY 200 OK|SSH-2.0-OpenSSH_9.2|* OK IMAP4rev1|220 mail ESMTP".split("|"),
      ..."PRI * HTTP/2.0|\u0015\u0003\u0003\u0000\u0002\u0002(|\u0000\u0001\u0002|HTTP/1.1".split(
        "|",
      ),
    ]);
    return { bytes: join(latin1(line + rest), answer.body) };
  },
  "two answers": (draw, answer) => {
    const first = write({
      ...answer,
      framing: answer.framing === "close" ? "length" : answer.framing,
    });
    const second = draw.one([
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
      "\r\n",
      "junk",
      "\u0000",
      "HTTP/1.1 100 Continue\r\n\r\n",
    ]);
    return { bytes: join(first, latin1(second)) };
  },
  "too long": (draw, answer) => {
    const body = encode(`"${"z".repeat(MAX_BODY_BYTES - 2 + 1 + draw.below(3))}"`);
    const framing = draw.one(["length", "chunked", "close"] as const);
    const chunkSize = 1_000;
    return { bytes: write({ ...answer, status: 200, framing, body, chunkSize, headers: [] }) };
  },
  "damaged bytes": (draw, answer) => ({ bytes: damage(draw, write(answer)) }),
  "cut": (draw, answer) => {
    const bytes = write(answer);
    return { bytes: bytes.slice(0, draw.below(bytes.length)) };
  },
  "nothing": () => ({ bytes: new Uint8Array(0) }),
};

/** Stored blocks of DEFLATE without content: 5 bytes each, and nothing comes out. */
function emptyBlocks(count: number): Uint8Array<ArrayBuffer> {
  const start = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
  const blocks = latin1("\u0000\u0000\u0000\u00ff\u00ff".repeat(count));
  return join(
    new Uint8Array(start),
    blocks,
    latin1("\u0001\u0000\u0000\u00ff\u00ff"),
    new Uint8Array(8),
  );
}

/** Each inflates to 64 MiB or more. */
const BOMBS = [0, 0x61].map((fill) =>
  new Uint8Array(gzipSync(new Uint8Array(67_108_864).fill(fill), { level: 9 }))
);

const NAMES = Object.keys(BREAKINGS);

function brokenCase(draw: Draw, n: number): HttpCase {
  const name = draw.one(NAMES);
  const { bytes, endless } = BREAKINGS[name]!(draw, validAnswer(draw, n));
  const ending = draw.chance(0.005)
    ? "stall"
    : draw.one(["close", "close", "keep", "reset"] as const);
  return {
    name,
    bytes,
    cuts: name === "two answers" ? [] : cutsOf(draw, bytes),
    endless: endless ?? null,
    // What is broken may leave a client waiting; only a few cases take the time to see that.
    ending: ending === "keep" && name !== "two answers" ? "close" : ending,
    isUnread: draw.chance(UNREAD_SHARE),
    expected: null,
  };
}

function damage(draw: Draw, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  let damaged = bytes.slice();
  for (let count = 1 + draw.below(4); count > 0; count--) {
    const at = draw.below(Math.min(damaged.length, 600) + 1);
    switch (draw.below(4)) {
      case 0:
        damaged[at] = draw.below(256);
        break;
      case 1:
        damaged = join(damaged.subarray(0, at), damaged.subarray(at + 1 + draw.below(9)));
        break;
      case 2:
        damaged = join(
          damaged.subarray(0, at),
          latin1(draw.one(["\r\n", "\n", "\u0000", ":", " ", "\u00ff", "0", "-", "\r\n\r\n", ","])),
          damaged.subarray(at),
        );
        break;
      case 3: {
        const part = damaged.subarray(at, at + draw.below(40));
        damaged = join(damaged.subarray(0, at), part, damaged.subarray(at));
        break;
      }
    }
  }
  return damaged;
}

/** The head of an answer, as a body of its framing may follow it. */
function head(answer: Answer): Uint8Array<ArrayBuffer> {
  const empty = { ...answer, status: 200, headers: answer.headers.slice(0, 3), body: encode("") };
  const bytes = write(empty);
  return bytes.slice(0, bytes.length - bodyBytes(empty).length);
}

function encode(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function latin1(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at) & 0xff;
  return bytes;
}

function join(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
