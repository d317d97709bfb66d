/** Whether a program that a test needs is missing on this host. */

/** `true`, with the reason printed, if one of `programs` is not on the path. */
export async function lacks(...programs: string[]): Promise<boolean> {
  for (const program of programs) {
    if (await isThere(program)) continue;
    console.log(`skipped: no ${program} here`);
    return true;
  }
  return false;
}

async function isThere(program: string): Promise<boolean> {
  if (Deno.build.os === "windows") return false;
  const { success } = await new Deno.Command("/bin/sh", {
    args: ["-c", 'command -v "$0"', program],
    stdout: "null",
  }).output();
  return success;
}
