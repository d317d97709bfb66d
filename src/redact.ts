/**
 * Hides what may be a secret in texts from outside: user parts, queries and token-like path segments of
 * URLs, and values that are named as secrets. Every text of a package manager, a server or a program
 * passes here before it becomes a message, a log line, a row of the buffer or a report. Pure.
 *
 * It errs on the side of hiding: a file name too many that is hidden costs a look, a password that is
 * not hidden costs a host.
 */

import { JWT_PATTERN } from "@logtape/redaction";
import { stripControls, stripPrefix } from "./strip_controls.ts";

/** What is written in the place of a secret. */
export const HIDDEN = "(hidden)";

/** Says that something was left out. */
const CUT = "(cut)";

/** What is read of a text beyond what is quoted, so that no URL is redacted without its end. */
const LOOK_AHEAD = 4_096;

/**
 * Words from outside as a message quotes them: one line, safe to show, without secrets, of at most
 * `limit` characters (UTF-16). Longer ones are cut after the secrets are hidden, and end in `(cut)`,
 * which counts.
 */
export function quoteWords(text: string, limit: number): string {
  const read = stripPrefix(text, limit + LOOK_AHEAD);
  const words = redact(read);
  if (words.length <= limit && read.length <= limit + LOOK_AHEAD) return words;
  // What is cut in the middle of a character leaves no half of it.
  return stripControls(words.slice(0, Math.max(0, limit - CUT.length))) + CUT;
}

/** The text without what may be a secret. What is hidden once stays as it is when it passes again. */
export function redact(text: string): string {
  let shown = text;
  if (shown.includes("://") || shown.includes("@")) shown = redactUrls(shown);
  return NAMED_SECRETS.reduce((rest, [shape, instead]) => rest.replace(shape, instead), shown);
}

