/** A file system of a few KiB, to be filled; Linux as root only. */

/** One that is mounted. */
export interface SmallDisk {
  remount(how: "ro" | "rw"): Promise<void>;
  /** Leaves no room at all, until `makeRoom()`. */
  fill(): Promise<void>;
  makeRoom(): Promise<void>;
  unmount(): Promise<void>;
}

/** What to mount: a file system in memory, or a real one on a loop device. */
export interface SmallDiskOptions {
  readonly sizeKib: number;
  /** @default "tmpfs" */
  readonly kind?: "tmpfs" | "ext4";
}

const BALLAST = ".ballast";

/** Mounts one at `folder`. Answers `null` where that cannot be done. */
export async function mountSmallDisk(
  folder: string,
  { sizeKib, kind = "tmpfs" }: SmallDiskOptions,
): Promise<SmallDisk | null> {
  const image = kind === "ext4" ? await makeImage(sizeKib) : null;
  const args = image
    ? ["-o", "loop", image, folder]
    : ["-t", "tmpfs", "-o", `size=${sizeKib}k,mode=0700`, "tmpfs", folder];
  if (Deno.build.os !== "linux" || image === undefined || !await run("mount", args)) {
    if (image) await Deno.remove(image);
    return null;
  }
  return {
    async remount(how) {
      if (!await run("mount", ["-o", `remount,${how}`, folder])) {
        throw new Error(`Cannot remount ${folder}`);
      }
    },
    fill: () => fill(`${folder}/${BALLAST}`),
    makeRoom: () => Deno.remove(`${folder}/${BALLAST}`),
    async unmount() {
      // A program that was killed may take a moment to let go of it.
      await run("umount", ["-l", folder]);
      if (image) await Deno.remove(image);
    },
  };
}

/** Whether none of this kind can be mounted here: for `ignore` of a test. It needs root on Linux. */
export async function cannotMount(kind: "tmpfs" | "ext4" = "tmpfs"): Promise<boolean> {
  return !await withSmallDisk({ sizeKib: 512, kind }, () => Promise.resolve());
}

/**
 * Mounts one, calls `work` with its folder, and unmounts it. Answers `false` where that
 * cannot be done.
 */
export async function withSmallDisk(
  options: SmallDiskOptions,
  work: (folder: string, disk: SmallDisk) => Promise<void>,
): Promise<boolean> {
  const folder = await Deno.makeTempDir({ prefix: "pennon-disk-" });
  const disk = await mountSmallDisk(folder, options);
  try {
    if (disk !== null) await work(folder, disk);
  } finally {
    await disk?.unmount();
    await Deno.remove(folder);
  }
  return disk !== null;
}

/** `undefined`: there are no tools for it. */
async function makeImage(sizeKib: number): Promise<string | undefined> {
  const image = await Deno.makeTempFile({ prefix: "pennon-disk-", suffix: ".img" });
  await Deno.truncate(image, sizeKib * 1_024);
  if (await run("mkfs.ext4", ["-q", "-F", "-m", "0", image])) return image;
  await Deno.remove(image);
  return undefined;
}

async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  for (let size = 65_536; size >= 1; size = Math.floor(size / 2)) {
    try {
      while (true) await file.write(new Uint8Array(size));
    } catch {
      await file.sync().catch(() => {}); // It is full to within so many bytes.
    }
  }
}

async function run(program: string, args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args, stdout: "null", stderr: "null" }).output())
      .success;
  } catch {
    return false;
  }
}
