/**
 * A calendar queue: each agent's next instant, in a ring of slices of 10 ms. Putting an agent in and
 * taking a slice out cost the same however many agents there are.
 */

/** The width of a slice. Within one, the order is the caller's to make. */
export const SLICE_MS = 10;

/** Slices in the ring: together the longest wait, 655 s. */
const SLICES = 65_536;

const NOBODY = -1;

export class Calendar {
  readonly #first = new Int32Array(SLICES).fill(NOBODY);
  readonly #next: Int32Array;
  readonly #atMs: Float64Array;
  #slice = 0;

  /** A calendar with a place for each of so many agents, numbered from 0. */
  constructor(agents: number) {
    this.#next = new Int32Array(agents).fill(NOBODY);
    this.#atMs = new Float64Array(agents);
  }

  /** The instant an agent was last put in for. */
  atMs(agent: number): number {
    return this.#atMs[agent]!;
  }

  /**
   * Puts an agent in for an instant; it must not be in already. Throws a `RangeError` for an instant
   * before the slice last taken, or further away than the ring reaches.
   */
  put(agent: number, atMs: number): void {
    const slice = Math.floor(atMs / SLICE_MS);
    if (!(slice >= this.#slice && slice < this.#slice + SLICES)) {
      throw new RangeError(`Cannot put in agent ${agent}: ${atMs} ms is out of the ring`);
    }
    const place = slice & (SLICES - 1);
    this.#atMs[agent] = atMs;
    this.#next[agent] = this.#first[place]!;
    this.#first[place] = agent;
  }

  /** Takes out all that are in for a slice, in no order: their number, and they in `taken`. */
  take(slice: number, taken: Int32Array): number {
    this.#slice = slice;
    const place = slice & (SLICES - 1);
    let count = 0;
    for (let agent = this.#first[place]!; agent !== NOBODY; agent = this.#next[agent]!) {
      taken[count++] = agent;
    }
    if (count > 0) this.#first[place] = NOBODY;
    return count;
  }

  /** Takes everybody out. */
  clear(): void {
    this.#first.fill(NOBODY);
  }
}
