import { assertEquals, assertRejects } from "@std/assert";
import {
  findExclude,
  harmlessPluginOptions,
  hasIncludes,
  lockedNames,
  mayHaveExcludes,
  mayHaveLocks,
  parseDnfSettings,
  parseLoadedPlugins,
  priorityOf,
  readDnfConfiguration,
  sortByCost,
  suspectPlugins,
} from "../../../src/scanners/dnf/configuration.ts";
import { FakeSystem } from "../../fakes/system.ts";
import { checkJunk } from "./parser_laws.ts";
import fc from "fast-check";

Deno.test("readDnfConfiguration() reads the settings of dnf and of repositories, and the locks", async () => {
  const { files } = new FakeSystem();
  const nothing = { settings: new Map(), locks: "", isFullyRead: true };
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
    isFullyRead: true,
  });
});

Deno.test("readDnfConfiguration() reports an unreadable file and reads the others", async () => {
  const { files } = new FakeSystem();
  files.texts.set("/etc/dnf/dnf.conf", `[main]\n${"#".repeat(1_048_576)}`);
  files.texts.set("/etc/yum.repos.d/a.repo", "[a]\nenabled=1\n");
  const { settings, isFullyRead } = await readDnfConfiguration({ files }, {});
  assertEquals([[...settings.keys()], isFullyRead], [["a"], false]);
  files.fail("read dnf's configuration", "denied");
  assertEquals(await readDnfConfiguration({ files }, {}), {
    settings: new Map(),
    locks: "",
    isFullyRead: false,
  });
});

Deno.test("readDnfConfiguration() propagates programming errors", async () => {
  const { files } = new FakeSystem();
  files.readText = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => readDnfConfiguration({ files }, {}), TypeError, "oops");
});

Deno.test("readDnfConfiguration() reads dnf 5's further directories, each with precedence over the one before", async () => {
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
    isFullyRead: true,
  });
});

Deno.test("readDnfConfiguration() reads every default directory of repositories", async () => {
  const { files } = new FakeSystem();
  const folders = ["/etc/yum.repos.d", "/etc/yum/repos.d", "/etc/distro.repos.d"]
    .concat("/usr/share/dnf5/repos.d", "/usr/share/dnf5/repos.override.d");
  for (const folder of [...folders, "/etc/dnf/repos.override.d"]) {
    files.texts.set(`${folder}/a.repo`, "[a]\nexcludepkgs=tool\n");
    const configuration = await readDnfConfiguration({ files }, {});
    assertEquals([mayHaveExcludes(configuration), configuration.isFullyRead], [true, true], folder);
    files.texts.delete(`${folder}/a.repo`);
  }
});

Deno.test("readDnfConfiguration() reads the directories that reposdir names instead of the default ones", async () => {
  for (const value of ["/srv/a /srv/b/", "/srv/a,/srv/b", "/srv/a\n  /srv/b"]) {
    const { files } = new FakeSystem();
    files.texts.set("/etc/dnf/dnf.conf", `[main]\nreposdir=${value}\n`);
    files.texts.set("/etc/yum.repos.d/a.repo", "[a]\npriority=1\n");
    files.texts.set("/srv/a/a.repo", "[a]\nenabled=1\n");
    files.texts.set("/srv/b/b.repo", "[b]\nexcludepkgs=tool\n");
    files.texts.set("/etc/dnf/repos.override.d/x.repo", "[a]\ncost=1\n");
    const configuration = await readDnfConfiguration({ files }, {});
    const { settings } = configuration;
    assertEquals(settings.get("a"), new Map([["enabled", "1"], ["cost", "1"]]), value);
    assertEquals(settings.get("b"), new Map([["excludepkgs", "tool"]]), value);
    assertEquals([mayHaveExcludes(configuration), configuration.isFullyRead], [true, true], value);
  }
});

