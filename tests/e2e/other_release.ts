/**
 * Another release of the executable under test: the same program with another version and, if wanted,
 * one more migration of the buffer.
 *
 * Building one takes half a minute and the network. The program is text behind the executable's own
 * code, in which the version has the same length and a comment in the SQL makes room for the migration.
 */

import { Buffer } from "node:buffer";
import { elfEnd } from "../../tools/build/elf.ts";
import { VERSION } from "../../src/version.ts";

/** The version of the other release, as long as this one's. */
export const OTHER_VERSION: string = VERSION.replaceAll(/\d/g, "9");

const COMMENT = "-- 1: an event with the same snapshot_of was appended after it";
const MIGRATIONS = "MIGRATIONS=[]";

/**
 * Writes the other release of `executable` to `path`. `migration`: SQL in at most 55 letters that leads
 * to the next version of the schema. Throws if the program does not have the texts that are changed.
 */
export async function writeOtherRelease(
  executable: string,
  path: string,
  { migration }: { migration?: string } = {},
): Promise<void> {
  const file = Buffer.from((await Deno.readFile(executable)).buffer);
  const program = file.subarray(elfEnd(file));
  replaceOnce(program, `version:"${VERSION}"`, `version:"${OTHER_VERSION}"`);
  if (migration !== undefined) addMigration(program, migration);
  await Deno.writeFile(path, file, { mode: 0o755 });
}

/** What is between the comment and the list of migrations moves to the front, into the comment. */
function addMigration(program: Buffer, migration: string): void {
  const start = findOnce(program, COMMENT);
  const end = findOnce(program, MIGRATIONS) + MIGRATIONS.length;
  const list = `MIGRATIONS=[${JSON.stringify(migration)}]`;
  const between = program.subarray(start + COMMENT.length, end - MIGRATIONS.length);
  const comment = COMMENT.slice(0, COMMENT.length + MIGRATIONS.length - list.length);
  if (comment.length < 2) {
    throw new Error(`Cannot make another release: "${migration}" is too long`);
  }
  const changed = Buffer.concat([Buffer.from(comment), between, Buffer.from(list)]);
  if (changed.length !== end - start) {
    throw new Error("Cannot make another release: lengths differ");
  }
  changed.copy(program, start);
}

function replaceOnce(program: Buffer, text: string, by: string): void {
  Buffer.from(by).copy(program, findOnce(program, text));
}

function findOnce(program: Buffer, text: string): number {
  const at = program.indexOf(text);
  if (at >= 0 && program.indexOf(text, at + 1) < 0) return at;
  throw new Error(`Cannot make another release: "${text}" is not in the executable exactly once`);
}
