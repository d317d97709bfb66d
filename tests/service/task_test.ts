import { assert, assertEquals } from "@std/assert";
import { taskXml } from "../../src/service/task.ts";

const PROGRAM = "C:\\Program Files\\Pennon\\pennon.exe";

/** The text of the only element of this name. */
function element(xml: string, name: string): string {
  const found = [...xml.matchAll(new RegExp(`<${name}(?: [^>]*)?>([^<]*)</${name}>`, "g"))];
  assertEquals(found.length, 1, name);
  return found[0]?.[1] ?? "";
}

Deno.test("taskXml() is the task of the archive for Windows", async () => {
  const golden = await Deno.readTextFile("tests/fixtures/service/task.xml");
  assertEquals(taskXml({ program: PROGRAM }), golden);
});

Deno.test("taskXml() starts at boot as SYSTEM, restarts on failure, and is never ended", () => {
  const xml = taskXml({ program: PROGRAM });
  assertEquals(element(xml, "UserId"), "S-1-5-18");
  assertEquals(element(xml, "ExecutionTimeLimit"), "PT0S");
  assertEquals(element(xml, "Interval"), "PT1M");
  assertEquals(element(xml, "Count"), "999");
  assertEquals(element(xml, "StartWhenAvailable"), "true");
  assertEquals(element(xml, "MultipleInstancesPolicy"), "IgnoreNew");
  assertEquals(element(xml, "DisallowStartIfOnBatteries"), "false");
  assertEquals(element(xml, "StopIfGoingOnBatteries"), "false");
  assertEquals(element(xml, "Command"), PROGRAM);
  assertEquals(element(xml, "Arguments"), "run --log-file pennon.log --event-log");
  assert(/<BootTrigger>\s*<Enabled>true<\/Enabled>\s*<\/BootTrigger>/.test(xml));
  assert(!/Logon|Password/i.test(xml));
});

Deno.test("taskXml() closes each element that it opens, in order", () => {
  const open: string[] = [];
  const xml = taskXml({ program: "C:\\a & <b>\\pennon.exe" });
  const [first = "", ...lines] = xml.split("\n");
  assertEquals(first, '<?xml version="1.0" encoding="UTF-16"?>');
  for (const [, slash, name = ""] of lines.join("\n").matchAll(/<(\/?)(\w+)[^>]*>/g)) {
    if (slash === "") open.push(name);
    else assertEquals(open.pop(), name);
  }
  assertEquals(open, []);
  assertEquals(element(xml, "Command"), "C:\\a &amp; &lt;b&gt;\\pennon.exe");
});
