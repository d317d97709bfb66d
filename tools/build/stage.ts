/**
 * A copy of what goes into the executable, its times set to one instant: Deno writes them into it,
 * and two checkouts of one commit would make two executables.
 */

import { type Config, type Lock, slimLock } from "./slim_lock.ts";

const INSTANT = new Date(0);

/** What a build needs of the project. */
const SOURCES = ["main.ts", "src", "types"];
const CONFIG = "deno.json";
const LOCK = "deno.lock";

/** Copies the project's sources to `folder`, which is emptied first. */
export async function stageSources(folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder, { recursive: true });
  for (const source of SOURCES) await copy(source, `${folder}/${source}`);
  await copyLock(folder);
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

/** Without the packages that nothing in `folder` imports. */
async function copyLock(folder: string): Promise<void> {
  const texts = await textsBelow(folder);
  const isImported = (name: string) => texts.some((text) => text.includes(`from "${name}"`));
  const config: Config = JSON.parse(await Deno.readTextFile(CONFIG));
  const lock: Lock = JSON.parse(await Deno.readTextFile(LOCK));
  const slim = slimLock({ config, lock, isImported });
  await Deno.writeTextFile(`${folder}/${CONFIG}`, JSON.stringify(slim.config, null, 2));
  await Deno.writeTextFile(`${folder}/${LOCK}`, JSON.stringify(slim.lock, null, 2));
}

async function textsBelow(folder: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    if (isDirectory) texts.push(...await textsBelow(`${folder}/${name}`));
    if (isFile) texts.push(await Deno.readTextFile(`${folder}/${name}`));
  }
  return texts;
}
