/** A file system in memory that can be told to refuse a purpose. */

import {
  FileError,
  type FileErrorReason,
  type FileFacts,
  type FileKind,
  type FileLock,
  type Files,
  type FileText,
  notRegular,
  type PathTrace,
  type WriteOptions,
} from "../../src/system/files.ts";

/** Files as `path -> text`; `fail()` breaks exactly the calls made for one purpose. */
export class FakeFiles implements Files {
  readonly texts = new Map<string, string>();
  /** Files of the host that are there in every test, and that no test counts. */
  readonly ofHost = new Map<string, string>();
  readonly modes = new Map<string, number>();
  /** Of what is no regular file; where nothing is said, it is one, or a directory of one. */
  readonly kinds = new Map<string, FileKind>();
  /** Numbers of users; where nothing is said, it is root's. */
  readonly owners = new Map<string, number>();
  readonly modifiedMs = new Map<string, number>();
  readonly locked = new Set<string>();
  /** Where a test wants one file told from another of its name. */
  readonly identities = new Map<string, string>();
  #locks = new Map<string, FileLock>();
  #failing = new Map<string, FileErrorReason>();

  fail(purpose: string, reason: FileErrorReason): void {
    this.#failing.set(purpose, reason);
  }

  heal(purpose: string): void {
    this.#failing.delete(purpose);
  }

  #check(purpose: string): void {
    const reason = this.#failing.get(purpose);
    if (reason) throw new FileError(`Cannot ${purpose}: ${reason} on purpose`, { reason });
  }

  // deno-lint-ignore require-await
  async readText(
    purpose: string,
    path: string,
    options: { maxBytes?: number } = {},
  ): Promise<string | undefined> {
    this.#check(purpose);
    const text = this.texts.get(path) ?? this.ofHost.get(path);
    const kind = this.kinds.get(path) ?? "file";
    if (kind !== "file") {
      throw new FileError(`Cannot ${purpose}: ${notRegular(path, kind)}`, { reason: "failed" });
    }
    if (text !== undefined && text.length > (options.maxBytes ?? 1_048_576)) {
      throw new FileError(`Cannot ${purpose}: "${path}" is too large`, { reason: "too_large" });
    }
    return text;
  }

  async readTextAndFacts(
    purpose: string,
    path: string,
    options: { maxBytes?: number } = {},
  ): Promise<FileText | undefined> {
    const text = await this.readText(purpose, path, options);
    return text === undefined ? undefined : { text, facts: this.#facts(path) };
  }

  async readBytes(
    purpose: string,
    path: string,
    options: { maxBytes?: number } = {},
  ): Promise<Uint8Array | undefined> {
    const text = await this.readText(purpose, path, options);
    return text === undefined ? undefined : new TextEncoder().encode(text);
  }

  // deno-lint-ignore require-await
  async writeText(
    purpose: string,
    path: string,
    text: string,
    options: WriteOptions,
  ): Promise<void> {
    this.#check(purpose);
    this.texts.set(path, text);
    this.modes.set(path, options.mode);
  }

  // deno-lint-ignore require-await
  async overwriteText(purpose: string, path: string, text: string): Promise<void> {
    this.#check(purpose);
    const before = this.texts.get(path);
    if (before === undefined) {
      throw new FileError(`Cannot ${purpose}: no "${path}"`, { reason: "failed" });
    }
    this.texts.set(path, text + before.slice(text.length));
  }

  // deno-lint-ignore require-await
  async appendText(
    purpose: string,
    path: string,
    text: string,
    options: { mode: number },
  ): Promise<number> {
    this.#check(purpose);
    const whole = (this.texts.get(path) ?? "") + text;
    this.texts.set(path, whole);
    this.modes.set(path, options.mode);
    return whole.length;
  }

  // deno-lint-ignore require-await
  async makeDirectory(purpose: string, path: string, options: { mode: number }): Promise<void> {
    this.#check(purpose);
    this.modes.set(path, options.mode);
  }

  // deno-lint-ignore require-await
  async remove(purpose: string, path: string): Promise<void> {
    this.#check(purpose);
    this.texts.delete(path);
  }

  // deno-lint-ignore require-await
  async rename(purpose: string, from: string, to: string): Promise<void> {
    this.#check(purpose);
    const text = this.texts.get(from);
    if (text === undefined) {
      throw new FileError(`Cannot ${purpose}: no "${from}"`, { reason: "failed" });
    }
    this.texts.delete(from);
    this.texts.set(to, text);
    const kind = this.kinds.get(from);
    this.kinds.delete(from);
    this.kinds.delete(to);
    if (kind !== undefined) this.kinds.set(to, kind);
  }

  // deno-lint-ignore require-await
  async inspect(purpose: string, path: string): Promise<FileFacts | undefined> {
    this.#check(purpose);
    return this.#isThere(path) ? this.#facts(path) : undefined;
  }

  // deno-lint-ignore require-await
  async trace(purpose: string, path: string): Promise<PathTrace> {
    this.#check(purpose);
    const names = path.split("/").filter((name) => name !== "");
    const all = ["/", ...names.map((_, index) => `/${names.slice(0, index + 1).join("/")}`)];
    const there = all.filter((step) => this.#isThere(step));
    const steps = there.map((step) => ({ path: step, ...this.#facts(step) }));
    return { steps, isWhole: there.length === all.length };
  }

  #isThere(path: string): boolean {
    // A link to nothing has a name in its directory, and that is all there is of it.
    return this.kinds.get(path) !== "link" && (this.texts.has(path) || this.#isDirectory(path));
  }

  #isDirectory(path: string): boolean {
    const prefix = path === "/" ? path : `${path}/`;
    return [...this.texts.keys()].some((name) => name.startsWith(prefix));
  }

  #facts(path: string): FileFacts {
    const isDirectory = this.#isDirectory(path);
    return {
      kind: this.kinds.get(path) ?? (isDirectory ? "directory" : "file"),
      sizeBytes: this.texts.get(path)?.length ?? 0,
      modifiedMs: this.modifiedMs.get(path) ?? 0,
      mode: this.modes.get(path) ?? (isDirectory ? 0o755 : 0o644),
      owner: this.owners.get(path) ?? 0,
      group: this.owners.get(path) ?? 0,
      identity: this.identities.get(path) ?? null,
    };
  }

  // deno-lint-ignore require-await
  async list(purpose: string, path: string): Promise<string[]> {
    this.#check(purpose);
    const prefix = `${path}/`;
    const names = [...this.texts.keys()].filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length).split("/")[0] ?? "");
    return [...new Set(names)];
  }

  // deno-lint-ignore require-await
  async lock(purpose: string, path: string): Promise<FileLock | undefined> {
    this.#check(purpose);
    if (this.locked.has(path)) return undefined;
    const lock: FileLock = {
      // One that was taken of an earlier file of that name lets go of that one alone.
      release: () => this.#locks.get(path) === lock && this.locked.delete(path),
    };
    this.#locks.set(path, lock);
    this.locked.add(path);
    if (!this.texts.has(path)) this.texts.set(path, "");
    return lock;
  }
}
