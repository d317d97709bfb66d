/**
 * `deno task test:packages`: installs, upgrades, downgrades and removes the packages in Debian 12 and
 * 13, Ubuntu 24.04, and on Debian with dnf 4 and dnf 5 (an empty host of rpm's, on Debian's own files);
 * checks their form, for every architecture in `dist/`; and builds and runs the OCI image with podman.
 *
 * The roots are kept between runs; each test has a throw-away view of one. Packages are made of the
 * executable in `dist/`, in two versions. Ends with the tests' own exit code, and with 3 where it could
 * not run them.
 */

import { HOSTS } from "../hosts/hosts.ts";
import { makeRoot } from "../hosts/roots.ts";
import { runAlone } from "../place/alone.ts";
import { isThere, missingOnPath } from "../place/host.ts";
import { runPlaceCommand } from "../place/place_command.ts";
import { PlaceError } from "../place/place_error.ts";
import { fetchDebian } from "../place/steps.ts";
import { findNfpm } from "../release/nfpm.ts";
import { buildVersions } from "./versions.ts";

const USAGE = `Usage: deno task test:packages [options] [TEST FILES]

  --place FOLDER     where the roots are kept between runs (~/.cache/pennon/packages)
  --allow-missing    end with 0 where this host cannot have them
  --help`;

const APT_HOSTS = ["debian-12", "debian-13", "ubuntu-24.04"];

/** Debian has both generations of dnf, and the files that an empty host of rpm's runs on. */
const DNF_HOSTS = [
  { name: "dnf-4", suite: "bookworm", packages: ["dnf", "rpm"] },
  { name: "dnf-5", suite: "forky", packages: ["dnf5", "rpm"] },
];

/** Another recipe makes another folder. */
const ROOT_NAME = "root-1";

const EXECUTABLE = "dist/pennon-linux-x64";

const PROGRAMS = ["unshare", "chroot", "mount", "debootstrap", "gpg", "apt-ftparchive"]
  .concat("createrepo_c", "rpmsign", "rpm", "xz", "setpriv");

const TESTS = ["format", "apt", "dnf", "image"].map((name) => `tests/packages/${name}_test.ts`);

/** Twenty times what they take on two cores. */
const TESTS_TIMEOUT_MS = 1_800_000;

async function checkHost(): Promise<void> {
  const isLinux = Deno.build.os === "linux" && Deno.build.arch === "x86_64";
  const lacks = !isLinux ? ["Linux on x86-64"] : Deno.uid() === 0 ? [] : ["root"];
  if (isLinux) lacks.push(...await missingOnPath(PROGRAMS));
  if (!await isThere(EXECUTABLE)) lacks.push(`${EXECUTABLE} (deno task build)`);
  if (lacks.length === 0) return;
  throw new PlaceError(
    `Cannot test the packages: this host lacks ${lacks.join(", ")}\n` +
      "Next: install what .ci/run does, as root; or allow it with --allow-missing",
    { reason: "missing" },
  );
}

/** Makes the roots, or finds them made; returns their paths by name. */
async function makeRoots(folder: string): Promise<Record<string, string>> {
  const roots: Record<string, string> = {};
  for (const host of HOSTS) {
    if (APT_HOSTS.includes(host.name)) roots[host.name] = await makeRoot(host, folder);
  }
  for (const { name, suite, packages } of DNF_HOSTS) {
    const root = `${folder}/${name}/${ROOT_NAME}`;
    if (!await isThere(root)) {
      console.error(`packages: fetching Debian ${suite} with ${packages.join(" and ")} (once)`);
      await Deno.mkdir(`${folder}/${name}`, { recursive: true });
      const log = `${folder}/${name}/log`;
      await fetchDebian({ folder: `${root}.unfinished`, suite, packages, log });
      await Deno.rename(`${root}.unfinished`, root);
    }
    roots[name] = root;
  }
  return roots;
}

async function test(folder: string, files: readonly string[]): Promise<number> {
  Deno.chdir(new URL("../..", import.meta.url));
  await checkHost();
  await findNfpm().catch((cause) => {
    throw new PlaceError(cause.message, { reason: "missing", cause });
  });
  await Deno.mkdir(folder, { recursive: true });
  using held = await Deno.open(`${folder}/lock`, { write: true, create: true });
  await held.lock(true);
  const roots = await makeRoots(folder);
  roots["this-host"] = "/"; // For a view of it, which a program may write to.
  const work = `${folder}/work`;
  const versions = await buildVersions(work);
  const args = ["test", "--no-check", "--no-prompt", "-A", ...files.length > 0 ? files : TESTS];
  return await runAlone([Deno.execPath(), ...args], {
    environment: {
      ...Deno.env.toObject(),
      PENNON_PACKAGE_TESTS: JSON.stringify({ roots, versions, work }),
    },
    timeoutMs: TESTS_TIMEOUT_MS,
  });
}

if (import.meta.main) {
  await runPlaceCommand(
    { name: "packages", usage: USAGE, allowed: ["missing", "failed"], test },
    Deno.args,
  );
}
