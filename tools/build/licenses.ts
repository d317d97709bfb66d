/** The licences of the packages in a bundle: they ask to go along with every copy. */

/** A package's folder, of the path of one of its files. */
const FOLDER = /^(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)\//;

/** Their texts, one after the other; `files` are the paths in a bundle, from `folder`. */
export async function licensesOf(folder: string, files: readonly string[]): Promise<string> {
  const packages = new Map<string, string>();
  for (const file of files) {
    const [path, name] = FOLDER.exec(file) ?? [];
    if (path !== undefined && name !== undefined) packages.set(name, path);
  }
  const texts: string[] = [];
  for (const [name, path] of [...packages].sort()) {
    for await (const entry of Deno.readDir(`${folder}/${path}`)) {
      if (!/^licen[cs]e(\.|$)/i.test(entry.name)) continue;
      texts.push(`${name}\n\n${await Deno.readTextFile(`${folder}/${path}${entry.name}`)}`);
    }
  }
  return texts.join("\n\n");
}
