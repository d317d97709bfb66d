import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { aptScanner } from "../../src/scanners/apt.ts";
import { compareDebianVersions } from "../../src/scanners/apt/packages.ts";
import { ScanError } from "../../src/scanners/scanner.ts";
import type { System } from "../../src/system/system.ts";
import { realSystem } from "../../src/system/real.ts";
import { describe, EXPECTED_UPDATES, EXPECTED_WARNINGS } from "../scanners/apt/made_archive.ts";
import { whatAptUpgrades } from "./apt_answer.ts";
import { fillArchive } from "./apt_archive.ts";
import { AptRoot, run } from "./apt_root.ts";
import { lacks } from "./lacks.ts";
import { scanWith } from "../fakes/scan_with.ts";

const system = realSystem();
const isRoot = Deno.uid() === 0;
const hasApt = await aptScanner().isAvailable(system);

/** Waits for nobody: what is tested is what comes after the waiting. */
const impatient: System = {
  ...system,
  clock: {
    nowMs: () => system.clock.nowMs(),
    monotonicMs: () => system.clock.monotonicMs(),
    asleepMs: () => 0,
    sleep: () => Promise.resolve(),
    after: (ms, call) => system.clock.after(ms, call),
    turn: () => Promise.resolve(),
  },
};

/** Runs a test where there is apt, with an apt root of its own. */
function onApt(
  name: string,
  test: (root: AptRoot) => Promise<void>,
  { ignore = false }: { ignore?: boolean } = {},
): void {
  Deno.test({ name, ignore: ignore || !hasApt }, async () => {
    await using root = await AptRoot.make();
    await test(root);
  });
}

async function whatPennonUpgrades(asked: System, root?: AptRoot): Promise<string[]> {
  const { updates } = await scanWith(aptScanner(root?.options), asked, {});
  const { stdout } = await run(["/usr/bin/dpkg", "--print-architecture"]);
  return updates.filter(({ state }) => state === "upgradable").map((update) => {
    const isOwn = ["all", stdout.trim(), null].includes(update.architecture);
    const name = isOwn ? update.package : `${update.package}:${update.architecture}`;
    return `${name} ${update.currentVersion} -> ${update.availableVersion}`;
  }).toSorted();
}

onApt("lists exactly what apt-get would upgrade on this host", async () => {
  const { stdout, code } = await run(["/usr/bin/apt-get", "-s", "dist-upgrade"]);
  assertEquals(code, 0);
  assertEquals(await whatPennonUpgrades(system), whatAptUpgrades(stdout));
});

onApt("finds every case of a made archive as it was worked out by hand", async (root) => {
  await fillArchive(root);
  const { updates, warnings, metadataAgeS } = await scanWith(aptScanner(root.options), system, {});
  const expected = EXPECTED_UPDATES.map((line) =>
    line.replace(" amd64 ", ` ${root.architecture} `).replace(
      " i386 ",
      ` ${root.foreignArchitecture} `,
    )
  );
  assertEquals(updates.map(describe).toSorted(), expected.toSorted());
  assertEquals(warnings, EXPECTED_WARNINGS);
  assert(metadataAgeS !== null && metadataAgeS < 600);
  const simulated = await root.apt("get", "-s", "dist-upgrade");
  // The one that apt would put back to an older version is no update.
  const upgrades = whatAptUpgrades(simulated.stdout).filter((line) => !/^downgrade /.test(line));
  assertEquals(await whatPennonUpgrades(system, root), upgrades);
});

onApt("asks as an ordinary user what it asks as root", async (root) => {
  await fillArchive(root);
  const ordinary: System = {
    ...system,
    runCommand: (argv, options) =>
      system.runCommand(
        ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...argv],
        options,
      ),
  };
  const asRoot = await scanWith(aptScanner(root.options), system, {});
  assertEquals((await scanWith(aptScanner(root.options), ordinary, {})).updates, asRoot.updates);
}, { ignore: !isRoot || await lacks("setpriv") });

