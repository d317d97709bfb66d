/** Who goes on asking after a refusal that stays until somebody does something about it. */

/** Counts refusals by key in a window that slides. */
export class Patience {
  readonly #windowMs: number;
  readonly #limit: number;
  readonly #refusals = new Map<string, number[]>();

  /** @param options so many refusals in `windowMs` are borne */
  constructor(options: { windowMs: number; limit: number }) {
    this.#windowMs = options.windowMs;
    this.#limit = options.limit;
  }

  /** Notes a refusal; whether it is the first one too many. Then the count begins anew. */
  wears(key: string, nowMs: number): boolean {
    const recent = (this.#refusals.get(key) ?? []).filter((atMs) => atMs > nowMs - this.#windowMs);
    recent.push(nowMs);
    const isWorn = recent.length > this.#limit;
    this.#refusals.set(key, isWorn ? [] : recent);
    return isWorn;
  }
}
