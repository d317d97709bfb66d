import { assert, assertEquals, assertMatch } from "@std/assert";
import { missingOnPath } from "../../tools/place/host.ts";
import { makePackages } from "../../tools/release/packages.ts";
import { PACKAGE_TESTS, PackageHost } from "./package_host.ts";
import { endSigner, makeSigner } from "../real/package_site.ts";

async function run(program: string, ...args: string[]): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    env: { LC_ALL: "C.UTF-8" },
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

function packageOf(extension: string): string {
  return PACKAGE_TESTS!.versions[0].files.find((name) => name.endsWith(extension))!;
}

Deno.test({
  name: "packages: lintian has no error",
  ignore: PACKAGE_TESTS === null || (await missingOnPath(["lintian"])).length > 0,
  fn: async () => {
    // The packages of the tests are not compressed, which takes minutes.
    const suppress = ["--suppress-tags", "uses-no-compression-for-data-tarball"];
    const argv = ["--fail-on", "error,warning", ...suppress, packageOf(".deb")];
    const { code, output } = await run("lintian", ...argv);
    assertEquals(code, 0, output);
  },
});

Deno.test({
  name: "packages: rpmlint has no error",
  ignore: PACKAGE_TESTS === null || (await missingOnPath(["rpmlint"])).length > 0,
  fn: async () => {
    const signed = `${PACKAGE_TESTS!.work}/signed.rpm`;
    await Deno.copyFile(packageOf(".rpm"), signed);
    await (await makeSigner(PACKAGE_TESTS!.work, "lint")).signRpm(signed);
    await endSigner();
    // rpmlint unpacks with cpio, and nfpm writes absolute names: without a view it would install the
    // files on this very host.
    await using host = await PackageHost.make("this-host");
    await Deno.copyFile("packaging/linux/rpmlint.toml", `${host.root}/tmp/rpmlint.toml`);
    await Deno.copyFile(signed, `${host.root}/tmp/signed.rpm`);
    const argv = ["rpmlint", "--config", "/tmp/rpmlint.toml", "/tmp/signed.rpm"];
    const { code, output } = await host.run("env", "LC_ALL=C.UTF-8", ...argv);
    assertMatch(output, /\b1 packages and 0 specfiles checked\b/);
    assertEquals([code, output.match(/^.* E: .*$/gm)], [0, null], output);
  },
});

Deno.test({
  name: "packages: made again they are the same bytes",
  ignore: PACKAGE_TESTS === null,
  fn: async () => {
    const { versions: [{ facts, files }], work } = PACKAGE_TESTS!;
    const again = await makePackages({
      facts,
      revision: 1,
      isQuick: true,
      homepage: "https://updates.example/",
      maintainer: "The Pennon authors <pennon@updates.example>",
      into: `${work}/again`,
    });
    for (const file of files) {
      const copy = again.files.find((name) => name.endsWith(file.slice(file.lastIndexOf("/"))));
      const { code, output } = await run("cmp", file, copy!);
      assertEquals(code, 0, output);
    }
    assert(files.length === 2);
  },
});
