/** The licences of what is in the executable: they ask to go along with every copy. */

import { BuildError } from "../build/build_error.ts";
import { licensesOf } from "../build/licenses.ts";
import { runTool } from "../build/run.ts";
import { SHIPPED_DENO, shippedDeno } from "../build/shipped_deno.ts";
import { stageSources } from "../build/stage.ts";
import type { Dependency } from "./dependencies.ts";

/** Where the packages are unpacked to. */
const STAGE = ".cache/release/sources";

/** A few MB, on a slow line. */
const FETCH_TIMEOUT_MS = 300_000;

/** Deno's own licence, which is MIT too: LICENSE.md of its repository. */
const DENO = `Deno ${SHIPPED_DENO} (https://deno.com), the runtime in the executable

MIT License

Copyright 2018-2026 the Deno authors

The terms are those of Pennon's own MIT licence. Deno contains V8, SQLite, ICU and libraries in Rust
under licences of their own, mostly MIT, BSD and Apache-2.0:
https://github.com/denoland/deno/blob/v${SHIPPED_DENO}/Cargo.lock lists them.`;

/** Packages on npm that come without the text of their licence. */
const WITHOUT_TEXT: Readonly<Record<string, string>> = {
  "deno-std": `The Deno standard library (https://github.com/denoland/std)

MIT License

Copyright 2018-2026 the Deno authors

The terms are those of Pennon's own MIT licence.`,
};

/**
 * The licences of the runtime and of every npm package in the executable, one after the other. Fetches
 * the packages that the lock file names if they are not in the build's cache.
 *
 * @throws {BuildError} if a package cannot be fetched or comes without the text of its licence
 */
export async function thirdPartyLicences(dependencies: readonly Dependency[]): Promise<string> {
  await stageSources(STAGE);
  const [program, ...first] = await shippedDeno();
  const { success, output } = await runTool(
    program,
    [...first, "cache", "--quiet", "--frozen", "main.ts"],
    { timeoutMs: FETCH_TIMEOUT_MS, folder: STAGE },
  );
  if (!success) throw new BuildError(`Cannot fetch licences: ${output.trim()}`);
  const unpacked: string[] = [];
  for await (const { name } of Deno.readDir(`${STAGE}/node_modules/.deno`)) unpacked.push(name);
  const texts: string[] = [];
  for (const { name, version } of dependencies) {
    const prefix = `${name.replace("/", "+")}@${version}`;
    const folder = unpacked.find((found) => found === prefix || found.startsWith(`${prefix}_`));
    const file = `node_modules/.deno/${folder}/node_modules/${name}/package.json`;
    const own = await licensesOf(STAGE, [file]);
    const text = own || `${name}\n\n${WITHOUT_TEXT[name] ?? ""}`;
    if (own === "" && WITHOUT_TEXT[name] === undefined) {
      throw new BuildError(`Cannot find the licence of "${name}" ${version}`);
    }
    texts.push(text.replace(name, `${name} ${version}`).trim());
  }
  return `${[DENO, ...texts].join("\n\n---\n\n")}\n`;
}
