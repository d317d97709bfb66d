import { assertEquals } from "@std/assert";
import { SCANNER_NAMES } from "../../src/scanners/registry.ts";
import { subsystemOf } from "../../src/server/subsystems.ts";

Deno.test("subsystemOf() has the server's name of every scanner", () => {
  assertEquals(SCANNER_NAMES.map(subsystemOf), ["apt", "dnf", "windows", "winget"]);
});