Deno.test("readDnfConfiguration() treats a reposdir that it cannot interpret as a possible exclude", async () => {
  const many = Array.from({ length: 51 }, (_, n) => `/srv/${n}`).join();
  for (const value of ["", "srv/a", "/srv/$releasever", "/srv/a, /srv/*", "file:///srv/a", many]) {
    const { files } = new FakeSystem();
    files.texts.set("/etc/dnf/dnf.conf", `[main]\nreposdir=${value}\n`);
    files.texts.set("/etc/yum.repos.d/a.repo", "[a]\npriority=1\n");
    const configuration = await readDnfConfiguration({ files }, {});
    assertEquals([mayHaveExcludes(configuration), configuration.isFullyRead], [true, false], value);
    // Dnf may read the default directories.
    assertEquals([...configuration.settings.keys()], ["main", "a"], value);
  }
});

Deno.test("readDnfConfiguration() lets no file lift the excludes of another", async () => {
  const { files } = new FakeSystem();
  files.texts.set("/etc/yum.repos.d/a.repo", "[a]\nexcludepkgs=tool\n");
  files.texts.set("/etc/yum.repos.d/b.repo", "[a]\nexcludepkgs=\n");
  assertEquals(mayHaveExcludes(await readDnfConfiguration({ files }, {})), true);
});

Deno.test("readDnfConfiguration() reads the locks in the plugin's locklist", async () => {
  const { files } = new FakeSystem();
  files.texts.set(
    "/etc/dnf/plugins/versionlock.conf",
    "[main]\nenabled=1\nlocklist = /srv/locks\n",
  );
  files.texts.set("/srv/locks", "tool-0:1-1.*\n");
  const configuration = await readDnfConfiguration({ files }, {});
  assertEquals([configuration.locks, mayHaveLocks(configuration)], ["tool-0:1-1.*", true]);
  // The plugin's own settings are not dnf's.
  assertEquals(configuration.settings, new Map());
});

Deno.test("mayHaveLocks() and mayHaveExcludes() are true for unreadable files", () => {
  const mayHave = (locks: string, excludes: string, isFullyRead = true) => {
    const settings = new Map([["main", new Map([["excludepkgs", excludes]])]]);
    const configuration = { settings, locks, isFullyRead };
    return [mayHaveLocks(configuration), mayHaveExcludes(configuration)];
  };
  assertEquals(mayHave("", ""), [false, false]);
  assertEquals(mayHave("# a comment\n\n", ""), [false, false]);
  assertEquals(mayHave('version = "1.0"\n', ""), [false, false]);
  assertEquals(mayHave("# a\ntool-0:1-1.*\n", ""), [true, false]);
  assertEquals(mayHave('version = "1.0"\n\n[[packages]]\nname = "a"\n', ""), [true, false]);
  assertEquals(mayHave("", "a"), [false, true]);
  assertEquals(mayHave("", "", false), [true, true]);
});

Deno.test("lockedNames() reads dnf 5's list", () => {
  const locks = 'version = "1.0"\n[[packages]]\nname = "tool"\ncomment = "name"\n' +
    "[[packages]]\nname='lib*'\n[[packages.conditions]]\nkey = \"evr\"\n";
  assertEquals(lockedNames({ locks }), ["tool", "lib*"]);
  assertEquals(lockedNames({ locks: "tool-0:1-1.*\n" }), []);
  assertEquals(lockedNames({ locks: '# name = "off"\nnickname = "x"\n  name = "on"\n' }), ["on"]);
});

Deno.test("readDnfConfiguration() ignores a locklist with a relative path", async () => {
  const { files } = new FakeSystem();
  files.texts.set("/etc/dnf/plugins/versionlock.conf", "[main]\nlocklist = locks\n");
  files.texts.set("locks", "tool-0:1-1.*\n");
  assertEquals((await readDnfConfiguration({ files }, {})).locks, "");
});

Deno.test("lockedNames() returns at most 10,000 names", () => {
  const locks = Array.from({ length: 10_001 }, (_, n) => `name = "p${n}"\n`).join("");
  assertEquals(lockedNames({ locks }).length, 10_000);
});

