import { assert, assertEquals } from "@std/assert";
import { systemdUnit, SYSUSERS_LINE } from "../../src/service/systemd.ts";

/** The directives of a section, in order. */
function directives(unit: string, section: string): string[] {
  const [, text = ""] = unit.split(`[${section}]\n`);
  const [own = ""] = text.split(/^\[/m);
  return own.split("\n").filter((line) => /^\w/.test(line));
}

Deno.test("systemdUnit() is the unit of the packages", async () => {
  const golden = await Deno.readTextFile("tests/fixtures/service/pennon.service");
  assertEquals(systemdUnit({ program: "/usr/bin/pennon" }), golden);
});

Deno.test("systemdUnit() names each directive once, but for the two filters of system calls", () => {
  const unit = systemdUnit({ program: "/usr/bin/pennon" });
  const names = ["Unit", "Service", "Install"].flatMap((section) => directives(unit, section))
    .map((line) => line.split("=")[0]);
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  assertEquals(twice, ["SystemCallFilter"]);
  assert(names.length > 40);
});

Deno.test("systemdUnit() starts the same program wherever it lies", () => {
  const rows: [program: string, word: string][] = [
    ["/usr/bin/pennon", "/usr/bin/pennon"],
    ["/opt/my tools/pennon", '"/opt/my tools/pennon"'],
    // A per cent sign begins a specifier, and a dollar sign a variable: systemd.service(5).
    ["/opt/100%/pennon", "/opt/100%%/pennon"],
    ["/opt/$a/pennon", "/opt/$$a/pennon"],
    ['/opt/a"b/pennon', '"/opt/a\\"b/pennon"'],
    ["/opt/a\\b/pennon", '"/opt/a\\\\b/pennon"'],
  ];
  for (const [program, word] of rows) {
    const line = `ExecStart=${word} run --state-dir /var/lib/pennon`;
    assert(directives(systemdUnit({ program }), "Service").includes(line), line);
  }
});

Deno.test("the account has no shell, and the state directory as its home", () => {
  assertEquals(
    SYSUSERS_LINE,
    'u pennon - "Pennon update agent" /var/lib/pennon /usr/sbin/nologin',
  );
});
