/** A copy of the project that mutations are made in, one after the other. */

/** What the tests need; not the caches, and nothing that was built. */
const PARTS = ["src", "tests", "tools", "docs", "types"];
const FILES = ["deno.json", "deno.lock", "main.ts"];

/** A copy in a temporary directory; whoever makes one removes it. */
export class Sandbox {
  private constructor(readonly folder: string) {}

  static async make(root: string): Promise<Sandbox> {
    const folder = await Deno.makeTempDir({ prefix: "pennon-mutants-" });
    // Some programs of the tests on real parts run as a user of their own, as apt does.
    if (Deno.build.os !== "windows") await Deno.chmod(folder, 0o755);
    for (const part of PARTS) await copyFolder(`${root}/${part}`, `${folder}/${part}`);
    for (const file of FILES) await Deno.copyFile(`${root}/${file}`, `${folder}/${file}`);
    await Deno.mkdir(`${folder}/tmp`);
    return new Sandbox(folder);
  }

  /** Runs `work` with `text` in the place of a file's own text, and puts that back. */
  async with<T>(path: string, text: string, work: () => Promise<T>): Promise<T> {
    const file = `${this.folder}/${path}`;
    const original = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, text);
    try {
      return await work();
    } finally {
      await Deno.writeTextFile(file, original);
    }
  }

  async remove(): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory, isFile } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(`${from}/${name}`, `${to}/${name}`);
    else if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

/** The paths of all TypeScript files below `folder`, relative to `root`, in order. */
export async function sourcesIn(root: string, folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${folder}`)) {
    const path = `${folder}/${name}`;
    if (isDirectory) found.push(...await sourcesIn(root, path));
    else if (name.endsWith(".ts")) found.push(path);
  }
  return found.sort();
}
