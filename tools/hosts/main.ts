/**
 * `deno task test:hosts`: starts the executable for Linux x64 on the Debians and Ubuntus that are in use,
 * and scans there; and shows what a user sees where the C library is too old, or none that it could use.
 *
 * Each is a small root that is kept between runs; a run leaves nothing in it. Needs root and Debian's
 * `debootstrap`. Ends with 1 if something failed, and with 3 where it could not run.
 */

import { fileURLToPath } from "node:url";
import { OLDEST_GLIBC } from "../build/inspect.ts";
import { runAlone } from "../place/alone.ts";
import { isThere, missingOnPath } from "../place/host.ts";
import { runPlaceCommand } from "../place/place_command.ts";
import { PlaceError } from "../place/place_error.ts";
import { HOSTS, type TriedHost } from "./hosts.ts";
import { ENTER, makeMuslRoot, makeRoot } from "./roots.ts";

const USAGE = `Usage: deno task test:hosts [options] [NAMES]

Names: ${HOSTS.map(({ name }) => name).join(", ")}, musl. Without names: all.

  --place FOLDER     where the roots are kept between runs (~/.cache/pennon/hosts)
  --allow-missing    end with 0 where this host cannot make them
  --help`;

const EXECUTABLE = fileURLToPath(new URL("../../dist/pennon-linux-x64", import.meta.url));

const COMMAND_TIMEOUT_MS = 300_000;

/** Without a C library that the executable could use. */
const MUSL = "musl";

async function test(folder: string, names: readonly string[]): Promise<number> {
  const all = [...HOSTS.map(({ name }) => name), MUSL];
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) {
    console.error(`Cannot test: no such host "${unknown}"\n${USAGE}`);
    return 2;
  }
  const lacks = await lacking();
  if (lacks.length > 0) {
    throw new PlaceError(
      `Cannot try the executable on other systems: this host lacks ${lacks.join(", ")}\n` +
        "Next: as root, apt-get install debootstrap, and deno task build; or allow it with " +
        "--allow-missing",
      { reason: "missing" },
    );
  }
  await Deno.mkdir(folder, { recursive: true });
  using held = await Deno.open(`${folder}/lock`, { write: true, create: true });
  await held.lock(true);
  const wanted = names.length > 0 ? names : all;
  let worst = 0;
  for (const name of wanted) {
    const host = HOSTS.find((candidate) => candidate.name === name);
    const { ok, said } = host
      ? await tryHost(host, await makeRoot(host, folder))
      : await tryWithoutGlibc(await makeMuslRoot(folder));
    console.log(`${name.padEnd(14)}${ok ? "ok     " : "FAILED "}${said}`);
    if (!ok) worst = 1;
  }
  return worst;
}

async function lacking(): Promise<string[]> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return ["Linux on x86-64"];
  const lacks = await missingOnPath(["unshare", "chroot", "mount", "debootstrap", "dpkg-deb"]);
  if (Deno.uid() !== 0) lacks.push("root");
  if (!await isThere(EXECUTABLE)) lacks.push("dist/pennon-linux-x64");
  return lacks;
}

/** Whether it did what it should, and a line about it. */
interface Verdict {
  readonly ok: boolean;
  readonly said: string;
}

async function tryHost(host: TriedHost, root: string): Promise<Verdict> {
  const library = await runInside(root, ["ldd", "--version"]);
  const glibc = library.out.split("\n")[0]?.split(" ").at(-1) ?? "?";
  if (glibc !== host.glibc) return { ok: false, said: `glibc ${glibc} instead of ${host.glibc}` };
  const version = await runInside(root, ["/pennon", "version"]);
  if (isTooOld(host.glibc)) {
    const line = version.err.split("\n").find((text) => text.includes("GLIBC_")) ?? "";
    return { ok: version.code !== 0 && line !== "", said: `glibc ${glibc}, refused: ${line}` };
  }
  if (version.code !== 0) return { ok: false, said: version.err };
  const scan = await runInside(root, ["/pennon", "scan", "--json", "--only", "apt"]);
  // Without those that an upgrade would install besides: they have no version in brackets.
  const asked = ["/bin/sh", "-c", "apt-get -s -qq dist-upgrade | grep -c '^Inst [^ ]* \\['"];
  const expected = Number((await runInside(root, asked)).out);
  const [apt] = scan.code === 0 ? JSON.parse(scan.out).scanners : [];
  if (apt?.result !== "ok") return { ok: false, said: scan.err || `the scan is ${apt?.result}` };
  const said = `glibc ${glibc}, scan: ${apt.updates.length} updates, apt itself: ${expected}`;
  return { ok: apt.updates.length >= expected, said };
}

/** Alpine's C library is musl; its loader is not where the executable looks for one. */
async function tryWithoutGlibc(root: string): Promise<Verdict> {
  const { code, err } = await runInside(root, ["/bin/sh", "-c", "/pennon version"]);
  return { ok: code === 127 && err.includes("not found"), said: `refused: ${err}` };
}

function isTooOld(glibc: string): boolean {
  const [major = 0, minor = 0] = glibc.split(".").map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_GLIBC;
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}

async function runInside(root: string, argv: readonly string[]) {
  const [out, err] = await Promise.all([Deno.makeTempFile(), Deno.makeTempFile()]);
  try {
    const command = ["/bin/sh", ENTER, root, EXECUTABLE, ...argv];
    const code = await runAlone(
      ["/bin/sh", "-c", 'out=$1 err=$2; shift 2; exec "$@" >"$out" 2>"$err"', "run", out, err]
        .concat(command),
      { environment: { LC_ALL: "C" }, timeoutMs: COMMAND_TIMEOUT_MS },
    );
    const [stdout, stderr] = await Promise.all([out, err].map((path) => Deno.readTextFile(path)));
    return { code, out: stdout!.trim(), err: stderr!.trim() };
  } finally {
    await Promise.all([out, err].map((path) => Deno.remove(path)));
  }
}

if (import.meta.main) {
  await runPlaceCommand(
    { name: "hosts", usage: USAGE, allowed: ["missing", "failed"], test },
    Deno.args,
  );
}
