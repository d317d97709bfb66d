/** Takes out of unpacked packages what no program runs: an executable keeps all of it in memory. */

/** Types, source maps, documents, and the second copy for who has no ES modules. */
const NEVER_RUN = /\.(?:d\.[cm]?ts|ts|map|md|cjs)$/;

/** Removes such files below `folder`. A module that is missing then fails the build's tests. */
export async function slimPackages(folder: string): Promise<void> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) await slimPackages(path);
    if (isFile && NEVER_RUN.test(name)) await Deno.remove(path);
  }
}
