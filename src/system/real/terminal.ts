/** The terminal port on Deno: whole lines, written before the call returns. */

import { stripAllButColours, stripControls } from "../../strip_controls.ts";
import type { Terminal } from "../system.ts";
import { markPriority } from "./systemd_journal.ts";

/** Width where no terminal reports one. */
const DEFAULT_COLUMNS = 80;

/** Pause before the next write to a full pipe. */
const RETRY_MS = 5;

/** A write of at most this size to a pipe is atomic on Linux (pipe(7), `PIPE_BUF`). */
const PIPE_BUF_BYTES = 4_096;

const CLEAR_LINE = "\r\x1b[2K";

/** Cursor home, and clear to the end of the screen (ECMA-48, CUP and ED). */
const CLEAR_SCREEN = "\x1b[H\x1b[J";

type Output = typeof Deno.stdout | typeof Deno.stderr;

/** Standard input, output and error of this process. */
export class RealTerminal implements Terminal {
  readonly stdoutIsTerminal: boolean = Deno.stdout.isTerminal();
  readonly #stderrIsTerminal = Deno.stderr.isTerminal();
  #progressIsShown = false;
  #stdoutIsClosed = false;

  print(text: string, { colours = false }: { readonly colours?: boolean } = {}): void {
    this.#clearProgress();
    const shown = colours && this.stdoutIsTerminal
      ? stripAllButColours(text)
      : stripControls(text, "\n\t");
    this.#write(`${shown}\n`);
  }

  printError(text: string, priority?: number): void {
    this.#clearProgress();
    writeIfPossible(`${markPriority(stripControls(text, "\n\t"), priority)}\n`);
  }

  showProgress(text: string): void {
    if (!this.#stderrIsTerminal) return;
    const [first = ""] = text.split("\n", 1);
    const line = [...stripControls(first)].slice(0, consoleColumns() - 1).join("");
    writeIfPossible(CLEAR_LINE + line);
    this.#progressIsShown = line !== "";
  }

  clearScreen(): void {
    this.#write(CLEAR_SCREEN);
  }

  columns(): number {
    return this.stdoutIsTerminal ? consoleColumns() : DEFAULT_COLUMNS;
  }

  async readInput(maxBytes: number): Promise<string> {
    const bytes = new Uint8Array(maxBytes);
    let sizeBytes = 0;
    try {
      while (sizeBytes < maxBytes) {
        const count = await Deno.stdin.read(bytes.subarray(sizeBytes));
        if (count === null) break;
        sizeBytes += count;
      }
    } catch (cause) {
      const fact = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`Cannot read stdin: ${fact}`, { cause });
    }
    return new TextDecoder().decode(bytes.subarray(0, sizeBytes));
  }

  async ask(question: string): Promise<string | undefined> {
    if (!Deno.stdin.isTerminal()) return undefined;
    this.#clearProgress();
    writeIfPossible(`${stripControls(question)} `);
    // A terminal hands over one line at a time.
    const bytes = new Uint8Array(1_024);
    const count = await Deno.stdin.read(bytes).catch(() => null);
    return count === null ? undefined : new TextDecoder().decode(bytes.subarray(0, count)).trim();
  }

  #write(text: string): void {
    if (this.#stdoutIsClosed) return;
    try {
      writeWhole(Deno.stdout, text);
    } catch (error) {
      if (!isReaderGone(error)) throw error;
      this.#stdoutIsClosed = true;
    }
  }

  #clearProgress(): void {
    if (!this.#progressIsShown) return;
    this.#progressIsShown = false;
    writeIfPossible(CLEAR_LINE);
  }
}

/** Ignores errors: there is no place left to report that stderr cannot be written. */
function writeIfPossible(text: string): void {
  try {
    writeWhole(Deno.stderr, text);
  } catch {
    // The agent goes on without the line.
  }
}

/**
 * Writes all of it, also into a full pipe that another process has made non-blocking.
 *
 * Deno's stdout buffers part of what it could not write and reports only the failure, so that a retry
 * would write that part twice. A piece of `PIPE_BUF_BYTES` is written whole or not at all.
 */
function writeWhole(output: Output, text: string): void {
  let rest = new TextEncoder().encode(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(output.writeSync(nextPiece(rest)));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

/** The whole lines that fit: Deno would buffer the end of an incomplete one, see above. */
function nextPiece(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= PIPE_BUF_BYTES) return bytes;
  const lineEnd = bytes.lastIndexOf(0x0a, PIPE_BUF_BYTES - 1);
  return bytes.subarray(0, lineEnd < 0 ? PIPE_BUF_BYTES : lineEnd + 1);
}

/** Whether the pipe's reader has ended, or the terminal has been hung up (`EIO`). */
function isReaderGone(error: unknown): boolean {
  if (error instanceof Deno.errors.BrokenPipe) return true;
  return (error as { code?: unknown }).code === "EIO";
}

function consoleColumns(): number {
  try {
    return Deno.consoleSize().columns || DEFAULT_COLUMNS;
  } catch {
    return DEFAULT_COLUMNS;
  }
}