function parse(...texts: string[]): string[] {
  return [...parseDnfSettings(texts)].flatMap(([section, settings]) =>
    [...settings].map(([key, value]) => `${section}.${key}=${value}`)
  );
}

Deno.test("parseDnfSettings() reads sections, settings and continued lines", () => {
  const rows: [string, string[]][] = [
    ["", []],
    ["junk", []],
    ["a=1\n", []],
    ["[main]\n=1\nno value\n", []],
    ["[main]\na=1\n[b]\na = 2 = 3 \n", ["main.a=1", "b.a=2 = 3"]],
    ["[main]\r\na=1\r\nb=\r\n", ["main.a=1", "main.b="]],
    ["[main]\na=[b]\nc=1\n", ["main.a=[b]", "main.c=1"]],
    ["[main]\na=1\n  2\n\t3\nb=4\n", ["main.a=1\n2\n3", "main.b=4"]],
    ["[main]\na=\n  2=3\n", ["main.a=\n2=3"]],
    ["[main]\n# a=1\n; b=1\nc=1\n", ["main.c=1"]],
    // dnf refuses these; the parser reads them.
    ["[main]\n a=1\n", ["main.a=1"]],
    ["[main]\na=1\n\n  b=2\n", ["main.a=1", "main.b=2"]],
    // Of equal keys, the last one counts.
    ["[main]\na=1\n[b]\na=1\n[main]\na=2\n", ["main.a=2", "b.a=1"]],
  ];
  for (const [text, expected] of rows) assertEquals(parse(text), expected, text);
  assertEquals(parse("[a]\nb=1\n", "c=1\n[a]\nd=1\n"), ["a.b=1", "a.d=1"]);
});

Deno.test("parseDnfSettings() is fast on a file of only line ends or junk", () => {
  for (const line of ["\n", " \n", "a=1\n", " a\n"]) parse(`[main]\na=1\n${line.repeat(500_000)}`);
  checkJunk("[main]\nexcludepkgs=\n  a b\n[b]\nenabled=0\n", (text) => parse(text));
});

Deno.test("priorityOf() is unknown for repositories whose file was not read", () => {
  const settings = parseDnfSettings([
    "[main]\nx=1\n[a]\nname=a\n[b]\npriority = 10\n[c]\npriority=x\n",
    "[e]\npriority=-5\n[f]\npriority=x10\n[g]\npriority=10x\n",
  ]);
  assertEquals([..."abcdefg"].map((id) => priorityOf(id, settings)), [
    99,
    10,
    undefined,
    undefined,
    -5,
    undefined,
    undefined,
  ]);
  // Dnf's own section has the defaults of repositories.
  const main = parseDnfSettings(["[main]\npriority=7\n[a]\n[b]\npriority=10\n"]);
  assertEquals([..."abc"].map((id) => priorityOf(id, main)), [7, 10, undefined]);
});

Deno.test("mayHaveExcludes() and hasIncludes() check dnf's own section and those of repositories", () => {
  const rows: [string, boolean, boolean][] = [
    ["", false, false],
    ["[main]\nexclude=\n", false, false],
    ["[main]\nexclude=a\n", true, false],
    ["[r]\nexcludepkgs=\n  a\n", true, false],
    ["[r]\nincludepkgs=a\n", false, true],
    ["[r]\nexcludes=a\n", false, false],
  ];
  for (const [text, excludes, includes] of rows) {
    const settings = parseDnfSettings([text]);
    const found = mayHaveExcludes({ settings, locks: "", isFullyRead: true });
    assertEquals([found, hasIncludes(settings)], [excludes, includes], text);
  }
});

Deno.test("findExclude() returns the pattern of dnf or of the repository", () => {
  const settings = parseDnfSettings(["[main]\nexclude=x, b*\n[r]\nexcludepkgs=\n  a.noarch\n"]);
  const find = (names: string[], repository = "r") => findExclude(names, repository, settings);
  assertEquals(find(["bash"]), "exclude=b*");
  assertEquals(find(["a", "a.noarch"]), "excludepkgs=a.noarch");
  assertEquals(find(["a", "a.noarch"], "other"), null);
  assertEquals(find(["c"]), null);
  const many = parseDnfSettings([`[main]\nexclude=${"x*y ".repeat(200_000)}\n`]);
  assertEquals(findExclude(["x".repeat(250)], "r", many), null);
});

