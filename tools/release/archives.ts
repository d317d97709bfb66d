/** The archives of a release: one per executable, with what a person needs beside it. */

import { sha256Of } from "../build/digest.ts";
import { TARGETS } from "../build/targets.ts";
import { mustRun, requirePrograms } from "./command.ts";
import type { ReleaseFacts } from "./release_facts.ts";

export interface ArchiveOptions {
  readonly facts: ReleaseFacts;
  /** Files that go into every archive: their path on this host, by their name in the archive. */
  readonly documents: Readonly<Record<string, string>>;
  /** Files that go into the archive for Windows besides. */
  readonly windowsScripts: readonly string[];
  readonly into: string;
}

/** What came of it. */
export interface ArchivesMade {
  readonly files: readonly string[];
  /** One sentence for each archive that was not made. */
  readonly leftOut: readonly string[];
}

const STAGE = ".cache/release/archive";

/**
 * Makes `pennon-VERSION-OS-ARCH.tar.gz`, or `.zip` for Windows, of every executable in `dist/`. Each
 * has one directory of the same name. Names, owners, order and times are fixed, so two runs on the same
 * executables are identical.
 *
 * @throws {BuildError} if a program is missing or fails
 */
export async function makeArchives(options: ArchiveOptions): Promise<ArchivesMade> {
  const { facts, documents, windowsScripts, into } = options;
  await requirePrograms("make archives", ["tar", "gzip", "zip", "touch"]);
  const files: string[] = [];
  const leftOut: string[] = [];
  for (const { file, os } of TARGETS) {
    if (!await Deno.stat(file).then(() => true, () => false)) {
      leftOut.push(`the archive of ${file.slice("dist/".length)}: no such executable in dist/`);
      continue;
    }
    const platform = file.replace("dist/pennon-", "").replace(".exe", "");
    const name = `pennon-${facts.version}-${platform}`;
    const directory = `${STAGE}/${name}`;
    await Deno.remove(STAGE, { recursive: true }).catch(() => {});
    await Deno.mkdir(directory, { recursive: true });
    await Deno.chmod(directory, 0o755);
    const executable = `${directory}/${os === "windows" ? "pennon.exe" : "pennon"}`;
    await Deno.copyFile(file, executable);
    await Deno.chmod(executable, 0o755);
    const added = { ...documents };
    if (os === "windows") {
      for (const path of windowsScripts) added[path.slice(path.lastIndexOf("/") + 1)] = path;
    }
    for (const [document, path] of Object.entries(added)) {
      await Deno.copyFile(path, `${directory}/${document}`);
      await Deno.chmod(`${directory}/${document}`, 0o644);
    }
    if (os === "windows") {
      // install.ps1 compares it, after Windows has unpacked the archive.
      const line = `${await sha256Of(executable)}  pennon.exe\n`;
      await Deno.writeTextFile(`${directory}/SHA256SUMS`, line);
      await Deno.chmod(`${directory}/SHA256SUMS`, 0o644);
    }
    files.push(os === "windows" ? await zip(name, facts, into) : await tar(name, facts, into));
  }
  return { files, leftOut };
}

async function tar(name: string, { epochS }: ReleaseFacts, into: string): Promise<string> {
  const file = `${into}/${name}.tar.gz`;
  const plain = `${STAGE}/${name}.tar`;
  await mustRun([
    "tar",
    "--create",
    `--file=${plain}`,
    `--directory=${STAGE}`,
    "--format=ustar",
    "--sort=name",
    `--mtime=@${epochS}`,
    "--owner=root:0",
    "--group=root:0",
    name,
  ]);
  await mustRun(["gzip", "-9nf", plain]);
  await Deno.rename(`${plain}.gz`, file);
  return file;
}

async function zip(name: string, { epochS }: ReleaseFacts, into: string): Promise<string> {
  const file = `${Deno.cwd()}/${into}/${name}.zip`;
  await Deno.remove(file).catch(() => {});
  const paths: string[] = [];
  for await (const entry of Deno.readDir(`${STAGE}/${name}`)) paths.push(`${name}/${entry.name}`);
  const sorted = paths.sort();
  await mustRun(["touch", "--date", `@${epochS}`, ...sorted], { directory: STAGE });
  // Without extra fields: those have times of access, and this host's numbers of users.
  await mustRun(["zip", "-9", "-X", "-q", file, ...sorted], { directory: STAGE });
  return `${into}/${name}.zip`;
}
