import { assertEquals, assertRejects } from "@std/assert";
import {
  lockedNames,
  mayExclude,
  mayLock,
  readDnfConfiguration,
} from "../../../src/scanners/dnf/configuration.ts";
import { FakeSystem } from "../../fakes/system.ts";

Deno.test("readDnfConfiguration() reads dnf's settings, its repositories' and its locks", async () => {
  const { files } = new FakeSystem();
  const nothing = { settings: new Map(), locks: "", isWhole: true };
  assertEquals(await readDnfConfiguration({ files }, {}), nothing);
  files.texts.set("/etc/dnf/dnf.conf", "[main]\nkeepcache=1\n");
  files.texts.set("/etc/yum.repos.d/a.repo", "[a]\nenabled=1\n");
  files.texts.set("/etc/yum.repos.d/b.repo.off", "[b]\nenabled=1\n");
  files.texts.set("/etc/dnf/plugins/versionlock.list", "bash\n");
  assertEquals(await readDnfConfiguration({ files }, {}), {
    settings: new Map([
      ["main", new Map([["keepcache", "1"]])],
      ["a", new Map([["enabled", "1"]])],
    ]),
    locks: "bash",
    isWhole: true,
  });
});

Deno.test("readDnfConfiguration() tells of a file that it cannot read, and reads the others", async () => {
  const { files } = new FakeSystem();
  files.texts.set("/etc/dnf/dnf.conf", `[main]\n${"#".repeat(1_048_576)}`);
  files.texts.set("/etc/yum.repos.d/a.repo", "[a]\nenabled=1\n");
  const { settings, isWhole } = await readDnfConfiguration({ files }, {});
  assertEquals([[...settings.keys()], isWhole], [["a"], false]);
  files.fail("read dnf's configuration", "denied");
  assertEquals(await readDnfConfiguration({ files }, {}), {
    settings: new Map(),
    locks: "",
    isWhole: false,
  });
});

Deno.test("readDnfConfiguration() hides no mistake of ours", async () => {
  const { files } = new FakeSystem();
  files.readText = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => readDnfConfiguration({ files }, {}), TypeError, "oops");
});

Deno.test("readDnfConfiguration() knows dnf 5's further places, each over the one before", async () => {
  const { files } = new FakeSystem();
  files.texts.set("/usr/share/dnf5/libdnf.conf.d/20-distribution.conf", "[main]\na=1\nb=1\n");
  files.texts.set("/etc/dnf/libdnf5.conf.d/80-user.conf", "[main]\nb=2\n");
  files.texts.set("/etc/dnf/libdnf5.conf.d/20-early.conf", "[main]\nb=4\n");
  files.texts.set("/etc/dnf/libdnf5.conf.d/README", "[main]\nb=3\n");
  files.texts.set("/usr/share/dnf5/repos.d/a.repo", "[a]\nenabled=1\n");
  files.texts.set("/etc/distro.repos.d/b.repo", "[b]\nenabled=1\n");
  files.texts.set("/etc/dnf/repos.override.d/99-config_manager.repo", "[a]\nenabled=0\n");
  files.texts.set("/etc/dnf/versionlock.toml", 'version = "1.0"\n');
  assertEquals(await readDnfConfiguration({ files }, {}), {
    settings: new Map([
      ["main", new Map([["a", "1"], ["b", "2"]])],
      ["a", new Map([["enabled", "0"]])],
      ["b", new Map([["enabled", "1"]])],
    ]),
    locks: 'version = "1.0"',
    isWhole: true,
  });
});

Deno.test("readDnfConfiguration() reads every usual folder of repositories", async () => {
  const { files } = new FakeSystem();
  const folders = ["/etc/yum.repos.d", "/etc/yum/repos.d", "/etc/distro.repos.d"]
    .concat("/usr/share/dnf5/repos.d", "/usr/share/dnf5/repos.override.d");
  for (const folder of [...folders, "/etc/dnf/repos.override.d"]) {
    files.texts.set(`${folder}/a.repo`, "[a]\nexcludepkgs=tool\n");
    const configuration = await readDnfConfiguration({ files }, {});
    assertEquals([mayExclude(configuration), configuration.isWhole], [true, true], folder);
    files.texts.delete(`${folder}/a.repo`);
  }
});

