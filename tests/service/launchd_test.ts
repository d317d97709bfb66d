import { assertEquals, assertStringIncludes } from "@std/assert";
import { launchdPlist } from "../../src/service/launchd.ts";

Deno.test("launchdPlist() is the property list of macOS", async () => {
  const golden = await Deno.readTextFile("tests/fixtures/service/io.pennon.agent.plist");
  assertEquals(launchdPlist({ program: "/usr/local/bin/pennon" }), golden);
});

Deno.test("launchdPlist() has one value for each key, and escapes the program", () => {
  const text = launchdPlist({ program: "/opt/a & <b>/pennon" });
  assertStringIncludes(text, "<string>/opt/a &amp; &lt;b&gt;/pennon</string>");
  const keys = [...text.matchAll(/<key>(\w+)<\/key>\n *<(\w+)/g)];
  assertEquals(keys.map(([, key, kind]) => `${key} ${kind}`), [
    "Label string",
    "ProgramArguments array",
    "RunAtLoad true",
    "KeepAlive dict",
    "SuccessfulExit false",
    "ThrottleInterval integer",
    "ExitTimeOut integer",
    "Umask integer",
    "ProcessType string",
    "StandardErrorPath string",
  ]);
});
