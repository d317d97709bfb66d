/**
 * `deno task test:arm64`: tries the executable for Linux arm64, and runs unit tests on Deno for it, under
 * `qemu-aarch64-static`, about eight times slower than on a processor of that kind. The .deb is installed
 * in a Debian for arm64, whose own apt is scanned (Linux 6.7, and nfpm or Go; said where it cannot be).
 *
 * Elsewhere child programs are this host's own. Needs Debian's `qemu-user-static`, `debootstrap`, root for
 * it, and npm. Ends with 1 if something failed, and with 3 where it could not run.
 */

import { fileURLToPath } from "node:url";
import { isThere, missingOnPath } from "../place/host.ts";
import { runPlaceCommand } from "../place/place_command.ts";
import { PlaceError } from "../place/place_error.ts";
import { BuildError } from "../build/build_error.ts";
import { runAlone } from "../place/alone.ts";
import { makePackages } from "../release/packages.ts";
import { readReleaseFacts } from "../release/release_facts.ts";
import { HOMEPAGE, MAINTAINER } from "../release/task.ts";
import { ENTER, fetchDeno, makeHost, makeRoot, QEMU, QEMU_FILE } from "./place.ts";

const USAGE = `Usage: deno task test:arm64 [options] [TEST FILES]

Without files: those of the circuit breakers and of the tables on SQLite. "tests" runs all unit tests.

  --place FOLDER     where the C library and Deno are kept between runs (~/.cache/pennon/arm64)
  --allow-missing    end with 0 where this host cannot run programs for arm64
  --help`;

const PROJECT = fileURLToPath(new URL("../../", import.meta.url));
const EXECUTABLE = `${PROJECT}dist/pennon-linux-arm64`;

const TESTS = ["tests/breaker", "tests/buffer/schema_test.ts"];

/** What `deno task test` leaves to other tasks. */
const NO_UNIT_TESTS =
  "--ignore=tests/sim,tests/e2e,tests/real,tests/windows,tests/monitoring,tests/packages";

/** A start takes 3 s on an idle machine. */
const COMMAND_TIMEOUT_MS = 600_000;

async function test(folder: string, files: readonly string[]): Promise<number> {
  const lacks = await lacking(folder);
  if (lacks.length > 0) {
    throw new PlaceError(
      `Cannot run programs for arm64: this host lacks ${lacks.join(", ")}\n` +
        "Next: as root, apt-get install qemu-user-static debootstrap, and deno task build " +
        "--target linux-arm64; or allow it with --allow-missing",
      { reason: "missing" },
    );
  }
  await Deno.mkdir(folder, { recursive: true });
  using held = await Deno.open(`${folder}/lock`, { write: true, create: true });
  await held.lock(true);
  const root = await makeRoot(folder);
  const deno = await fetchDeno(folder);
  const failures = [...await tryExecutable(root), ...await tryPackage(folder)];
  await fetchDependencies();
  const code = await runTests(root, deno, files.length > 0 ? files : TESTS);
  for (const failure of failures) console.error(`arm64: FAILED ${failure}`);
  return failures.length > 0 ? 1 : code;
}

async function lacking(folder: string): Promise<string[]> {
  if (Deno.build.os !== "linux") return ["Linux"];
  const programs = [QEMU];
  if (!await isThere(`${folder}/root-1`)) programs.push("debootstrap");
  const lacks = await missingOnPath(programs);
  if (programs.length > 1 && Deno.uid() !== 0) lacks.push("root");
  if (!await isThere(EXECUTABLE)) lacks.push("dist/pennon-linux-arm64");
  return lacks;
}

