/** Whether the server's database would take a body, as PostgreSQL does. */

import { assert } from "@std/assert";

/** Throws if any text in a JSON body holds U+0000 or half a surrogate pair, or a number is none. */
export function assertStorable(body: string): void {
  JSON.parse(body, (name, value: unknown) => {
    for (const text of [name, value]) {
      if (typeof text !== "string") continue;
      assert(text.isWellFormed(), `half a surrogate pair at ${name}`);
      assert(!text.includes("\u0000"), `U+0000 at ${name}`);
    }
    return value;
  });
}
