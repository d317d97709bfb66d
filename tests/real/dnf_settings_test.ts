import { assertEquals, assertMatch } from "@std/assert";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import { type DnfRoot, GENERATION, onDnf } from "./dnf_root.ts";
import type { RpmPackage } from "./rpm_maker.ts";
import { scanWith } from "../fakes/scan_with.ts";

async function scan(root: DnfRoot) {
  const { updates, warnings } = await scanWith(dnfScanner(root.options), root.host.system, {});
  const told = updates.map((one) =>
    `${one.package} ${one.currentVersion} -> ${one.availableVersion} ${one.source} ${one.state}`
  );
  return { updates, told: told.toSorted(), warnings };
}

const of = (evr: string, ...names: string[]): RpmPackage[] => names.map((name) => ({ name, evr }));

/** Has dnf know a repository once more, with these lines and by another name. */
async function know(root: DnfRoot, name: string, as: string, ...lines: string[]): Promise<void> {
  await root.know(as, `file://${root.path}/rpms-${name}`, ...lines);
}

onDnf("takes what a preferred repository has, and each package once", async (root) => {
  await root.install(of("1-1", "foo", "bar", "same", "oldtool", "oldertool"));
  await root.install(of("1-1", "kernel-core"));
  await root.install(of("2-1", "kernel-core"));
  const lines = ["Obsoletes: oldtool", "Obsoletes: oldertool"];
  const preferred = [...of("2-1", "foo", "bar"), ...of("1-1", "same"), ...of("3-1", "kernel-core")];
  await root.offer("prefer", [...preferred, { name: "newtool", evr: "1-1", lines }]);
  await root.offer("other", [...of("3-1", "foo", "same"), ...of("2-1", "bar")]);
  await know(root, "prefer", "prefer", "priority=10", "cost=2000");
  await know(root, "prefer", "twin", "priority=10");
  await root.dnf("makecache");
  const { updates, told, warnings } = await scan(root);
  assertEquals(told, [
    "bar 1-1 -> 2-1 twin upgradable",
    "foo 1-1 -> 2-1 twin upgradable",
    "kernel-core 2-1 -> 3-1 twin upgradable",
    "newtool oldertool-1-1, oldtool-1-1 -> 1-1 twin obsoletes",
    // The preferred repository has it, and no newer one: it is kept back, and said to be.
    "same 1-1 -> 3-1 other pinned",
  ]);
  assertEquals(warnings, []);
  const same = updates.find((one) => one.package === "same");
  assertMatch(same?.stateReason ?? "", /^repository (prefer|twin) has priority 10, other has 99$/);
  // Of a version that `repoquery` passes over for a newer one, no size is told.
  const foo = updates.find((one) => one.package === "foo");
  assertEquals([foo?.sizeBytes, foo?.description], [null, "The package foo"]);
  assertMatch(foo?.stateReason ?? "", /^newer 3-1 of other is kept back: repository /);
  // It is what dnf would do.
  const { stdout } = await root.dnf("-C", "upgrade", "--assumeno");
  const evr = root.host.generation === 4 ? "2-1" : "0:2-1";
  for (const name of ["foo", "bar"]) {
    assertMatch(stdout, new RegExp(`^ *${name} +[^ ]+ +${evr} +twin `, "m"));
  }
  assertEquals(/^ same /m.test(stdout), false, stdout);
});

onDnf(
  "holds what is excluded, and pins what a preferred repository does not have",
  async (root) => {
    await root.install(of("1-1", "foo", "bar"));
    await root.offer("prefer", of("1-1", "foo"));
    await root.offer("other", of("2-1", "foo", "bar"));
    await know(root, "prefer", "prefer", "priority=10");
    await know(root, "other", "twin");
    await root.configure("excludepkgs=bar");
    await root.dnf("makecache");
    const { told, warnings } = await scan(root);
    assertEquals(told, ["bar 1-1 -> 2-1 other held", "foo 1-1 -> 2-1 other pinned"]);
    assertEquals(warnings, []);
  },
);

onDnf("holds what is excluded by a file in a folder that reposdir names", async (root) => {
  await root.install(of("1-1", "tool", "lib"));
  await root.offer("updates", of("2-1", "tool", "lib"));
  await root.dnf("makecache");
  const [from, to] = [root.host.repositories, `${root.host.repositories}/elsewhere`];
  await Deno.mkdir(to);
  const text = await Deno.readTextFile(`${from}/updates.repo`);
  await Deno.writeTextFile(`${to}/updates.repo`, `${text.trimEnd()}\nexcludepkgs=tool\n`);
  await Deno.remove(`${from}/updates.repo`);
  await root.configure(`reposdir=/nonexistent,${to}`);
  const { told, warnings } = await scan(root);
  assertEquals(told, ["lib 1-1 -> 2-1 updates upgradable", "tool 1-1 -> 2-1 updates held"]);
  assertEquals(warnings, []);
});

onDnf(
  "holds what a plugin of dnf 4's keeps from every command, with its advisory",
  async (root) => {
    const security = { id: "XA-2026:1", type: "security", severity: "Critical", references: [] };
    const oldtool = of("1-1", "oldtool");
    await root.install([...of("1-1", "tool", "lib", "plain"), ...oldtool]);
    const newtool = { name: "newtool", evr: "2-1", lines: ["Obsoletes: oldtool"] };
    await root.offer("updates", [...of("2-1", "tool", "lib", "plain"), newtool], [
      { ...security, packages: of("2-1", "tool") },
    ]);
    await root.configure("excludepkgs=lib");
    await root.dnf("makecache");
    // The file has another name than the plugin.
    await Deno.writeTextFile(
      `${root.path}/own-plugins/some_file.py`,
      `import dnf
class Filter(dnf.Plugin):
    name = "filter"
    def sack(self):
        for name in ["tool", "lib", "newtool"]:
            self.base.sack.add_excludes(self.base.sack.query().available().filter(name=name))
`,
    );
    const { updates, told, warnings } = await scan(root);
    assertEquals(told, [
      "lib 1-1 -> 2-1 updates held",
      "newtool oldtool-1-1 -> 2-1 updates held",
      "plain 1-1 -> 2-1 updates upgradable",
      "tool 1-1 -> 2-1 updates held",
    ]);
    assertEquals(warnings, []);
    const tool = updates.find((one) => one.package === "tool");
    assertEquals([tool?.stateReason, tool?.severity, tool?.advisories], [
      "kept back by dnf's plugin filter",
      "critical",
      ["XA-2026:1"],
    ]);
  },
  { ignore: GENERATION === 5 },
);

