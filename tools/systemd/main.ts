/**
 * `deno task test:systemd`: runs the service under a real systemd, on Debian 12 and 13.
 *
 * Each Debian is fetched once and kept; a test boots it with systemd-nspawn on an overlay, so that it
 * never changes. Needs root, `debootstrap`, `systemd-nspawn` and the executable in `dist/`. Ends with
 * the tests' own exit code, and with 3 where it could not run them.
 */

import { isThere, missingOnPath } from "../place/host.ts";
import { runPlaceCommand } from "../place/place_command.ts";
import { PlaceError } from "../place/place_error.ts";
import { fetchDebian } from "../place/steps.ts";

const USAGE = `Usage: deno task test:systemd [options] [TEST FILES]

  --place FOLDER     where the two Debians are kept between runs (~/.cache/pennon/systemd)
  --allow-missing    end with 0 where this host cannot boot them
  --help

The executable is dist/pennon-linux-x64 (deno task build), or PENNON_EXECUTABLE.`;

const SUITES = ["bookworm", "trixie"];

/** A system that boots, and what the agent asks about a host. */
const PACKAGES = "systemd systemd-sysv dbus udev libpam-systemd procps iproute2".split(" ");

const PROGRAMS = [
  "debootstrap",
  "systemd-nspawn",
  "nsenter",
  "unshare",
  "setpriv",
  "mount",
  "pgrep",
];

const TESTS = ["tests/real/systemd_test.ts"];

async function test(folder: string, files: readonly string[]): Promise<number> {
  const executable = Deno.env.get("PENNON_EXECUTABLE") ?? `${Deno.cwd()}/dist/pennon-linux-x64`;
  await requireParts(executable);
  await Deno.mkdir(folder, { recursive: true });
  using held = await Deno.open(`${folder}/lock`, { write: true, create: true });
  await held.lock(true);
  for (const suite of SUITES) await makeDebian(folder, suite);
  const args = ["test", "--no-prompt", "--no-check", "-A", ...files.length > 0 ? files : TESTS];
  // The overlays are mounted in a namespace of their own, and go with it.
  const { code } = await new Deno.Command("unshare", {
    args: ["--mount", Deno.execPath(), ...args],
    env: { PENNON_SYSTEMD_PLACE: folder, PENNON_EXECUTABLE: executable },
  }).spawn().status;
  return code;
}

async function requireParts(executable: string): Promise<void> {
  const isLinux = Deno.build.os === "linux" && Deno.build.arch === "x86_64";
  const lacks = !isLinux ? ["Linux on x86-64"] : Deno.uid() === 0 ? [] : ["root"];
  if (isLinux) lacks.push(...await missingOnPath(PROGRAMS));
  if (!await isThere(executable)) lacks.push(`${executable} (deno task build)`);
  if (lacks.length === 0) return;
  throw new PlaceError(
    `Cannot run the service under systemd: this host lacks ${lacks.join(", ")}\n` +
      "Next: apt-get install debootstrap systemd-container, as root; or allow it with --allow-missing",
    { reason: "missing" },
  );
}

async function makeDebian(folder: string, suite: string): Promise<void> {
  const root = `${folder}/debian-${suite}-1`;
  if (await isThere(root)) return;
  console.error(`systemd: fetching Debian ${suite} (once)`);
  const unfinished = `${root}.unfinished`;
  await fetchDebian({
    folder: unfinished,
    suite,
    packages: PACKAGES,
    log: `${folder}/log-${suite}`,
  });
  await Deno.rename(unfinished, root);
}

if (import.meta.main) {
  const command = { name: "systemd", usage: USAGE, allowed: ["missing", "failed"], test } as const;
  await runPlaceCommand(command, Deno.args);
}
