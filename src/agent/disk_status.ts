/**
 * What the running agent tells `pennon status` of its disk: `disk.json` in the state folder, always of
 * one length and written over in place, which a full disk takes too.
 */

import * as v from "valibot";
import type { DiskCondition } from "../buffer/disk_condition.ts";
import { decodeJson } from "../json.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";

const FILE = "disk.json";
const SCHEMA = "pennon.disk/1";
const LENGTH_BYTES = 1_024;
const LONGEST_WORDS = 200;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const stored = v.object({
  schema: v.literal(SCHEMA),
  process_id: v.number(),
  at_ms: v.number(),
  disk: v.pipe(v.string(), v.maxLength(20)),
  why: v.nullable(v.pipe(v.string(), v.maxLength(LONGEST_WORDS))),
  events: count,
  size_bytes: count,
  acknowledgements: count,
});

/** As the agent last told it. */
export type ToldDisk = v.InferOutput<typeof stored>;

/** Tells a condition whenever it is asked to, one after the other; never throws. */
export class DiskNote {
  readonly #system: Pick<System, "files" | "clock" | "processId">;
  readonly #path: string;
  readonly #condition: () => DiskCondition;
  #told = "";
  #telling: Promise<void> | null = null;
  #isStale = false;

  constructor(
    system: Pick<System, "files" | "clock" | "processId">,
    stateDirectory: string,
    condition: () => DiskCondition,
  ) {
    this.#system = system;
    this.#path = `${stateDirectory}/${FILE}`;
    this.#condition = condition;
  }

  /** Tells what has changed since it was told last, if anything has. */
  tell(): Promise<void> {
    this.#isStale = true;
    this.#telling ??= this.#tellAll().finally(() => this.#telling = null);
    return this.#telling;
  }

  /** Tells all of it, though it be the same: the folder is another. */
  tellAgain(): Promise<void> {
    this.#told = "";
    return this.tell();
  }

  async #tellAll(): Promise<void> {
    while (this.#isStale) {
      this.#isStale = false;
      const condition = this.#condition();
      if (condition.disk === "held") continue; // The folder is another's, and so is the note in it.
      const told = JSON.stringify(condition);
      if (told === this.#told) continue;
      if (await this.#write(this.#textOf(condition))) this.#told = told;
    }
  }

  async #write(text: string): Promise<boolean> {
    const { files } = this.#system;
    try {
      const facts = await files.inspect("look for the disk's note", this.#path);
      const fits = facts !== undefined && facts.sizeBytes === LENGTH_BYTES;
      if (fits) await files.overwriteText("tell of the disk", this.#path, text);
      else await files.writeText("tell of the disk", this.#path, text, { mode: 0o600 });
      return true;
    } catch (error) {
      if (error instanceof FileError) return false; // `status` then has nothing to show.
      throw error;
    }
  }

  #textOf({ disk, why, events, sizeBytes, acknowledgements }: DiskCondition): string {
    const { clock, processId } = this.#system;
    const told: ToldDisk = {
      schema: SCHEMA,
      process_id: processId,
      at_ms: clock.nowMs(),
      disk,
      // One byte a character, for the length's sake.
      why: why?.slice(0, LONGEST_WORDS).replaceAll(/[^ -~]/g, "?") ?? null,
      events,
      size_bytes: sizeBytes,
      acknowledgements,
    };
    return `${JSON.stringify(told).padEnd(LENGTH_BYTES - 1)}\n`;
  }
}

/** The last word on the disk; `undefined`: none, or a half-written one. Throws `FileError`. */
export async function showDiskNote(
  { files }: Pick<System, "files">,
  stateDirectory: string,
): Promise<ToldDisk | undefined> {
  const text = await files.readText("read of the disk", `${stateDirectory}/${FILE}`);
  if (text === undefined) return undefined;
  const read = decodeJson(stored, text);
  return read.ok ? read.value : undefined; // A part of it was being written.
}

const TRIAL_FILE = "status.try";

/** A page and a little: what a database needs to write anything at all. */
const TRIAL = `${"pennon status\n".repeat(600)}`;

/**
 * Writes a file of 8 KiB there and removes it. `null`: it took it; else why not, for people.
 * `undefined`: there is no such folder.
 */
export async function tryFolder(
  { files }: Pick<System, "files">,
  stateDirectory: string,
): Promise<string | null | undefined> {
  const path = `${stateDirectory}/${TRIAL_FILE}`;
  try {
    const folder = await files.inspect("look for the state folder", stateDirectory);
    if (folder === undefined) return undefined;
    await files.writeText("try the state folder", path, TRIAL, { mode: 0o600 });
    await files.remove("remove the trial", path);
    return null;
  } catch (error) {
    if (error instanceof FileError) return error.message;
    throw error;
  }
}
