import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import { ScanError } from "../../src/scanners/scanner.ts";
import type { System } from "../../src/system/system.ts";
import { run } from "./apt_root.ts";
import { type DnfRoot, onDnf } from "./dnf_root.ts";
import { must } from "./rpm_maker.ts";
import { fillRoot } from "./dnf_world.ts";
import { scanWith } from "../fakes/scan_with.ts";

const isRoot = Deno.uid() === 0;

async function scan(root: DnfRoot, refresh = false) {
  return await scanWith(dnfScanner(root.options), root.host.system, { refresh });
}

onDnf("tells what is excluded as held, with the advisory it is about", async (root) => {
  await fillRoot(root);
  await root.configure("excludepkgs=openssl*");
  const { updates, warnings } = await scan(root);
  const held = updates.filter(({ state }) => state === "held");
  assertEquals(held.map((one) => `${one.package} ${one.currentVersion} ${one.availableVersion}`), [
    "openssl-libs 1:3.0.7-24.el9 1:3.0.7-28.el9_4",
  ]);
  assertEquals([held[0]?.severity, held[0]?.cves.length], ["important", 2]);
  assertEquals([updates.length, warnings], [9, []]);
});

onDnf("tells architectures side by side apart", async (root) => {
  const both = (evr: string) => [
    { name: "libboth", evr },
    { name: "libboth", evr, architecture: "i686" } as const,
  ];
  await root.install([...both("1-1"), { name: "libone", evr: "1-1" }]);
  const old = { name: "libone", evr: "2-1", architecture: "i686" } as const;
  await root.offer("updates", [...both("2-1"), { name: "libone", evr: "2-1" }, old], [{
    id: "A-1",
    type: "security",
    severity: "low",
    packages: [{ name: "libboth", evr: "2-1", architecture: "i686" }],
  }]);
  await root.dnf("makecache");
  const { updates, warnings } = await scan(root);
  assertEquals(
    updates.map((one) => `${one.package}.${one.architecture} ${one.currentVersion} ${one.severity}`)
      .toSorted(),
    ["libboth.i686 1-1 low", "libboth.x86_64 1-1 null", "libone.x86_64 1-1 null"],
  );
  assertEquals(warnings, []);
}, { ignore: Deno.build.arch !== "x86_64" });

/** A module with two streams, the first of them enabled by default. */
function modules(architecture: string): string {
  const stream = (name: string) =>
    [
      "---",
      "document: modulemd",
      "version: 2",
      "data:",
      "  name: tool",
      `  stream: "${name}"`,
      "  version: 1",
      "  context: deadbeef",
      `  arch: ${architecture}`,
      "  summary: A tool",
      "  description: A tool",
      "  license: {module: [MIT]}",
      `  artifacts: {rpms: ["tool-0:${name}-1.${architecture}"]}`,
      "...",
    ].join("\n");
  const defaults = 'data: {module: tool, stream: "2"}';
  const head = "---\ndocument: modulemd-defaults\nversion: 1";
  return `${stream("2")}\n${stream("3")}\n${head}\n${defaults}\n...\n`;
}

onDnf("offers of a module what is in its stream", async (root) => {
  await root.install([{ name: "tool", evr: "1-1" }]);
  await root.offer("modular", [{ name: "tool", evr: "2-1" }]);
  await root.offer("modular", [{ name: "tool", evr: "3-1" }]);
  await root.describe("modular", "modules", modules(root.architecture));
  const { stderr, code } = await root.dnf("makecache");
  assertEquals(code, 0, stderr);
  const { updates, warnings } = await scan(root);
  assertEquals(updates.map((one) => `${one.package} ${one.availableVersion}`), ["tool 2-1"]);
  assertEquals(warnings, []);
});

onDnf("waits for another dnf's lock, and names it if that does not end", async (root) => {
  if (root.host.generation === 5) return await waitsByItself(root);
  if (!isRoot) return console.log("skipped: only root's lock is where it can be held");
  await fillRoot(root);
  const lock = `${root.cache}/metadata_lock.pid`;
  await Deno.writeTextFile(lock, String(Deno.pid));
  const { system } = root.host;
  let sleeps = 0;
  const waiting = (isFreed: boolean): System => ({
    ...system,
    clock: {
      nowMs: () => system.clock.nowMs(),
      monotonicMs: () => system.clock.monotonicMs(),
      asleepMs: () => 0,
      turn: () => Promise.resolve(),
      after: (ms, call) => system.clock.after(ms, call),
      async sleep() {
        sleeps += 1;
        if (isFreed) await Deno.remove(lock);
      },
    },
  });
  const scanner = dnfScanner(root.options);
  const error = await assertRejects(() => scanWith(scanner, waiting(false), {}), ScanError);
  assertEquals([error.reason, sleeps], ["locked", 12]);
  assert(error.message.includes(`already locked by ${Deno.pid}`), error.message);
  assertEquals((await scanWith(scanner, waiting(true), {})).updates.length, 9);
});

/** Locks the file it is given for so many seconds, as dnf 5 does; Deno has another kind of lock. */
const HOLD = `use Fcntl; open(my $file, "+>", $ARGV[0]) or die;
my $lock = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0);
fcntl($file, F_SETLKW, $lock) or die;
$| = 1; print "held"; sleep $ARGV[1];`;

