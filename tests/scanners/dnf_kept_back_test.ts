import { assert, assertEquals, assertRejects } from "@std/assert";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import type { Update } from "../../src/scanners/scanner.ts";
import { scanWith } from "../fakes/scan_with.ts";
import { DnfHost, failed, type Question, questionOf } from "./dnf_host.ts";
import { readFixture, succeeded } from "./fixture.ts";

const EXCLUDES = "[main]\nexcludepkgs=nothing\n";
const EXCLUDED = ["--setopt=excludepkgs=", "--setopt=*.excludepkgs="];
const UNLOCKED = { 4: ["--disableplugin=versionlock"], 5: ["--setopt=disable_excludes=*"] };

function exclude(host: DnfHost, text = EXCLUDES): void {
  host.files.texts.set("/etc/dnf/dnf.conf", text);
}

/** Locks packages as dnf 4's plugin, or as dnf 5 itself does. */
function lock(host: DnfHost, ...names: string[]): void {
  host.files.texts.set(
    "/etc/dnf/plugins/versionlock.list",
    names.map((name) => `${name}-0:1-1.*\n`).join(""),
  );
  const packages = names.map((name) => `[[packages]]\nname = "${name}"\n`);
  host.files.texts.set("/etc/dnf/versionlock.toml", `version = "1.0"\n${packages.join("")}`);
}

/** The flags that go before the command of the first question of that kind; `null`: it was not asked. */
function flagsOf(host: DnfHost, question: Question): string[] | null {
  const argv = host.asked.find((one) => questionOf(one) === question);
  const known = [...EXCLUDED, ...UNLOCKED[4], ...UNLOCKED[5]];
  return argv?.filter((word) => known.includes(word)) ?? null;
}

function stateOf(updates: readonly Update[], name: string) {
  const update = updates.find((one) => one.package === name);
  return [update?.state, update?.stateReason];
}

Deno.test("scan() lifts excludes and locks where there are any, as each generation of dnf can", async () => {
  const rows: [generation: 4 | 5, excludes: boolean, locks: boolean, lifted: string[] | null][] = [
    [4, false, false, null],
    [4, true, false, EXCLUDED],
    [4, false, true, UNLOCKED[4]],
    [4, true, true, [...EXCLUDED, ...UNLOCKED[4]]],
    [5, false, false, null],
    [5, true, false, EXCLUDED],
    // What lifts dnf 5's locks lifts the excludes, too.
    [5, false, true, UNLOCKED[5]],
    [5, true, true, UNLOCKED[5]],
  ];
  for (const [generation, excludes, locks, lifted] of rows) {
    const host = new DnfHost(generation);
    if (excludes) exclude(host);
    if (locks) lock(host, "nothing");
    await scanWith(dnfScanner(), host, {});
    const name = `${generation} ${excludes} ${locks}`;
    assertEquals(flagsOf(host, "lifted"), lifted, name);
    // Only dnf 5 heeds locks where it lists what is offered.
    const asked = host.asked.filter((one) => questionOf(one) === "excluded");
    assertEquals(asked.length, Number(excludes) + Number(locks && generation === 5), name);
  }
});

Deno.test("scan() lifts dnf 4's locks where its own list lacks an update, and dnf 5's do not explain it", async () => {
  for (const generation of [4, 5] as const) {
    const host = new DnfHost(generation);
    host.answers = generation === 4
      ? {
        checked: {
          ...succeeded(readFixture("dnf", "check_update.txt").replace(/^bash.*\n/m, "")),
          code: 100,
        },
      }
      : { checked: succeeded("{}") };
    await scanWith(dnfScanner(), host, {});
    assertEquals(flagsOf(host, "lifted"), generation === 4 ? UNLOCKED[4] : null);
  }
});

