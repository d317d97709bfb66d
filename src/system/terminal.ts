/** Standard input, output and error, as a port. */

/** Of what is written, only text, the ends of lines and tabs get out: nothing can steer a terminal. */
export interface Terminal {
  /** Writes a line to stdout. A reader that went away is no error: the rest is dropped. */
  print(text: string): void;
  /** Writes a line to stderr. */
  printError(text: string): void;
  /** Replaces the current line of stderr, if that is a terminal; nothing otherwise. */
  showProgress(text: string): void;
  /** Clears stdout's terminal, so that what is printed next stands at its top. */
  clearScreen(): void;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  /** Width of the terminal on stdout in columns; 80 where there is none. */
  columns(): number;
  /** All of stdin, at most `maxBytes` of it. Throws an `Error` where stdin cannot be read. */
  readInput(maxBytes: number): Promise<string>;
}
