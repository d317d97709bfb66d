/** Reads captured output; `tests/fixtures/README.md` tells where each file comes from. */

/** The text of a fixture: `readFixture("apt", "debian12_policy.txt")`. */
export function readFixture(tool: string, name: string): string {
  return Deno.readTextFileSync(new URL(`../fixtures/${tool}/${name}`, import.meta.url));
}

/** A result of a command that went well. */
export function succeeded(stdout: string, stderr = "") {
  return { code: 0, stdout, stderr, truncated: false };
}
