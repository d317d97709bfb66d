import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { listDisks, parseDf, parseOsRelease, readOsRelease } from "../../src/host/linux.ts";
import { FakeFiles } from "../fakes/files.ts";

const DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nID=debian\n';

Deno.test("parseOsRelease() reads assignments as os-release(5) writes them", () => {
  const text = `# comment\n${DEBIAN}QUOTED='a "b"'\nESCAPED="a \\"b\\" \\$c"\njunk\n=x\nEMPTY=\n`;
  assertEquals(Object.fromEntries(parseOsRelease(text)), {
    PRETTY_NAME: "Debian GNU/Linux 12 (bookworm)",
    NAME: "Debian GNU/Linux",
    ID: "debian",
    QUOTED: 'a "b"',
    ESCAPED: 'a "b" $c',
    EMPTY: "",
  });
});

Deno.test("parseOsRelease() takes off quotes that match, and no others", () => {
  const rows: [written: string, value: string][] = [
    ['""', ""],
    ["''", ""],
    ['"', '"'],
    ["'", "'"],
    [`"a'`, `"a'`],
    [`'a"`, `'a"`],
    ["'a\\$b'", "a\\$b"], // In single quotes a backslash is one.
    ["a\\$b", "a$b"],
    ['a"', 'a"'],
  ];
  for (const [written, value] of rows) {
    assertEquals(parseOsRelease(`A1_B=${written}\r\n`).get("A1_B"), value, written);
  }
  assertEquals([...parseOsRelease("a=1\n1A=1\n A=1\nxA=1\nA B=1\n")], [["A", "1"]]);
});

Deno.test("parseOsRelease() throws at nothing", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    assert(parseOsRelease(text) instanceof Map);
  }));
});

Deno.test("readOsRelease() takes the first file that can be read", async () => {
  const files = new FakeFiles();
  assertEquals(await readOsRelease(files), undefined);
  files.texts.set("/usr/lib/os-release", "NAME=Alpine\nVERSION_ID=3.20\n");
  assertEquals(await readOsRelease(files), "Alpine 3.20");
  files.texts.set("/etc/os-release", DEBIAN);
  assertEquals(await readOsRelease(files), "Debian GNU/Linux 12 (bookworm)");
  files.texts.set("/etc/os-release", "NAME=Arch\n");
  assertEquals(await readOsRelease(files), "Arch");
  files.texts.set("/etc/os-release", "VERSION_ID=3\n");
  assertEquals(await readOsRelease(files), undefined);
  files.fail("read os-release", "denied");
  assertEquals(await readOsRelease(files), undefined);
});

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
    { mount: "/", fileSystem: "ext4", totalBytes: 100e9, usedBytes: 60e9 },
    { mount: "/mnt/my data", fileSystem: "ext4", totalBytes: 50e9, usedBytes: 25e9 },
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

Deno.test("parseDf() reads no disk out of chatter or a cut line", () => {
  fc.assert(fc.property(fc.nat(DF.length), (length) => {
    const known = parseDf(DF).map(({ totalBytes }) => totalBytes);
    for (const disk of parseDf(DF.slice(0, length))) assert(known.includes(disk.totalBytes));
  }));
});

Deno.test("listDisks() does without a df that is absent or says nothing", async () => {
  assertEquals(await listDisks(() => Promise.reject(new Error("none")), 1), null);
  const says = (stdout: string, code: number) => () =>
    Promise.resolve({ code, stdout, stderr: "", truncated: false });
  assertEquals(await listDisks(says("", 1), 1), null);
  assertEquals((await listDisks(says(DF, 1), 1))?.length, 2);
  const asked: unknown[] = [];
  const disks = await listDisks((argv, options) => {
    asked.push(argv, options);
    return says(DF, 0)();
  }, 7);
  assertEquals(disks?.length, 2);
  assertEquals(asked, [
    ["/usr/bin/df", "--portability", "--print-type", "--block-size=1", "--local"],
    { timeoutMs: 7 },
  ]);
});
