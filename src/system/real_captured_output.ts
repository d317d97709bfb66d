/** Reads a child's output as it comes: keeps the first bytes, drops the rest, never blocks it. */

/** One stream of a running program. */
export class CapturedOutput {
  /** Resolves when the stream has ended or was closed; never rejects. */
  readonly ended: Promise<void>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #maxBytes: number;
  readonly #chunks: Uint8Array[] = [];
  #sizeBytes = 0;
  #truncated = false;

  constructor(stream: ReadableStream<Uint8Array>, maxBytes: number) {
    this.#reader = stream.getReader();
    this.#maxBytes = maxBytes;
    this.ended = this.#read();
  }

  /** Whether more came than was kept. */
  get truncated(): boolean {
    return this.#truncated;
  }

  /** What was kept, as UTF-8; a byte that is none becomes U+FFFD. */
  text(): string {
    const decoder = new TextDecoder();
    const parts = this.#chunks.map((chunk) => decoder.decode(chunk, { stream: true }));
    return parts.join("") + decoder.decode();
  }

  /** Stops reading. What comes later is nobody's. */
  close(): void {
    this.#reader.cancel().catch(() => {});
  }

  async #read(): Promise<void> {
    try {
      while (true) {
        const { value, done } = await this.#reader.read();
        if (done) return;
        this.#keep(value);
      }
    } catch {
      // A pipe that breaks has ended.
    }
  }

  #keep(chunk: Uint8Array): void {
    const room = this.#maxBytes - this.#sizeBytes;
    if (chunk.length > room) this.#truncated = true;
    const kept = chunk.slice(0, room);
    if (kept.length > 0) this.#chunks.push(kept);
    this.#sizeBytes += kept.length;
  }
}