/** Secrets that are known by their form, or by the name in front of them. */
const NAMED_SECRETS: readonly [RegExp, string][] = [
  [JWT_PATTERN.pattern, HIDDEN],
  [/\bBearer\s*[^\s"]+/gi, `Bearer ${HIDDEN}`],
  // "Basic authentication" is a word; credentials in base64 have a digit, a capital or padding.
  [/\bBasic[ \t]+(?=\S*[=0-9A-Z])[A-Za-z0-9+/_-]{4,}=*/g, `Basic ${HIDDEN}`],
  // `NAME=value`, `NAME: value`, and both with quotation marks.
  [
    /\b((?:pass(?:word|wd|phrase)?|secret|token|(?:api|access|auth)[-_]?key|signature)["']?)([ \t]?=[ \t]?|:[ \t]?)(?!\(hidden\))(["']?)[^\s"',;&]+/gi,
    `$1$2$3${HIDDEN}`,
  ],
];

/** Where a URL begins. A scheme longer than this is none. */
const SCHEME = /[A-Za-z][A-Za-z0-9+.-]{0,39}:\/\//g;

/** Word by word: a URL ends at white space, or where the next one begins. A password may hold all else. */
function redactUrls(text: string): string {
  return text.replace(/\S+/g, (word) => {
    if (!word.includes("://")) return hideBareUser(word);
    let shown = "";
    let from = 0;
    for (const { index, 0: scheme } of word.matchAll(SCHEME)) {
      shown += from === 0
        ? hideBareUser(word.slice(0, index))
        : redactRest(word.slice(from, index));
      shown += scheme;
      from = index + scheme.length;
    }
    return shown + (from === 0 ? hideBareUser(word) : redactRest(word.slice(from)));
  });
}

/** `user:password@host` without a scheme, as proxies are often written; behind `=` or a quotation mark too. */
function hideBareUser(word: string): string {
  const at = word.lastIndexOf("@");
  const colon = word.indexOf(":");
  if (colon < 1 || colon > at || !/[\w[]/.test(word[at + 1] ?? "")) return word;
  const start = word.slice(0, colon).search(/[^"'(<[=,]*$/);
  const user = word.slice(start, colon);
  return user === "" || user.includes("/") ? word : word.slice(0, start) + HIDDEN + word.slice(at);
}

/** What closes a quotation around a URL, or a sentence, and belongs to neither query nor segment. */
const CLOSING = "\"'`)]}>,.;:!";

function withoutClosing(text: string): string {
  let end = text.length;
  while (CLOSING.includes(text[end - 1] ?? " ") && !text.startsWith(HIDDEN, end - HIDDEN.length)) {
    end -= 1;
  }
  return text.slice(0, end);
}

/** What stands behind `scheme://`. */
function redactRest(rest: string): string {
  const url = withoutClosing(rest);
  const closing = rest.slice(url.length);
  // A password may hold a slash, a question mark and `@`: what is in front of the last one is hidden.
  const at = url.lastIndexOf("@");
  const behind = url.slice(at + 1);
  const query = behind.search(/[?#]/);
  const place = query < 0 ? behind : behind.slice(0, query);
  const [authority = "", ...segments] = place.split("/");
  const shown = segments.map((segment, index) => {
    const isNamed = SECRET_NAMES.test(segments[index - 1] ?? "") && segment !== "";
    return isNamed ? HIDDEN : redactSegment(segment);
  });
  return [
    at < 0 ? "" : `${HIDDEN}@`,
    [isAuthority(authority) ? authority : HIDDEN, ...shown].join("/"),
    query < 0 ? "" : `${behind[query]}${HIDDEN}`,
    closing,
  ].join("");
}

/**
 * Whether this is a host with or without a port. A colon that no port follows is the beginning of a
 * password whose end was cut off.
 */
function isAuthority(text: string): boolean {
  return /^(?:\[[^\]]*\]?|[^:[]*)(?::\d{0,5})?$/.test(text);
}

/** A path segment that says that the next one is a secret. */
const SECRET_NAMES =
  /^(?:t|tokens?|auth|key|keys|api-?keys?|secrets?|sig|signature|pass(?:word)?|access|user|private)$/i;

/** Shorter ones are names: of suites, architectures, versions. */
const SHORTEST_TOKEN = 16;

function redactSegment(segment: string): string {
  const [path = "", ...parameters] = segment.split(";");
  const shown = path.split(".").map((part) => isTokenLike(part) ? HIDDEN : part).join(".");
  return parameters.length === 0 ? shown : `${shown};${HIDDEN}`;
}

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/**
 * Whether nobody would have thought of this as a name: a long run of letters and digits that change
 * often. `linux-image-amd64` and `bookworm-security` are names.
 */
function isTokenLike(part: string): boolean {
  if (part.length < SHORTEST_TOKEN) return false;
  if (UUID.test(part)) return true;
  const text = decodePercent(part);
  if (!/^[A-Za-z0-9+_=~-]+$/.test(text)) return false;
  // Words, and numbers by themselves, are what names are made of.
  const pieces = text.split(/[^A-Za-z0-9]+/);
  return pieces.some(isRandom) || changes(text) >= text.length / 4;
}

/** One run of letters and digits that is no word with a number. */
function isRandom(piece: string): boolean {
  if (piece.length < SHORTEST_TOKEN) return false;
  if (/^[0-9a-f]+$/i.test(piece) && /\d/.test(piece)) return true;
  return changes(piece) >= piece.length / 5;
}

const KINDS = [/\d/, /[A-Z]/, /[a-z]/];

/** How often a text goes from one kind of character to another: lower case, upper case, digits. */
function changes(text: string): number {
  let count = 0;
  let last = -1;
  for (const character of text) {
    const kind = KINDS.findIndex((kind) => kind.test(character));
    if (kind < 0) continue;
    if (last >= 0 && kind !== last) count += 1;
    last = kind;
  }
  return count;
}

function decodePercent(text: string): string {
  return text.replace(
    /%[0-9A-Fa-f]{2}/g,
    (code) => String.fromCharCode(parseInt(code.slice(1), 16)),
  );
}
