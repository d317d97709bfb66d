import { assertEquals } from "@std/assert";
import { readRebootJson, readRebootWords, rebootHint } from "../../../src/scanners/dnf/reboot.ts";
import { checkJunk } from "./parser_laws.ts";

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
  const quoted = `See "${NEEDED.split("\n")[4]}"\nSee "${NOT_NEEDED.split("\n")[1]}"\n`;
  for (const text of ["", "No such command: needs-restarting.\n", "  * glibc\n", quoted]) {
    assertEquals(readRebootWords(text), null, text);
  }
  const odd = "  * glibc and more\nas in:   * glibc\n";
  assertEquals(readRebootWords(odd + NEEDED), REQUIRED);
});

Deno.test("readRebootJson() reads what dnf 5.4.6 said, and else knows nothing", () => {
  const told = (value: unknown) => readRebootJson(JSON.stringify(value));
  const one = { type: "reboot", reboot_required: true, packages: [], documentation: "x" };
  const odd = [1, null, {}, { name: "\u001b[31m" }, "glibc\u001b", "x".repeat(301)];
  const packages = [{ name: "glibc" }, "kernel-core", ...odd];
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
  const names = [
    "kernel",
    "kernel-core",
    "kernel-rt",
    "glibc",
    "kernel-uek-core",
    "kernel6.12",
    "kernel-rt-64k-core",
    "kernel-automotive-core",
    "xen-hypervisor",
  ];
  for (const name of names) assertEquals(rebootHint(name), "required", name);
  const others = ["kernel-tools", "kernel-headers", "bash", "kernel6.12-headers", "kmod-kernel-lt"];
  for (const name of others) {
    assertEquals(rebootHint(name), null, name);
  }
});

Deno.test("what reads about restarts keeps to the laws", () => {
  checkJunk(NEEDED, readRebootWords);
  checkJunk('[{"type":"reboot","reboot_required":true,"packages":[]}]', readRebootJson);
});

Deno.test("readRebootWords() and readRebootJson() name the first five packages", () => {
  const names = [..."abcdef"];
  const words = `${names.map((name) => `  * ${name}\n`).join("")}` +
    "Reboot is required to fully utilize these updates.\n";
  const json = JSON.stringify([{ type: "reboot", reboot_required: true, packages: names }]);
  for (const told of [readRebootWords(words), readRebootJson(json)]) {
    assertEquals(told?.reason.split(": ").at(-1), "a, b, c, d, e and 1 more");
  }
});
