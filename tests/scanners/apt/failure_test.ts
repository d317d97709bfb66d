import { assertEquals, assertInstanceOf } from "@std/assert";
import {
  aptFailure,
  complaints,
  isLoss,
  isRefusal,
  rawComplaints,
  ReplacedListsError,
} from "../../../src/scanners/apt/failure.ts";
import type { ScanErrorReason } from "../../../src/scanners/scanner.ts";
import { readFixture } from "../fixture.ts";

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
  const reasons = [128, 129, 137].map((code) => aptFailure("scan", failed("", code)).reason);
  assertEquals(reasons, ["permanent", "transient", "transient"]);
});

Deno.test("aptFailure() knows lists that were replaced while they were read", () => {
  const stderr = "E: Could not open file /var/lib/apt/lists/x_Packages - open (2: No such file)\n";
  const error = aptFailure("scan", failed(stderr));
  assertInstanceOf(error, ReplacedListsError);
  assertEquals(error.reason, "transient");
});

Deno.test("aptFailure() quotes dpkg's own words, with what goes on in the next line", () => {
  const stderr =
    "dpkg-query: error: parsing file '/var/lib/dpkg/status' near line 3 package 'a':\n" +
    " 'Version' field value '1 2': version string has embedded spaces\nmore\n";
  assertEquals(
    aptFailure("scan", failed(stderr, 2)).message,
    "Cannot scan: parsing file '/var/lib/dpkg/status' near line 3 package 'a': " +
      "'Version' field value '1 2': version string has embedded spaces",
  );
});

Deno.test("aptFailure() tells dpkg's errors apart from each other and from what stands around them", () => {
  const stderr = " set in\ndpkg: error: one\n  goes\ton\n\tand on\nmore\n  of another\n" +
    "say dpkg: error: none\ndpkg: unrecoverable fatal error, two\ndpkg-query: fatal error: three\n";
  assertEquals(
    aptFailure("scan", failed(stderr, 2)).message,
    "Cannot scan: one goes on and on; two; three",
  );
});

Deno.test("aptFailure() quotes ten errors of dpkg's, each within bounds", () => {
  const many = Array.from({ length: 11 }, (_, n) => `dpkg: error: ${n} ${"x".repeat(400)}\n`);
  const facts = aptFailure("scan", failed(many.join(""), 2)).message.slice("Cannot scan: ".length)
    .split("; ");
  assertEquals([facts.length, facts[9]?.slice(0, 3), facts[9]?.length], [10, "9 x", 300]);
});

Deno.test("what a program floods its errors with is read within bounds", () => {
  const filler = `${"x".repeat(65_535)}\n`.repeat(16);
  const dpkg = "dpkg: error: far down\n";
  const apt = "E: far down\n";
  for (const error of [apt, dpkg]) {
    const last = aptFailure("scan", failed(filler.slice(error.length) + error));
    assertEquals(last.message, "Cannot scan: far down");
    assertEquals(aptFailure("scan", failed(filler + error)).message, "Cannot scan: exit 100");
  }
  const numbered = Array.from({ length: 1_001 }, (_, n) => `E: ${n}\n`).join("");
  assertEquals(rawComplaints(numbered, "errors").at(-1), "999");
  assertEquals(rawComplaints(numbered, "errors").length, 1_000);
});

Deno.test("isRefusal() is true of what lies at the packages, and of nothing else", () => {
  const refusals = [
    readFixture("apt", "stderr_broken.txt"),
    "E: The package tool needs to be reinstalled, but I can't find an archive for it.\n",
    "E: Packages need to be removed but remove is disabled.\n",
    "E: Sub-process false returned an error code (1)\nE: Failure running hook false\n",
    "",
  ];
  for (const stderr of refusals) assertEquals(isRefusal(failed(stderr)), true, stderr);
  assertEquals(isRefusal(failed(refusals[0] ?? "", 0)), false);
  assertEquals([128, 129, 137].map((code) => isRefusal(failed("", code))), [true, false, false]);
  const others = ["stderr_lock.txt", "stderr_sources.txt", "stderr_default_release.txt"]
    .map((name) => readFixture("apt", name));
  const replaced = "E: Unable to parse package file /var/lib/apt/lists/x_Packages (1)\n";
  for (const stderr of [...others, replaced]) {
    assertEquals(isRefusal(failed(stderr)), false, stderr);
  }
});

Deno.test("isLoss() knows warnings after which something is missing", () => {
  assertEquals(isLoss("You may want to run apt-get update to correct these problems"), true);
  assertEquals(isLoss("Unable to read /etc/apt/sources.list.d/x.list - open (13: denied)"), true);
  assertEquals(isLoss("http://x s InRelease: Key is stored in legacy trusted.gpg keyring"), false);
  assertEquals(isLoss("No sandbox user '_apt' on the system, can not drop privileges"), false);
});

Deno.test("complaints() tells errors and warnings apart, each once, in bounds", () => {
  const stderr = readFixture("apt", "stderr_refused.txt");
  assertEquals(complaints(stderr, "errors"), []);
  assertEquals(complaints(stderr, "warnings").length, 2);
  assertEquals(complaints("W: a\nW: a\nW: b is configured multiple times in x\n", "warnings"), [
    "a",
  ]);
  const said = "E:  a \nError: b\nWarning: c\nErr:7: d\nsee E: no\nEven: no\n";
  assertEquals([complaints(said, "errors"), complaints(said, "warnings")], [["a", "b", "d"], [
    "c",
  ]]);
  const many = Array.from({ length: 40 }, (_, n) => `E: ${n} ${"x".repeat(400)}\n`).join("");
  const told = complaints(many, "errors");
  assertEquals([told.length, told[0]?.length], [10, 300]);
});
