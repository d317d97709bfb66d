import { assertEquals } from "@std/assert";
import { painter } from "../../src/cli/colour.ts";
import { stripAllButColours, stripControls } from "../../src/strip_controls.ts";
import { FakeSystem } from "../fakes/system.ts";

function onTerminal(variables: Record<string, string> = {}): FakeSystem {
  const system = new FakeSystem();
  system.terminal.stdoutIsTerminal = true;
  system.environment = new Map(Object.entries(variables));
  return system;
}

Deno.test("painter() colours a word on a terminal, and nothing elsewhere", () => {
  assertEquals(painter(onTerminal())("failed", "FAILED"), "\x1b[31mFAILED\x1b[0m");
  assertEquals(painter(onTerminal({ TERM: "xterm" }))("ok", "OK"), "\x1b[32mOK\x1b[0m");
  assertEquals(painter(onTerminal())(null, "OK"), "OK");
  assertEquals(painter(new FakeSystem())("failed", "FAILED"), "FAILED");
  assertEquals(painter(onTerminal({ NO_COLOR: "1" }))("failed", "FAILED"), "FAILED");
  assertEquals(painter(onTerminal({ TERM: "dumb" }))("failed", "FAILED"), "FAILED");
  // An empty NO_COLOR is as none: https://no-color.org
  assertEquals(painter(onTerminal({ NO_COLOR: "" }))("ok", "OK"), "\x1b[32mOK\x1b[0m");
});

Deno.test("a painted text loses its own controls, and keeps its colour on the terminal", () => {
  const painted = painter(onTerminal())("critical", "a\x1b[2Jb\u202e");
  assertEquals(painted, "\x1b[1;31ma[2Jb\x1b[0m");
  assertEquals(stripAllButColours(painted), painted);
  assertEquals(stripControls(painted), "[1;31ma[2Jb[0m");
});