Deno.test("readDnfConfiguration() reads the folders that reposdir names, and no usual one", async () => {
  for (const told of ["/srv/a /srv/b/", "/srv/a,/srv/b", "/srv/a\n  /srv/b"]) {
    const { files } = new FakeSystem();
    files.texts.set("/etc/dnf/dnf.conf", `[main]\nreposdir=${told}\n`);
    files.texts.set("/etc/yum.repos.d/a.repo", "[a]\npriority=1\n");
    files.texts.set("/srv/a/a.repo", "[a]\nenabled=1\n");
    files.texts.set("/srv/b/b.repo", "[b]\nexcludepkgs=tool\n");
    files.texts.set("/etc/dnf/repos.override.d/x.repo", "[a]\ncost=1\n");
    const configuration = await readDnfConfiguration({ files }, {});
    const { settings } = configuration;
    assertEquals(settings.get("a"), new Map([["enabled", "1"], ["cost", "1"]]), told);
    assertEquals(settings.get("b"), new Map([["excludepkgs", "tool"]]), told);
    assertEquals([mayExclude(configuration), configuration.isWhole], [true, true], told);
  }
});

Deno.test("readDnfConfiguration() takes a reposdir that it does not understand for an exclude", async () => {
  const many = Array.from({ length: 51 }, (_, n) => `/srv/${n}`).join();
  for (const told of ["", "srv/a", "/srv/$releasever", "/srv/a, /srv/*", "file:///srv/a", many]) {
    const { files } = new FakeSystem();
    files.texts.set("/etc/dnf/dnf.conf", `[main]\nreposdir=${told}\n`);
    files.texts.set("/etc/yum.repos.d/a.repo", "[a]\npriority=1\n");
    const configuration = await readDnfConfiguration({ files }, {});
    assertEquals([mayExclude(configuration), configuration.isWhole], [true, false], told);
    // They may be what dnf reads after all.
    assertEquals([...configuration.settings.keys()], ["main", "a"], told);
  }
});

Deno.test("readDnfConfiguration() has no file lift what another one excludes", async () => {
  const { files } = new FakeSystem();
  files.texts.set("/etc/yum.repos.d/a.repo", "[a]\nexcludepkgs=tool\n");
  files.texts.set("/etc/yum.repos.d/b.repo", "[a]\nexcludepkgs=\n");
  assertEquals(mayExclude(await readDnfConfiguration({ files }, {})), true);
});

Deno.test("readDnfConfiguration() reads the locks where the plugin is told to look for them", async () => {
  const { files } = new FakeSystem();
  files.texts.set(
    "/etc/dnf/plugins/versionlock.conf",
    "[main]\nenabled=1\nlocklist = /srv/locks\n",
  );
  files.texts.set("/srv/locks", "tool-0:1-1.*\n");
  const configuration = await readDnfConfiguration({ files }, {});
  assertEquals([configuration.locks, mayLock(configuration)], ["tool-0:1-1.*", true]);
  // Its own settings are none of dnf's.
  assertEquals(configuration.settings, new Map());
});

Deno.test("mayLock() and mayExclude() take what could not be read for what may hold one", () => {
  const told = (locks: string, excludes: string, isWhole = true) => {
    const settings = new Map([["main", new Map([["excludepkgs", excludes]])]]);
    const configuration = { settings, locks, isWhole };
    return [mayLock(configuration), mayExclude(configuration)];
  };
  assertEquals(told("", ""), [false, false]);
  assertEquals(told("# a comment\n\n", ""), [false, false]);
  assertEquals(told('version = "1.0"\n', ""), [false, false]);
  assertEquals(told("# a\ntool-0:1-1.*\n", ""), [true, false]);
  assertEquals(told('version = "1.0"\n\n[[packages]]\nname = "a"\n', ""), [true, false]);
  assertEquals(told("", "a"), [false, true]);
  assertEquals(told("", "", false), [true, true]);
});

Deno.test("lockedNames() are those of dnf 5's list", () => {
  const locks = 'version = "1.0"\n[[packages]]\nname = "tool"\ncomment = "name"\n' +
    "[[packages]]\nname='lib*'\n[[packages.conditions]]\nkey = \"evr\"\n";
  assertEquals(lockedNames({ locks }), ["tool", "lib*"]);
  assertEquals(lockedNames({ locks: "tool-0:1-1.*\n" }), []);
  assertEquals(lockedNames({ locks: '# name = "off"\nnickname = "x"\n  name = "on"\n' }), ["on"]);
});

Deno.test("readDnfConfiguration() passes over a list of locks that is not told by its whole path", async () => {
  const { files } = new FakeSystem();
  files.texts.set("/etc/dnf/plugins/versionlock.conf", "[main]\nlocklist = locks\n");
  files.texts.set("locks", "tool-0:1-1.*\n");
  assertEquals((await readDnfConfiguration({ files }, {})).locks, "");
});

Deno.test("lockedNames() are no more than 10,000", () => {
  const locks = Array.from({ length: 10_001 }, (_, n) => `name = "p${n}"\n`).join("");
  assertEquals(lockedNames({ locks }).length, 10_000);
});
