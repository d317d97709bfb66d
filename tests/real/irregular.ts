/** Makes things that have a file's name and are no regular file. */

import type { FileKind } from "../../src/system/files.ts";

/** What can be made; `to_device` is a link to `/dev/zero`, which never ends. */
export const IRREGULAR = [
  "fifo",
  "socket",
  "directory",
  "dangling",
  "device",
  "to_device",
] as const;

export type Irregular = typeof IRREGULAR[number];

/** What the program calls each. */
export const NAMES: Readonly<Record<Irregular, string>> = {
  fifo: "a FIFO",
  socket: "a socket",
  directory: "a directory",
  dangling: "a symbolic link to nothing",
  device: "a device",
  to_device: "a device",
};

/** What `inspect()` says of each; a link to nothing is nothing. */
export const KINDS: Readonly<Record<Irregular, FileKind | undefined>> = {
  fifo: "fifo",
  socket: "socket",
  directory: "directory",
  dangling: undefined,
  device: "device",
  to_device: "device",
};

/** Makes one at `path`, in place of what is there; `false` where that cannot be done here. */
export async function makeIrregular(kind: Irregular, path: string): Promise<boolean> {
  await Deno.remove(path, { recursive: true }).catch(() => {});
  switch (kind) {
    case "fifo":
      return await succeeds("mkfifo", path);
    case "device": // The numbers of `/dev/zero`; root only, and not in every container.
      return await succeeds("mknod", path, "c", "1", "5");
    case "directory":
      await Deno.mkdir(`${path}/inside`, { recursive: true });
      return true;
    case "dangling":
      await Deno.symlink(`${path}.nowhere`, path);
      return true;
    case "to_device":
      await Deno.symlink("/dev/zero", path);
      return true;
    case "socket": {
      // Deno removes the name it listened on when it closes the socket.
      const listener = Deno.listen({ transport: "unix", path: `${path}.s` });
      await Deno.rename(`${path}.s`, path);
      listener.close();
      return true;
    }
  }
}

async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  try {
    const command = new Deno.Command(program, { args, stdout: "null", stderr: "null" });
    return (await command.output()).success;
  } catch {
    return false;
  }
}