/** Dnf 5 waits without an end, and is not told that it may not: the time limit ends it. */
async function waitsByItself(root: DnfRoot): Promise<void> {
  await fillRoot(root);
  await root.dnf("-C", "repoquery", "--upgrades");
  const lock = `${root.path}/lib/system-repo.lock`;
  const hasLock = await Deno.stat(lock).then(() => true, () => false);
  if (!hasLock) return console.log("skipped: this dnf 5 takes no lock to read");
  const { system } = root.host;
  const impatient: System = {
    ...system,
    runCommand: (argv, options) => system.runCommand(argv, { ...options, timeoutMs: 2_000 }),
  };
  const held = async (seconds: number) => {
    const child = new Deno.Command("/usr/bin/perl", {
      args: ["-e", HOLD, lock, String(seconds)],
      stdout: "piped",
    }).spawn();
    const { value } = await child.stdout.getReader().read();
    assertEquals(new TextDecoder().decode(value), "held");
    return child;
  };
  const scanner = dnfScanner(root.options);
  const long = await held(60);
  const error = await assertRejects(() => scanWith(scanner, impatient, {}), ScanError);
  long.kill();
  await long.status;
  assertEquals(error.reason, "locked", error.message);
  const short = await held(1);
  assertEquals((await scanWith(scanner, system, {})).updates.length, 9);
  await short.status;
}

onDnf("asks nobody to accept a repository's key, and accepts none", async (root) => {
  await fillRoot(root);
  const home = `${root.path}/gpg`;
  await Deno.mkdir(home, { mode: 0o700 });
  const gpg = ["/usr/bin/gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", ""];
  await must([...gpg, "--quick-generate-key", "T <t@example.com>", "rsa2048", "sign", "never"]);
  const key = `${root.path}/key.asc`;
  await must([...gpg, "--armor", "--output", key, "--export"]);
  const repomd = `${root.path}/rpms-vendor/repodata/repomd.xml`;
  await must([...gpg, "--armor", "--output", `${repomd}.asc`, "--detach-sign", repomd]);
  const lines = ["repo_gpgcheck=1", `gpgkey=file://${key}`];
  await root.know("vendor", `file://${root.path}/rpms-vendor`, ...lines);
  await root.forgetLists();
  const before = await run(root.host.rpm(["-qa"]));
  const { updates, warnings, sources } = await scan(root, true);
  assertEquals([updates.length, warnings.length], [8, 1]);
  assertMatch(warnings[0] ?? "", /^vendor: .*(?:GPG|PGP|signature|not be fetched)/);
  assertEquals(sources.map(({ name, result }) => `${name} ${result}`).toSorted(), [
    "updates ok",
    "vendor failed",
  ]);
  assertEquals(await run(root.host.rpm(["-qa"])), before);
});

/** The system as a user without any rights has it. */
function asNobody({ system, generation }: DnfRoot["host"], home: string): System {
  const user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
  // Dnf 5 has a user's lists in the home folder; Debian's rpm has its packages there.
  const environment = generation === 5 ? ["/usr/bin/env", `HOME=${home}`] : [];
  const prefix = ["/usr/bin/setpriv", ...user, ...environment] as const;
  return {
    ...system,
    machine: { ...system.machine, userId: () => 65_534, homeDirectory: () => home },
    runCommand: (argv, options) => system.runCommand([...prefix, ...argv], options),
  };
}

onDnf("an ordinary user's scan has lists of its own, and leaves root's alone", async (root) => {
  await fillRoot(root);
  await Deno.chmod(root.path, 0o755);
  await must(["/bin/chmod", "-R", "a+rX", root.path]);
  const own = `${root.path}/nobody`;
  await Deno.mkdir(own);
  await Deno.chown(own, 65_534, 65_534);
  const { options } = root;
  // Dnf 5 has a user's things in the home folder, dnf 4 in places of the host's.
  const settings = root.host.generation === 5
    ? []
    : ["cachedir", "logdir", "persistdir"].map((name) => `--setopt=${name}=${own}/${name}`);
  // Below an install root dnf would look for the user's folders as well; rpm's database is there.
  for (const folder of [`${root.path}/host${own}`, `${own}/logdir`]) {
    await must(["/bin/mkdir", "-p", folder]);
    await must(["/bin/chmod", "777", folder]);
  }
  const scanner = dnfScanner({
    ...options,
    dnfArguments: [...options.dnfArguments ?? [], ...settings],
  });
  // Dnf 5 has a lock that root makes, and others may then read.
  await root.dnf("-C", "repoquery", "--upgrades");
  await must(["/bin/chmod", "-R", "a+rX", root.path]);
  // Dnf 5 would take root's lists over, and have them look as if they had just been fetched.
  await root.offer("vendor", [{ name: "c++-tool_x", evr: "2.0-1.el9" }]);
  await must(["/bin/chmod", "-R", "a+rX", root.path]);
  const before = await stamps(root.cache);
  const first = await scanWith(scanner, asNobody(root.host, own), {});
  assertEquals([first.updates.length, first.warnings], [9, []]);
  const tool = first.updates.find((one) => one.package === "c++-tool_x");
  assertEquals(tool?.availableVersion, "2.0-1.el9");
  assert(first.metadataAgeS !== null && first.metadataAgeS <= 60, `${first.metadataAgeS}`);
  const second = await scanWith(scanner, asNobody(root.host, own), {});
  assertEquals(second.updates, first.updates);
  // Of a list that is younger than a second dnf tells no age.
  assert((second.metadataAgeS ?? 0) < 600);
  assertEquals(await stamps(root.cache), before);
  // Without a place to write to, dnf says so.
  const error = await assertRejects(
    () => scanWith(dnfScanner(options), asNobody(root.host, "/root"), {}),
    ScanError,
  );
  assertEquals(error.reason, "permanent");
  assert(error.message.includes("Permission denied"), error.message);
}, { ignore: !isRoot });

async function stamps(folder: string): Promise<string> {
  const { stdout } = await run(["/usr/bin/find", folder, "-printf", "%p %T@\n"]);
  return stdout.split("\n").toSorted().join("\n");
}
