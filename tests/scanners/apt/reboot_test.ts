import { assertEquals, assertRejects } from "@std/assert";
import { readRebootState, rebootHint } from "../../../src/scanners/apt/reboot.ts";
import { FakeFiles } from "../../fakes/files.ts";

Deno.test("rebootHint() recognizes kernels of all distributors, and what runs until the next boot", () => {
  const maybe = [
    "linux-image-6.1.0-18-amd64",
    "linux-image-amd64",
    "linux-image-rpi-v8",
    "linux-generic-hwe-22.04",
    "linux-virtual",
    "linux-oem-24.04a",
    "linux-realtime",
    "linux-nvidia-64k-hwe-24.04",
    "linux-rpi-v8",
    "xen-hypervisor-4.17-amd64",
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
    "linux-realtime-tools",
    "linux-oemtools",
    "xen-hypervisor-",
    "linux-libc-dev",
    "libc6-dev",
    "pve-manager",
    "pve-kernel-",
    "linux-image-",
    "user-mode-linux-image-6.1",
    "corp-linux-generic",
    "kernel-of-pve-kernel-5.15",
    "old-rpi-eeprom",
    "rpi-eeprom-images",
    "raspi-firmware-nonfree",
    "python3-dbus",
    "python3-systemd",
    "systemd-timesyncd",
    "my-intel-microcode",
    "amd64-microcode-early",
    "curl",
  ];
  for (const name of maybe) assertEquals(rebootHint(name), "maybe", name);
  for (const name of unknown) assertEquals(rebootHint(name), null, name);
});

Deno.test("readRebootState() follows the host's file, and its absence only if something writes it", async () => {
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
});

Deno.test("readRebootState() reads 64 KiB of names, and quotes 300 characters", async () => {
  const files = new FakeFiles();
  files.texts.set("/run/reboot-required", "");
  const reasonOf = async (text: string) => {
    files.texts.set("/run/reboot-required.pkgs", text);
    return (await readRebootState({ files }))?.reason;
  };
  assertEquals(await reasonOf("  libc6 \r\n\tdbus\n"), "/run/reboot-required: libc6, dbus");
  const names = "libc6\n".repeat(65_536 / 4).slice(0, 65_536);
  assertEquals(await reasonOf(names), "/run/reboot-required: libc6, libc");
  assertEquals(await reasonOf(`${names}x`), "/run/reboot-required");
  const long = Array.from({ length: 9 }, (_, n) => `p${n}${"x".repeat(200)}\n`);
  assertEquals((await reasonOf(long.join("")))?.length, 300);
});

Deno.test("readRebootState() checks for every program that writes the file", async () => {
  const hooks = [
    "/usr/share/update-notifier/notify-reboot-required",
    "/etc/kernel/postinst.d/update-notifier",
    "/etc/kernel/postinst.d/unattended-upgrades",
  ];
  for (const hook of hooks) {
    const files = new FakeFiles();
    files.texts.set(`/host${hook}`, "");
    assertEquals(await readRebootState({ files }), null);
    assertEquals((await readRebootState({ files }, "/host"))?.isRequired, false, hook);
    files.texts.set("/host/run/reboot-required", "");
    assertEquals((await readRebootState({ files }, "/host"))?.isRequired, true, hook);
  }
});

Deno.test("readRebootState() is null for files that cannot be inspected, and passes programming errors on", async () => {
  const files = new FakeFiles();
  files.fail("look for a required reboot", "denied");
  assertEquals(await readRebootState({ files }), null);
  files.heal("look for a required reboot");
  files.texts.set("/run/reboot-required", "");
  files.kinds.set("/run/reboot-required.pkgs", "directory");
  assertEquals((await readRebootState({ files }))?.reason, "/run/reboot-required");
  files.readText = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => readRebootState({ files }), TypeError, "oops");
  files.inspect = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => readRebootState({ files }), TypeError, "oops");
});
