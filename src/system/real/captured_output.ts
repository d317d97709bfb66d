/** Reads a child's output as it comes: keeps the first bytes, drops the rest, never blocks it. */

/** What a pipe holds on Linux, and so all that can be had at once. */
const READ_BYTES = 65_536;

/** Room at first; most programs say less. */
const FIRST_ROOM_BYTES = 16_384;

/** One stream of a running program. */
export class CapturedOutput {
  /** Resolves when the stream has ended or was closed; never rejects. */
  readonly ended: Promise<void>;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #maxBytes: number;
  #kept = new Uint8Array(FIRST_ROOM_BYTES);
  #sizeBytes = 0;
  #truncated = false;

  constructor(stream: ReadableStream<Uint8Array>, maxBytes: number) {
    this.#reader = stream.getReader({ mode: "byob" });
    this.#maxBytes = maxBytes;
    this.ended = this.#read();
  }

  /** Whether more came than was kept. */
  get truncated(): boolean {
    return this.#truncated;
  }

  /** What was kept, as UTF-8; a byte that is none becomes U+FFFD. */
  text(): string {
    return new TextDecoder().decode(this.#kept.subarray(0, this.#sizeBytes));
  }

  /** Stops reading. What comes later is nobody's. */
  close(): void {
    this.#reader.cancel().catch(() => {});
  }

  /** With one buffer, lent to each read: a program may say a million lines, each in a piece. */
  async #read(): Promise<void> {
    try {
      let buffer = new Uint8Array(READ_BYTES);
      while (true) {
        const { value, done } = await this.#reader.read(buffer);
        if (done) return;
        this.#keep(value);
        buffer = new Uint8Array(value.buffer);
      }
    } catch {
      // A pipe that breaks has ended.
    }
  }

  #keep(piece: Uint8Array): void {
    const kept = piece.subarray(0, this.#maxBytes - this.#sizeBytes);
    if (kept.length < piece.length) this.#truncated = true;
    const sizeBytes = this.#sizeBytes + kept.length;
    if (sizeBytes > this.#kept.length) this.#grow(sizeBytes);
    this.#kept.set(kept, this.#sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  #grow(leastBytes: number): void {
    const larger = new Uint8Array(Math.max(leastBytes, 2 * this.#kept.length));
    larger.set(this.#kept.subarray(0, this.#sizeBytes));
    this.#kept = larger;
  }
}
