import { assertEquals } from "@std/assert";
import { windowsDirectory } from "../src/windows_directory.ts";
import { FakeSystem } from "./fakes/system.ts";

Deno.test("windowsDirectory() reads the environment, and rejects what is no directory on a drive", () => {
  const system = new FakeSystem();
  const rows: readonly [string, string | undefined][] = [
    ["", "C:\\Windows"],
    ["D:\\Win NT\\", "D:\\Win NT"],
    ["c:\\windows", "c:\\windows"],
    ["Windows", undefined],
    ["\\\\server\\share", undefined],
    ["\\\\?\\C:\\Windows", undefined],
    ["C:\\", undefined],
    ["C:\\Windows\\..\\Temp", undefined],
    ['C:\\Win"dows', undefined],
    ["C:/Windows", undefined],
  ];
  for (const [value, directory] of rows) {
    system.environment.set("SystemRoot", value);
    assertEquals(windowsDirectory(system), directory, value);
  }
  system.environment.delete("SystemRoot");
  assertEquals(windowsDirectory(system), "C:\\Windows");
});