Deno.test("scan() asks for the advisories of what is kept back as well, where there is one such update", async () => {
  const offers = readFixture("dnf5", "offered.txt");
  const one = offers.slice(0, offers.indexOf("\n") + 1);
  const rows: [
    offered: string,
    answers: string[],
    excludes: boolean,
    locks: boolean,
    string[] | null,
  ][] = [
    [offers, [], false, false, []],
    [offers, [""], true, false, []],
    [offers, [one], true, false, EXCLUDED],
    [offers, [""], false, true, []],
    [offers, [one], false, true, UNLOCKED[5]],
    [offers, [one, one], true, true, UNLOCKED[5]],
    ["", [one], true, false, EXCLUDED],
    ["", [""], true, false, null],
  ];
  for (const [offered, answers, excludes, locks, flags] of rows) {
    const host = new DnfHost(5);
    if (excludes) exclude(host);
    if (locks) lock(host, "nothing");
    host.answers = {
      offered: succeeded(offered),
      checked: succeeded("{}"),
      ...(answers.length > 0 && { excluded: answers.map((text) => succeeded(text)) }),
    };
    await scanWith(dnfScanner(), host, {});
    const name = `${offered.length} ${answers.length} ${excludes} ${locks}`;
    assertEquals(flagsOf(host, "advisories"), flags, name);
    assertEquals(flagsOf(host, "cves"), flags, name);
  }
});

Deno.test("scan() asks what advisories say only where there is one", async () => {
  const one = { name: "A-1", type: "security", severity: "low", nevra: "flac-1.3.3-8.fc29.x86_64" };
  const rows: [DnfHost["answers"]["advisories"], number][] = [
    [succeeded("[]\n"), 0],
    [failed("Error: x\n"), 0],
    [succeeded(JSON.stringify([one])), 1],
  ];
  for (const [advisories, count] of rows) {
    const host = new DnfHost(5);
    host.answers = { advisories: advisories ?? [] };
    await scanWith(dnfScanner(), host, {});
    assertEquals(host.questions.filter((question) => question === "cves").length, count);
  }
});

Deno.test("scan() tells by dnf 5's locks what they hold, and what is excluded", async () => {
  const host = new DnfHost(5);
  lock(host, "other", "fl*");
  host.answers = { offered: succeeded(""), checked: succeeded("{}") };
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals(stateOf(updates, "flac"), ["held", "version lock"]);
  assertEquals(stateOf(updates, "glibc"), ["held", "excluded by dnf's configuration"]);
  assertEquals(warnings, []);
});

Deno.test("scan() takes a lock of dnf 4's for what keeps a replacing package back", async () => {
  const host = new DnfHost();
  lock(host, "oldtool");
  const table = readFixture("dnf", "check_update.txt");
  const [above = ""] = table.split("Obsoleting");
  host.answers = { checked: { ...succeeded(above), code: 100 } };
  const { updates } = await scanWith(dnfScanner(), host, {});
  assertEquals(stateOf(updates, "newtool"), ["held", "version lock"]);
});

Deno.test("scan() names the exclude in each form in which dnf takes a package's name", async () => {
  const forms = [
    "bash",
    "bash.x86_64",
    "bash-5.1.8-9.el9",
    "bash-5.1.8-9.el9.x86_64",
    "*-9.el9.x86_64",
  ];
  for (const form of forms) {
    const host = new DnfHost();
    exclude(host, `[main]\nexcludepkgs=${form}\n`);
    const without = (text: string) => succeeded(text.replace(/^bash.*\n/m, ""));
    host.answers = {
      offered: without(readFixture("dnf", "offered.txt")),
      checked: without(readFixture("dnf", "check_update.txt")),
    };
    const { updates } = await scanWith(dnfScanner(), host, {});
    assertEquals(stateOf(updates, "bash"), ["held", `excludepkgs=${form}`]);
  }
});

