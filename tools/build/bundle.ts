/**
 * Joins the program and its packages into a few files: a hundred modules are found, read and read
 * again one by one at every start, and what a command does not need is not even read.
 */

import * as esbuild from "esbuild";
import { createRequire } from "node:module";
import { BuildError } from "./build_error.ts";
import { licensesOf } from "./licenses.ts";

/** Beside the bundle: the licences of what is in it. */
export const LICENSES = "LICENSES";

/** Deno writes the files' times into an executable, and two builds are to be the same. */
const INSTANT = new Date(0);

/**
 * Bundles `entry` of `folder` into `into`, which is emptied first. What is imported with `import()`
 * becomes a file of its own, as does what several of those share. Names stay what they are, for who
 * reads a stack trace.
 *
 * @throws {BuildError} if something that is imported is not there
 */
export async function bundle(
  { folder, entry, imports, constants = {}, into }: {
    folder: string;
    entry: string;
    /** As `deno.json` has them. */
    imports: Readonly<Record<string, string>>;
    /** Values that are put in the place of these global names. */
    constants?: Readonly<Record<string, unknown>>;
    into: string;
  },
): Promise<void> {
  await Deno.remove(into, { recursive: true }).catch(() => {});
  await Deno.mkdir(into, { recursive: true });
  try {
    const { metafile } = await esbuild.build({
      absWorkingDir: await Deno.realPath(folder),
      entryPoints: [entry],
      outdir: await Deno.realPath(into),
      bundle: true,
      splitting: true,
      format: "esm",
      // Deno's own choice among what a package offers, and its `node:` modules.
      platform: "node",
      conditions: ["deno"],
      alias: aliases(imports),
      define: Object.fromEntries(
        Object.entries(constants).map(([name, value]) => [name, JSON.stringify(value)]),
      ),
      target: "esnext",
      tsconfigRaw: {},
      plugins: [webAssembly],
      minifyWhitespace: true,
      minifySyntax: true,
      metafile: true,
      logLevel: "silent",
    });
    const licenses = await licensesOf(folder, Object.keys(metafile.inputs));
    await Deno.writeTextFile(`${into}/${LICENSES}`, licenses);
  } catch (cause) {
    const fact = cause instanceof Error ? cause.message : String(cause);
    throw new BuildError(`Cannot bundle "${entry}": ${fact}`, { cause });
  } finally {
    await esbuild.stop();
  }
  for await (const { name } of Deno.readDir(into)) {
    await Deno.utime(`${into}/${name}`, INSTANT, INSTANT);
  }
}

/**
 * A CommonJS file whose only export is a WebAssembly module goes in as its bytes. As a module it
 * would ask for `require` at run time, and copy each of its bytes as a property.
 */
const webAssembly: esbuild.Plugin = {
  name: "web-assembly",
  setup(build) {
    build.onLoad({ filter: /-wasm\.js$/ }, ({ path }) => ({
      contents: new Uint8Array(createRequire(path)(path)),
      loader: "binary",
    }));
  },
};

/** `name/file.js` for `npm:name@1.0.0/file.js`: which version it is, the lock file has decided. */
export function aliases(imports: Readonly<Record<string, string>>): Record<string, string> {
  const paths = Object.entries(imports).map(([name, specifier]): [string, string] => {
    const [, packageName = "", path = ""] = /^npm:((?:@[^/]+\/)?[^/@]+)@[^/]+(\/.+)?$/
      .exec(specifier) ?? [];
    return [name, packageName + path];
  });
  return Object.fromEntries(paths.filter(([name, path]) => path !== "" && path !== name));
}
