import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { ANSWER_LIMITS } from "../../src/json.ts";
import { canonicalJson } from "../../src/server/canonical_json.ts";
import { seededRandom } from "../fakes/system.ts";

function canonical(text: string): string {
  const read = canonicalJson(text);
  return read.ok ? read.value : `(${read.why})`;
}

/** Written by Go 1.26: `json.Unmarshal` into an `interface{}`, then `json.Marshal`. */
const GO: readonly (readonly [text: string, written: string])[] = [
  ["null", "null"],
  [" [ ] ", "[]"],
  ["{\n}", "{}"],
  ["[-0,-0.0,-1e-400,0]", "[-0,-0,-0,0]"],
  ["[1e21,1e20,123456789012345678901]", "[1e+21,100000000000000000000,123456789012345680000]"],
  ["[1e-6,1e-7,0.000001234,1.5e-9]", "[0.000001,1e-7,0.000001234,1.5e-9]"],
  [
    "[1e100,1E23,5e-324,1.7976931348623157e308]",
    "[1e+100,1e+23,5e-324,1.7976931348623157e+308]",
  ],
  ["[9007199254740993,12345678.9e-3,1.0]", "[9007199254740992,12345.6789,1]"],
  [String.raw`["\ud800","\ud800x","\udc00\ud800"]`, '["\ufffd","\ufffdx","\ufffd\ufffd"]'],
  [String.raw`"\ud83d\ude00"`, '"\u{1f600}"'],
  [
    String.raw`"\u0000\u0001\u001f\u007f\u0080\u2027\u2028\u2029\u202a\ufffe\uffff"`,
    String.raw`"\u0000\u0001\u001f` + "\u007f\u0080\u2027" + String.raw`\u2028\u2029` +
    '\u202a\ufffe\uffff"',
  ],
  [String.raw`"\b\f\n\r\t\/\\\""`, String.raw`"\b\f\n\r\t/\\\""`],
  [`"<>&'"`, String.raw`"\u003c\u003e\u0026'"`],
  ['"caf\\u00e9 e\\u0301"', '"caf\u00e9 e\u0301"'],
  [
    String.raw`{"\ud83d\ude00":1,"\uffff":2,"a":3,"A":4,"":5,"<":6}`,
    '{"":5,"\\u003c":6,"A":4,"a":3,"\uffff":2,"\u{1f600}":1}',
  ],
  [
    '{"b":1,"b":{"y":2,"x":3},"10":1,"9":2,"__proto__":3,"constructor":4}',
    '{"10":1,"9":2,"__proto__":3,"b":{"x":3,"y":2},"constructor":4}',
  ],
  [String.raw`{"\ud800":1,"\ufffd":2}`, '{"\ufffd":2}'],
  [String.raw`{"\ufffd":2,"\ud800":1}`, '{"\ufffd":1}'],
];

Deno.test("canonicalJson() writes what Go writes", () => {
  for (const [text, written] of GO) assertEquals(canonical(text), written, text);
});

Deno.test("canonicalJson() writes the parameters of the protocol's vectors, however they arrive", () => {
  const message = 'a < b & c > d \u2028 \u00e9 "q" \\ /\t\u0007\u007f \u{1f600}';
  const z = { b: [1.5, 1e21, 1e-7, 0.000001, -2, true, null], a: "x" };
  const written = String.raw`{"delay_minutes":1,"message":"a \u003c b \u0026 c \u003e d \u2028 ` +
    "\u00e9" + String.raw` \"q\" \\ /\t\u0007` + "\u007f \u{1f600}" +
    String.raw`","z":{"a":"x","b":[1.5,1e+21,1e-7,0.000001,-2,true,null]}}`;
  assertEquals(canonical(JSON.stringify({ z, message, delay_minutes: 1 }, null, 2)), written);
  assertEquals(canonical(written), written);
});

Deno.test("canonicalJson() refuses what is not JSON, too long, too deep or out of range", () => {
  for (const text of ["", "{", "{}{}", "{'a':1}", "[01]", "NaN", '"\u0001"', "[1,]"]) {
    assertEquals(canonical(text), "(it is not valid JSON)", text);
  }
  const { maxDepth } = ANSWER_LIMITS;
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  assertEquals(canonical(nested(maxDepth)), nested(maxDepth));
  assertEquals(
    canonical(nested(maxDepth + 1)),
    `(it is nested deeper than ${maxDepth} levels)`,
  );
  assertEquals(canonical("1e400"), "(it contains a number that is out of range)");
  const limits = { ...ANSWER_LIMITS, maxLength: 4 };
  assertEquals(canonicalJson("[11]", limits), { ok: true, value: "[11]" });
  assertEquals(canonicalJson("[111]", limits).ok, false);
});

