import { assertEquals } from "@std/assert";
import { SCANNER_NAMES } from "../../src/scanners/registry.ts";
import { scannerOf, subsystemOf } from "../../src/server/subsystems.ts";

Deno.test("subsystemOf() and scannerOf() translate the name of every scanner, and no other", () => {
  assertEquals(SCANNER_NAMES.map(subsystemOf), ["apt", "dnf", "windows", "winget"]);
  for (const name of SCANNER_NAMES) assertEquals(scannerOf(subsystemOf(name)), name);
  for (const unknown of ["", "winupdate", "pacman", "docker", "storage", "constructor"]) {
    assertEquals(scannerOf(unknown), null, unknown);
  }
});
