/** A program of Windows played by a stand-in, in a folder of a test's own. */

import { inFolder } from "../real/folder.ts";

/** Where the compiled stand-in is; `deno task test:windows` says it. */
const STAND_IN = Deno.env.get("PENNON_STAND_IN") ?? "";

/** What one run of a stand-in was started with. */
export interface RecordedRun {
  readonly argv: readonly string[];
  readonly folder: string;
  /** `NAME=value`. */
  readonly environment: readonly string[];
}

/** Bytes that a play writes, by file name. */
export type Files = Readonly<Record<string, string | Uint8Array>>;

/** One stand-in that has a play: `tools/windows/stand_in.c` says what a play may say. */
export class StandIn {
  readonly path: string;
  readonly #folder: string;

  private constructor(folder: string, name: string) {
    this.#folder = folder;
    this.path = `${folder}\\${name}`;
  }

  /** Puts one at `folder\name`, with what it plays. */
  static async make(folder: string, name: string, play: string, files: Files = {}) {
    const standIn = new StandIn(folder, name);
    await Deno.mkdir(folder, { recursive: true });
    await Deno.copyFile(STAND_IN, standIn.path);
    await standIn.play(play, files);
    return standIn;
  }

  /** Gives it another play. */
  async play(play: string, files: Files = {}): Promise<void> {
    await Deno.writeTextFile(`${this.path}.play`, `record = ${this.#recordName}\n${play}\n`);
    for (const [name, content] of Object.entries(files)) {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(`${this.#folder}\\${name}`, bytes);
    }
  }

  /** What it was started with, run by run. */
  async runs(): Promise<RecordedRun[]> {
    const text = await Deno.readTextFile(`${this.#folder}\\${this.#recordName}`).catch(() => "");
    return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  }

  /** Whether what it left behind (`hold`) still has this file: it lets nobody else have it. */
  async isHeld(name: string): Promise<boolean> {
    try {
      (await Deno.open(`${this.#folder}\\${name}`, { read: true })).close();
      return false;
    } catch (error) {
      return !(error instanceof Deno.errors.NotFound);
    }
  }

  get #recordName(): string {
    return `${this.path.slice(this.#folder.length + 1)}.runs`;
  }
}

/** A test with a stand-in in a folder of its own. */
export function standInTest(
  name: string,
  work: (make: (play: string, files?: Files) => Promise<StandIn>, folder: string) => Promise<void>,
): void {
  windowsTest(
    name,
    () =>
      inFolder((folder) =>
        work((play, files) => StandIn.make(folder, "program.exe", play, files), folder)
      ),
  );
}

/** A test that there is no sense in elsewhere, and says so. */
export function windowsTest(name: string, work: () => Promise<void>): void {
  Deno.test({ name, ignore: Deno.build.os !== "windows" }, async () => {
    if (STAND_IN === "") {
      throw new Error('Cannot play: "deno task test:windows" makes the stand-in');
    }
    await work();
  });
}
