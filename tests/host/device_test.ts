import { assertEquals } from "@std/assert";
import { type Device, deviceFacts } from "../../src/host/device.ts";
import { FakeSystem } from "../fakes/system.ts";

const DMI = "/sys/class/dmi/id";

/** A Linux host with these files, of which those of the kernel are read by a program. */
async function deviceOf(files: Readonly<Record<string, string>>): Promise<Device> {
  const system = new FakeSystem();
  for (const [path, text] of Object.entries(files)) {
    if (!/^\/(sys|proc)\//.test(path)) system.files.texts.set(path, text);
  }
  system.runCommand = ([program, path = ""]) => {
    assertEquals(program, "/usr/bin/cat");
    const stdout = files[path];
    const code = stdout === undefined ? 1 : 0;
    return Promise.resolve({ code, stdout: stdout ?? "", stderr: "", truncated: false });
  };
  return await deviceFacts(system);
}

Deno.test("deviceFacts() says what a Linux host can know of itself, and nothing else", async () => {
  const nothing = { type: "server", model: null, distro: null } as const;
  const rows: [files: Record<string, string>, device: Device][] = [
    [{}, nothing],
    [{ [`${DMI}/chassis_type`]: "junk\n" }, nothing],
    [{ [`${DMI}/chassis_type`]: "23\n" }, nothing],
    [{ [`${DMI}/chassis_type`]: "3\n" }, { ...nothing, type: "desktop" }],
    [
      { [`${DMI}/chassis_type`]: "10\n", [`${DMI}/product_name`]: "ThinkPad X1\n" },
      { ...nothing, type: "laptop", model: "ThinkPad X1" },
    ],
    [
      { [`${DMI}/sys_vendor`]: "QEMU\n", [`${DMI}/product_name`]: "Standard PC (Q35)\n" },
      { ...nothing, type: "vm", model: "Standard PC (Q35)" },
    ],
    [
      {
        [`${DMI}/sys_vendor`]: "Microsoft Corporation",
        [`${DMI}/product_name`]: "Virtual Machine",
      },
      { ...nothing, type: "vm", model: "Virtual Machine" },
    ],
    [
      { [`${DMI}/sys_vendor`]: "Microsoft Corporation", [`${DMI}/product_name`]: "Surface Pro 9" },
      { ...nothing, model: "Surface Pro 9" },
    ],
    [
      { "/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0" },
      { ...nothing, model: "Raspberry Pi 4 Model B Rev 1.4" },
    ],
    // In a container the kernel's files describe the machine below it.
    [
      { "/.dockerenv": "", [`${DMI}/sys_vendor`]: "QEMU", [`${DMI}/product_name`]: "PC" },
      { ...nothing, type: "container" },
    ],
    [{ "/run/.containerenv": "" }, { ...nothing, type: "container" }],
    [{ "/run/systemd/container": "lxc" }, { ...nothing, type: "container" }],
    [{ "/etc/os-release": 'NAME="Debian"\nID=debian\n' }, { ...nothing, distro: "debian" }],
    [{ "/usr/lib/os-release": 'ID="rocky"\n' }, { ...nothing, distro: "rocky" }],
    [{ "/etc/os-release": "NAME=x\n" }, nothing],
    [{ [`${DMI}/product_name`]: "a\x1b[2Jb\n" }, { ...nothing, model: "a[2Jb" }],
  ];
  for (const [files, device] of rows) {
    assertEquals(await deviceOf(files), device, JSON.stringify(files));
  }
});

Deno.test("deviceFacts() knows each chassis type of the SMBIOS specification", async () => {
  const types: Record<number, Device["type"]> = {};
  for (let type = 0; type <= 40; type++) {
    types[type] = (await deviceOf({ [`${DMI}/chassis_type`]: `${type}\n` })).type;
  }
  const having = (wanted: Device["type"]) =>
    Object.keys(types).map(Number).filter((type) => types[type] === wanted);
  assertEquals(having("laptop"), [8, 9, 10, 14, 30, 31, 32]);
  assertEquals(having("desktop"), [3, 4, 5, 6, 7, 13, 15, 16, 24, 35, 36]);
  assertEquals(having("server").length, 23);
});

Deno.test("deviceFacts() never rejects, and reads nothing where the system is no Linux", async () => {
  const system = new FakeSystem();
  system.files.fail("read os-release", "denied");
  system.files.fail("look for a container", "denied");
  assertEquals((await deviceFacts(system)).type, "server");
  for (const os of ["windows", "macos"] as const) {
    system.os = os;
    assertEquals(await deviceFacts(system), { type: "server", model: null, distro: null });
  }
});
