import { assertEquals } from "@std/assert";
import type { DnfConfiguration } from "../../src/scanners/dnf_configuration.ts";
import { mayExclude } from "../../src/scanners/dnf_excludes.ts";
import { parseDnfSettings } from "../../src/scanners/dnf_settings.ts";

function configured(text: string, changes: Partial<DnfConfiguration> = {}): DnfConfiguration {
  return { settings: parseDnfSettings([text]), locks: "", isWhole: true, ...changes };
}

Deno.test("mayExclude() knows every spelling that dnf does", () => {
  const rows: [string, boolean][] = [
    ["", false],
    ["[main]\nexclude=\nkeepcache=1\n", false],
    ["[main]\n# exclude=kernel*\n", false],
    ["[main]\nexcludepkgs_x=kernel*\n", false],
    ["[main]\nexclude=kernel*\n", true],
    ["[main]\n excludepkgs = kernel*\n", true],
    ["[main]\nexcludepkgs=\n  kernel*\n", true],
    ["[main]\r\nexcludepkgs =\r\n\tkernel*\r\n", true],
    ["[main]\nincludepkgs=bash*\n", true],
    ["[a]\nexcludepkgs=nginx\n", true],
    // A line that goes on with a value is no setting of its own, to dnf either.
    ["[main]\nkeepcache=1\n  excludepkgs=kernel*\n", false],
  ];
  for (const [text, expected] of rows) assertEquals(mayExclude(configured(text)), expected, text);
});

Deno.test("mayExclude() looks at the version locks, and takes what it cannot read for one", () => {
  assertEquals(mayExclude(configured("", { locks: "# nothing\n\n" })), false);
  assertEquals(mayExclude(configured("", { locks: "# bash\nbash-0:5.1.8-6.el9.*\n" })), true);
  const toml = 'version = "1.0"\n';
  assertEquals(mayExclude(configured("", { locks: toml })), false);
  assertEquals(
    mayExclude(configured("", { locks: `${toml}\n[[packages]]\nname = "bash"\n` })),
    true,
  );
  assertEquals(mayExclude(configured("", { isWhole: false })), true);
  assertEquals(mayExclude(configured("", { locks: " \n".repeat(500_000) })), false);
});
