/** Which files a file loads, directly or through others: a test that never loads a file cannot judge it. */

import { filesNamedIn } from "./syntax.ts";

/** The imports of a tree of sources, read once per file. */
export class ImportGraph {
  readonly #read: (path: string) => Promise<string | null>;
  readonly #imports = new Map<string, readonly string[]>();

  /** `read` answers the text of a file by its path from the project's root; `null`: there is none. */
  constructor(read: (path: string) => Promise<string | null>) {
    this.#read = read;
  }

  /** Whether `from` loads `to`; any text in `from` that names `to` counts, a worker's URL as well. */
  async reaches(from: string, to: string): Promise<boolean> {
    const seen = new Set([from]);
    const open = [from];
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      if (path === to) return true;
      for (const next of await this.#importsOf(path)) {
        if (seen.has(next)) continue;
        seen.add(next);
        open.push(next);
      }
    }
    return false;
  }

  async #importsOf(path: string): Promise<readonly string[]> {
    const known = this.#imports.get(path);
    if (known !== undefined) return known;
    // A text that only looks like a file's name, as in a message, leads nowhere.
    const text = await this.#read(path) ?? "";
    const imports = filesNamedIn(text)
      .map((name) => new URL(name, `file:///${path}`).pathname.slice(1));
    this.#imports.set(path, imports);
    return imports;
  }
}
