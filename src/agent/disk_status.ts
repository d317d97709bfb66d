/**
 * The state of the disk for `pennon status`: the running agent writes it to `disk.json` in the state
 * directory, always with one length and in place, which works on a full disk too.
 */

import * as v from "valibot";
import type { DiskCondition } from "../buffer/store_supervisor.ts";
import { JsonFile } from "../json_file.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";

const LENGTH_BYTES = 1_024;
const LONGEST_WHY = 200;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const saved = v.object({
  process_id: v.number(),
  at_ms: v.number(),
  since_ms: v.optional(v.nullable(v.number()), null),
  disk: v.pipe(v.string(), v.maxLength(20)),
  why: v.nullable(v.pipe(v.string(), v.maxLength(LONGEST_WHY))),
  events: count,
  size_bytes: count,
  acknowledgements: count,
});

/** The disk's condition as the agent last wrote it. */
export type SavedDiskStatus = v.InferOutput<typeof saved>;

/** The disk status in the state directory; while it is being written it is unreadable. */
export const DISK_STATUS_FILE = new JsonFile<SavedDiskStatus>({
  name: "disk.json",
  what: "the disk status",
  schema: "pennon.disk/2",
  value: saved,
  keys: { at_ms: "written_at", since_ms: "since_at" },
  earlier: { schema: "pennon.disk/1" },
});

/** Writes the disk's condition whenever it has changed, one write at a time. */
export class DiskStatusWriter {
  readonly #system: Pick<System, "files" | "clock" | "processId">;
  readonly #path: string;
  readonly #condition: () => DiskCondition;
  #written = "";
  /** Since when the disk refuses; `null`: it does not. */
  #refusedSinceMs: number | null = null;
  #writing: Promise<void> | null = null;
  #isStale = false;

  constructor(
    system: Pick<System, "files" | "clock" | "processId">,
    stateDirectory: string,
    condition: () => DiskCondition,
  ) {
    this.#system = system;
    this.#path = DISK_STATUS_FILE.pathIn(stateDirectory);
    this.#condition = condition;
  }

  /** Writes the condition if it has changed. A disk that refuses is no error. */
  update(): Promise<void> {
    this.#isStale = true;
    this.#writing ??= this.#writeLatest().finally(() => this.#writing = null);
    return this.#writing;
  }

  /** Writes the condition even if it is unchanged, because the directory was created anew. */
  rewrite(): Promise<void> {
    this.#written = "";
    return this.update();
  }

  async #writeLatest(): Promise<void> {
    while (this.#isStale) {
      this.#isStale = false;
      const condition = this.#condition();
      // The directory belongs to another agent, and so does the file in it.
      if (condition.disk === "held") continue;
      this.#refusedSinceMs = condition.disk === "ok"
        ? null
        : this.#refusedSinceMs ?? this.#system.clock.nowMs();
      const key = JSON.stringify(condition);
      if (key === this.#written) continue;
      if (await this.#write(this.#encode(condition))) this.#written = key;
    }
  }

  async #write(text: string): Promise<boolean> {
    const { files } = this.#system;
    try {
      const facts = await files.inspect("look for the disk status", this.#path);
      const fits = facts !== undefined && facts.sizeBytes === LENGTH_BYTES;
      if (fits) await files.overwriteText("save the disk status", this.#path, text);
      else await files.writeText("save the disk status", this.#path, text, { mode: 0o600 });
      return true;
    } catch (error) {
      if (error instanceof FileError) return false; // `status` then has nothing to show.
      throw error;
    }
  }

  #encode({ disk, why, events, sizeBytes, acknowledgements }: DiskCondition): string {
    const { clock, processId } = this.#system;
    const text = DISK_STATUS_FILE.encode({
      process_id: processId,
      at_ms: clock.nowMs(),
      since_ms: this.#refusedSinceMs,
      disk,
      // One byte per character, because the length of the file is fixed.
      why: why?.slice(0, LONGEST_WHY).replaceAll(/[^ -~]/g, "?") ?? null,
      events,
      size_bytes: sizeBytes,
      acknowledgements,
    });
    return `${text.trimEnd().padEnd(LENGTH_BYTES - 1)}\n`;
  }
}
