/** Follows a path as the system does, name by name, and tells what stands at each. */

import type { PathStep, PathTrace } from "../files.ts";
import { factsOf, isAbsence } from "./regular_file.ts";

/** Linux follows no more than this in one path (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * The way from the root of the file system to `path`, as `Files.trace()` has it; a relative path is one
 * of the current directory.
 *
 * @throws {Error} Deno's own, if a step may not be looked at; or if there are too many links
 */
export async function tracePath(path: string): Promise<PathTrace> {
  if (Deno.build.os === "windows") return { steps: [], isWhole: true };
  const steps: PathStep[] = [{ path: "/", ...factsOf(await Deno.lstat("/")) }];
  const names = (path.startsWith("/") ? path : `${Deno.cwd()}/${path}`).split("/");
  let directory = "";
  let links = 0;
  while (names.length > 0) {
    const name = names.shift() ?? "";
    if (name === "" || name === ".") continue;
    if (name === "..") {
      // No link is left in `directory`, so its parent is the one that its name says.
      directory = directory.slice(0, Math.max(0, directory.lastIndexOf("/")));
      continue;
    }
    const here = `${directory}/${name}`;
    const info = await lstatUnlessAbsent(here);
    if (info === undefined) return { steps, isWhole: false };
    steps.push({ path: here, ...factsOf(info) });
    if (!info.isSymlink) {
      directory = here;
      continue;
    }
    links += 1;
    if (links > MOST_LINKS) throw new Error("too many symbolic links");
    const target = await Deno.readLink(here);
    if (target.startsWith("/")) directory = "";
    names.unshift(...target.split("/"));
  }
  return { steps, isWhole: true };
}

async function lstatUnlessAbsent(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.lstat(path);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}
