/**
 * Hides what may be a secret in texts from outside: user parts, queries and token-like path segments of
 * URLs, and values that are named as secrets. Every text of a package manager, a server or a program is
 * redacted before it becomes a message, a log line, a row of the buffer or a report. `Secrets` hides the
 * tokens that this process knows besides, since a server or a proxy may repeat one in any text.
 *
 * In doubt it hides: a hidden file name costs a look, a password that is not hidden costs a host.
 */

import { JWT_PATTERN } from "@logtape/redaction";
import { stripControls, stripPrefix } from "./strip_controls.ts";

/** Replaces a secret. */
export const HIDDEN = "(hidden)";

const CUT = "(cut)";

/** Characters read beyond the limit of a quotation, so that each URL is redacted as a whole. */
const LOOK_AHEAD = 4_096;

/**
 * Prepares a text from outside for a message: one line, safe to show, without secrets, of at most `limit`
 * characters (UTF-16). A longer text is cut after its secrets are hidden, and ends in `(cut)`, which counts.
 */
export function quoteWords(text: string, limit: number): string {
  const read = stripPrefix(text, limit + LOOK_AHEAD);
  const words = redact(read);
  if (words.length <= limit && read.length <= limit + LOOK_AHEAD) return words;
  // Strips the half of a character that the cut may leave.
  return stripControls(words.slice(0, Math.max(0, limit - CUT.length))) + CUT;
}

/**
 * Hides what may be a secret. A second call changes nothing: where a hidden value contained blanks, two words
 * have become one, which may be a URL with a secret; so it examines its own output until nothing changes.
 */
export function redact(text: string): string {
  let shown = text;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const next = redactOnce(shown);
    if (next === shown) break;
    shown = next;
  }
  return shown;
}

/** Bounds the time. Two rounds are usual, of a text with a secret: one hides it, one finds nothing. */
const MOST_ROUNDS = 8;

function redactOnce(text: string): string {
  let shown = text;
  if (shown.includes("://")) shown = shown.replace(BLANK_IN_PASSWORD, `://${HIDDEN}@`);
  if (/:\/\/|@|%40/.test(shown)) shown = redactUrls(shown);
  shown = shown.replace(JWT_RUN, (run) => run.replace(JWT_PATTERN.pattern, HIDDEN));
  shown = FORMS.reduce((rest, [shape, instead]) => rest.replace(shape, instead), shown);
  shown = shown.replace(OPTION, (all, front: string, name: string) => {
    return isSecretName(name, true) ? front + name + ` ${HIDDEN}` : all;
  });
  return hideNamed(shown);
}

