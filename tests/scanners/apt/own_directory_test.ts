import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  hostSettings,
  prepareOwnDirectory,
  privateSettings,
  releaseSettings,
} from "../../../src/scanners/apt/own_directory.ts";
import { FileError } from "../../../src/system/files.ts";
import { FakeFiles } from "../../fakes/files.ts";

Deno.test("prepareOwnDirectory() makes folders and files that are this user's alone, once", async () => {
  const files = new FakeFiles();
  assertEquals(await prepareOwnDirectory({ files }, "/own"), { path: "/own/apt" });
  assertEquals([...files.modes], [
    ["/own/apt", 0o700],
    ["/own/apt/lists", 0o700],
    ["/own/apt/lists/partial", 0o700],
    ["/own/apt/releases/partial", 0o700],
    ["/own/apt/cache", 0o700],
    ["/own/apt/cache/archives/partial", 0o700],
    ["/own/apt/releases.conf", 0o600],
    ["/own/apt/ask.conf", 0o600],
  ]);
  files.writeText = () => Promise.reject(new TypeError("written again"));
  assertEquals(await prepareOwnDirectory({ files }, "/own"), { path: "/own/apt" });
});

Deno.test("prepareOwnDirectory() says why there is none, and hides no mistake of ours", async () => {
  const files = new FakeFiles();
  for (const directory of [undefined, "own", ""]) {
    assertEquals(typeof await prepareOwnDirectory({ files }, directory), "string");
  }
  files.fail("prepare the directory for apt", "full");
  assert(String(await prepareOwnDirectory({ files }, "/own")).includes("full on purpose"));
  files.readText = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => prepareOwnDirectory({ files }, "/own"), TypeError, "oops");
});

Deno.test("prepareOwnDirectory() writes last what says that all is there", async () => {
  const refused = () => Promise.reject(new FileError("Cannot go on: full", { reason: "full" }));
  for (const method of ["makeDirectory", "writeText"] as const) {
    const files = new FakeFiles();
    files[method] = refused;
    assertEquals(await prepareOwnDirectory({ files }, "/own"), "Cannot go on: full");
    assertEquals([...files.texts], []);
  }
  const files = new FakeFiles();
  const write = files.writeText.bind(files);
  const begun: string[] = [];
  const ended: string[] = [];
  files.writeText = async (purpose, path, text, options) => {
    assertEquals(begun.length, ended.length, "one after the other");
    begun.push(path);
    await new Promise((resolve) => setTimeout(resolve));
    await write(purpose, path, text, options);
    ended.push(path);
  };
  await prepareOwnDirectory({ files }, "/own");
  assertEquals(ended, ["/own/apt/releases.conf", "/own/apt/ask.conf"]);
});

Deno.test("the hooks of the host are cleared, and lists where only Release files are asked for", async () => {
  const files = new FakeFiles();
  await prepareOwnDirectory({ files }, "/own");
  const hooks = ["AptCli::Hooks", "APT::Update::Pre-Invoke", "APT::Update::Post-Invoke"];
  for (const file of ["ask.conf", "releases.conf"]) {
    const text = files.texts.get(`/own/apt/${file}`) ?? "";
    for (const hook of hooks) assert(text.includes(`#clear ${hook};\n`), file);
    assertEquals(text.includes("#clear Acquire::IndexTargets;\n"), file === "releases.conf");
  }
});

Deno.test("settings have apt look where they say", () => {
  const own = { path: "/own/apt" };
  const valuesOf = (settings: readonly string[]) => settings.filter((word) => word !== "-o");
  assertEquals(valuesOf(hostSettings(own, null)), [
    "-c",
    "/own/apt/ask.conf",
    "Dir::Cache::archives=/own/apt/cache/archives/",
  ]);
  assertEquals(valuesOf(hostSettings(own, "/own/apt/cache/host-pkgcache.bin")).slice(3), [
    "Dir::Cache::pkgcache=/own/apt/cache/host-pkgcache.bin",
    "Dir::Cache::srcpkgcache=/own/apt/cache/host-srcpkgcache.bin",
  ]);
  assertEquals(valuesOf(privateSettings({ path: "/pkgcache.bin/apt" })).slice(4, 6), [
    "Dir::Cache::pkgcache=/pkgcache.bin/apt/cache/pkgcache.bin",
    "Dir::Cache::srcpkgcache=/pkgcache.bin/apt/cache/srcpkgcache.bin",
  ]);
  assertEquals(valuesOf(privateSettings(own)).slice(2), [
    "Dir::State::lists=/own/apt/lists/",
    "Dir::Cache=/own/apt/cache/",
    "Dir::Cache::pkgcache=/own/apt/cache/pkgcache.bin",
    "Dir::Cache::srcpkgcache=/own/apt/cache/srcpkgcache.bin",
    "APT::Sandbox::User=root",
  ]);
  assertEquals(valuesOf(releaseSettings(own)).slice(1, 3), [
    "/own/apt/releases.conf",
    "Dir::State::lists=/own/apt/releases/",
  ]);
});
