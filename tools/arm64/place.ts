/**
 * Makes the arm64 place: the C library of Debian for arm64, and Deno for it. `qemu-aarch64-static` runs
 * programs with them on this host. Child programs are this host's own, and so are all other files; but
 * for those in a whole Debian for arm64, which `enter.sh` enters.
 */

import { fileURLToPath } from "node:url";
import { npmIntegrityOf } from "../build/digest.ts";
import { isThere } from "../place/host.ts";
import { runAlone } from "../place/alone.ts";
import { failed, fetchDebian, step, STEP_TIMEOUT_MS } from "../place/steps.ts";

export const QEMU = "qemu-aarch64-static";

/** The kernel wants a path. */
export const QEMU_FILE = `/usr/bin/${QEMU}`;

const SUITE = "bookworm";

/** Another recipe makes another folder. */
const ROOT_NAME = "root-1";

/** What of Debian is kept: other files would stand in the place of this host's (`-L`). */
const LIBRARIES = "lib/aarch64-linux-gnu";
const LOADER = "lib/ld-linux-aarch64.so.1";

const DENO_VERSION = "2.9.6";
const DENO_PACKAGE = `@deno/linux-arm64-glibc@${DENO_VERSION}`;
const DENO_ARCHIVE = `deno-linux-arm64-glibc-${DENO_VERSION}.tgz`;
const DENO_INTEGRITY = "sha512-" +
  "poqhoH9B3nYloigEMPT5t8HY+wBeiuea1An5Q7fqgJzP0SYmWsoS/oUnWO/pEiA4ofzIBy1Elt/in58xKtxEoQ==";

/** The C library's root below `folder`, made the first time. Throws `PlaceError`. */
export async function makeRoot(folder: string): Promise<string> {
  const root = `${folder}/${ROOT_NAME}`;
  if (await isThere(root)) return root;
  console.error(`arm64: fetching Debian ${SUITE}'s C library (once)`);
  const debian = `${folder}/debian`;
  await fetchDebian({
    folder: debian,
    suite: SUITE,
    packages: [],
    log: `${folder}/log`,
    unpackOnly: "arm64",
  });
  const unfinished = `${root}.unfinished`;
  await Deno.remove(unfinished, { recursive: true }).catch(() => {});
  await Deno.mkdir(`${unfinished}/lib`, { recursive: true });
  for (const path of [LIBRARIES, LOADER]) {
    await onHost("cp", ["-a", `${debian}/${path}`, `${unfinished}/${path}`]);
  }
  await Deno.rename(unfinished, root);
  await Deno.remove(debian, { recursive: true });
  return root;
}

export const ENTER: string = fileURLToPath(new URL("enter.sh", import.meta.url));

/** A whole Debian for arm64 below `folder`, installed the first time, under qemu. Throws `PlaceError`. */
export async function makeHost(folder: string): Promise<string> {
  const root = `${folder}/host-1`;
  if (await isThere(root)) return root;
  console.error(`arm64: fetching Debian ${SUITE} and installing it under qemu (once)`);
  const unfinished = `${root}.unfinished`;
  const log = `${folder}/host-log`;
  await fetchDebian({ folder: unfinished, suite: SUITE, packages: [], log, unpackOnly: "arm64" });
  // In a user namespace there are no device files to be made: debootstrap binds them for this kind.
  const second = ["container=lxc", "/debootstrap/debootstrap", "--second-stage"];
  const argv = ["/bin/sh", ENTER, unfinished, "-", QEMU_FILE, "/usr/bin/env", ...second];
  const options = { logFile: log, timeoutMs: STEP_TIMEOUT_MS };
  await step(log, "debootstrap's second stage", () => runAlone(argv, options));
  await Deno.rename(unfinished, root);
  return root;
}

/** Deno's file below `folder`, fetched the first time. Throws `PlaceError`. */
export async function fetchDeno(folder: string): Promise<string> {
  const deno = `${folder}/deno-${DENO_VERSION}`;
  if (await isThere(deno)) return deno;
  console.error(`arm64: fetching ${DENO_PACKAGE} from npm (once)`);
  await onHost("npm", ["pack", "--silent", "--pack-destination", folder, DENO_PACKAGE]);
  const archive = `${folder}/${DENO_ARCHIVE}`;
  const found = await npmIntegrityOf(archive);
  if (found !== DENO_INTEGRITY) {
    throw failed(`Cannot trust "${DENO_PACKAGE}": its integrity is "${found}"`);
  }
  await onHost("tar", ["-xzf", archive, "-C", folder, "package/deno"]);
  await Deno.rename(`${folder}/package/deno`, deno);
  await Deno.remove(`${folder}/package`, { recursive: true });
  await Deno.remove(archive);
  return deno;
}

async function onHost(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, stdout: "null" })
    .output().catch((cause) => {
      throw failed(`Cannot run "${program}": ${cause.message}`);
    });
  if (success) return;
  throw failed(`Cannot run "${program} ${args[0]}": ${new TextDecoder().decode(stderr).trim()}`);
}
