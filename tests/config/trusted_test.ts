import { assertEquals, assertRejects } from "@std/assert";
import { checkStateDirectory, readTrusted } from "../../src/config/trusted.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeSystem } from "../fakes/system.ts";

const CONFIG = {
  name: "the configuration",
  path: "/etc/config.toml",
  use: "configuration",
} as const;

function systemOf(userId: number): FakeSystem {
  const system = new FakeSystem();
  system.machine = { ...system.machine, userId: () => userId };
  system.files.texts.set(CONFIG.path, "a text");
  return system;
}

Deno.test("readTrusted() returns the text, and errors for root where other users can change it", async () => {
  const system = systemOf(0);
  assertEquals(await readTrusted(system, { ...CONFIG, path: "/etc/absent" }), undefined);
  assertEquals(await readTrusted(system, CONFIG), { text: "a text", errors: [], warnings: [] });
  system.files.modes.set(CONFIG.path, 0o666);
  const read = await readTrusted(system, CONFIG);
  assertEquals(read?.errors, [
    'Cannot trust the configuration: "/etc/config.toml" can be written by every user (mode 666). ' +
    "Next: chmod go-w /etc/config.toml",
  ]);
});

Deno.test("readTrusted() only warns an ordinary user", async () => {
  const system = systemOf(1_000);
  system.files.owners.set("/etc", 1_001);
  assertEquals(await readTrusted(system, CONFIG), {
    text: "a text",
    errors: [],
    warnings: [
      'the configuration is not safe: "/etc" belongs to user 1001. Next: sudo chown 1000 /etc',
    ],
  });
});

Deno.test("readTrusted() checks the file that was read, even if another one has its name now", async () => {
  for (const [before, after] of [[0o666, 0o644], [0o644, 0o666]] as const) {
    const system = systemOf(0);
    const { files } = system;
    files.modes.set(CONFIG.path, before);
    const trace = files.trace.bind(files);
    files.trace = (purpose, path) => {
      files.modes.set(CONFIG.path, after);
      return trace(purpose, path);
    };
    const read = await readTrusted(system, CONFIG);
    assertEquals(read?.errors.length, before === 0o666 ? 1 : 0);
  }
});

Deno.test("readTrusted() checks a file that was removed since, and the rest of its path", async () => {
  const system = systemOf(0);
  const { files } = system;
  files.modes.set(CONFIG.path, 0o666);
  files.owners.set("/etc", 1_001);
  const trace = files.trace.bind(files);
  files.trace = (purpose, path) => {
    files.texts.delete(CONFIG.path);
    files.texts.set("/etc/other", "");
    return trace(purpose, path);
  };
  assertEquals((await readTrusted(system, CONFIG))?.errors.length, 2);
});

Deno.test("an unreadable file is an error, and for root one that cannot be checked", async () => {
  const system = systemOf(0);
  system.files.fail("look at the way to the configuration", "denied");
  system.files.fail("look at the way to the state directory", "failed");
  const read = await readTrusted(system, CONFIG);
  assertEquals([read?.text, read?.errors.length, read?.warnings], ["a text", 1, []]);
  const state = await checkStateDirectory(system, "/state");
  assertEquals([state.errors, state.warnings.length], [[], 1]);
  system.machine = { ...system.machine, userId: () => 1_000 };
  const asUser = await readTrusted(system, CONFIG);
  assertEquals([asUser?.errors, asUser?.warnings.length], [[], 1]);
  system.files.fail("read the configuration", "denied");
  await assertRejects(() => readTrusted(system, CONFIG), FileError);
});

Deno.test("readTrusted() and checkStateDirectory() throw what is not a file error", async () => {
  const system = systemOf(0);
  system.files.trace = () => Promise.reject(new TypeError("a mistake of ours"));
  await assertRejects(() => readTrusted(system, CONFIG), TypeError, "a mistake of ours");
  await assertRejects(() => checkStateDirectory(system, "/state"), TypeError, "a mistake of ours");
});

Deno.test("checkStateDirectory() checks a directory, and the path to a missing one", async () => {
  const system = systemOf(0);
  const errors = async () => (await checkStateDirectory(system, "/var/lib/pennon")).errors.length;
  assertEquals(await errors(), 0);
  system.files.texts.set("/var/lib/other", "");
  system.files.modes.set("/var/lib", 0o777);
  assertEquals(await errors(), 1);
  system.files.modes.set("/var/lib", 0o1777);
  assertEquals(await errors(), 0);
  system.files.texts.set("/var/lib/pennon/state.json", "");
  system.files.modes.set("/var/lib/pennon", 0o1777);
  assertEquals(await errors(), 1);
});