Deno.test("canonicalJson() reads each key as it is written, whatever was parsed before", () => {
  // V8 14.5 and 15.0 give the second object the key of the first.
  const texts = [String.raw`{"a":0,"p\\":1}`, String.raw`{"a":0,"p\n":1}`];
  for (const text of [...texts, ...texts]) {
    JSON.parse(text);
    assertEquals(canonical(text), text);
  }
});

/** A second implementation: from the value to bytes, with code points, UTF-8 and digits by hand. */
class ByteWriter {
  readonly #bytes: number[] = [];

  static write(value: unknown): string {
    const writer = new ByteWriter();
    writer.#value(value);
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(Uint8Array.from(writer.#bytes));
  }

  #ascii(text: string): void {
    for (const character of text) this.#bytes.push(character.charCodeAt(0));
  }

  #value(value: unknown): void {
    if (value === null) this.#ascii("null");
    else if (typeof value === "boolean") this.#ascii(value ? "true" : "false");
    else if (typeof value === "number") this.#ascii(goNumber(value));
    else if (typeof value === "string") this.#text(utf8(value));
    else if (Array.isArray(value)) {
      this.#list("[]", value, (item) => this.#value(item));
    } else this.#object(value as Record<string, unknown>);
  }

  #object(value: Record<string, unknown>): void {
    const members: { key: number[]; value: unknown }[] = [];
    for (const name of Object.keys(value)) {
      const key = utf8(name);
      const same = members.findIndex((other) => compareBytes(other.key, key) === 0);
      if (same >= 0) members.splice(same, 1);
      members.push({ key, value: value[name] });
    }
    members.sort((a, b) => compareBytes(a.key, b.key));
    this.#list("{}", members, (member) => {
      this.#text(member.key);
      this.#ascii(":");
      this.#value(member.value);
    });
  }

  #list<T>(brackets: string, items: readonly T[], write: (item: T) => void): void {
    this.#ascii(brackets[0]!);
    for (const [at, item] of items.entries()) {
      if (at > 0) this.#ascii(",");
      write(item);
    }
    this.#ascii(brackets[1]!);
  }

  #text(bytes: readonly number[]): void {
    this.#ascii('"');
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!;
      const short = "\b\f\n\r\t".indexOf(String.fromCharCode(byte));
      const isSeparator = byte === 0xe2 && bytes[at + 1] === 0x80 && (bytes[at + 2]! | 1) === 0xa9;
      if (byte === 0x22 || byte === 0x5c) this.#bytes.push(0x5c, byte);
      else if (short >= 0) this.#ascii(`\\${"bfnrt"[short]}`);
      else if (byte < 0x20 || byte === 0x3c || byte === 0x3e || byte === 0x26) {
        this.#ascii(`\\u00${"0123456789abcdef"[byte >> 4]}${"0123456789abcdef"[byte & 15]}`);
      } else if (isSeparator) {
        this.#ascii(`\\u202${bytes[at + 2]! - 0xa0}`);
        at += 2;
      } else this.#bytes.push(byte);
    }
    this.#ascii('"');
  }
}

function utf8(text: string): number[] {
  const bytes: number[] = [];
  for (let at = 0; at < text.length; at++) {
    let point = text.charCodeAt(at);
    const next = text.charCodeAt(at + 1);
    if (point >= 0xd800 && point <= 0xdbff && next >= 0xdc00 && next <= 0xdfff) {
      point = 0x10000 + (point - 0xd800) * 0x400 + (next - 0xdc00);
      at += 1;
    } else if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd;
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | point >> 6, 0x80 | point & 63);
    else if (point < 0x10000) {
      bytes.push(0xe0 | point >> 12, 0x80 | point >> 6 & 63, 0x80 | point & 63);
    } else {
      const middle = [0x80 | point >> 12 & 63, 0x80 | point >> 6 & 63];
      bytes.push(0xf0 | point >> 18, ...middle, 0x80 | point & 63);
    }
  }
  return bytes;
}

function compareBytes(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    if (a[at] !== b[at]) return a[at]! - b[at]!;
  }
  return a.length - b.length;
}

