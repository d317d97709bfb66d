import { assertEquals, assertRejects } from "@std/assert";
import { AptCommands } from "../../src/scanners/apt_commands.ts";
import {
  fetchPrivately,
  fetchSettings,
  privatelyFetchedMs,
  privateSettings,
} from "../../src/scanners/apt_private_lists.ts";
import type { RunResult } from "../../src/system/process.ts";
import { settle } from "../fakes/clock.ts";
import { FakeSystem } from "../fakes/system.ts";

const DIRECTORY = "/own";
const CONFIG = "/own/fetch.conf";
const STAMP = "/own/fetched";

const fetched: RunResult = { code: 0, stdout: "", stderr: "", truncated: false };

/** A host whose apt answers so; what stood in the files when it was run is kept. */
function setUp(answer: RunResult = fetched) {
  const system = new FakeSystem();
  const writeText = system.files.writeText.bind(system.files);
  // A disk takes its time: whoever does not wait for it runs apt without what was to be written.
  system.files.writeText = async (...written) => {
    await settle();
    await writeText(...written);
  };
  const seen: { config: string | undefined; hasStamp: boolean }[] = [];
  system.runCommand = () => {
    const { texts } = system.files;
    seen.push({ config: texts.get(CONFIG), hasStamp: texts.has(STAMP) });
    return Promise.resolve(answer);
  };
  const commands = new AptCommands(system, {}, { settings: fetchSettings(DIRECTORY) });
  return { system, seen, fetch: () => fetchPrivately(system, DIRECTORY, commands) };
}

Deno.test("fetchPrivately() runs apt with the host's hooks taken out, and without a stamp", async () => {
  const { system, seen, fetch } = setUp();
  system.files.texts.set(STAMP, "");
  assertEquals(await fetch(), null);
  const hooks = ["Pre-Invoke", "Post-Invoke", "Post-Invoke-Success"];
  const config = hooks.map((hook) => `#clear APT::Update::${hook};\n`).join("");
  assertEquals(seen, [{ config, hasStamp: false }]);
  assertEquals(system.files.texts.has(STAMP), true);
});

Deno.test("fetchPrivately() makes folders and files that are this user's alone", async () => {
  const { system, fetch } = setUp();
  await fetch();
  assertEquals([...system.files.modes], [
    ["/own", 0o700],
    ["/own/lists", 0o700],
    ["/own/lists/partial", 0o700],
    ["/own/cache", 0o700],
    ["/own/cache/archives/partial", 0o700],
    [CONFIG, 0o600],
    [STAMP, 0o600],
  ]);
});

Deno.test("fetchPrivately() that fails says why, and leaves no stamp", async () => {
  const { system, fetch } = setUp({ ...fetched, code: 100, stderr: "E: no such mirror\n" });
  system.files.texts.set(STAMP, "");
  assertEquals(await fetch(), "Cannot refresh the package lists: no such mirror");
  assertEquals(system.files.texts.has(STAMP), false);
  const full = setUp();
  full.system.files.fail("begin private lists", "full");
  assertEquals(await full.fetch(), "Cannot begin private lists: full on purpose");
  assertEquals(full.seen, [], "apt is not run");
});

Deno.test("fetchPrivately() hides no mistake of ours", async () => {
  const { system, fetch } = setUp();
  system.runCommand = () => Promise.reject(new TypeError("oops"));
  await assertRejects(fetch, TypeError, "oops");
});

Deno.test("privatelyFetchedMs() is the stamp's time, and null without one", async () => {
  const { system } = setUp();
  assertEquals(await privatelyFetchedMs(system, DIRECTORY), null);
  system.files.texts.set(STAMP, "");
  system.files.modifiedMs.set(STAMP, 7);
  assertEquals(await privatelyFetchedMs(system, DIRECTORY), 7);
  system.files.fail("look at the private lists", "denied");
  assertEquals(await privatelyFetchedMs(system, DIRECTORY), null);
  system.files.inspect = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => privatelyFetchedMs(system, DIRECTORY), TypeError, "oops");
});

Deno.test("privateSettings() and fetchSettings() have apt look into that directory alone", () => {
  const settings = [
    "-o",
    "Dir::State::lists=/own/lists/",
    "-o",
    "Dir::Cache=/own/cache/",
    "-o",
    "APT::Sandbox::User=root",
  ];
  assertEquals(privateSettings(DIRECTORY), settings);
  assertEquals(fetchSettings(DIRECTORY), ["-c", CONFIG, ...settings]);
});