onDnf("tells that a plugin which makes a repository may keep updates back", async (root) => {
  await root.install(of("1-1", "tool", "lib"));
  await root.offer("updates", of("2-1", "lib"));
  await root.offer("made", of("2-1", "tool"));
  await root.dnf("makecache");
  await Deno.remove(`${root.host.repositories}/made.repo`);
  await Deno.writeTextFile(
    `${root.path}/own-plugins/maker.py`,
    `import dnf
class Maker(dnf.Plugin):
    name = "maker"
    def config(self):
        self.base.repos.add_new_repo("made", self.base.conf, baseurl=["file://${root.path}/rpms-made"])
`,
  );
  const { told, warnings } = await scan(root);
  assertEquals(told, ["lib 1-1 -> 2-1 updates upgradable", "tool 1-1 -> 2-1 made upgradable"]);
  assertEquals(warnings, [
    "Cannot determine what dnf's plugins (maker) keep back: without them, repositories are missing: made",
  ]);
}, { ignore: GENERATION === 5 });

onDnf("reads rows of check-update that are in two lines", async (root) => {
  const long = "a".repeat(40);
  const repository = "r".repeat(20);
  await root.install(of("1-1", long, "foo"));
  // The longest name, version and repository fill 80 columns, and no blank fits between them.
  const filling = 80 - `${long}.${root.architecture}${repository}`.length;
  const evr = `2-${"1".repeat(filling - 2)}`;
  await root.offer(repository, [...of("2-1", long), ...of(evr, "foo")]);
  await root.dnf("makecache");
  const { stdout } = await root.dnf("-q", "-C", "check-update");
  const isWrapped = stdout.split("\n").some((line) => line.trim().endsWith(root.architecture));
  assertEquals(isWrapped, root.host.generation === 4);
  const { told, warnings } = await scan(root);
  assertEquals(told, [
    `${long} 1-1 -> 2-1 ${repository} upgradable`,
    `foo 1-1 -> ${evr} ${repository} upgradable`,
  ]);
  assertEquals(warnings, []);
});

for (const setting of ["excludepkgs =\n  foo*", "exclude=baz,\n\tfoo"]) {
  onDnf(`tells as held what ${JSON.stringify(setting)} keeps from dnf`, async (root) => {
    await root.install(of("1-1", "foo", "bar"));
    await root.offer("updates", of("2-1", "foo", "bar"));
    await root.configure(setting);
    await root.dnf("makecache");
    const { told, warnings } = await scan(root);
    assertEquals(told, ["bar 1-1 -> 2-1 updates upgradable", "foo 1-1 -> 2-1 updates held"]);
    assertEquals(warnings, []);
  });
}

onDnf(
  "leaves out what `includepkgs` does not name, and holds what else is kept back",
  async (root) => {
    await root.install(of("1-1", "foo", "bar", "baz", "qux"));
    await root.offer("updates", of("2-1", "foo", "bar", "baz", "qux"));
    await know(root, "updates", "updates", "includepkgs=bar,baz,qux", "excludepkgs=baz");
    await root.lock("qux", "1-1");
    await root.dnf("makecache");
    const { told, warnings } = await scan(root);
    assertEquals(told, [
      "bar 1-1 -> 2-1 updates upgradable",
      "baz 1-1 -> 2-1 updates held",
      "qux 1-1 -> 2-1 updates held",
    ]);
    assertEquals(warnings, []);
  },
);

onDnf("names a repository that was down when the others were read", async (root) => {
  await root.install(of("1-1", "foo", "bar"));
  await root.offer("alive", of("2-1", "foo"));
  await root.offer("dead", of("2-1", "bar"));
  await know(root, "dead", "dead", "skip_if_unavailable=1");
  await root.dnf("makecache");
  await root.age(40 * 24);
  await Deno.rename(`${root.path}/rpms-dead`, `${root.path}/elsewhere`);
  await root.dnf("makecache");
  const { told, warnings } = await scan(root);
  // dnf reads them all the same, and says nothing.
  assertEquals(told, ["bar 1-1 -> 2-1 dead upgradable", "foo 1-1 -> 2-1 alive upgradable"]);
  assertEquals(warnings, [
    "dead: its package lists are 40 days old, over its limit of 2 days",
  ]);
  await know(root, "elsewhere", "dead", "enabled=0");
  assertEquals((await scan(root)).warnings, []);
}, { ignore: Deno.uid() !== 0 });

onDnf("takes Amazon's medium for moderate, and tells the word", async (root) => {
  await root.install(of("1-1", "foo"));
  const packages = of("2-1", "foo");
  const advisory = { id: "ALAS2023-2026-1", type: "security", severity: "medium", packages };
  await root.offer("updates", packages, [advisory]);
  await root.dnf("makecache");
  const [update] = (await scan(root)).updates;
  assertEquals([update?.severity, update?.severityReason], [
    "moderate",
    'advisory ALAS2023-2026-1 says "medium"',
  ]);
});
