import { assert, assertEquals, assertRejects } from "@std/assert";
import { FileError } from "../../src/system/files.ts";
import { realFiles } from "../../src/system/real/files.ts";
import { inFolder } from "../real/folder.ts";
import { StandIn, windowsTest } from "./stand_in.ts";

/** With an icacls.exe that is played: what the real one does to a folder, Wine does not show. */
function icaclsTest(name: string, work: (icacls: StandIn, folder: string) => Promise<void>): void {
  windowsTest(name, () =>
    inFolder(async (folder) => {
      const before = Deno.env.get("SystemRoot") ?? "";
      const icacls = await StandIn.make(`${folder}\\System32`, "icacls.exe", "exit = 0");
      Deno.env.set("SystemRoot", folder);
      try {
        await work(icacls, folder);
      } finally {
        Deno.env.set("SystemRoot", before);
      }
    }));
}

icaclsTest("makeDirectory() keeps a private folder to its owners, once", async (icacls, folder) => {
  const path = `${folder}\\state`;
  await realFiles.makeDirectory("make it", path, { mode: 0o700 });
  await realFiles.makeDirectory("make it", path, { mode: 0o700 });
  const runs = await icacls.runs();
  assertEquals(runs.map(({ argv }) => argv.slice(1)), [[
    path,
    "/inheritance:r",
    "/grant:r",
    "*S-1-5-18:(OI)(CI)F",
    "*S-1-5-32-544:(OI)(CI)F",
    "*S-1-3-4:(OI)(CI)F",
    "/q",
  ]]);
  await realFiles.makeDirectory("make it", `${folder}\\public`, { mode: 0o755 });
  assertEquals((await icacls.runs()).length, 1);
});

icaclsTest("makeDirectory() leaves no folder that others may read", async (icacls, folder) => {
  await icacls.play("exit = 5");
  const path = `${folder}\\state`;
  const error = await assertRejects(
    () => realFiles.makeDirectory("make it", path, { mode: 0o700 }),
    FileError,
  );
  assert(error.message.endsWith("its rights cannot be set: icacls ended with 5"), error.message);
  assertEquals(await realFiles.inspect("look", path), undefined);
});
