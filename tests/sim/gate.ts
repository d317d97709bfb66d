/** One process in the simulator: every call to a port goes through its gate, and may be its last. */

/** Thrown by a port of a process that is dead; the process can do nothing with it. */
export class Crashed extends Error {
  override readonly name = "Crashed";
}

const NEVER: Promise<never> = new Promise(() => {});

/** The gate of one process. `onCrash` is called once, at its end. */
export class Gate {
  isDead = false;
  /** How many calls of ports there have been. */
  calls = 0;
  #crashAtCall = Infinity;
  readonly #onCrash: () => void;

  constructor(onCrash: () => void) {
    this.#onCrash = onCrash;
  }

  /** It is to die at the `n`th call from now on: an odd one before, an even one after its effect. */
  crashIn(n: number): void {
    this.#crashAtCall = this.calls + n;
  }

  kill(): void {
    if (this.isDead) return;
    this.isDead = true;
    this.#onCrash();
  }

  /** A call that answers at once. */
  sync<T>(effect: () => T): T {
    this.#pass();
    const result = effect();
    this.#pass();
    return result;
  }

  /** A call that answers later: of a dead process it never does. */
  async later<T>(effect: () => Promise<T>): Promise<T> {
    try {
      this.#pass();
      const result = await effect();
      if (this.isDead) return await NEVER;
      this.#pass();
      return result;
    } catch (error) {
      if (this.isDead) return await NEVER;
      throw error;
    }
  }

  #pass(): void {
    this.calls += 1;
    if (this.calls >= this.#crashAtCall) this.kill();
    if (this.isDead) throw new Crashed("Cannot go on: the process is dead");
  }
}
