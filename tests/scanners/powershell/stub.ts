/** The output of PowerShell, and a fake machine with a stand-in for PowerShell. */

import type { RunOptions, RunResult } from "../../../src/system/process.ts";
import { FakeSystem } from "../../fakes/system.ts";

/** Base64 of the UTF-8 of a text. */
export function base64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** An answer as the frame prints it; `json` can be invalid. */
export function envelope(json: string): string {
  return `\n<<<BEGIN>>>\n${base64(json)}\n<<<END>>>\n`;
}

/** Bytes read as the process port reads them. */
export function asRead(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** UTF-16LE with a byte order mark. */
export function utf16(text: string): Uint8Array {
  const units = Uint16Array.from(`\ufeff${text}`, (unit) => unit.charCodeAt(0));
  return new Uint8Array(units.buffer);
}

/** One run of a program. */
export interface Asked {
  readonly argv: readonly string[];
  readonly options: RunOptions;
}

/** The script within a command line for PowerShell. */
export function scriptOf({ argv }: Asked): string {
  const bytes = Uint8Array.from(atob(argv.at(-1) ?? ""), (byte) => byte.charCodeAt(0));
  return new TextDecoder("utf-16le").decode(bytes);
}

/** A Windows whose PowerShell gives these answers, one per run, and repeats the last one. */
export class PowershellHost extends FakeSystem {
  readonly asked: Asked[] = [];
  answers: (RunResult | Error)[] = [];

  constructor(...answers: (RunResult | Error)[]) {
    super();
    this.os = "windows";
    this.environment.set("SystemRoot", "C:\\WINDOWS");
    this.answers = answers;
  }

  override runCommand = (argv: readonly string[], options: RunOptions): Promise<RunResult> => {
    this.asked.push({ argv, options });
    const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
    if (answer === undefined) return Promise.reject(new Error("no answer was prepared"));
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };
}