/** Holds a lock file as dpkg and apt do (fcntl), until disposed. */
async function hold(paths: readonly string[]): Promise<AsyncDisposable> {
  // Perl is on every Debian system. `flock` would be another lock; this is Linux's struct for fcntl.
  const holder = new Deno.Command("/usr/bin/perl", {
    args: [
      "-MFcntl",
      "-e",
      'for (@ARGV) { open(my $file, ">", $_) or die; push(@held, $file); ' +
      'my $lock = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0); ' +
      'fcntl($file, F_SETLK, $lock) or die "$_: $!"; } ' +
      '$| = 1; print "held"; <STDIN>;',
      ...paths,
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = holder.stdout.getReader();
  assertEquals(new TextDecoder().decode((await reader.read()).value), "held");
  return {
    async [Symbol.asyncDispose]() {
      await holder.stdin.close();
      await reader.cancel();
      await holder.status;
    },
  };
}

onApt("answers while dpkg and apt hold all their locks", async (root) => {
  await fillArchive(root);
  await using _held = await hold([
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/apt/lists/lock",
    "var/cache/apt/archives/lock",
  ].map((path) => `${root.path}/${path}`));
  const refusal = await root.apt("get", "-y", "dist-upgrade");
  assert(/Could not get lock/.test(refusal.stderr), refusal.stderr);
  const { updates } = await scanWith(aptScanner(root.options), system, {});
  assertEquals(updates.length, EXPECTED_UPDATES.length);
});

onApt(
  "a refresh that finds the lists locked says who holds them, and reads the old ones",
  async (root) => {
    await fillArchive(root);
    await using _held = await hold([`${root.path}/var/lib/apt/lists/lock`]);
    const { updates, warnings } = await scanWith(aptScanner(root.options), impatient, {
      refresh: true,
    });
    assertEquals(updates.length, EXPECTED_UPDATES.length);
    assert(warnings.some((text) => /Could not get lock .* held by process \d+/.test(text)));
  },
  { ignore: !isRoot },
);

onApt(
  "a refresh brings in what the archive has now, and names a source that is gone",
  async (root) => {
    await root.install([{ name: "tool", version: "1.0" }]);
    await root.offer([{ archive: "a", suite: "stable", release: {}, packages: [] }]);
    assertEquals((await scanWith(aptScanner(root.options), system, {})).updates, []);
    const packages = [{ name: "tool", version: "2.0" }];
    await root.publish({ archive: "a", suite: "stable", release: {}, packages });
    const fresh = await scanWith(aptScanner(root.options), system, { refresh: true });
    assertEquals([fresh.updates.length, fresh.warnings], [1, []]);
    const gone = "deb [trusted=yes] http://127.0.0.1:9/gone stable main\n";
    await root.write("etc/apt/sources.list.d/gone.list", gone);
    const { updates, warnings } = await scanWith(aptScanner(root.options), system, {
      refresh: true,
    });
    assertEquals(updates.length, 1);
    assert(warnings.some((warning) => warning.includes("127.0.0.1:9")), warnings.join("\n"));
  },
  { ignore: !isRoot },
);

onApt(
  "old lists are left as they are, and fetched into a folder of the agent's own",
  async (root) => {
    await root.install([{ name: "tool", version: "1.0" }]);
    const suite = { archive: "a", suite: "stable", release: {} };
    await root.offer([{ ...suite, packages: [] }]);
    await root.publish({ ...suite, packages: [{ name: "tool", version: "2.0" }] });
    const lists = `${root.path}/var/lib/apt/lists`;
    const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000);
    for (const folder of [lists, `${lists}/partial`]) {
      await Deno.utime(folder, twoDaysAgo, twoDaysAgo);
    }
    const scan = (options = {}) => scanWith(aptScanner(root.options), system, options);
    assertEquals((await scan()).updates, [], "nowhere to keep others");
    const cacheDirectory = `${root.path}/own`;
    const own = await scan({ cacheDirectory });
    assertEquals(own.updates.map(({ availableVersion }) => availableVersion), ["2.0"]);
    assertEquals(own.warnings, []);
    assert(own.metadataAgeS !== null && own.metadataAgeS < 600, `${own.metadataAgeS} s`);
    assertEquals((await Deno.stat(lists)).mtime, twoDaysAgo, "the host's lists were touched");
    const gone = "deb [trusted=yes] http://127.0.0.1:9/gone stable main\n";
    await root.write("etc/apt/sources.list.d/gone.list", gone);
    const half = await scan({ cacheDirectory });
    assertEquals(half.updates.length, 1, "what came is taken");
    assertEquals(half.sources.map(({ result }) => result).toSorted(), ["failed", "ok"]);
    assert(half.warnings[0]?.startsWith("http://127.0.0.1:9/gone stable: "), half.warnings[0]);
  },
);

onApt("what the host runs after a fetch is not run for lists of the agent's own", async (root) => {
  await root.install([{ name: "tool", version: "1.0" }]);
  const suite = { archive: "a", suite: "stable", release: {} };
  await root.offer([{ ...suite, packages: [] }]);
  await root.publish({ ...suite, packages: [{ name: "tool", version: "2.0" }] });
  // As Ubuntu's hook does: a stamp that says that the host's own lists are young.
  const stamp = `${root.path}/var/lib/apt/periodic/update-success-stamp`;
  await root.write("var/lib/apt/periodic/README", "");
  const hooks = ["Pre-Invoke", "Post-Invoke", "Post-Invoke-Success"]
    .map((hook) => `APT::Update::${hook} {"touch ${stamp}";};\n`);
  await root.write("etc/apt/apt.conf.d/15update-stamp", hooks.join(""));
  const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000);
  for (const folder of ["lists", "lists/partial"]) {
    await Deno.utime(`${root.path}/var/lib/apt/${folder}`, twoDaysAgo, twoDaysAgo);
  }
  for (let round = 0; round < 2; round++) {
    const cacheDirectory = `${root.path}/own`;
    const { updates, warnings } = await scanWith(aptScanner(root.options), system, {
      cacheDirectory,
    });
    assertEquals([updates.map(({ availableVersion }) => availableVersion), warnings], [
      ["2.0"],
      [],
    ]);
    assert(!await exists(stamp), "a hook of the host's was run");
  }
});

/** Images of containers leave documentation out. */
const CHANGELOG = "/usr/share/doc/openssl/changelog.Debian.gz";

onApt(
  "the changelog of a package that is ahead tells what an update of its source closes",
  async (root) => {
    const { stdout: version } = await run([
      "/usr/bin/dpkg-query",
      "-W",
      "-f",
      "${Version}",
      "openssl",
    ]);
    const { stdout: text } = await run(["/usr/bin/gzip", "-dc", CHANGELOG]);
    const [newest = ""] = text.split("\n -- ", 1);
    const source = { fields: { Source: "openssl" } };
    await root.install([
      { name: "openssl", version },
      { name: "libssl3", version: `${version}~`, ...source },
    ]);
    const packages = [{ name: "libssl3", version, ...source }];
    await root.offer([{ archive: "a", suite: "stable", release: {}, packages }]);
    const { updates: [update] } = await scanWith(aptScanner(root.options), system, {});
    assertEquals(update?.cves, [...new Set(newest.match(/CVE-\d{4}-\d{4,}/g) ?? [])]);
    const urgency = /urgency=(\w+)/.exec(newest)?.[1];
    assertEquals(
      update?.severityReason,
      `apt does not tell; the changelog says urgency ${urgency}`,
    );
    assertEquals(update?.severity, null);
  },
  { ignore: !await exists(CHANGELOG) || !await exists("/usr/bin/gzip") },
);

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

onApt("lists that were never fetched are no clean bill of health", async (root) => {
  await root.install([{ name: "tool", version: "1.0" }]);
  const { updates, warnings, metadataAgeS } = await scanWith(aptScanner(root.options), system, {});
  assertEquals([updates, metadataAgeS], [[], null]);
  assertEquals(warnings, ["No package source is enabled: no update can be known"]);
  await root.write("etc/apt/sources.list", "deb [trusted=yes] http://127.0.0.1:9/x s main\n");
  const { result, warnings: [missing] } = await scanWith(aptScanner(root.options), system, {});
  assertEquals([result, missing], [
    "degraded",
    'http://127.0.0.1:9/x s: no package lists yet: run "apt-get update"',
  ]);
});

onApt(
  "packages that do not fit together are told of, with what waits behind them",
  async (root) => {
    await root.install([
      { name: "tool", version: "1.0" },
      { name: "broken", version: "1.0", fields: { Depends: "nowhere-to-be-found" } },
    ]);
    const packages = [{ name: "tool", version: "2.0" }];
    await root.offer([{ archive: "a", suite: "stable", release: {}, packages }]);
    const { updates, warnings } = await scanWith(aptScanner(root.options), system, {});
    assertEquals(updates.map((update) => [update.package, update.state]), [["tool", "kept_back"]]);
    assert(warnings[0]?.includes("Unmet dependencies"), warnings[0]);
  },
);

onApt("sources that cannot be read are a failure that names them", async (root) => {
  await root.install([{ name: "tool", version: "1.0" }]);
  await root.write("etc/apt/sources.list", "deb nonsense\n");
  const error = await assertRejects(
    () => scanWith(aptScanner(root.options), system, {}),
    ScanError,
  );
  assertEquals(error.reason, "permanent");
  assert(/Malformed entry 1 in list file .*sources.list/.test(error.message), error.message);
});

onApt("a dpkg database that is empty is a failure, not a host without updates", async (root) => {
  const error = await assertRejects(
    () => scanWith(aptScanner(root.options), system, {}),
    ScanError,
  );
  assertEquals(error.reason, "permanent");
});

onApt("compareDebianVersions() agrees with dpkg", async () => {
  const part = fc.string({ unit: fc.constantFrom(..."0129aZ~+."), maxLength: 6 });
  const version = fc.tuple(fc.constantFrom("", "0:", "1:"), fc.nat(9), part, part).map((
    [epoch, digit, upstream, revision],
  ) => `${epoch}${digit}${upstream}${revision === "" ? "" : `-${revision}`}`);
  await fc.assert(
    fc.asyncProperty(version, version, async (a, b) => {
      const relation = compareDebianVersions(a, b) < 0
        ? "lt"
        : compareDebianVersions(a, b) > 0
        ? "gt"
        : "eq";
      const { code } = await run(["/usr/bin/dpkg", "--compare-versions", a, relation, b]);
      assertEquals(code, 0, `${a} ${relation} ${b}`);
    }),
    { numRuns: 150 },
  );
});
