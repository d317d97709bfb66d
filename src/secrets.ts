/**
 * The secrets that this process knows, and their removal from text that is stored or shown: the log,
 * `state.json`, a terminal. A server or a proxy may repeat a token in any error text.
 */

import { HIDDEN, redact } from "./redact.ts";
import { stripControls } from "./strip_controls.ts";

/** Shorter texts are not hidden: with the token `a`, no text would be readable. */
export const SHORTEST_SECRET = 8;

/** Maximum of stored secrets; a token is renewed about once a day. */
export const MOST_SECRETS = 100;

/** The end of a text that was cut. */
const CUT_MARK = /(?:\(cut\)|\.\.\.)?$/;

/** The tokens of this process, including those that were replaced. */
export class Secrets {
  /** In the order of their last use. */
  readonly #texts = new Set<string>();
  /** The longest first: one may contain another. */
  #inOrder: readonly string[] = [];

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
