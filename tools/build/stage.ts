/**
 * A copy of what goes into the executable, its times set to one instant: Deno writes them into it,
 * and two checkouts of one commit would make two executables.
 */

const INSTANT = new Date(0);

/** What a build needs of the project. */
const SOURCES = ["deno.json", "deno.lock", "main.ts", "src", "types"];

/** Copies the project's sources to `folder`, which is emptied first. */
export async function stageSources(folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder, { recursive: true });
  for (const source of SOURCES) await copy(source, `${folder}/${source}`);
  await stillTimes(folder);
}

/** Sets the times of all files below `folder`. */
export async function stillTimes(folder: string): Promise<void> {
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) await stillTimes(path);
    if (entry.isFile) await Deno.utime(path, INSTANT, INSTANT);
  }
}

async function copy(from: string, to: string): Promise<void> {
  if ((await Deno.stat(from)).isFile) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const entry of Deno.readDir(from)) {
    await copy(`${from}/${entry.name}`, `${to}/${entry.name}`);
  }
}
