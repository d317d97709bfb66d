/**
 * `deno task archive:windows`: packs the executable for Windows with its scripts into a .zip in `dist/`.
 *
 * The executable must be there already (deno task build --target x86_64-pc-windows-msvc). Two archives
 * of the same files are the same: entries have one time and one order. Python's `zipfile` writes it.
 */

import { sha256Of } from "./build/digest.ts";

/** The executable comes first, then what installs it. */
const SCRIPTS = ["packaging/windows/install.ps1", "packaging/windows/uninstall.ps1"];
const LICENSE = "LICENSE";

/** Arguments: the archive, then pairs of a file and its name in the archive. */
const PACK = `
import sys, zipfile
archive, *pairs = sys.argv[1:]
with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
    for path, name in zip(pairs[::2], pairs[1::2]):
        entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.create_system = 0
        with open(path, "rb") as file: out.writestr(entry, file.read())
`;

/** Packs `executable` as `pennon.exe`; throws an `Error` if a part is missing. */
export async function packWindows(executable: string, archive: string): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const sums = `${folder}/SHA256SUMS`;
    // The line that install.ps1 looks for.
    await Deno.writeTextFile(sums, `${await sha256Of(executable)}  pennon.exe\n`);
    const named = [...SCRIPTS, LICENSE].map((path) => [path, path.split("/").at(-1) ?? path]);
    const pairs = [[executable, "pennon.exe"], [sums, "SHA256SUMS"], ...named].flat();
    const { success, stderr } = await new Deno.Command("python3", {
      args: ["-c", PACK, archive, ...pairs],
    }).output();
    if (!success) {
      throw new Error(`Cannot pack "${archive}": ${new TextDecoder().decode(stderr).trim()}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  Deno.chdir(new URL("..", import.meta.url));
  const archive = "dist/pennon-windows-x64.zip";
  await packWindows("dist/pennon-windows-x64.exe", archive);
  console.log(`file    ${archive}`);
  console.log(`sha256  ${await sha256Of(archive)}`);
}
