import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  describeRelease,
  distributionOf,
  filledLists,
  isSecurityRelease,
  marksSecurity,
  parseRelease,
  type Release,
} from "../../../src/scanners/apt/releases.ts";

const NONE: Release = {
  origin: null,
  label: null,
  suite: null,
  codename: null,
  version: null,
  dateMs: null,
  validUntilMs: null,
  isNotAutomatic: false,
};

function release(fields: Partial<Release>): Release {
  return { ...NONE, ...fields };
}

const SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\n" +
  "Label: Debian-Security\nSuite: stable-security\nVersion: 12\nCodename: bookworm-security\n" +
  "Date: Sun, 22 Nov 2026 08:00:00 UTC\nValid-Until: Sun, 29 Nov 2026 08:00:00 UTC\n" +
  "NotAutomatic: yes\nSHA256:\n aa 1 main/binary-amd64/Packages\nSuite: later\n";

Deno.test("parseRelease() reads a signed file, up to its sums", () => {
  assertEquals(parseRelease(SIGNED), {
    origin: "Debian",
    label: "Debian-Security",
    suite: "stable-security",
    codename: "bookworm-security",
    version: "12",
    dateMs: Date.UTC(2026, 10, 22, 8),
    validUntilMs: Date.UTC(2026, 10, 29, 8),
    isNotAutomatic: true,
  });
});

Deno.test("parseRelease() has null for what is missing, empty or no date, and never throws", () => {
  assertEquals(parseRelease(""), NONE);
  assertEquals(parseRelease("Suite: \nDate: tomorrow\njunk\n Label: x\n"), NONE);
  assertEquals(parseRelease("Suite: a\r\nSuite: b\r\n").suite, "a");
  assertEquals(parseRelease(`Label: ${"x".repeat(9_999)}\n`).label?.length, 300);
  assertEquals(parseRelease(`${"x\n".repeat(99_999)}Label: far down\n`), NONE);
  fc.assert(fc.property(fc.string(), (text) => void parseRelease(text)));
});

Deno.test("parseRelease() reads no field behind the sums, and takes no other line for their beginning", () => {
  for (const sums of ["MD5Sum", "SHA1", "SHA256", "SHA512"]) {
    assertEquals(parseRelease(`${sums}:\n aa 1 x\nSuite: stable\n`), NONE);
    const { suite, label } = parseRelease(`Suite: stable\n${sums}:\n aa 1 x\nLabel: Debian\n`);
    assertEquals([suite, label], ["stable", null]);
    assertEquals(parseRelease(`Description: of ${sums}: all\nSuite: stable\n`).suite, "stable");
  }
});

Deno.test("parseRelease() does not go by the case of a name, nor by the blanks around a value", () => {
  const { suite, isNotAutomatic } = parseRelease("SUITE:\t stable \t\nnotautomatic: YES \n");
  assertEquals([suite, isNotAutomatic], ["stable", true]);
  assertEquals(parseRelease("NotAutomatic: no\n").isNotAutomatic, false);
  assertEquals(parseRelease("x Suite: a\n-Suite: b\nSuite\n"), NONE, "no fields");
});

Deno.test("parseRelease() reads 64 KiB of fields, and no further", () => {
  const head = (length: number) => `${"x".repeat(length - 1)}\n`;
  const field = "Suite: a\n";
  assertEquals(parseRelease(head(65_536 - field.length) + field).suite, "a");
  assertEquals(parseRelease(head(65_536) + field).suite, null);
});

Deno.test("filledLists() tells which lists have anything in them", () => {
  const sum = "a".repeat(64);
  const text =
    `SHA256:\n ${sum} 12 main/binary-amd64/Packages\n ${sum}  0 main/binary-i386/Packages\n` +
    ` ${sum} 20 main/binary-i386/Packages.gz\n`;
  const paths = ["main/binary-amd64/Packages", "main/binary-i386/Packages", "x/Packages"];
  assertEquals([...filledLists(text, paths)], ["main/binary-amd64/Packages"]);
  const isFilled = (line: string) => filledLists(`${line}\n`, ["x/Packages"]).size === 1;
  for (const line of [` ${sum} 1 x/Packages`, ` ${sum}    16 x/Packages\r`]) {
    assertEquals(isFilled(line), true, line);
  }
  const others = [
    `${sum} 1 x/Packages`,
    `x ${sum} 1 x/Packages`,
    ` ${sum} 1 x/Packages more`,
    ` ${sum} x/Packages`,
    ` abc 1 x/Packages`,
    ` ${sum} 00 x/Packages`,
  ];
  for (const line of others) assertEquals(isFilled(line), false, line);
});

