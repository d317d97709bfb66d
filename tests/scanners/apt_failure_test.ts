import { assertEquals, assertInstanceOf } from "@std/assert";
import {
  aptFailure,
  complaints,
  isBroken,
  ReplacedListsError,
} from "../../src/scanners/apt_failure.ts";
import type { ScanErrorReason } from "../../src/scanners/scanner.ts";
import { readFixture } from "./fixture.ts";

function failed(stderr: string, code = 100) {
  return { code, stdout: "", stderr, truncated: false };
}

const REASONS: readonly [string, ScanErrorReason, string][] = [
  [
    readFixture("apt", "stderr_lock.txt"),
    "locked",
    "Cannot scan: Could not get lock /var/lib/apt/lists/lock. It is held by process 23195 " +
    "(python3); Unable to lock directory /var/lib/apt/lists/",
  ],
  [
    readFixture("apt", "stderr_sources.txt"),
    "permanent",
    "Cannot scan: Malformed entry 1 in list file /srv/made/etc/apt/sources.list (Suite); " +
    "The list of sources could not be read.",
  ],
  [
    readFixture("apt", "stderr_default_release.txt"),
    "permanent",
    "Cannot scan: The value 'nosuch' is invalid for APT::Default-Release as such a release is " +
    "not available in the sources",
  ],
  ["", "permanent", "Cannot scan: exit 100"],
  ["\x1b[1mError: \x1b[0mNo\n", "permanent", "Cannot scan: No"],
];

for (const [stderr, reason, message] of REASONS) {
  Deno.test(`aptFailure() tells why: ${message.slice(0, 50)}`, () => {
    const error = aptFailure("scan", failed(stderr));
    assertEquals([error.reason, error.message], [reason, message]);
  });
}

Deno.test("aptFailure() takes an end by a signal for a passing one", () => {
  assertEquals(aptFailure("scan", failed("", 137)).reason, "transient");
});

Deno.test("aptFailure() knows lists that were replaced while they were read", () => {
  const stderr = "E: Could not open file /var/lib/apt/lists/x_Packages - open (2: No such file)\n";
  const error = aptFailure("scan", failed(stderr));
  assertInstanceOf(error, ReplacedListsError);
  assertEquals(error.reason, "transient");
});

Deno.test("isBroken() knows packages that do not fit together", () => {
  const stderr = readFixture("apt", "stderr_broken.txt");
  assertEquals(isBroken(failed(stderr)), true);
  assertEquals(isBroken({ ...failed(stderr), code: 0 }), false);
  assertEquals(isBroken(failed(readFixture("apt", "stderr_lock.txt"))), false);
});

Deno.test("complaints() tells errors and warnings apart, each once, in bounds", () => {
  const stderr = readFixture("apt", "stderr_refused.txt");
  assertEquals(complaints(stderr, "errors"), []);
  assertEquals(complaints(stderr, "warnings").length, 2);
  assertEquals(complaints("W: a\nW: a\nW: b is configured multiple times in x\n", "warnings"), [
    "a",
  ]);
  const many = Array.from({ length: 40 }, (_, n) => `E: ${n} ${"x".repeat(400)}\n`).join("");
  const told = complaints(many, "errors");
  assertEquals([told.length, told[0]?.length], [10, 300]);
});
