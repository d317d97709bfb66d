import { assertNotEquals } from "@std/assert";
import { applyEdit, MUTANTS } from "./mutants.ts";

Deno.test("each mistake of sim:mutants can still be made in the source", () => {
  for (const { edits } of MUTANTS) {
    for (const edit of edits) {
      const text = Deno.readTextFileSync(new URL(`../../${edit.file}`, import.meta.url));
      assertNotEquals(applyEdit(text, edit), text);
    }
  }
});
