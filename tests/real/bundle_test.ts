import { assert, assertEquals, assertRejects } from "@std/assert";
import { BuildError } from "../../tools/build/build_error.ts";
import { bundle } from "../../tools/build/bundle.ts";

/**
 * esbuild tells its own process to end, and does not wait for it. Deno 2.6.8 reports that as a leak of
 * the test that runs then, so this one is alone in its file.
 */
const UNWAITED = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "bundle() makes the same files twice, and a file of what is loaded later",
  UNWAITED,
  async () => {
    const folder = await Deno.makeTempDir();
    const texts = {
      "main.ts": 'console.log("first", WORD, (await import("./later.ts")).word);',
      "later.ts": 'export const word: string = "second";',
    };
    for (const [name, text] of Object.entries(texts)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    const into = `${folder}/made`;
    const made: Map<string, string>[] = [];
    for (let round = 0; round < 2; round++) {
      await bundle({
        folder,
        entry: "main.ts",
        imports: {},
        constants: { WORD: "compiled" },
        into,
      });
      const names = [...Deno.readDirSync(into)].map(({ name }) => name).sort();
      made.push(new Map(names.map((name) => [name, Deno.readTextFileSync(`${into}/${name}`)])));
      assertEquals((await Deno.stat(`${into}/main.js`)).mtime, new Date(0));
    }
    assertEquals(made[0], made[1]);
    assertEquals(made[0]?.size, 3, "with the licences, of which there are none");
    const main = made[0]?.get("main.js") ?? "";
    assert(!main.includes("second"));
    assert(main.includes('"compiled"') && !main.includes("WORD"), main);
    await Deno.writeTextFile(`${folder}/main.ts`, 'import "./gone.ts";');
    await assertRejects(() => bundle({ folder, entry: "main.ts", imports: {}, into }), BuildError);
    await Deno.remove(folder, { recursive: true });
  },
);
