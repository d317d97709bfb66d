/**
 * `deno task test:dnf5`: runs the tests on real dnf once more, on dnf 5.
 *
 * Debian's next release has it. A small one is kept in a folder, and each test is a host of its own on
 * it. Needs root, `debootstrap` and what the tests on dnf 4 need. Ends with the tests' own exit code,
 * and with 3 where it could not run them.
 */

import { runAlone } from "../place/alone.ts";
import { isThere, missingOnPath } from "../place/host.ts";
import { runPlaceCommand } from "../place/place_command.ts";
import { PlaceError } from "../place/place_error.ts";
import { fetchDebian } from "../place/steps.ts";

const USAGE = `Usage: deno task test:dnf5 [options] [TEST FILES]

  --place FOLDER     where dnf 5 is kept between runs (~/.cache/pennon/dnf5)
  --allow-missing    end with 0 where this host cannot have dnf 5
  --help`;

const SUITE = "forky";
const PACKAGES = ["dnf5", "rpm"];

/** Another recipe makes another folder. */
const ROOT_NAME = "debian-1";

/** Where a host's own folders are laid over it. */
const MOUNTED = ["/etc/dnf", "/etc/yum.repos.d", "/var/cache/libdnf5", "/var/lib/rpm"]
  .concat("/var/lib/dnf");

const PROGRAMS = ["unshare", "chroot", "mount", "debootstrap", "dnf", "rpm", "rpmbuild"]
  .concat("createrepo_c", "modifyrepo_c", "perl", "gpg", "setpriv");

const TESTS = ["dnf", "dnf5", "dnf_cases", "dnf_locks", "dnf_settings", "dnf_sources"].map((name) =>
  `tests/real/${name}_test.ts`
);

/** Makes the Debian, or finds it made; throws `PlaceError`. */
async function makeDebian(folder: string): Promise<string> {
  const isLinux = Deno.build.os === "linux" && Deno.build.arch === "x86_64";
  const lacks = !isLinux ? ["Linux on x86-64"] : Deno.uid() === 0 ? [] : ["root"];
  if (isLinux) lacks.push(...await missingOnPath(PROGRAMS));
  if (lacks.length > 0) {
    throw new PlaceError(
      `Cannot run the tests on dnf 5: this host lacks ${lacks.join(", ")}\n` +
        "Next: install what .ci/run does, as root; or allow it with --allow-missing",
      { reason: "missing" },
    );
  }
  await Deno.mkdir(folder, { recursive: true });
  using held = await Deno.open(`${folder}/lock`, { write: true, create: true });
  await held.lock(true);
  const root = `${folder}/${ROOT_NAME}`;
  if (await isThere(root)) return root;
  console.error(`dnf5: fetching Debian ${SUITE} with ${PACKAGES.join(" and ")} (once)`);
  const unfinished = `${root}.unfinished`;
  const log = `${folder}/log`;
  await fetchDebian({ folder: unfinished, suite: SUITE, packages: PACKAGES, log });
  // As Fedora has it.
  await Deno.symlink("dnf5", `${unfinished}/usr/bin/dnf`);
  for (const place of MOUNTED) await Deno.mkdir(`${unfinished}${place}`, { recursive: true });
  await Deno.rename(unfinished, root);
  return root;
}

/** Fifty times what they take on two cores. */
const TESTS_TIMEOUT_MS = 900_000;

async function test(folder: string, files: readonly string[]): Promise<number> {
  const debian = await makeDebian(folder);
  const args = ["test", "--no-prompt", "-A", ...files.length > 0 ? files : TESTS];
  return await runAlone([Deno.execPath(), ...args], {
    environment: { ...Deno.env.toObject(), PENNON_DNF5_DEBIAN: debian },
    timeoutMs: TESTS_TIMEOUT_MS,
  });
}

if (import.meta.main) {
  await runPlaceCommand(
    { name: "dnf5", usage: USAGE, allowed: ["missing", "failed"], test },
    Deno.args,
  );
}