Deno.test("isSecurityRelease() goes by the distributors' marks, never by a word", () => {
  const yes = [
    release({ label: "Debian-Security", suite: "stable-security" }),
    release({ origin: "Debian", label: "A mirror of ours", suite: "stable-security" }),
    release({ origin: "Devuan", label: "Devuan", suite: "stable-security" }),
    release({ origin: "Ubuntu", suite: "noble-security" }),
    release({ origin: "UbuntuESM", suite: "noble-infra-security" }),
    release({ origin: "UbuntuESMApps", suite: "noble-apps-security" }),
  ];
  const no = [
    release({}),
    release({ origin: "Debian", label: "Debian", suite: "stable" }),
    release({ origin: "Ubuntu", suite: "noble-updates" }),
    release({ origin: "LP-PPA-security-team", label: "security", suite: "noble-security" }),
    release({ origin: "UbuntuESM", suite: "noble-infra-updates" }),
    release({ origin: "UbuntuESMApps", suite: "noble-apps-updates" }),
    ...["Debian", "Devuan", "Ubuntu", "UbuntuESM", "UbuntuESMApps"].map((origin) =>
      release({ origin })
    ),
  ];
  for (const each of yes) assertEquals(isSecurityRelease(each), true, each.suite ?? "");
  for (const each of no) assertEquals(isSecurityRelease(each), false, each.suite ?? "");
});

Deno.test("marksSecurity() of a distributor whose security release is enabled, and of nobody else", () => {
  const security = release({
    origin: "Debian",
    label: "Debian-Security",
    suite: "stable-security",
  });
  const debian = release({ origin: "Debian", label: "Debian", suite: "stable" });
  assertEquals(marksSecurity(security, []), true);
  assertEquals([marksSecurity(debian, [security]), marksSecurity(debian, [debian])], [true, false]);
  assertEquals(marksSecurity(debian, [debian, security]), true);
  assertEquals(marksSecurity(release({}), [release({ label: "Debian-Security" })]), false);
  const others = [
    release({}),
    release({ origin: "Google LLC", label: "Google", suite: "stable" }),
    release({ origin: "Proxmox", label: "Proxmox Debian Repository", suite: "stable" }),
    release({ origin: "Debian", label: "Debian Backports", suite: "stable" }),
    release({ origin: "Debian", suite: "stable-backports", codename: "bookworm" }),
    release({ origin: "Debian", suite: "stable", codename: "bookworm-backports-sloppy" }),
    release({ origin: "Ubuntu", suite: "noble-updates" }),
  ];
  for (const other of others) {
    assertEquals(marksSecurity(other, [security]), false, other.label ?? "");
  }
});

Deno.test("distributionOf() leaves out the pocket", () => {
  const rows: [string | null, string | null, string | null][] = [
    ["Debian", "bookworm-security", "Debian bookworm"],
    ["Debian", "bookworm-updates", "Debian bookworm"],
    ["Debian", "buster/updates", "Debian buster"],
    ["Debian", "trixie", "Debian trixie"],
    ["Ubuntu", "noble", "Ubuntu noble"],
    [null, "stable", null],
    ["Corp", null, null],
  ];
  for (const [origin, codename, expected] of rows) {
    assertEquals(distributionOf(release({ origin, codename })), expected);
  }
});

Deno.test("describeRelease() speaks as apt's simulation does", () => {
  assertEquals(
    describeRelease(release({ label: "Debian", suite: "oldstable", version: "12.15" })),
    "Debian:12.15/oldstable",
  );
  assertEquals(describeRelease(release({ suite: "stable", version: "24.04" })), "24.04/stable");
  assertEquals(describeRelease(release({ label: "X", suite: "stable" })), "X:stable");
  assertEquals(describeRelease(release({ label: "X" })), null);
});