/** What the executable must do; answers what it did not. */
async function tryExecutable(root: string): Promise<string[]> {
  const folder = await Deno.makeTempDir({ prefix: "pennon-arm64-" });
  const failures: string[] = [];
  const expect = (what: string, holds: boolean, said: string) => {
    console.error(`arm64: ${holds ? "ok" : "FAILED"}: ${what}`);
    if (!holds) failures.push(`${what}: ${said}`);
  };
  try {
    const run = (...args: string[]) => runUnderQemu(root, [EXECUTABLE, ...args]);
    const version = await run("version", "--json");
    const { architecture, os } = parse(version.out);
    expect("version", architecture === "aarch64" && os === "linux", version.out + version.err);
    const config = `${folder}/config.toml`;
    const own = ["--config", config, "--state-dir", `${folder}/state`];
    await Deno.writeTextFile(config, '[polling]\ninterval = "10m"\n');
    const valid = await run("config", "check", ...own);
    expect("config check, valid", valid.code === 0, valid.err);
    await Deno.writeTextFile(config, "[poling]\ninterval = 1\n");
    const invalid = await run("config", "check", ...own);
    expect("config check, invalid", invalid.code === 2, invalid.err);
    if ((await missingOnPath(["apt-get"])).length > 0) {
      console.error("arm64: skipped: scan, since this host has no apt");
    } else {
      await Deno.writeTextFile(config, "");
      const scan = await run("scan", "--json", "--only", "apt", ...own);
      const [apt] = parse(scan.out)["scanners"] as { result?: string }[] ?? [];
      expect("scan", scan.code === 0 && apt?.result === "ok", scan.err);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return failures;
}

/** Of one package that every Debian has, so that apt has an update to offer. */
const PLAYED_PACKAGES = `Package: base-files
Version: 99:1
Architecture: arm64
Maintainer: x
Filename: ./base-files.deb
Size: 1000
Description: made for a test
SHA256: ${"0".repeat(64)}
`;

/** Each answer on a line of its own on stdout. */
const PACKAGE_STEPS = `
rm -f /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/repo ./' > /etc/apt/sources.list
export DEBIAN_FRONTEND=noninteractive
apt-get update >&2
apt-get install -y --no-install-recommends /srv/pennon.deb >&2
uname -m
pennon version --json | tr -d '\\n'; echo
pennon scan --json --only apt | tr -d '\\n'; echo
apt-get purge -y pennon >&2
if getent passwd pennon || [ -e /usr/bin/pennon ] || [ -e /var/lib/pennon ]; then echo left; fi
echo purged
`;

/** The .deb in a Debian for arm64 whose apt is played; answers what it did not do. */
async function tryPackage(folder: string): Promise<string[]> {
  if (!await hasOwnBinaryFormats()) {
    console.error("arm64: skipped: the .deb, since this kernel is older than Linux 6.7");
    return [];
  }
  const share = `${folder}/share`;
  await Deno.remove(share, { recursive: true }).catch(() => {});
  await Deno.mkdir(`${share}/repo`, { recursive: true });
  try {
    await makeDeb(`${share}/packages`, `${share}/pennon.deb`);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`arm64: skipped: the .deb: ${error.message}`);
    return [];
  }
  await Deno.writeTextFile(`${share}/repo/Packages`, PLAYED_PACKAGES);
  const said = `${folder}/package-log`;
  await Deno.remove(said).catch(() => {});
  const host = await makeHost(folder);
  const inside = [ENTER, host, share, QEMU_FILE, "/bin/sh", "-ec", PACKAGE_STEPS];
  const argv = ["/bin/sh", "-c", 'out=$1; shift; exec /bin/sh "$@" > "$out"', "run", `${said}.out`];
  const code = await runAlone([...argv, ...inside], {
    logFile: said,
    timeoutMs: COMMAND_TIMEOUT_MS,
  });
  const [machine, version = "", scan = "", end] = (await Deno.readTextFile(`${said}.out`)).trim()
    .split("\n");
  const { architecture } = parse(version);
  const [apt] = (parse(scan)["scanners"] ?? []) as { result?: string; updates?: unknown[] }[];
  const isGood = code === 0 && machine === "aarch64" && architecture === "aarch64" &&
    apt?.result === "ok" && apt.updates?.length === 1 && end === "purged";
  const what = "the .deb on Debian for arm64: install, version, scan of its apt, purge";
  console.error(`arm64: ${isGood ? "ok" : "FAILED"}: ${what}`);
  return isGood ? [] : [`${what}: exit ${code}; see ${said} and ${said}.out`];
}

/** Whether a user namespace can have binary formats of its own: since Linux 6.7. */
async function hasOwnBinaryFormats(): Promise<boolean> {
  const release = await Deno.readTextFile("/proc/sys/kernel/osrelease").catch(() => "");
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  return Deno.uid() === 0 && (major > 6 || (major === 6 && minor >= 7));
}

async function makeDeb(into: string, file: string): Promise<void> {
  const facts = await readReleaseFacts();
  const common = { revision: 1, isQuick: true, homepage: HOMEPAGE, maintainer: MAINTAINER };
  const { files } = await makePackages({ ...common, facts, into });
  const deb = files.find((name) => name.endsWith("_arm64.deb"));
  if (deb === undefined) throw new BuildError("Cannot make the .deb for arm64");
  await Deno.rename(deb, file);
}

/** An object, empty if it is none. */
function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

async function runUnderQemu(root: string, argv: readonly string[]) {
  const { code, stdout, stderr } = await new Deno.Command(QEMU, {
    args: ["-L", root, ...argv],
    stdin: "null",
    signal: AbortSignal.timeout(COMMAND_TIMEOUT_MS),
  }).output();
  const decoder = new TextDecoder();
  return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
}

/** npm packages are the same files on every processor, but for those that are for arm64 alone. */
async function fetchDependencies(): Promise<void> {
  const lock = JSON.parse(await Deno.readTextFile(`${PROJECT}/deno.lock`));
  const forArm64 = Object.entries<{ os?: string[]; cpu?: string[] }>(lock.npm)
    .filter(([, { os, cpu }]) => cpu?.includes("arm64") && (os?.includes("linux") ?? true))
    .map(([name]) => `npm:${name}`);
  const fetches = [["install", "--frozen", "--quiet"]];
  if (forArm64.length > 0) {
    fetches.push(["cache", "--no-config", "--no-lock", "--quiet", ...forArm64]);
  }
  for (const args of fetches) {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args,
      cwd: PROJECT,
      stdin: "null",
      stdout: "null",
    }).output();
    if (success) continue;
    const said = new TextDecoder().decode(stderr).trim();
    throw new PlaceError(`Cannot fetch dependencies: ${said}`, { reason: "failed" });
  }
}

async function runTests(root: string, deno: string, files: readonly string[]): Promise<number> {
  const flags = ["--no-check", "--no-prompt", "--cached-only"];
  const allowed = "--allow-read=.git,src,tests,docs,tools,main.ts";
  const { code } = await new Deno.Command(QEMU, {
    args: ["-L", root, deno, "test", ...flags, allowed, NO_UNIT_TESTS, ...files],
    cwd: PROJECT,
    stdin: "null",
  }).spawn().status;
  return code;
}

if (import.meta.main) {
  await runPlaceCommand(
    { name: "arm64", usage: USAGE, allowed: ["missing", "failed"], test },
    Deno.args,
  );
}