/** Go's `floatEncoder`: format "f", or "e" below 1e-6 and from 1e21 on, without a padded exponent. */
function goNumber(value: number): string {
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const [mantissa, power] = Math.abs(value).toExponential().split("e");
  const digits = mantissa!.replace(".", "");
  const exponent = Number(power);
  if (value === 0) return `${sign}0`;
  if (Math.abs(value) < 1e-6 || Math.abs(value) >= 1e21) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? "-" : "+"}${Math.abs(exponent)}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return sign + digits.padEnd(exponent + 1, "0");
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

/** Draws values, and spells each in one of the many ways that JSON allows. */
class Drawer {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  value(depth = 0): unknown {
    const kind = this.#below(depth > 3 ? 5 : 8);
    if (kind === 0) return this.#of([null, true, false]);
    if (kind === 1) return this.#below(2_000) - 1_000;
    if (kind === 2) return this.#number();
    if (kind <= 4) return this.#text();
    const size = this.#below(4);
    if (kind === 5) return Array.from({ length: size }, () => this.value(depth + 1));
    return Object.fromEntries(
      Array.from({ length: size }, () => [this.#text(), this.value(depth + 1)]),
    );
  }

  /** A JSON text of the value, which `JSON.stringify` could not write: with blanks and escapes. */
  spell(value: unknown): string {
    const blank = () => this.#of(["", "", "", " ", "\n\t", "\r\n  "]);
    if (Array.isArray(value)) {
      return `[${value.map((item) => this.spell(item)).join(",")}${blank()}]`;
    }
    if (typeof value === "number") {
      const isSpelled = this.#below(3) === 0;
      const text = isSpelled ? value.toExponential().replace("e", "E") : `${value}`;
      return blank() + (Object.is(value, -0) ? "-0" : text) + blank();
    }
    if (typeof value === "string") return blank() + this.#spellText(value);
    if (typeof value !== "object" || value === null) return `${value}`;
    const members = Object.entries(value).map(([key, member]) =>
      `${blank()}${this.#spellText(key)}${blank()}:${this.spell(member)}`
    );
    return `{${members.join(",")}${blank()}}`;
  }

  #spellText(text: string): string {
    let spelled = "";
    for (const unit of text.split("")) {
      const hex = unit.charCodeAt(0).toString(16).padStart(4, "0");
      const isEscaped = this.#below(10) === 0 || unit < " " || /["\\\ud800-\udfff]/.test(unit);
      spelled += isEscaped ? `\\u${this.#below(2) === 0 ? hex : hex.toUpperCase()}` : unit;
    }
    return `"${spelled}"`;
  }

  #number(): number {
    const kind = this.#below(5);
    if (kind === 0) return this.#of([0, -0, 1e21, 1e-6, 1e-7, 5e-324, Number.MAX_VALUE]);
    if (kind === 1) return Number((this.#random() * 10 ** (this.#below(50) - 25)).toPrecision(3));
    if (kind === 2) return Math.floor(this.#random() * 2 ** this.#below(80));
    const bits = new DataView(new ArrayBuffer(8));
    bits.setUint32(0, this.#below(2 ** 32));
    bits.setUint32(4, this.#below(2 ** 32));
    const any = bits.getFloat64(0);
    return Number.isFinite(any) ? any : 1;
  }

  #text(): string {
    const units = Array.from({ length: this.#below(6) }, () => {
      const kind = this.#below(6);
      if (kind === 0) return this.#of([..."<>&\"\\/'\b\f\n\r\t\u007f\u2027\u2028\u2029\u202a"]);
      if (kind === 1) return String.fromCharCode(this.#below(0x20));
      if (kind === 2) return String.fromCharCode(0xd7f0 + this.#below(0x820));
      if (kind === 3) return String.fromCodePoint(0x10000 + this.#below(0x100000));
      return kind === 4 ? this.#of([..."ab019_"]) : String.fromCharCode(this.#below(0x10000));
    });
    return units.join("");
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #of<T>(items: readonly T[]): T {
    return items[this.#below(items.length)]!;
  }
}

Deno.test("canonicalJson() agrees with a second implementation on 100,000 values", () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const drawer = new Drawer(seed);
      for (let count = 0; count < 200; count++) {
        const value = drawer.value();
        const text = drawer.spell(value);
        const written = canonical(text);
        const expected = ByteWriter.write(value);
        // Comparing with `assertEquals` would take most of the time.
        if (written !== expected) assertEquals(written, expected, text);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("canonicalJson() leaves what is canonical as it is", () => {
  fc.assert(fc.property(fc.integer(), (seed) => {
    const drawer = new Drawer(seed);
    const written = canonical(drawer.spell(drawer.value()));
    assertEquals(canonical(written), written);
  }));
});
