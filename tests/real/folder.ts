/** A folder for a test, gone afterwards. */

/** Calls `work` with a new, empty folder, and removes it with all that is in it then. */
export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pennon-test-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
