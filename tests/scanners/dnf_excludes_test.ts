import { assertEquals } from "@std/assert";
import { hasExcludes } from "../../src/scanners/dnf_excludes.ts";
import { FakeSystem } from "../fakes/system.ts";

Deno.test("hasExcludes() looks into dnf's settings, its repositories' and its version locks", async () => {
  const rows: [string, string, boolean][] = [
    ["/etc/dnf/dnf.conf", "", false],
    ["/etc/dnf/dnf.conf", "[main]\nexclude=\nkeepcache=1\n", false],
    ["/etc/dnf/dnf.conf", "[main]\n# exclude=kernel*\n", false],
    ["/etc/dnf/dnf.conf", "[main]\nexclude=kernel*\n", true],
    ["/etc/dnf/dnf.conf", "[main]\n excludepkgs = kernel*\n", true],
    ["/etc/yum.repos.d/a.repo", "[a]\nexcludepkgs=nginx\n", true],
    ["/etc/yum.repos.d/a.repo.off", "[a]\nexcludepkgs=nginx\n", false],
    ["/etc/dnf/plugins/versionlock.list", "# nothing\n\n", false],
    ["/etc/dnf/plugins/versionlock.list", "# bash\nbash-0:5.1.8-6.el9.*\n", true],
  ];
  for (const [path, text, expected] of rows) {
    const { files } = new FakeSystem();
    files.texts.set(path, text);
    assertEquals(await hasExcludes({ files }, {}), expected, `${path}: ${text}`);
  }
});

Deno.test("hasExcludes() is done soon with a file of nothing but lines", async () => {
  const { files } = new FakeSystem();
  files.texts.set("/etc/dnf/dnf.conf", "\n".repeat(1_000_000));
  files.texts.set("/etc/dnf/plugins/versionlock.list", " \n".repeat(500_000));
  assertEquals(await hasExcludes({ files }, {}), false);
});

Deno.test("hasExcludes() takes what it cannot read for nothing", async () => {
  const { files } = new FakeSystem();
  files.texts.set("/etc/dnf/dnf.conf", "exclude=x\n");
  files.fail("look for packages that are excluded", "denied");
  assertEquals(await hasExcludes({ files }, {}), false);
});
