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
  if (shown.includes("://")) shown = shown.replace(BLANK_IN_PASSWORD, `://${HIDDEN}@`);
  if (/:\/\/|@|%40/.test(shown)) shown = redactUrls(shown);
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
    // A value is none's name.
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

/** A user part whose password has blanks: no port ends so, and one of the next words has the host. */
const BLANK_IN_PASSWORD =
  /:\/\/[^\s/@:]*:(?!\d{1,5}(?:[/\s]|$))[^\s@/]*(?:[ \t]+[^\s@]{1,200}){1,3}@(?=[\w[])/g;

/** Secrets that are known by their form, or by the words in front of them. */
const FORMS: readonly [RegExp, string][] = [
  [JWT_PATTERN.pattern, HIDDEN],
  // Whatever the scheme: what is behind it may have blanks and quotation marks.
  [/\b((?:proxy-)?authorization|(?:set-)?cookie)(["']?:[ \t]*)[^\r\n]+/gi, `$1$2${HIDDEN}`],
  [/-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^\r\n]*/g, HIDDEN],
  [/\bBearer\s*[^\s"]+/gi, `Bearer ${HIDDEN}`],
  // Access tokens that services make so that they are found: GitHub, GitLab, AWS, Slack, npm, PyPI.
  [
    /\b(?:gh[opsur]_|github_pat_|gl[a-z]{1,5}-|xox[a-z]-|npm_|pypi-|AKIA|ASIA)(?=[\w-]*\d)[\w-]{16,}/g,
    HIDDEN,
  ],
  // "Basic authentication" is a word; credentials in base64 have a digit, a capital or padding.
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

/** What a key is of that is a secret; a key may be public as well. */
const SECRET_KEYS = new Set(["api", "access", "auth", "secret", "private", "account", "license"]);

/** Names that are longer are none. */
const LONGEST_NAME = 200;

/**
 * Whether a name says that its value is a secret: by one of its parts, parted by dashes, underscores or
 * capitals. In plain text the last part has to say so: a package may be called after tokens.
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

/** Where a URL begins. A scheme longer than this is none. */
const SCHEME = /[A-Za-z][A-Za-z0-9+.-]{0,39}:\/\//g;

/** Word by word: a URL ends at white space, or where the next one begins. A password may hold all else. */
function redactUrls(text: string): string {
  return text.replace(/\S+/g, (word) => {
    if (!word.includes("://")) return hideBareUser(word);
    let shown = "";
    let from = 0;
    for (const { index, 0: scheme } of word.matchAll(SCHEME)) {
      // Behind a colon it is a part of a password.
      if (from > 0 && word[index - 1] === ":") continue;
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
  if (!/[\w[]/.test(word[at + 1] ?? "") || word.startsWith("sha256:", at + 1)) return word;
  // In front of the user there may be a name, and a colon behind it.
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

/** What may stand right in front of a user. */
const BEFORE_USER = [..."\"'(<[{=,/\\"];

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
  return /^(?:\[[^\]]*\]?|[^:[]*)(?::\d{0,5})?$/.test(text) && !/%(?:25)*(?:40|3a)/i.test(text);
}

/** A path segment that says that the next one is a secret. */
const SECRET_NAMES =
  /^(?:t|tokens?|auth|auth[-_]?token|access[-_]?(?:key|token)|key|keys|api-?keys?|secrets?|sig|signature|pass(?:word)?|access|user|private)$/i;

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
  // Of what is encoded twice, twice.
  const runs = decodePercent(decodePercent(part)).split(/[^A-Za-z0-9+_=~-]+/);
  return runs.some((text) => {
    if (text.length < SHORTEST_TOKEN) return false;
    // Words, and numbers by themselves, are what names are made of.
    const pieces = text.split(/[^A-Za-z0-9]+/);
    return pieces.some(isRandom) || changes(text) >= text.length / 4;
  });
}

/** One run of letters and digits that is no word with a number. */
function isRandom(piece: string): boolean {
  if (piece.length < SHORTEST_TOKEN) return false;
  if (/^[0-9a-f]+$/i.test(piece) && /\d/.test(piece)) return true;
  // Base32 has one case, and may have no digit. No word is that long.
  if (/^[A-Z2-7]+$/.test(piece) && /\d/.test(piece)) return true;
  if (/^(?:[a-z2-7]{24,}|[A-Z2-7]{24,})$/.test(piece)) return true;
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