Deno.test("sortByCost() sorts by cost and is stable", () => {
  const settings = parseDnfSettings([
    "[dear]\ncost=2000\n[cheap]\ncost=10\n[odd]\ncost=x\n[a]\n[x1]\ncost=x1\n[1x]\ncost=1x\n",
  ]);
  for (const odd of ["x1", "1x"]) {
    const rows = ["dear", odd, "cheap"].map((repository) => ({ repository }));
    assertEquals(
      sortByCost(rows, settings).map(({ repository }) => repository),
      ["cheap", odd, "dear"],
    );
  }
  const rows = ["dear", "b", "odd", "a", "cheap"].map((repository) => ({ repository }));
  assertEquals(
    sortByCost(rows, settings).map(({ repository }) => repository),
    ["cheap", "b", "odd", "a", "dear"],
  );
});

Deno.test("findExclude() matches up to 1,000 patterns of up to 300 characters", () => {
  const find = (excludes: string) => {
    const settings = parseDnfSettings([`[main]\nexclude=${excludes}\n`]);
    return findExclude(["bash"], "r", settings) !== null;
  };
  assertEquals([999, 1_000].map((count) => find(`${"x ".repeat(count)}bash`)), [true, false]);
  assertEquals([300, 301].map((length) => find("*".repeat(length))), [true, false]);
});

const USUAL = [
  "builddep, changelog, config-manager, copr, debug, debuginfo-install, download,",
  "generate_completion_cache, groups-manager, leaves, local, modulesync, needs-restarting, playground,",
  "post-transaction-actions, product-id, repoclosure, repodiff, repograph, repomanage, reposync,",
  "show-leaves, subscription-manager, uploadprofile, versionlock",
].join(" ");

Deno.test("parseLoadedPlugins() parses the line of a real dnf 4.14, if there is one", () => {
  const plugins = parseLoadedPlugins(["DNF version: 4.14.0", `Loaded plugins: ${USUAL}`, "x"]);
  assertEquals([plugins.length, plugins[0], plugins.at(-1)], [25, "builddep", "versionlock"]);
  assertEquals(parseLoadedPlugins(["cachedir: /var/cache/dnf", "Repo-id : a"]), []);
  assertEquals(parseLoadedPlugins(["Loaded plugins: a, ,b,", "Loaded plugins: c"]), ["a", "b"]);
});

Deno.test("suspectPlugins() returns unknown plugins and treats dashes and underscores as equal", () => {
  const suspectsIn = (line: string) =>
    suspectPlugins(parseLoadedPlugins([`Loaded plugins: ${line}`]));
  assertEquals(suspectsIn(USUAL), []);
  assertEquals(suspectsIn(`${USUAL}, filter, kpatch, config_manager`), ["filter", "kpatch"]);
});

Deno.test("harmlessPluginOptions() enables only plugins that are loaded and harmless", () => {
  assertEquals(harmlessPluginOptions(["filter"]), ["--disableplugin=*"]);
  assertEquals(harmlessPluginOptions(["filter", "versionlock", "product-id", "copr"]), [
    "--disableplugin=*",
    "--enableplugin=product-id,copr",
  ]);
  const name = fc.oneof(
    fc.string(),
    fc.constantFrom("copr", "*", "-c", "filter", "groups_manager"),
  );
  fc.assert(fc.property(fc.array(name, { maxLength: 6 }), (loaded) => {
    const enabled = harmlessPluginOptions(loaded)[1]?.split("=")[1]?.split(",") ?? [];
    assertEquals(
      enabled.every((one) => loaded.some((is) => is.replaceAll("_", "-") === one)),
      true,
    );
    assertEquals(suspectPlugins(enabled), []);
  }));
});