Deno.test("scan() goes on without excluded updates that dnf cannot list", async () => {
  const host = new DnfHost();
  exclude(host);
  host.answers = { excluded: failed("Error: x\n"), lifted: failed("Error: y\n") };
  const { updates, warnings } = await scanWith(dnfScanner(), host, {});
  assertEquals(updates.length, 8);
  assertEquals(warnings, [
    "Cannot list excluded updates: x",
    "Cannot check updates that are kept back: y",
  ]);
});

Deno.test("scan() looks for a better priority where dnf cannot say what is locked", async () => {
  const host = new DnfHost();
  host.files.texts.set("/etc/yum.repos.d/vendor.repo", "[vendor]\npriority = 50\n[updates]\n");
  const table = readFixture("dnf", "check_update.txt").replace(/^bash.*\n/m, "");
  host.answers = {
    checked: { ...succeeded(table), code: 100 },
    lifted: failed("Error: x\n"),
    available: succeeded("bash\t0\t5.1.8\t6.el9\tx86_64\tvendor\n"),
  };
  const { updates } = await scanWith(dnfScanner(), host, {});
  assertEquals(stateOf(updates, "bash"), [
    "pinned",
    "repository vendor has priority 50, updates has 99",
  ]);
});

Deno.test("scan() names five of the packages on which dnf's answers do not fit together", async () => {
  const host = new DnfHost();
  host.answers = { checked: succeeded("z.noarch 1-1 r\n"), lifted: succeeded("z.noarch 1-1 r\n") };
  const { warnings } = await scanWith(dnfScanner(), host, {});
  const [doubt = ""] = warnings;
  assertEquals(doubt.match(/\.(?:x86_64|noarch)/g)?.length, 5);
  assert(doubt.endsWith(" and 3 more"), doubt);
});

Deno.test("scan() counts what it does not understand in every answer", async () => {
  const host = new DnfHost();
  exclude(host);
  const bad = "bash\t0\t5.1\n";
  host.answers = {
    installed: succeeded(readFixture("dnf", "installed.txt") + bad),
    offered: succeeded(readFixture("dnf", "offered.txt") + bad),
    excluded: succeeded(bad),
    advisories: succeeded("X Kritisch a-1-1.noarch\n"),
    checked: { ...succeeded(readFixture("dnf", "check_update.txt") + "a.noarch 1 r\n"), code: 100 },
    lifted: succeeded("a.noarch 1 r\n"),
  };
  assertEquals((await scanWith(dnfScanner(), host, {})).warnings, [
    "Lines of dnf's answers that were not understood: 6",
  ]);
});

Deno.test("scan() leaves what is held as held on a host that is booted from an image", async () => {
  const host = new DnfHost();
  exclude(host, "[main]\nexcludepkgs=bash\n");
  host.files.texts.set("/run/ostree-booted", "");
  host.answers = {
    offered: succeeded(readFixture("dnf", "offered.txt").replace(/^bash.*\n/m, "")),
  };
  host.answers.checked = {
    ...succeeded(readFixture("dnf", "check_update.txt").replace(/^bash.*\n/m, "")),
    code: 100,
  };
  const { updates } = await scanWith(dnfScanner(), host, {});
  assertEquals(stateOf(updates, "bash"), ["held", "excludepkgs=bash"]);
  assertEquals(stateOf(updates, "tzdata"), ["image_based", "/run/ostree-booted is there"]);
});

Deno.test("scan() takes a host for one of packages where it cannot look for an image", async () => {
  const host = new DnfHost();
  host.files.fail("look for an image", "denied");
  const { updates } = await scanWith(dnfScanner(), host, {});
  assertEquals(updates.some(({ state }) => state === "image_based"), false);
  const inspect = host.files.inspect.bind(host.files);
  host.files.inspect = (purpose, path) =>
    purpose === "look for an image"
      ? Promise.reject(new TypeError("oops"))
      : inspect(purpose, path);
  await assertRejects(() => scanWith(dnfScanner(), host, {}), TypeError, "oops");
});

