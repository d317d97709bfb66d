/** What this host has that a place is made with. */

/** Whether there is a file or folder of that name. */
export async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Those of `programs` that are not on the path. */
export async function missingOnPath(programs: readonly string[]): Promise<string[]> {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  const found = await Promise.all(
    programs.map((program) =>
      Promise.all(folders.map((folder) => isThere(`${folder}/${program}`)))
    ),
  );
  return programs.filter((_, index) => !found[index]?.includes(true));
}

/** How this host reaches others, where that is said in its environment. */
export function proxies(): Record<string, string> {
  const names = ["http_proxy", "https_proxy", "no_proxy"];
  return Object.fromEntries(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value ? [[name, value]] : [];
  }));
}

/** A folder of this user's that is kept between runs, out of the project, of which there may be several. */
export function cacheFolder(name: string): string {
  const cache = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME") ?? "/root"}/.cache`;
  return `${cache}/pennon/${name}`;
}
