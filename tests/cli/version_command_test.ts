import { assertEquals } from "@std/assert";
import { buildFields, describeBuild } from "../../src/cli/version_command.ts";
import type { Build } from "../../src/version.ts";

const BUILD: Build = { commit: "c0ffee", isDirty: false, deno: "2.6.8", base: "deno" };

Deno.test("describeBuild() says the commit, dirty or not, and whose base it is", () => {
  const rows: [build: Build | null, lines: string[]][] = [
    [null, ["from source"]],
    [BUILD, ["commit c0ffee", "Deno 2.6.8, Deno's own base"]],
    [{ ...BUILD, isDirty: true, base: "pypi" }, [
      "commit c0ffee, dirty",
      "Deno 2.6.8, base from PyPI, not Deno's own",
    ]],
    [{ ...BUILD, commit: null, base: "named" }, [
      "commit unknown (the sources were not in a clone)",
      "Deno 2.6.8, base named by the builder",
    ]],
  ];
  for (const [build, lines] of rows) assertEquals(describeBuild(build), lines);
});

Deno.test("buildFields() has every field, of an executable and from source", () => {
  assertEquals(buildFields(null), { commit: null, dirty: false, deno: null, base: null });
  assertEquals(buildFields({ ...BUILD, isDirty: true }), {
    commit: "c0ffee",
    dirty: true,
    deno: "2.6.8",
    base: "deno",
  });
});
