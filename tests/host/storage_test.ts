import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  findDiskTypes,
  findMounts,
  listMounts,
  MOST_MOUNTS,
  parseDf,
  parseLsblk,
} from "../../src/host/storage.ts";
import { FakeSystem } from "../fakes/system.ts";
import { anyString } from "../fakes/texts.ts";

const DF = `Filesystem     Type            1-blocks        Used   Available Capacity Mounted on
udev           devtmpfs      8000000000           0  8000000000       0% /dev
/dev/sdb1      ext4         50000000000 25000000000 25000000000      50% /mnt/my data
/dev/sda1      ext4        100000000000 60000000000 40000000000      60% /
tmpfs          tmpfs         1600000000     1000000  1599000000       1% /run
overlay        overlay     100000000000 60000000000 40000000000      60% /var/lib/x
none           squashfs               0           0           0       -  /snap
`;

Deno.test("parseDf() lists real disks, the system's first, blanks in names too", () => {
  assertEquals(parseDf(DF), [
    {
      device: "/dev/sda1",
      fileSystem: "ext4",
      mount: "/",
      totalBytes: 100e9,
      usedBytes: 60e9,
      availableBytes: 40e9,
    },
    {
      device: "/dev/sdb1",
      fileSystem: "ext4",
      mount: "/mnt/my data",
      totalBytes: 50e9,
      usedBytes: 25e9,
      availableBytes: 25e9,
    },
  ]);
  assertEquals(parseDf(""), []);
  const kinds = (...types: string[]) =>
    parseDf(types.map((type) => `none ${type} 100 60 40 60% /${type}`).join("\n"))
      .map(({ fileSystem }) => fileSystem);
  assertEquals(kinds("tmpfs", "ramfs", "efivarfs", "iso9660", "fuse.sshfs", "nsfs", "autofs"), []);
  // An NTFS disk is a fuseblk, and a name that only contains one of theirs is none of them.
  assertEquals(kinds("fuseblk", "xtmpfs", "tmpfs2"), ["fuseblk", "xtmpfs", "tmpfs2"]);
  assertEquals(parseDf("/dev/a ext4 0 0 0 - /empty"), []);
  assertEquals(parseDf("x /dev/a ext4 100 60 40 60% /a"), []);
  assertEquals(parseDf("/dev/a ext4 100 60 40 60% a"), []);
  assertEquals(parseDf("/dev/a ext4 100 60 40 60% /a  ")[0]?.mount, "/a");
  assertEquals(parseDf("Dateisystem Typ 1-Blöcke Benutzt\n"), []);
});

Deno.test("parseDf() reads no disk from other output or a truncated line", () => {
  fc.assert(fc.property(fc.nat(DF.length), (length) => {
    const known = parseDf(DF).map(({ totalBytes }) => totalBytes);
    for (const disk of parseDf(DF.slice(0, length))) assert(known.includes(disk.totalBytes));
  }));
});

Deno.test("listMounts() returns null without a df, or without its output", async () => {
  assertEquals(await listMounts(() => Promise.reject(new Error("none"))), null);
  const says = (stdout: string, code: number) => () =>
    Promise.resolve({ code, stdout, stderr: "", truncated: false });
  assertEquals(await listMounts(says("", 1)), null);
  assertEquals((await listMounts(says(DF, 1)))?.length, 2);
  const asked: unknown[] = [];
  const disks = await listMounts((argv, options) => {
    asked.push(argv, options);
    return says(DF, 0)();
  });
  assertEquals(disks?.length, 2);
  assertEquals(asked, [
    ["/usr/bin/df", "--portability", "--print-type", "--block-size=1", "--local"],
    { timeoutMs: 5_000, maxOutputBytes: 1_048_576 },
  ]);
});

Deno.test("parseDf() reads 200 mounts at most, and no size that is no exact number", () => {
  const lines = (count: number) =>
    Array.from({ length: count }, (_, at) => `/dev/x ext4 100 60 40 60% /m${at}`).join("\n");
  assertEquals([200, 201].map((count) => parseDf(lines(count)).length), [200, 200]);
  assertEquals(MOST_MOUNTS, 200);
  assertEquals(parseDf("/dev/a ext4 9007199254740992 1 1 1% /").length, 0);
  assertEquals(parseDf("/dev/a ext4 9007199254740991 1 1 1% /").length, 1);
});

