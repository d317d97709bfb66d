import { assertEquals, assertMatch } from "@std/assert";
import { assertNotStored, assertStored } from "./stored_task.ts";
import { crlf, EXECUTABLE, fixtureBytes, hostTest } from "./windows_host.ts";

if (EXECUTABLE === undefined) console.log("ignored: no executable in PENNON_EXECUTABLE");
else {
  hostTest("the executable says its version and what it was made from", async (host) => {
    const { code, out, err } = await host.pennon(["version", "--json"]);
    assertEquals([code, err], [0, ""]);
    const { os, architecture, deno, base } = JSON.parse(out);
    assertEquals([os, architecture], ["windows", "x86_64"]);
    assertMatch(deno, /^\d+\.\d+\.\d+$/);
    assertMatch(base, /^(deno|pypi|named)$/);
  });

  hostTest("the executable checks its configuration", async (host) => {
    await host.configure('[polling]\ninterval = "10m"\n');
    const valid = await host.pennon(["config", "check"]);
    assertEquals([valid.code, valid.err], [0, ""]);
    await host.configure("[poling]\ninterval = 1\n");
    const invalid = await host.pennon(["config", "check"]);
    assertEquals(
      [invalid.code, invalid.err.includes("poling")],
      [2, true],
      invalid.out + invalid.err,
    );
  });

  hostTest(
    "the executable may run winget, and reads the code for it when it is asked",
    async (host) => {
      const table = (name: string) =>
        crlf(new TextDecoder().decode(fixtureBytes(`winget/${name}`)));
      const play = ["[--version]", "stdout = version", "[source export]", "stdout = sources", "[]"];
      await host.winget([...play, "stdout = out"].join("\n"), {
        version: "v1.29.240\r\n",
        sources: table("sources_default.txt"),
        out: table("new_four_columns.txt"),
      });
      const { code, out, err } = await host.pennon(["scan", "--json", "--only", "winget"]);
      assertEquals([code, err], [0, ""]);
      assertEquals(JSON.parse(out).scanners[0].updates.length, 2);
    },
  );

  hostTest("the executable installs its task and removes it", async (host) => {
    const installed = await host.pennon(["service", "install"]);
    assertEquals([installed.code, installed.err], [0, ""]);
    assertMatch(installed.out, /Not started: this host is not registered/);
    await assertStored();
    assertEquals([...Deno.readDirSync(`${host.programData}\\State`)].map(({ name }) => name), []);
    const removed = await host.pennon(["service", "uninstall"]);
    assertEquals([removed.code, removed.err], [0, ""]);
    await assertNotStored();
  }, { isShared: true });
}
