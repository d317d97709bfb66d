import { assertEquals } from "@std/assert";
import { readRebootJson, readRebootWords, rebootHint } from "../../src/scanners/dnf_reboot.ts";
import { checkJunk } from "./dnf_parser_laws.ts";

const NEEDED = "Core libraries or services have been updated since boot-up:\n" +
  "  * glibc\n  * kernel-core\n\nReboot is required to fully utilize these updates.\n" +
  "More information: https://access.redhat.com/solutions/27943\n";
const NOT_NEEDED = "No core libraries or services have been updated since boot-up.\n" +
  "Reboot should not be necessary.\n";

const REQUIRED = {
  isRequired: true,
  reason: "dnf needs-restarting: updated since the host was started: glibc, kernel-core",
};
const NOT_REQUIRED = { isRequired: false, reason: "dnf needs-restarting: not necessary" };

Deno.test("readRebootWords() goes by two sentences, and else knows nothing", () => {
  assertEquals(readRebootWords(`This system has release set to 9.4.\n${NEEDED}`), REQUIRED);
  assertEquals(readRebootWords(NOT_NEEDED), NOT_REQUIRED);
  for (const text of ["", "No such command: needs-restarting.\n", "  * glibc\n"]) {
    assertEquals(readRebootWords(text), null, text);
  }
});

Deno.test("readRebootJson() reads what dnf 5.4.6 said, and else knows nothing", () => {
  const told = (value: unknown) => readRebootJson(JSON.stringify(value));
  const one = { type: "reboot", reboot_required: true, packages: [], documentation: "x" };
  const packages = [{ name: "glibc" }, "kernel-core", 1, { name: "\u001b[31m" }];
  assertEquals(told([{ ...one, packages }]), REQUIRED);
  assertEquals(told([{ ...one, reboot_required: false }]), NOT_REQUIRED);
  assertEquals(
    told([one])?.reason,
    "dnf needs-restarting: updated since the host was started",
  );
  for (const value of [[], {}, [{ ...one, type: "service" }], [{ ...one, reboot_required: 1 }]]) {
    assertEquals(told(value), null);
  }
  assertEquals(readRebootJson(""), null);
});

Deno.test("rebootHint() knows distributors' kernels by their own names", () => {
  const names = ["kernel", "kernel-core", "kernel-rt", "glibc", "kernel-uek-core", "kernel6.12"];
  for (const name of names) assertEquals(rebootHint(name), "required", name);
  for (const name of ["kernel-tools", "kernel-headers", "bash", "kernel6.12-headers"]) {
    assertEquals(rebootHint(name), null, name);
  }
});

Deno.test("what reads about restarts keeps to the laws", () => {
  checkJunk(NEEDED, readRebootWords);
  checkJunk('[{"type":"reboot","reboot_required":true,"packages":[]}]', readRebootJson);
});
