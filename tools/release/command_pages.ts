/** Man pages and shell completions of the packages, from the program's own table of commands. */

import { manualFiles } from "../man.ts";
import type { PackagedFile } from "./nfpm_config.ts";

/** Where the distributions' shells look: zsh of Debian reads `vendor-completions`. */
const COMPLETIONS: readonly (readonly [file: string, path: string, only?: "deb" | "rpm"])[] = [
  ["completions/bash/pennon", "/usr/share/bash-completion/completions/pennon"],
  ["completions/zsh/_pennon", "/usr/share/zsh/vendor-completions/_pennon", "deb"],
  ["completions/zsh/_pennon", "/usr/share/zsh/site-functions/_pennon", "rpm"],
  ["completions/fish/pennon.fish", "/usr/share/fish/vendor_completions.d/pennon.fish"],
];

/**
 * Writes them and says where they belong. `write` makes a file in the stage and returns its path;
 * `compress` replaces it with a compressed one. `date` (`2026-11-30`) is in the foot of each page.
 */
export async function writeCommandPages(
  { date, write, compress }: {
    readonly date: string;
    write(name: string, text: string): Promise<string>;
    compress(path: string): Promise<string>;
  },
): Promise<PackagedFile[]> {
  const texts = await manualFiles(date);
  const files: PackagedFile[] = [];
  for (const [name, text] of texts) {
    if (!name.startsWith("man/")) continue;
    const source = await compress(await write(name.replace("man/man1/", ""), text));
    files.push({ source, path: `/usr/share/${name}.gz`, kind: "doc" });
  }
  for (const [name, path, only] of COMPLETIONS) {
    const text = texts.get(name);
    if (text === undefined) throw new Error(`Cannot find "${name}" among the completions`);
    const source = await write(`completion-${name.split("/")[1]}`, text);
    files.push({ source, path, ...only === undefined ? {} : { only } });
  }
  return files;
}
