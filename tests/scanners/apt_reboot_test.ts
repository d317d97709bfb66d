import { assertEquals, assertRejects } from "@std/assert";
import { readRebootState, rebootHint } from "../../src/scanners/apt_reboot.ts";
import { FakeFiles } from "../fakes/files.ts";

Deno.test("rebootHint() knows kernels of all distributors, and what runs until the next start", () => {
  const maybe = [
    "linux-image-6.1.0-18-amd64",
    "linux-image-amd64",
    "linux-image-rpi-v8",
    "linux-generic-hwe-22.04",
    "linux-virtual",
    "proxmox-kernel-6.8",
    "proxmox-kernel-6.8.12-4-pve-signed",
    "pve-kernel-5.15",
    "raspberrypi-kernel",
    "raspberrypi-bootloader",
    "rpi-eeprom",
    "libc6",
    "systemd",
    "dbus-daemon",
    "intel-microcode",
  ];
  const unknown = [
    "linux-headers-amd64",
    "proxmox-kernel-helper-headers",
    "raspberrypi-kernel-headers",
    "linux-image-6.1.0-18-amd64-dbg",
    "linux-tools-generic",
    "linux-libc-dev",
    "libc6-dev",
    "pve-manager",
    "curl",
  ];
  for (const name of maybe) assertEquals(rebootHint(name), "maybe", name);
  for (const name of unknown) assertEquals(rebootHint(name), null, name);
});

Deno.test("readRebootState() goes by the host's file, and by its absence only if something writes it", async () => {
  const files = new FakeFiles();
  assertEquals(await readRebootState({ files }), null);
  files.texts.set("/usr/share/update-notifier/notify-reboot-required", "");
  const reason = "there is no /run/reboot-required";
  assertEquals(await readRebootState({ files }), { isRequired: false, reason });
  files.texts.set("/run/reboot-required", "");
  assertEquals(await readRebootState({ files }), {
    isRequired: true,
    reason: "/run/reboot-required",
  });
  const names = Array.from({ length: 20 }, (_, n) => `linux-image-${n}`);
  files.texts.set("/run/reboot-required.pkgs", [...names, "x y", "\u001b[2J"].join("\n"));
  const { reason: many } = await readRebootState({ files }) ?? { reason: "" };
  assertEquals(many.endsWith("linux-image-9 and 10 more"), true, many);
  files.texts.set("/run/reboot-required.pkgs", "x".repeat(70_000));
  assertEquals((await readRebootState({ files }))?.reason, "/run/reboot-required");
});

Deno.test("readRebootState() of files that may not be looked at says nothing, and hides no mistake", async () => {
  const files = new FakeFiles();
  files.fail("look for a restart that is due", "denied");
  assertEquals(await readRebootState({ files }), null);
  files.inspect = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => readRebootState({ files }), TypeError, "oops");
});
