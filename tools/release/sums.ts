/** `SHA256SUMS` of a directory, and its signature. */

import { sha256Of } from "../build/digest.ts";
import type { Signer } from "./signer.ts";
import { namesOf } from "./task.ts";

const NAME = "SHA256SUMS";

/** Writes both, as `sha256sum` does, over all other files in the directory. */
export async function writeSums(directory: string, signer: Signer): Promise<void> {
  const lines: string[] = [];
  for (const name of await namesOf(directory)) {
    if (name.startsWith(NAME)) continue;
    lines.push(`${await sha256Of(`${directory}/${name}`)}  ${name}\n`);
  }
  await Deno.writeTextFile(`${directory}/${NAME}`, lines.join(""));
  await signer.sign(`${directory}/${NAME}`);
}
