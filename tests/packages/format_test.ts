import { assert, assertEquals, assertMatch } from "@std/assert";
import { sha256Of } from "../../tools/build/digest.ts";
import { missingOnPath } from "../../tools/place/host.ts";
import { findNfpm } from "../../tools/release/nfpm.ts";
import { makePackages, MAX_PACKAGE_BYTES } from "../../tools/release/packages.ts";
import { HOMEPAGE, MAINTAINER } from "../../tools/release/task.ts";
import { lacks } from "../real/lacks.ts";
import { endSigner, makeSigner } from "../real/package_site.ts";
import { PACKAGE_TESTS, PackageHost } from "./package_host.ts";

async function run(
  [program, ...args]: readonly [string, ...string[]],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ code: number; output: string }> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    env: { LC_ALL: "C.UTF-8", ...environment },
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** The packages as a release has them, of every architecture in `dist/`; made once. */
let released: Promise<readonly string[]> | undefined;

async function makeReleased(): Promise<readonly string[]> {
  const { versions: [{ facts }], work } = PACKAGE_TESTS!;
  const { files } = await makePackages({
    facts,
    revision: 1,
    isQuick: false,
    homepage: HOMEPAGE,
    maintainer: MAINTAINER,
    into: `${work}/released`,
  });
  return files;
}

async function releasedAs(extension: ".deb" | ".rpm"): Promise<string[]> {
  const files = await (released ??= makeReleased());
  const found = files.filter((name) => name.endsWith(extension));
  assert(found.length > 0);
  return found;
}

Deno.test({
  name: "packages: none has more than 35 MB",
  ignore: PACKAGE_TESTS === null,
  fn: async () => {
    for (const file of [...await releasedAs(".deb"), ...await releasedAs(".rpm")]) {
      const { size } = await Deno.stat(file);
      console.log(`    ${file.slice(file.lastIndexOf("/") + 1)}  ${size} bytes`);
      assert(size <= MAX_PACKAGE_BYTES);
    }
  },
});

Deno.test({
  name: "packages: lintian has no error",
  ignore: PACKAGE_TESTS === null || (await missingOnPath(["lintian"])).length > 0,
  fn: async () => {
    for (const file of await releasedAs(".deb")) {
      const { code, output } = await run(["lintian", "--fail-on", "error,warning", file]);
      assertEquals(code, 0, output);
    }
  },
});

Deno.test({
  name: "packages: rpmlint has no error",
  ignore: PACKAGE_TESTS === null || (await missingOnPath(["rpmlint"])).length > 0,
  fn: async () => {
    const signer = await makeSigner(PACKAGE_TESTS!.work, "lint");
    // rpmlint unpacks with cpio, and nfpm writes absolute names: without a view it would install the
    // files on this very host.
    await using host = await PackageHost.make("this-host");
    await Deno.copyFile("packaging/linux/rpmlint.toml", `${host.root}/tmp/rpmlint.toml`);
    for (const file of await releasedAs(".rpm")) {
      const signed = `${host.root}/tmp/signed.rpm`;
      await Deno.copyFile(file, signed);
      await signer.signRpm(signed);
      const argv = ["rpmlint", "--config", "/tmp/rpmlint.toml", "/tmp/signed.rpm"];
      const { code, output } = await host.run("env", "LC_ALL=C.UTF-8", ...argv);
      assertMatch(output, /\b1 packages and 0 specfiles checked\b/);
      assertEquals([code, output.match(/^.* E: .*$/gm)], [0, null], output);
    }
    await endSigner();
  },
});

/** A start of this hour, and one of more than a year later. */
const LATER = "+400d";

Deno.test({
  name: "packages: made again, 400 days later by the clock, they are the same bytes",
  ignore: PACKAGE_TESTS === null || await lacks("faketime", "qemu-x86_64"),
  fn: async () => {
    const { versions: [{ files }], work } = PACKAGE_TESTS!;
    // Programs in Go ask the kernel for the time and not the C library; qemu asks that for them.
    const nfpm = `${work}/nfpm`;
    const script = `#!/bin/sh\nexec qemu-x86_64 ${await findNfpm()} "$@"\n`;
    await Deno.writeTextFile(nfpm, script, { mode: 0o755 });
    const again = `${work}/again`;
    const task = [Deno.execPath(), "run", "-A", "--no-prompt", "tools/package.ts"];
    const argv = ["faketime", "-f", LATER, ...task, "--quick", "--into", again] as const;
    const { code, output } = await run(argv, { NFPM: nfpm });
    assertEquals(code, 0, output);
    for (const file of files) {
      const copy = `${again}${file.slice(file.lastIndexOf("/"))}`;
      assertEquals(await sha256Of(copy), await sha256Of(file), copy);
    }
    assert(files.length === 2);
  },
});
