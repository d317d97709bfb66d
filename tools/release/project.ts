/** What the project's own files say of what is in the executable. */

import { dependenciesOf, type Dependency, importedNames } from "./dependencies.ts";

/**
 * The npm packages in the executable, from the sources, `deno.json` and `deno.lock`.
 *
 * @throws {BuildError} if the lock file lacks one
 */
export async function readDependencies(): Promise<Dependency[]> {
  const sources = [await Deno.readTextFile("main.ts"), ...await readSources("src")];
  const { imports } = JSON.parse(await Deno.readTextFile("deno.json"));
  const lock = JSON.parse(await Deno.readTextFile("deno.lock"));
  return dependenciesOf(importedNames(sources), imports, lock);
}

async function readSources(directory: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    const path = `${directory}/${name}`;
    if (isDirectory) texts.push(...await readSources(path));
    else if (name.endsWith(".ts")) texts.push(await Deno.readTextFile(path));
  }
  return texts;
}