Deno.test("parseDf() of whatever a program prints returns whole mounts without control characters", () => {
  const line = fc.oneof(
    anyString(),
    fc.tuple(fc.string(), fc.string(), fc.nat(), fc.nat(), fc.nat(), anyString())
      .map(([device, type, total, used, free, mount]) =>
        `${device} ${type} ${total} ${used} ${free} 5% /${mount}`
      ),
  );
  fc.assert(fc.property(fc.array(line), (lines) => {
    for (const { mount, device, totalBytes } of parseDf(lines.join("\n"))) {
      assert(mount.startsWith("/") && totalBytes > 0 && device !== undefined);
      // deno-lint-ignore no-control-regex
      assert(!/[\x00-\x1f\x7f]/.test(mount + device));
    }
  }));
});

/** util-linux 2.38 on Debian 12, and the texts of 2.27 to 2.32. */
const LSBLK = JSON.stringify({
  blockdevices: [
    {
      name: "/dev/sda",
      rota: true,
      tran: "sata",
      children: [
        { name: "/dev/sda1", rota: true, tran: null },
        { name: "/dev/mapper/vg-root", rota: true, tran: null },
      ],
    },
    { name: "/dev/nvme0n1", rota: false, tran: "nvme", children: [{ name: "/dev/nvme0n1p1" }] },
    {
      name: "/dev/vda",
      rota: "0",
      children: [{ name: "/dev/vda1", rota: "0" }, { name: "/dev/mapper/vg-root", rota: "0" }],
    },
    { name: "/dev/vdb", rota: "1" },
    { name: "/dev/dm-9" },
  ],
});

Deno.test("parseLsblk() finds the kind of disk below each device", () => {
  assertEquals(Object.fromEntries(parseLsblk(LSBLK)), {
    "/dev/sda": "hdd",
    "/dev/sda1": "hdd",
    "/dev/mapper/vg-root": "unknown", // On both.
    "/dev/nvme0n1": "nvme",
    "/dev/nvme0n1p1": "nvme",
    "/dev/vda": "ssd",
    "/dev/vda1": "ssd",
    "/dev/vdb": "hdd",
    "/dev/dm-9": "unknown",
  });
});

Deno.test("parseLsblk() of a damaged text knows nothing, and never throws", () => {
  fc.assert(fc.property(fc.nat(LSBLK.length - 1), (length) => {
    assertEquals(parseLsblk(LSBLK.slice(0, length)).size, 0);
  }));
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    assertEquals(parseLsblk(JSON.stringify({ blockdevices: [value] })).size <= 1, true);
  }));
  const deep = '{"name":"a","children":['.repeat(5_000);
  assertEquals(parseLsblk(`{"blockdevices":[${deep}`).size, 0);
});

Deno.test("findDiskTypes() asks lsblk by its full path, and knows nothing without it", async () => {
  const asked: (readonly string[])[] = [];
  const says = (code: number) => (argv: readonly string[]) => {
    asked.push(argv);
    return Promise.resolve({ code, stdout: LSBLK, stderr: "", truncated: false });
  };
  assertEquals((await findDiskTypes(says(0))).size, 9);
  assertEquals((await findDiskTypes(says(1))).size, 0);
  assertEquals((await findDiskTypes(() => Promise.reject(new Error("none")))).size, 0);
  assertEquals(asked[0], ["/usr/bin/lsblk", "--json", "--paths", "--output", "NAME,ROTA,TRAN"]);
});

Deno.test("listMounts() and findDiskTypes() end when they are aborted", async () => {
  const stopped = AbortSignal.abort(new Error("stopped"));
  const run = () => Promise.reject(new Error("ended"));
  await assertRejects(() => listMounts(run, stopped), Error, "stopped");
  await assertRejects(() => findDiskTypes(run, stopped), Error, "stopped");
});

Deno.test("findMounts() names the system's own drive where there is no df", async () => {
  const system = new FakeSystem();
  const disk = { totalBytes: 100, freeBytes: 40 };
  system.machine.disk = () => disk;
  const known = { fileSystem: "", totalBytes: 100, usedBytes: 60, availableBytes: 40 };
  assertEquals(await findMounts(system), [{ ...known, device: "", mount: "/" }]);
  system.os = "windows";
  assertEquals(await findMounts(system), [{ ...known, device: "C:", mount: "C:\\" }]);
  system.machine.disk = () => null;
  assertEquals(await findMounts(system), []);
});
