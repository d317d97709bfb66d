import { assertEquals } from "@std/assert";
import { readDnfConfiguration } from "../../src/scanners/dnf_configuration.ts";
import { FakeSystem } from "../fakes/system.ts";

Deno.test("readDnfConfiguration() reads dnf's settings, its repositories' and its locks", async () => {
  const { files } = new FakeSystem();
  const nothing = { settings: new Map(), locks: "", isWhole: true };
  assertEquals(await readDnfConfiguration({ files }, {}), nothing);
  files.texts.set("/etc/dnf/dnf.conf", "[main]\nkeepcache=1\n");
  files.texts.set("/etc/yum.repos.d/a.repo", "[a]\nenabled=1\n");
  files.texts.set("/etc/yum.repos.d/b.repo.off", "[b]\nenabled=1\n");
  files.texts.set("/etc/dnf/plugins/versionlock.list", "bash\n");
  assertEquals(await readDnfConfiguration({ files }, {}), {
    settings: new Map([
      ["main", new Map([["keepcache", "1"]])],
      ["a", new Map([["enabled", "1"]])],
    ]),
    locks: "bash\n",
    isWhole: true,
  });
});

Deno.test("readDnfConfiguration() tells of a file that it cannot read, and reads the others", async () => {
  const { files } = new FakeSystem();
  files.texts.set("/etc/dnf/dnf.conf", `[main]\n${"#".repeat(1_048_576)}`);
  files.texts.set("/etc/yum.repos.d/a.repo", "[a]\nenabled=1\n");
  const { settings, isWhole } = await readDnfConfiguration({ files }, {});
  assertEquals([[...settings.keys()], isWhole], [["a"], false]);
  files.fail("read dnf's configuration", "denied");
  assertEquals(await readDnfConfiguration({ files }, {}), {
    settings: new Map(),
    locks: "",
    isWhole: false,
  });
});
