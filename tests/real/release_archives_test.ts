import { assertEquals, assertMatch } from "@std/assert";
import { sha256Of } from "../../tools/build/digest.ts";
import { makeArchives } from "../../tools/release/archives.ts";
import { lacks } from "./lacks.ts";

const FACTS = { version: "1.2.3", commit: "c".repeat(40), epochS: 1_800_000_000 };

async function list(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command(program, { args, env: { TZ: "UTC" } }).output();
  return new TextDecoder().decode(stdout);
}

Deno.test({
  name: "makeArchives() makes the same bytes twice, and says which executable is missing",
  ignore: await lacks("tar", "gzip", "zip", "unzip"),
  fn: async () => {
    const home = Deno.cwd();
    const project = await Deno.makeTempDir();
    try {
      // Its paths are relative to the project.
      Deno.chdir(project);
      await Deno.mkdir("dist");
      await Deno.mkdir("out");
      await Deno.writeTextFile("dist/pennon-linux-x64", "linux");
      await Deno.writeTextFile("dist/pennon-windows-x64.exe", "windows");
      await Deno.writeTextFile("README.md", "read me");
      await Deno.writeTextFile("install.ps1", "script");
      const options = {
        facts: FACTS,
        documents: { "README.md": "README.md" },
        windowsScripts: ["install.ps1"],
        into: "out",
      };
      const { files, leftOut } = await makeArchives(options);
      const tar = "out/pennon-1.2.3-linux-x64.tar.gz";
      const zip = "out/pennon-1.2.3-windows-x64.zip";
      assertEquals([files, leftOut.length], [[tar, zip], 3]);
      assertMatch(leftOut.join(), /pennon-linux-arm64: no such executable/);
      assertMatch(
        await list("tar", "-tvzf", tar),
        /^drwxr-xr-x root\/root .*-x64\/\n-rw-r--r-- root\/root +7 2027-01-15 08:00 .*README\.md\n-rwxr-xr-x root\/root +5 2027-01-15 08:00 .*\/pennon\n$/,
      );
      assertEquals((await list("unzip", "-Z1", zip)).trim().split("\n"), [
        "pennon-1.2.3-windows-x64/README.md",
        "pennon-1.2.3-windows-x64/SHA256SUMS",
        "pennon-1.2.3-windows-x64/install.ps1",
        "pennon-1.2.3-windows-x64/pennon.exe",
      ]);
      assertEquals(
        await list("unzip", "-p", zip, "*/SHA256SUMS"),
        `${await sha256Of("dist/pennon-windows-x64.exe")}  pennon.exe\n`,
      );
      const first = [await sha256Of(tar), await sha256Of(zip)];
      await makeArchives(options);
      assertEquals([await sha256Of(tar), await sha256Of(zip)], first);
    } finally {
      Deno.chdir(home);
      await Deno.remove(project, { recursive: true });
    }
  },
});