/** `NAME=value`, `NAME: value`, and both with quotation marks. */
function hideNamed(text: string): string {
  let shown = "";
  let from = 0;
  for (const { index, 0: front, 1: name = "", 2: quote, 3: sign = "" } of text.matchAll(NAME)) {
    // Part of a value is not a name.
    if (index < from) continue;
    const isText = quote === "" && sign.includes(":");
    if (!isSecretName(name, isText)) continue;
    VALUE.lastIndex = index + front.length;
    const [value] = VALUE.exec(text) ?? [];
    if (value === undefined) continue;
    const [mark = ""] = /^["'](?=.*["']$)|^/s.exec(value) ?? [];
    shown += text.slice(from, index) + front + mark + HIDDEN + mark;
    from = index + front.length + value.length;
  }
  return shown + text.slice(from);
}

/** A user part whose password contains blanks: it is no port, and one of the next words has the host. */
const BLANK_IN_PASSWORD =
  /:\/\/[^\s/@:]*:(?!\d{1,5}(?:[/\s]|$))[^\s@/]*(?:[ \t]+[^\s@]{1,200}){1,3}@(?=[\w[])/g;

/**
 * Finds what `JWT_PATTERN` finds, in time in proportion to the text: the pattern by itself reads to the end of
 * a word again from each `eyJ` in it.
 */
const JWT_RUN = /(?<![\w-])(?=[\w-]*\.[\w-]*\.)[\w-]*?eyJ[\w-]*\.[\w-]*\.[\w-]*/g;

/** Secrets that are recognised by their form, or by the words before them. */
const FORMS: readonly [RegExp, string][] = [
  // With any scheme: the credentials may contain blanks and quotation marks.
  [/\b((?:proxy-)?authorization|(?:set-)?cookie)(["']?:[ \t]*)[^\r\n]+/gi, `$1$2${HIDDEN}`],
  [/-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^\r\n]*/g, HIDDEN],
  [/\bBearer\s*[^\s"]+/gi, `Bearer ${HIDDEN}`],
  // Access tokens with a prefix for secret scanners: GitHub, GitLab, AWS, Slack, npm, PyPI.
  [
    /\b(?:gh[opsur]_|github_pat_|gl[a-z]{1,5}-|xox[a-z]-|npm_|pypi-|AKIA|ASIA)(?=[\w-]*\d)[\w-]{16,}/g,
    HIDDEN,
  ],
  // Not "Basic authentication": credentials in base64 have a digit, a capital or padding.
  [/\bBasic[ \t]+(?=\S*[=0-9A-Z])[A-Za-z0-9+/_-]{4,}=*/g, `Basic ${HIDDEN}`],
  // netrc, and apt's auth.conf.
  [/\blogin[ \t]+\S+[ \t]+password[ \t]+\S+/gi, `login ${HIDDEN} password ${HIDDEN}`],
  [/(^|\s)-u[ \t]*[^\s:-][^\s:]*:\S+/g, `$1-u ${HIDDEN}`],
];

/** `--name value`. */
const OPTION = /(^|\s)(--?[A-Za-z][\w-]*)[ \t]+(?![-(])(?:"[^"\r\n]+"|'[^'\r\n]+'|\S+)/g;

const NAME = /(?<![\w.-])([\w.-]+)(["']?)([ \t]?=[ \t]?|:[ \t]?)/g;
const VALUE = /(?!\(hidden\))(?:"[^"\r\n]+"|'[^'\r\n]+'|["']?[^\s"',;&]+)/y;

const SECRET_PARTS = new Set(
  "password passwords passwd pwd passphrase pass secret secrets token tokens apikey apikeys credential credentials auth signature accesskey authkey secretkey privatekey"
    .split(" "),
);

/** Words before "key" that make it a secret; other keys may be public. */
const SECRET_KEYS = new Set(["api", "access", "auth", "secret", "private", "account", "license"]);

/** Longest name; only the end of a longer one is examined. */
const LONGEST_NAME = 200;

/**
 * Whether a name denotes a secret, by one of its parts, which dashes, underscores or capitals separate. In
 * plain text only the last part counts: the name of a package may contain "token".
 */
function isSecretName(name: string, isText: boolean): boolean {
  const parts = name.slice(-LONGEST_NAME).replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase()
    .split(/[^a-z0-9]+/).filter((part) => part !== "");
  return parts.some((part, index) => {
    if (isText && index < parts.length - 1) return false;
    return SECRET_PARTS.has(part) ||
      (/^keys?$/.test(part) && SECRET_KEYS.has(parts[index - 1] ?? ""));
  });
}

/** The beginning of a URL, with a scheme of limited length. */
const SCHEME = /[A-Za-z][A-Za-z0-9+.-]{0,39}:\/\//g;

/** Redacts word by word: a URL ends at white space or at the next URL; a password may contain anything else. */
function redactUrls(text: string): string {
  return text.replace(/\S+/g, (word) => {
    if (!word.includes("://")) return hideBareUser(word);
    let shown = "";
    let from = 0;
    for (const { index, 0: scheme } of word.matchAll(SCHEME)) {
      // After a colon it is part of a password.
      if (from > 0 && word[index - 1] === ":") continue;
      const part = word.slice(from, index);
      shown += (from === 0 ? hideBareUser(part) : redactRest(part)) + scheme;
      from = index + scheme.length;
    }
    return shown + (from === 0 ? hideBareUser(word) : redactRest(word.slice(from)));
  });
}

/** `user:password@host` without a scheme, as proxies are often written; also after `=` or a quotation mark. */
function hideBareUser(word: string): string {
  const at = word.lastIndexOf("@");
  if (!/[\w[]/.test(word[at + 1] ?? "") || word.startsWith("sha256:", at + 1)) return word;
  // A name and a colon may precede the user.
  let colon = -1;
  for (let tries = 0; tries < MOST_COLONS; tries += 1) {
    colon = word.indexOf(":", colon + 1);
    if (colon < 0 || at - colon < 2) return word;
    const front = word.slice(0, colon);
    const start = Math.max(...BEFORE_USER.map((mark) => front.lastIndexOf(mark))) + 1;
    if (start < colon) return word.slice(0, start) + HIDDEN + word.slice(at);
  }
  return word;
}

const MOST_COLONS = 5;

/** Characters that may directly precede a user. */
const BEFORE_USER = [..."\"'(<[{=,/\\"];

/** Characters that end a quotation of a URL or a sentence, and are not part of the URL. */
const CLOSING = "\"'`)]}>,.;:!";

function withoutClosing(text: string): string {
  let end = text.length;
  while (CLOSING.includes(text[end - 1] ?? " ") && !text.startsWith(HIDDEN, end - HIDDEN.length)) {
    end -= 1;
  }
  return text.slice(0, end);
}

/** Redacts the part of a URL after `scheme://`. */
function redactRest(rest: string): string {
  const url = withoutClosing(rest);
  const closing = rest.slice(url.length);
  // A password may contain slashes, question marks and `@`: everything before the last `@` is hidden.
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

/** Whether this is a host, with or without a port. Otherwise a colon begins a cut password. */
function isAuthority(text: string): boolean {
  return /^(?:\[[^\]]*\]?|[^:[]*)(?::\d{0,5})?$/.test(text) && !/%(?:25)*(?:40|3a)/i.test(text);
}

/** A path segment after which the next one is a secret. */
const SECRET_NAMES =
  /^(?:t|tokens?|auth|auth[-_]?token|access[-_]?(?:key|token)|key|keys|api-?keys?|secrets?|sig|signature|pass(?:word)?|access|user|private)$/i;

/** Shorter segments are names: of suites, architectures, versions. */
const SHORTEST_TOKEN = 16;

function redactSegment(segment: string): string {
  const [path = "", ...parameters] = segment.split(";");
  const shown = path.split(".").map((part) => isTokenLike(part) ? HIDDEN : part).join(".");
  return parameters.length === 0 ? shown : `${shown};${HIDDEN}`;
}

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

/** Whether letters and digits alternate often in a long run: `linux-image-amd64` is a name. */
function isTokenLike(part: string): boolean {
  if (part.length < SHORTEST_TOKEN) return false;
  if (UUID.test(part)) return true;
  // Twice, since it may be encoded twice.
  const runs = decodePercent(decodePercent(part)).split(/[^A-Za-z0-9+_=~-]+/);
  return runs.some((text) => {
    if (text.length < SHORTEST_TOKEN) return false;
    // Names consist of words and of separate numbers.
    const pieces = text.split(/[^A-Za-z0-9]+/);
    return pieces.some(isRandom) || changes(text) >= text.length / 4;
  });
}

/** Whether a run of letters and digits is anything but a word with a number. */
function isRandom(piece: string): boolean {
  if (piece.length < SHORTEST_TOKEN) return false;
  if (/^[0-9a-f]+$/i.test(piece) && /\d/.test(piece)) return true;
  // Base32 has one case, and may have no digit; no word is that long.
  if (/^[A-Z2-7]+$/.test(piece) && /\d/.test(piece)) return true;
  if (/^(?:[a-z2-7]{24,}|[A-Z2-7]{24,})$/.test(piece)) return true;
  return changes(piece) >= piece.length / 5;
}

const KINDS = [/\d/, /[A-Z]/, /[a-z]/];

/** How often a text changes between lower case, upper case and digits. */
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

/** Replaces `%3a` and the like by the characters with these codes. */
export function decodePercent(text: string): string {
  return text.replace(/%([0-9A-F]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}

/** Shorter texts are not hidden: with the token `a`, no text would be readable. */
export const SHORTEST_SECRET = 8;

/** Maximum of stored secrets; a token is renewed about once a day. */
export const MOST_SECRETS = 100;

const CUT_MARK = /(?:\(cut\)|\.\.\.)?$/;

/** The tokens of this process, including those that were replaced. */
export class Secrets {
  /** In the order of their last use. */
  readonly #texts = new Set<string>();
  /** The longest first: one may contain another. */
  #inOrder: readonly string[] = [];

  /** Each of `texts` is added. */
  constructor(texts: Iterable<string> = []) {
    for (const text of texts) this.add(text);
  }

  /** Stores `text`; beyond the limit, drops the text that was added longest ago. */
  add(text: string): void {
    if (text.length < SHORTEST_SECRET) return;
    const isKnown = this.#texts.delete(text);
    this.#texts.add(text);
    if (isKnown) return;
    const [oldest = ""] = this.#texts;
    if (this.#texts.size > MOST_SECRETS) this.#texts.delete(oldest);
    this.#inOrder = [...this.#texts].sort((a, b) => b.length - a.length);
  }

  /**
   * Returns `text` without secrets and without controls, except line breaks and tabs. Searches for
   * secrets after stripping, and again with the lines joined, since a program that wraps its output may
   * have split one.
   */
  hide(text: string): string {
    const hidden = this.#replace(stripControls(text, "\n\t"));
    const joined = stripControls(hidden);
    const hiddenJoined = this.#replace(joined);
    return hiddenJoined === joined ? hidden : hiddenJoined;
  }

  #replace(text: string): string {
    const whole = this.#inOrder.reduce((rest, secret) => rest.replaceAll(secret, HIDDEN), text);
    return redact(this.#inOrder.reduce(replaceCut, whole));
  }
}

/** Replaces the beginning of a secret at the end of a text that was cut. */
function replaceCut(text: string, secret: string): string {
  const end = text.search(CUT_MARK);
  const start = secret.slice(0, SHORTEST_SECRET);
  let at = text.indexOf(start, Math.max(0, end - secret.length));
  while (at >= 0 && at < end) {
    if (secret.startsWith(text.slice(at, end))) return text.slice(0, at) + HIDDEN + text.slice(end);
    at = text.indexOf(start, at + 1);
  }
  return text;
}