Deno.test("scan() asks the usual dnf where it cannot look which one is there", async () => {
  const host = new DnfHost();
  host.files.fail("look for dnf", "denied");
  assertEquals((await scanWith(dnfScanner(), host, {})).updates.length, 8);
});

Deno.test("scan() puts a test's arguments before every other one", async () => {
  const host = new DnfHost();
  const options = { dnfArguments: ["--installroot=/x"], rpmArguments: ["--root=/x"] };
  await scanWith(dnfScanner(options), host, {});
  for (const [, first, ...rest] of host.asked) {
    if (first === "--version") continue;
    assertEquals(first, rest.includes("-qa") ? "--root=/x" : "--installroot=/x");
  }
});

/** Whether a scan found the list of advisories in that folder. */
async function tellsSecurity(host: DnfHost, cache: string, options = {}): Promise<boolean | null> {
  host.repositories = [{ id: "updates" }];
  const directory = `${cache}/updates-0123456789abcdef`;
  for (const name of [...host.files.texts.keys()]) {
    if (name.includes("-0123456789abcdef")) host.files.texts.delete(name);
  }
  host.files.texts.set(directory, "");
  host.files.texts.set(`${directory}/repodata/1-primary.xml.gz`, "");
  host.files.texts.set(`${directory}/repodata/2-updateinfo.xml.gz`, "");
  const { sources } = await scanWith(dnfScanner(options), host, {});
  return sources[0]?.tellsSecurity ?? null;
}

Deno.test("scan() looks for advisories where this user's dnf keeps its lists", async () => {
  const root = () => {
    const host = new DnfHost(5);
    host.becomeRoot();
    return host;
  };
  assertEquals(await tellsSecurity(root(), "/var/cache/libdnf5"), true);
  assertEquals(await tellsSecurity(root(), "/srv/test", { cacheDirectory: "/srv/test" }), true);
  const setting = "[main]\nsystem_cachedir=/srv/system\ncachedir=/srv/user\n";
  const set = root();
  exclude(set, setting);
  assertEquals(await tellsSecurity(set, "/srv/system"), true);
  const user = new DnfHost(5);
  assertEquals(await tellsSecurity(user, `${user.machine.homeDirectory()}/.cache/libdnf5`), true);
  exclude(user, setting);
  assertEquals(await tellsSecurity(user, "/srv/user"), true);
  // A user's dnf 5 is kept from root's lists, and root's is not.
  const isKept = (host: DnfHost) =>
    host.asked.some((argv) => argv.includes("--setopt=system_cachedir=/nonexistent"));
  assertEquals([isKept(set), isKept(user)], [false, true]);
});

Deno.test("scan() does not guess where a user's lists are", async () => {
  const homeless = new DnfHost(5);
  homeless.machine = { ...homeless.machine, homeDirectory: () => null };
  const looked: string[] = [];
  const list = homeless.files.list.bind(homeless.files);
  homeless.files.list = (purpose, path) => {
    looked.push(path);
    return list(purpose, path);
  };
  assertEquals(await tellsSecurity(homeless, "/.cache/libdnf5"), null);
  assert(looked.every((path) => path.startsWith("/etc/") || path.startsWith("/usr/")), `${looked}`);
  // Dnf 4 says it itself, if anybody does: its setting is root's.
  const host = new DnfHost(4);
  exclude(host, "[main]\ncachedir=/srv/user\n");
  const { stdout } = host.tellRepositories([{ id: "updates" }]);
  host.answers = { repositories: succeeded(stdout.replace(/^cachedir.*\n/m, "")) };
  assertEquals(await tellsSecurity(host, "/srv/user"), null);
});

Deno.test("scan() lists the updates of a host with one package", async () => {
  const host = new DnfHost();
  host.answers = {
    installed: succeeded("bash\t0\t5.1.8\t6.el9\tx86_64\tbash-5.1.8-6.el9.src.rpm\n"),
  };
  assertEquals((await scanWith(dnfScanner(), host, {})).updates.length, 8);
});
