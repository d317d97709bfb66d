/** Which file system a folder is on, as the Linux kernel tells it. */

/** Where its files are kept. */
export interface FileSystem {
  /** The kernel's word: `ext4`, `tmpfs`. */
  readonly type: string;
  readonly device: string;
}

/** Of the mount that is nearest above `folder`. */
export async function fileSystemOf(folder: string): Promise<FileSystem> {
  const path = await Deno.realPath(folder);
  const mounts = (await Deno.readTextFile("/proc/self/mounts")).split("\n")
    .map((line) => line.split(" "));
  let [nearest, longest]: [FileSystem, number] = [{ type: "unknown", device: "unknown" }, -1];
  for (const [device = "", point = "", type = ""] of mounts) {
    const isAbove = point === "/" || path === point || path.startsWith(`${point}/`);
    // Of two at one place the later one covers the earlier.
    if (isAbove && point.length >= longest) [nearest, longest] = [{ type, device }, point.length];
  }
  return nearest;
}
