/**
 * What a test needs of this host. A test that lacks it is ignored, so the summary counts it, and its name
 * says what is missing: `tools/test.ts` adds up the names and prints the packages to install.
 */

/** The name and the state of a test for `Deno.test({ ...needs("...", …), fn })`. */
export interface Needed {
  readonly name: string;
  readonly ignore: boolean;
}

/** `name [needs zsh]`, ignored, where one of `programs` is not on the path. */
export async function needs(name: string, ...programs: string[]): Promise<Needed> {
  const found = await Promise.all(programs.map(isThere));
  const missing = programs.filter((_, index) => !found[index]);
  return needsAll(name, missing.map((program) => [program, false]));
}

/** `name [needs root]`, ignored, where one of the conditions does not hold. */
export function needsAll(
  name: string,
  conditions: readonly (readonly [what: string, holds: boolean])[],
): Needed {
  const missing = conditions.filter(([, holds]) => !holds).map(([what]) => what);
  if (missing.length === 0) return { name, ignore: false };
  return { name: `${name} [needs ${missing.join(", ")}]`, ignore: true };
}

async function isThere(program: string): Promise<boolean> {
  if (Deno.build.os === "windows") return false;
  const { success } = await new Deno.Command("/bin/sh", {
    args: ["-c", 'command -v "$0"', program],
    stdout: "null",
  }).output();
  return success;
}
