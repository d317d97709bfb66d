import { assertEquals } from "@std/assert";
import { isDnfChatter } from "../../../src/scanners/dnf/chatter.ts";
import { readFixture } from "../fixture.ts";

Deno.test("isDnfChatter() knows what plugins and progress say", () => {
  for (
    const line of [
      "",
      "   ",
      "Updating Subscription Management repositories.",
      "Unable to read consumer identity",
      "This system is not registered with an entitlement server. You can use rhc.",
      "Loaded plugins: builddep",
      "Last metadata expiration check: 0:42:20 ago on Mon 05 Jan 2026 11:52:38 AM CET.",
      "Updates                                         1.1 MB/s | 2.9 kB     00:00    ",
      "Vendor                                          448 kB/s | 931  B     00:00    ",
      "Dead                                            0.0  B/s |   0  B     00:00    ",
      ...readFixture("dnf5", "progress.txt").trimEnd().split("\n"),
      " test                                   ???% |   0.0   B/s |   0.0   B |  00m00s",
      "Security: kernel-core-5.14.0-1.el9.x86_64 is an installed security update",
    ]
  ) assertEquals(isDnfChatter(line), true, line);
});

Deno.test("isDnfChatter() takes no answer for chatter", () => {
  const answers = ["offered.txt", "installed.txt", "advisories.txt", "advisories_german.txt"]
    .flatMap((name) => readFixture("dnf", name).trimEnd().split("\n"));
  for (const line of [...answers, "junk", "Fehler: x", `${" ".repeat(500)}`]) {
    assertEquals(isDnfChatter(line), false, line);
  }
});

Deno.test("isDnfChatter() takes no row of fields for progress, whatever its summary says", () => {
  const row = ["a", "0", "1", "2", "noarch", "updates", "7", "a-1-2.src.rpm"].join("\t");
  for (
    const progress of ["updates 100% | 36.6 KiB/s |", "updates ???% | ", "a 1.1 MB/s | 2.9 kB"]
  ) {
    assertEquals(isDnfChatter(progress), true, progress);
    assertEquals(isDnfChatter(`${row}\t${progress}`), false, progress);
  }
});

Deno.test("isDnfChatter() takes no line for chatter that only holds or begins with such words", () => {
  const beginnings = [
    "Updating Subscription Management repositories.",
    "Unable to read consumer identity",
    "This system is not registered with an entitlement server.",
    "This system is registered with an entitlement server.",
    "Not root, Subscription Management repositories not updated",
    "Loaded plugins: builddep",
    "Last metadata expiration check: 0:42:20 ago on Mon 05 Jan 2026 11:52:38 AM CET.",
  ];
  const sentences = [
    "Updating and loading repositories:",
    "Repositories loaded.",
    "Security: kernel-core-5.14.0-1.el9.x86_64 is an installed security update",
    "Security: kernel-core-5.14.0-1.el9.x86_64 is the currently running version",
    "No security updates needed, but 4 updates available",
    "No security updates needed, but 1 update(s) available",
  ];
  for (const line of [...beginnings, ...sentences]) {
    assertEquals(isDnfChatter(line), true, line);
    // As the summary of a package.
    assertEquals(isDnfChatter(`a\t0\t1\t2\tnoarch\tupdates\t7\t\t${line}`), false, line);
  }
  for (const line of sentences) assertEquals(isDnfChatter(`${line} 1-1 r`), false, line);
});

Deno.test("isDnfChatter() takes no line of more than 400 characters for chatter", () => {
  assertEquals([400, 401].map((length) => isDnfChatter(" ".repeat(length))), [true, false]);
});
