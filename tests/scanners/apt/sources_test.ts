import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  byAddress,
  describeRelease,
  distributionOf,
  filledLists,
  findSource,
  isAsked,
  isMedium,
  isSecurityRelease,
  marksSecurity,
  parseRelease,
  parseSources,
  type Release,
} from "../../../src/scanners/apt/sources.ts";
import { readFixture } from "../fixture.ts";
import { MIXED_URIS, uriLine } from "./host.ts";

Deno.test("parseSources() names every source, without its password, and its lists", () => {
  const { sources, unparsed } = parseSources(MIXED_URIS);
  assertEquals(unparsed, 0);
  assertEquals(sources.map(({ name }) => name), [
    "http://deb.example/debian s",
    "cdrom://[Debian 12 _x_ - amd64] s",
    "http://127.0.0.1:9/flat/./",
    "http://src.example/y s",
    "file:/srv/deb stable/updates",
  ]);
  assertEquals(sources.map(isAsked), [true, false, true, false, true]);
  assertEquals(sources.map(isMedium), [false, true, false, false, false]);
  assert(!JSON.stringify(sources).includes("s3cret"));
});

Deno.test("parseSources() reads those of Debian 12, and counts unparsed lines", () => {
  const { sources, unparsed } = parseSources(readFixture("apt", "debian12_sources.txt"));
  assertEquals(sources.map(({ name, lists }) => [name, lists.length]), [
    ["http://deb.debian.org/debian bookworm", 2],
    ["http://deb.debian.org/debian bookworm-updates", 2],
    ["http://deb.debian.org/debian-security bookworm-security", 2],
  ]);
  assertEquals(unparsed, 0);
  const damaged = [
    "'http://x' a b c d e",
    "'x/InRelease' ../a_InRelease 0 ",
    "'http://x/dists/s/InRelease' x_dists_s_InRelease 0 MD5Sum:00 more",
    "'http://x/dists/s/InRelease'",
  ];
  for (const text of damaged) {
    assertEquals(parseSources(`${text}\n`), { sources: [], unparsed: 1 }, text);
  }
  assertEquals(parseSources("Reading package lists...\n\n").unparsed, 0, "no source at all");
  fc.assert(fc.property(fc.string(), (text) => void parseSources(text)));
});

Deno.test("parseSources() knows the kind of a file by its suffix, and its source by its prefix", () => {
  const site = "http://x.example/Release-2";
  const text = uriLine(`${site}/dists/s/InRelease`, "x.example_Release-2_dists_s_InRelease") +
    uriLine(`${site}/dists/s/main/InRelease`, "x.example_Release-2_dists_s_main_InRelease") +
    uriLine(`${site}/dists/s/Release`, "x.example_Release-2_dists_s_Release") +
    uriLine(`${site}/a.xz`, "x.example_Release-2_dists_s_main_binary-amd64_Packages") +
    uriLine(`${site}/b.xz`, "x.example_Release-2_dists_s_x_binary-amd64_Packages") +
    uriLine(`${site}/c.xz`, "x.example_Release-2_dists_s_x_i18n_Packages-en") +
    uriLine(`${site}/d.xz`, "of.nobody_Packages");
  assertEquals(parseSources(text).sources.map(({ name, lists }) => [name, lists]), [
    [`${site} s`, ["x.example_Release-2_dists_s_x_binary-amd64_Packages"]],
    [`${site} s/main`, ["x.example_Release-2_dists_s_main_binary-amd64_Packages"]],
  ]);
});

Deno.test("parseSources() omits the user part before the host, as apt does", () => {
  const nameOf = (uri: string) =>
    parseSources(uriLine(`${uri}/dists/s/InRelease`, "x_InRelease")).sources[0]?.name;
  assertEquals(nameOf("https://me:pw@deb.example/debian"), "https://deb.example/debian s");
  assertEquals(nameOf("mirror+http://me@deb.example/debian"), "mirror+http://deb.example/debian s");
  const cache = "http://cache.example/http://a@deb.example/debian";
  assertEquals(nameOf(cache), `${cache} s`, "the name that apt has for it");
});

Deno.test("findSource() finds a source by apt's words for it", () => {
  const sources = byAddress(parseSources(MIXED_URIS).sources);
  const rows: [site: string, rest: string, name: string | undefined][] = [
    ["http://deb.example/debian", "s", "http://deb.example/debian s"],
    ["http://deb.example/debian", "s/main", "http://deb.example/debian s"],
    ["http://deb.example/debian", "s/non-free/x", "http://deb.example/debian s"],
    ["http://127.0.0.1:9/flat", "./", "http://127.0.0.1:9/flat/./"],
    ["file:/srv/deb", "stable/updates/main", "file:/srv/deb stable/updates"],
    ["file:/srv/deb", "stable/other", undefined],
    ["http://deb.example/debian", "sx", undefined],
    ["http://deb.example/debian", "sx/main", undefined],
    ["http://127.0.0.1:9/flat/", "./", "http://127.0.0.1:9/flat/./"],
    ["http://deb.example/debian/", "s", "http://deb.example/debian s"],
    ["http://other.example/debian", "s", undefined],
  ];
  for (const [site, rest, name] of rows) assertEquals(findSource(sources, site, rest)?.name, name);
});

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

Deno.test("parseRelease() has null for missing or empty fields and invalid dates, and never throws", () => {
  assertEquals(parseRelease(""), NONE);
  assertEquals(parseRelease("Suite: \nDate: tomorrow\njunk\n Label: x\n"), NONE);
  assertEquals(parseRelease("Suite: a\r\nSuite: b\r\n").suite, "a");
  assertEquals(parseRelease(`Label: ${"x".repeat(9_999)}\n`).label?.length, 300);
  assertEquals(parseRelease(`${"x\n".repeat(99_999)}Label: far down\n`), NONE);
  fc.assert(fc.property(fc.string(), (text) => void parseRelease(text)));
});

Deno.test("parseRelease() reads no field after the checksums, and mistakes no other line for their start", () => {
  for (const sums of ["MD5Sum", "SHA1", "SHA256", "SHA512"]) {
    assertEquals(parseRelease(`${sums}:\n aa 1 x\nSuite: stable\n`), NONE);
    const { suite, label } = parseRelease(`Suite: stable\n${sums}:\n aa 1 x\nLabel: Debian\n`);
    assertEquals([suite, label], ["stable", null]);
    assertEquals(parseRelease(`Description: of ${sums}: all\nSuite: stable\n`).suite, "stable");
  }
});

Deno.test("parseRelease() ignores the case of a name and the blanks around a value", () => {
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

Deno.test("filledLists() returns the lists that are not empty", () => {
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

Deno.test("isSecurityRelease() follows the distributors' marks, never a word in a name", () => {
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

Deno.test("marksSecurity() is true only if the distributor's security release is enabled", () => {
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

Deno.test("distributionOf() omits the pocket", () => {
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

Deno.test("describeRelease() uses the format of apt's simulation", () => {
  assertEquals(
    describeRelease(release({ label: "Debian", suite: "oldstable", version: "12.15" })),
    "Debian:12.15/oldstable",
  );
  assertEquals(describeRelease(release({ suite: "stable", version: "24.04" })), "24.04/stable");
  assertEquals(describeRelease(release({ label: "X", suite: "stable" })), "X:stable");
  assertEquals(describeRelease(release({ label: "X" })), null);
});
