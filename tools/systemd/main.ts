/**
 * `deno task test:systemd`: runs the service under a real systemd, on Debian 12 and 13: as
 * `service install` makes it, as the packages do, as the Ansible role does, and cloud-init.
 *
 * Each Debian is fetched once and kept; a test boots it with systemd-nspawn on an overlay, so that it
 * never changes. Needs root, `debootstrap`, `systemd-nspawn` and the executable in `dist/`, and nfpm or
 * Go for the tests with packages. Ends with the tests' own exit code, and with 3 where it could not run
 * them.
 */

import { ENTER } from "../hosts/roots.ts";
import { runAlone } from "../place/alone.ts";
import { isThere, missingOnPath, proxies } from "../place/host.ts";
import { runPlaceCommand } from "../place/place_command.ts";
import { PlaceError } from "../place/place_error.ts";
import { fetchDebian, step, STEP_TIMEOUT_MS } from "../place/steps.ts";
import { findNfpm } from "../release/nfpm.ts";
import { buildVersions } from "../packages/versions.ts";

const USAGE = `Usage: deno task test:systemd [options] [TEST FILES]

  --place FOLDER     where the two Debians are kept between runs (~/.cache/pennon/systemd)
  --allow-missing    end with 0 where this host cannot boot them
  --help

The executable is dist/pennon-linux-x64 (deno task build), or PENNON_EXECUTABLE.`;

const SUITES = ["bookworm", "trixie"];

/** A system that boots, and what the agent asks about a host. */
const PACKAGES = "systemd systemd-sysv dbus udev libpam-systemd procps iproute2".split(" ");

/** What sets up the hosts of a fleet, and rpm. cloud-init does nothing on a host without user data. */
const FLEET = ["ansible-core", "python3-apt", "cloud-init", "rpm", "ca-certificates"];

const PROGRAMS = [
  "debootstrap",
  "systemd-nspawn",
  "nsenter",
  "unshare",
  "setpriv",
  "mount",
  "pgrep",
];

const SERVICE_TEST = "tests/real/systemd_test.ts";

/** They need packages, of two versions. */
const PACKAGE_TESTS = ["service", "ansible", "cloud_init"]
  .map((name) => `tests/packages/${name}_test.ts`);

async function test(folder: string, files: readonly string[]): Promise<number> {
  const executable = Deno.env.get("PENNON_EXECUTABLE") ?? `${Deno.cwd()}/dist/pennon-linux-x64`;
  await requireParts(executable);
  await Deno.mkdir(folder, { recursive: true });
  using held = await Deno.open(`${folder}/lock`, { write: true, create: true });
  await held.lock(true);
  const tests = files.length > 0 ? files : [SERVICE_TEST, ...PACKAGE_TESTS];
  for (const suite of SUITES) await makeDebian(folder, suite);
  const packaged = tests.some((file) => file !== SERVICE_TEST) ? await makePackaged(folder) : {};
  const args = ["test", "--no-prompt", "--no-check", "-A", ...tests];
  // The overlays are mounted in a namespace of their own, and go with it.
  const { code } = await new Deno.Command("unshare", {
    args: ["--mount", Deno.execPath(), ...args],
    env: { PENNON_SYSTEMD_PLACE: folder, PENNON_EXECUTABLE: executable, ...packaged },
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

/** The packages and the roots for the tests of them: what they find in the environment. */
async function makePackaged(folder: string): Promise<Record<string, string>> {
  await findNfpm().catch((cause) => {
    throw new PlaceError(cause.message, { reason: "missing", cause });
  });
  const roots: Record<string, string> = {};
  for (const suite of SUITES) {
    roots[suite] = `${folder}/debian-${suite}-1`;
    roots[`fleet-${suite}`] = await makeFleetDebian(folder, suite);
  }
  const work = `${folder}/work`;
  const versions = await buildVersions(work);
  return { PENNON_PACKAGE_TESTS: JSON.stringify({ roots, versions, work }) };
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

/** A copy of that Debian with `FLEET`, made the first time; apt knows what they need, debootstrap does not. */
async function makeFleetDebian(folder: string, suite: string): Promise<string> {
  const root = `${folder}/fleet-${suite}-1`;
  if (await isThere(root)) return root;
  console.error(`systemd: adding ${FLEET.join(", ")} to Debian ${suite} (once)`);
  const unfinished = `${root}.unfinished`;
  const log = `${folder}/log-fleet-${suite}`;
  const run = (argv: readonly string[]) =>
    runAlone(argv, {
      environment: { LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive", ...proxies() },
      logFile: log,
      timeoutMs: STEP_TIMEOUT_MS,
    });
  await Deno.remove(unfinished, { recursive: true }).catch(() => {});
  const from = `${folder}/debian-${suite}-1`;
  await step(log, "cp", () => run(["cp", "-a", from, unfinished]));
  for (const name of ["/etc/resolv.conf", "/etc/hosts"]) {
    await Deno.copyFile(name, `${unfinished}${name}`).catch(() => {});
  }
  const install = ["apt-get", "install", "-qq", "--no-install-recommends", ...FLEET];
  for (const argv of [["apt-get", "update", "-qq"], install, ["apt-get", "clean"]]) {
    await step(log, argv.join(" "), () => run(["/bin/sh", ENTER, unfinished, "-", ...argv]));
  }
  await Deno.rename(unfinished, root);
  return root;
}

if (import.meta.main) {
  const command = { name: "systemd", usage: USAGE, allowed: ["missing", "failed"], test } as const;
  await runPlaceCommand(command, Deno.args);
}
