/** Makes the roots of the tried systems: each the first time, and kept after that. */

import { sha256Of } from "../build/digest.ts";
import { runAlone } from "../place/alone.ts";
import { isThere, proxies } from "../place/host.ts";
import { failed, fetchDebian, step, STEP_TIMEOUT_MS } from "../place/steps.ts";
import { mirrorOf, sourcesOf, type TriedHost, UBUNTU_KEYRING } from "./hosts.ts";

export const ENTER: string = new URL("enter.sh", import.meta.url).pathname;

/** Another recipe makes another folder. */
const ROOT_NAME = "root-1";

/** Makes the root of `host` below `folder`, or finds it made; answers where it is. Throws `PlaceError`. */
export async function makeRoot(host: TriedHost, folder: string): Promise<string> {
  const home = `${folder}/${host.name}`;
  const root = `${home}/${ROOT_NAME}`;
  if (await isThere(root)) return root;
  console.error(`hosts: fetching ${host.name} (once)`);
  await Deno.mkdir(home, { recursive: true });
  const unfinished = `${root}.unfinished`;
  const log = `${home}/log`;
  const { suite } = host;
  const common = { folder: unfinished, suite, packages: [], log, mirror: mirrorOf(host) };
  if (host.distribution === "debian") await fetchDebian({ ...common, script: suite });
  else await fetchDebian({ ...common, script: "gutsy", keyring: await ubuntuKeyring(folder) });
  for (const name of ["/etc/resolv.conf", "/etc/hosts"]) {
    await Deno.copyFile(name, `${unfinished}${name}`).catch(() => {});
  }
  await Deno.writeTextFile(`${unfinished}/etc/apt/sources.list`, sourcesOf(host));
  await step(
    log,
    "apt-get update",
    () =>
      runAlone(["/bin/sh", ENTER, unfinished, "-", "apt-get", "update", "-qq"], {
        environment: { LC_ALL: "C", ...proxies() },
        logFile: log,
        timeoutMs: STEP_TIMEOUT_MS,
      }),
  );
  await Deno.rename(unfinished, root);
  return root;
}

/**
 * A root without a C library that the executable could use, as Alpine's is: `busybox`, linked
 * statically, is all there is. Throws `PlaceError`.
 */
export async function makeMuslRoot(folder: string): Promise<string> {
  const root = `${folder}/without-glibc/${ROOT_NAME}`;
  if (await isThere(root)) return root;
  const unfinished = `${root}.unfinished`;
  await unpackDebian(["busybox-static", "musl"], unfinished);
  await Deno.symlink("busybox", `${unfinished}/bin/sh`);
  await Deno.rename(unfinished, root);
  return root;
}

/** Packages of this host's Debian, unpacked into `root`, which is emptied first. */
async function unpackDebian(packages: readonly string[], root: string): Promise<void> {
  await Deno.remove(root, { recursive: true }).catch(() => {});
  const download = `${root}.download`;
  await Deno.remove(download, { recursive: true }).catch(() => {});
  await Deno.mkdir(root, { recursive: true });
  await Deno.mkdir(download);
  // apt's own user may not write there, which it says and which does not matter.
  await run("apt-get", ["download", "-qq", ...packages], download);
  for await (const { name } of Deno.readDir(download)) {
    await run("dpkg-deb", ["-x", name, root], download);
  }
  await Deno.remove(download, { recursive: true });
}

/** The file of Ubuntu's keys, from its package with a pinned SHA-256. */
async function ubuntuKeyring(folder: string): Promise<string> {
  const home = `${folder}/ubuntu-keyring`;
  const keyring = `${home}/${UBUNTU_KEYRING.file}`;
  if (await isThere(keyring)) return keyring;
  const unfinished = `${home}.unfinished`;
  const archive = `${home}.deb`;
  const response = await fetch(UBUNTU_KEYRING.url, { signal: AbortSignal.timeout(60_000) });
  if (!response.ok) throw failed(`Cannot fetch Ubuntu's keys: HTTP status ${response.status}`);
  await Deno.writeFile(archive, new Uint8Array(await response.arrayBuffer()));
  const found = await sha256Of(archive);
  if (found !== UBUNTU_KEYRING.sha256) {
    throw failed(`Cannot trust "${UBUNTU_KEYRING.url}": its SHA-256 is "${found}"`);
  }
  await Deno.remove(unfinished, { recursive: true }).catch(() => {});
  await run("dpkg-deb", ["-x", archive, unfinished], folder);
  await Deno.rename(unfinished, home);
  return keyring;
}

async function run(program: string, args: readonly string[], folder: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd: folder,
    stdin: "null",
    stdout: "null",
  }).output().catch((cause) => {
    throw failed(`Cannot run "${program}": ${cause.message}`);
  });
  if (success) return;
  throw failed(`Cannot run "${program} ${args[0]}": ${new TextDecoder().decode(stderr).trim()}`);
}
