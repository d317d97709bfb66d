/**
 * `deno task bench:scan`: what `pennon scan` takes beside the very commands of apt and dpkg that it
 * runs, one after the other, for 0, 100 and 2,000 updates. Needs root's rights: the made packages are
 * mounted over the host's, in a mount namespace of its own. Exits 1 if a target is missed.
 */

import { parseArgs } from "@std/cli/parse-args";
import { AptRoot } from "../../tests/real/apt_root.ts";
import { median, timeCommands, timeScan } from "./scan_times.ts";

const ROOT = new URL("../../", import.meta.url);

/** A scan takes at most so many times what its commands take. */
const TARGET = 1.15;

const SIZES = [0, 100, 2_000];

/** Packages on the host besides those that wait, as on a server. */
const OTHERS = 700;

/** Packages in the archive: Debian 12 has 63,000 in main, and apt reads them all. */
const ARCHIVE = 60_000;

const ROUNDS = 7;

/** What of the host is covered by the made one. */
const COVERED = ["etc/apt", "var/lib/apt", "var/lib/dpkg", "var/cache/apt"];

async function main(words: string[]): Promise<number> {
  const { inside } = parseArgs(words, { string: ["inside"] });
  if (typeof inside === "string") return await measureInside(inside);
  const executable = await findExecutable();
  console.log(
    `Scanner: ${executable ?? "from source, slower to start: make dist/ with task build"}`,
  );
  let missed = 0;
  for (const updates of SIZES) {
    await using root = await makeHost(updates);
    const { code, stdout, stderr } = await inNamespace("--inside", root.path);
    if (code > 1) throw new Error(`Cannot measure: ${stderr.trim()}`);
    console.log(`${String(updates).padStart(5)} updates: ${stdout.trim()}`);
    missed += code;
  }
  console.log(missed === 0 ? "Every target holds." : "NOT every target holds.");
  return missed === 0 ? 0 : 1;
}

/** Runs this very script in a mount namespace of its own. */
async function inNamespace(...args: string[]) {
  const script = [Deno.execPath(), "run", "-A", "--no-prompt", new URL(import.meta.url).pathname];
  const { code, stdout, stderr } = await new Deno.Command("/usr/bin/unshare", {
    args: ["--mount", "--propagation", "private", ...script, ...args],
    cwd: ROOT,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** A host with as many updates, all of them to be had from one repository. */
async function makeHost(updates: number): Promise<AptRoot> {
  const root = await AptRoot.make();
  const name = (index: number) => `package-${String(index).padStart(5, "0")}`;
  const installed = Array.from({ length: updates + OTHERS }, (_, index) => name(index));
  await root.install(installed.map((name) => ({ name, version: "1.0-1" })));
  const packages = Array.from({ length: ARCHIVE }, (_, index) => ({
    name: name(index),
    version: index < updates ? "1.1-1" : "1.0-1",
  }));
  await root.offer([{ archive: "a", suite: "stable", release: {}, packages }]);
  return root;
}

/** Runs in the namespace: covers the host's folders, and measures by turns. */
async function measureInside(path: string): Promise<number> {
  for (const folder of COVERED) {
    const { success } = await new Deno.Command("/usr/bin/mount", {
      args: ["--bind", `${path}/${folder}`, `/${folder}`],
    }).output();
    if (!success) throw new Error(`Cannot measure: "/${folder}" cannot be mounted over`);
  }
  const executable = await findExecutable();
  const rounds: { scanMs: number; commandsMs: number }[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const commandsMs = await timeCommands();
    const scanMs = await timeScan(executable, `${path}/state`);
    if (round > 0) rounds.push({ scanMs, commandsMs }); // The first one warms the caches.
  }
  const ratio = median(rounds.map(({ scanMs, commandsMs }) => scanMs / commandsMs));
  const scanMs = median(rounds.map((round) => round.scanMs));
  const commandsMs = median(rounds.map((round) => round.commandsMs));
  console.log(
    `scan ${scanMs.toFixed(0)} ms, its commands ${commandsMs.toFixed(0)} ms: ` +
      `${ratio.toFixed(2)} x (at most ${TARGET} x: ${ratio <= TARGET ? "holds" : "MISSED"})`,
  );
  return ratio <= TARGET ? 0 : 1;
}

/** The executable as the build made it, or `null`. */
async function findExecutable(): Promise<string | null> {
  const { pathname } = new URL("dist/pennon-linux-x64", ROOT);
  return await Deno.stat(pathname).then(() => pathname, () => null);
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(2);
  }
}
