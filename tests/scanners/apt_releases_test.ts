import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  describeRelease,
  isSecurityRelease,
  parseReleases,
  type Release,
} from "../../src/scanners/apt_releases.ts";
import { readFixture } from "./fixture.ts";

function release(fields: Partial<Release>): Release {
  return { origin: null, label: null, suite: null, version: null, ...fields };
}

Deno.test("parseReleases() reads releases with fields missing and commas in labels", () => {
  const { files, unparsed } = parseReleases(readFixture("apt", "ubuntu_releases.txt"));
  assertEquals(unparsed, 0);
  assertEquals(Object.fromEntries(files), {
    "/var/lib/dpkg/status": release({ suite: "now" }),
    "http://mirror.example.org/debian-security bookworm-security/main amd64 Packages": {
      origin: "Debian",
      label: "Debian-Security",
      suite: "oldstable-security",
      version: "12",
    },
    "http://mirror.example.org/debian bookworm/main amd64 Packages": {
      origin: "Debian",
      label: "Debian",
      suite: "oldstable",
      version: "12.15",
    },
    "http://corp.example/apt stable/main amd64 Packages": release({
      suite: "stable",
      version: "24.04",
    }),
    "http://ppa.example noble/main amd64 Packages": {
      origin: "LP-PPA-some-team",
      label: "Some Team (stable, nightly) PPA",
      suite: "noble",
      version: "24.04",
    },
  });
});

Deno.test("parseReleases() stops at the pins, and takes priorities of any width", () => {
  const { files, unparsed } = parseReleases(readFixture("apt", "made_releases.txt"));
  assertEquals([files.size, unparsed], [14, 0]);
});

Deno.test("parseReleases() counts what it does not understand, and never throws", () => {
  assertEquals(parseReleases("junk\n").unparsed, 1);
  fc.assert(fc.property(fc.string(), (text) => void parseReleases(text)));
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
  ];
  assert(yes.every(isSecurityRelease));
  assert(!no.some(isSecurityRelease));
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
