/** Reads the process's environment, as far as it may be read. */

/** A variable's value; `undefined` if it is unset, empty or not ours to read. */
export function readRealEnvironment(name: string): string | undefined {
  try {
    return Deno.env.get(name) || undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}
