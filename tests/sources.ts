/** The project's own sources, for the tests that read them. */

/** A source file: its path from the repository's root, and its text. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

/** The repository's root. */
export const ROOT = new URL("../", import.meta.url);

/** Every TypeScript file below a directory, whose path from the root ends with a slash. */
export async function readSources(directory: string): Promise<Source[]> {
  const sources: Source[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(directory, ROOT))) {
    const path = `${directory}${name}`;
    if (isDirectory) sources.push(...await readSources(`${path}/`));
    else if (name.endsWith(".ts")) {
      sources.push({ path, text: await Deno.readTextFile(new URL(path, ROOT)) });
    }
  }
  return sources;
}
