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

Deno.test("readTrusted() answers the text, and what root must not rely on", async () => {
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

Deno.test("readTrusted() judges the file that was read, whatever has its name by then", async () => {
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

Deno.test("readTrusted() judges a file that is gone by then, and the way that is left", async () => {
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

Deno.test("what cannot be read is an error, and what root cannot look at", async () => {
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

Deno.test("readTrusted() and checkStateDirectory() throw on what is no matter of files", async () => {
  const system = systemOf(0);
  system.files.trace = () => Promise.reject(new TypeError("a mistake of ours"));
  await assertRejects(() => readTrusted(system, CONFIG), TypeError, "a mistake of ours");
  await assertRejects(() => checkStateDirectory(system, "/state"), TypeError, "a mistake of ours");
});

Deno.test("checkStateDirectory() looks at a directory, and at the way to one that is not there", async () => {
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
