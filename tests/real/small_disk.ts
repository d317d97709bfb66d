/** A file system of a few KiB, to be filled; Linux as root only. */

/**
 * Mounts one, calls `work` with its folder, and unmounts it. Prints why and answers `false` where
 * that cannot be done.
 */
export async function withSmallDisk(
  options: { sizeKib: number },
  work: (folder: string, remount: (how: "ro" | "rw") => Promise<void>) => Promise<void>,
): Promise<boolean> {
  const folder = await Deno.makeTempDir({ prefix: "pennon-disk-" });
  const size = `size=${options.sizeKib}k`;
  if (Deno.build.os !== "linux" || !await mount(["-t", "tmpfs", "-o", size, "tmpfs", folder])) {
    console.log("skipped: mounting a tmpfs needs root on Linux");
    await Deno.remove(folder);
    return false;
  }
  try {
    await work(folder, async (how) => {
      if (!await mount(["-o", `remount,${how}`, folder])) throw new Error("Cannot remount tmpfs");
    });
  } finally {
    await new Deno.Command("umount", { args: [folder] }).output();
    await Deno.remove(folder);
  }
  return true;
}

async function mount(args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command("mount", { args, stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}
