/**
 * A copy of what goes into the executable, with its packages unpacked beside it as a bundler wants
 * them. The project itself has no `node_modules`, and needs none.
 */

/** What a build needs of the project. */
const SOURCES = ["main.ts", "src", "types", "deno.lock"];

const CONFIG = "deno.json";

/** Copies the project's sources to `folder`, which is emptied first; answers the configuration's imports. */
export async function stageSources(folder: string): Promise<Record<string, string>> {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder, { recursive: true });
  for (const source of SOURCES) await copy(source, `${folder}/${source}`);
  const config = JSON.parse(await Deno.readTextFile(CONFIG));
  const staged = { ...config, nodeModulesDir: "auto" };
  await Deno.writeTextFile(`${folder}/${CONFIG}`, JSON.stringify(staged, null, 2));
  return config.imports;
}

async function copy(from: string, to: string): Promise<void> {
  if ((await Deno.stat(from)).isFile) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const entry of Deno.readDir(from)) {
    await copy(`${from}/${entry.name}`, `${to}/${entry.name}`);
  }
}
