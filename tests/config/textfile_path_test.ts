import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { findTextfilePath, isTextfilePath, temporaryOf } from "../../src/config/textfile_path.ts";
import { readToml, TomlError } from "../../src/config/toml.ts";
import { anyString } from "../fakes/texts.ts";

Deno.test("isTextfilePath() accepts absolute paths that end in .prom", () => {
  for (const path of ["/a.prom", "/var/lib/x y/pennon.prom", "C:\\a\\b.prom", "D:/a.prom"]) {
    assertEquals(isTextfilePath(path), true, path);
  }
  for (
    const path of [
      "",
      "a.prom",
      "/etc/shadow",
      "/.prom",
      "/a/.prom",
      "/a.prom/",
      "/a.prom.tmp",
      "/a/../b.prom",
      "C:a.prom",
      "/a\n.prom",
      `/${"a".repeat(4_096)}.prom`,
    ]
  ) {
    assertEquals(isTextfilePath(path), false, path);
  }
});

Deno.test("temporaryOf() names a file that no collector reads", () => {
  assertEquals(temporaryOf("/a.prom"), "/a.prom.tmp");
  assertEquals(isTextfilePath(temporaryOf("/a.prom")), false);
});

Deno.test("findTextfilePath() finds the setting in each usual form, and nothing else", () => {
  const path = "/var/lib/x/pennon.prom";
  for (
    const text of [
      `[metrics]\ntextfile = "${path}"\n`,
      `[metrics]\r\ntextfile = "${path}"\r\n`,
      `[server]\nurl = "https://a"\n\n[ metrics ] # it\n  textfile='${path}' # that\n[log]\n`,
      `metrics.textfile = "${path}"\n[metricsx]\ntextfile = "/b.prom"`,
    ]
  ) {
    assertEquals(findTextfilePath(text), path, text);
    assertEquals(readToml(text).get("metrics.textfile")?.value, path);
  }
  for (
    const text of [
      "",
      `textfile = "${path}"`,
      `[log]\ntextfile = "${path}"`,
      `[metrics]\n# textfile = "${path}"`,
      `[metrics]\ntextfile = "/etc/shadow"`,
      `[metrics]\ntextfile = ["${path}"]`,
      `[metrics]\n[log]\ntextfile = "${path}"`,
    ]
  ) {
    assertEquals(findTextfilePath(text), undefined, text);
  }
});

Deno.test("property: findTextfilePath() finds what the TOML parser reads, or nothing", () => {
  const line = fc.oneof(
    fc.constantFrom(
      "[metrics]",
      "[server]",
      "[[metrics]]",
      "[metrics.more]",
      'textfile = "/a.prom"',
      "textfile = '/b.prom'",
      'textfile = "/\\u0061.prom"',
      'metrics.textfile = "/c.prom"',
      'metrics = { textfile = "/d.prom" }',
      "x = 1",
      "# comment",
    ),
    anyString({ maxLength: 10 }),
  );
  let found = 0;
  fc.assert(
    fc.property(fc.array(line, { maxLength: 6 }), (lines) => {
      const text = lines.join("\n");
      const path = findTextfilePath(text);
      if (path === undefined) return;
      try {
        assertEquals(readToml(text).get("metrics.textfile")?.value, path, text);
        found += 1;
      } catch (error) {
        // The command line refuses such a configuration.
        if (!(error instanceof TomlError)) throw error;
      }
    }),
    { numRuns: 1_000 },
  );
  assert(found > 0);
});
