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

Deno.test("readTrusted() relies on no file that another has taken the place of meanwhile", async () => {
  for (const [userId, isRefused] of [[0, true], [1_000, false]] as const) {
    const system = systemOf(userId);
    const { files } = system;
    files.identities.set(CONFIG.path, "read");
    const trace = files.trace.bind(files);
    files.trace = (purpose, path) => {
      files.identities.set(CONFIG.path, "another");
      return trace(purpose, path);
    };
    const read = await readTrusted(system, CONFIG);
    const told = isRefused ? read?.errors : read?.warnings;
    assertEquals(told?.map((text) => /is another file since it was read/.test(text)), [true]);
  }
});

Deno.test("what cannot be read is an error, and what cannot be looked at a warning", async () => {
  const system = systemOf(0);
  system.files.fail("look at the way to the configuration", "denied");
  const read = await readTrusted(system, CONFIG);
  assertEquals([read?.text, read?.errors, read?.warnings.length], ["a text", [], 1]);
  system.files.fail("read the configuration", "denied");
  await assertRejects(() => readTrusted(system, CONFIG), FileError);
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
