import { assert, assertEquals } from "@std/assert";
import { dnfFailure, dnfWarnings, hasNoCache, isLocked } from "../../src/scanners/dnf_failure.ts";
import type { ScanErrorReason } from "../../src/scanners/scanner.ts";
import { checkJunk } from "./dnf_parser_laws.ts";
import { failed } from "./dnf_host.ts";
import { readFixture, succeeded } from "./fixture.ts";

const ROWS: readonly [string, ReturnType<typeof failed>, ScanErrorReason, string][] = [
  ["silence", failed(""), "permanent", "exit 1"],
  ["no cache (4)", failed("dnf/stderr_no_cache.txt"), "transient", "Cache-only enabled but no"],
  ["no cache (5)", failed("dnf5/stderr_no_cache.txt"), "transient", "Cache-only enabled but no"],
  ["no mirror (4)", failed("dnf/stderr_unreachable.txt"), "transient", "Failed to download"],
  ["no mirror (5)", failed("dnf5/stderr_unreachable.txt"), "transient", "All mirrors were tried"],
  ["a bad signature", failed("dnf/stderr_gpg.txt"), "permanent", 'run "dnf makecache"'],
  [
    "no signature",
    failed(
      "Error: Failed to download metadata for repo 's': GPG verification is enabled, but GPG " +
        "signature is not available. This may be an error or the repository does not support GPG " +
        "verification\n",
    ),
    "permanent",
    "GPG verification is enabled",
  ],
  [
    "a prompt",
    failed("Error: Failed to download metadata for repo 's'\n", 1, "Is this ok [y/N]: "),
    "permanent",
    'run "dnf makecache"',
  ],
  [
    "no repository",
    failed('Error: There are no enabled repositories in "/etc/yum.repos.d".\n'),
    "permanent",
    "There are no enabled repositories",
  ],
  [
    "a system without a subscription",
    failed(
      "This system is not registered with an entitlement server. You can use " +
        'subscription-manager to register.\nError: There are no enabled repositories in "/x".\n',
    ),
    "permanent",
    'run "subscription-manager register"',
  ],
  [
    "the same, said on stdout",
    failed(
      'Error: There are no enabled repositories in "/x".\n',
      1,
      "This system is not registered with an entitlement server.\n",
    ),
    "permanent",
    'run "subscription-manager register"',
  ],
  [
    "no rights",
    failed("Config error: [Errno 13] Permission denied: '/var/log/dnf.log': '/var/log/dnf.log'\n"),
    "permanent",
    "Permission denied",
  ],
  ["a broken rpm database", failed("Error: rpmdb open failed\n"), "permanent", "rpmdb open failed"],
  [
    "no entitlement",
    failed(
      "Errors during downloading metadata for repository 'r':\n  - Status code: 403 for " +
        "https://cdn.example/repomd.xml\nError: Failed to download metadata for repo 'r': Cannot " +
        "download repomd.xml: All mirrors were tried\n",
    ),
    "permanent",
    "Failed to download metadata",
  ],
  [
    "unknown arguments",
    failed('Unknown argument "--json" for command "list".\n', 2),
    "permanent",
    "this version of dnf is asked in another way",
  ],
  ["a lock (4)", failed("metadata already locked by 12\n", 200), "locked", "already locked by 12"],
  ["a lock, without a word", failed("", 200), "locked", "exit 200"],
  ["a lock, waited for", failed("Waiting for process with pid 12 to finish.\n"), "locked", "12"],
  [
    "a lock of dnf 5's",
    failed("dnf5/real_stderr_lock.txt"),
    "locked",
    "Waiting for a lock on the system repository",
  ],
  [
    "a repository's file that dnf 5 cannot read",
    failed("dnf5/real_stderr_bad_file.txt"),
    "permanent",
    'Error in configuration file "/etc/yum.repos.d/bad.repo"; Missing section header on line 1',
  ],
  [
    "a repository that dnf 5 does not reach",
    failed("dnf5/real_stderr_unreachable.txt"),
    "transient",
    'list updates: Failed to download metadata (baseurl: "http://127.0.0.1:9/x") for repository ' +
    '"dead": Usable URL not found',
  ],
  [
    "progress, and no word",
    failed(" updates   100% | 0.0 B/s | 3.5 KiB | 00m00s\n"),
    "permanent",
    ": exit 1",
  ],
  ["a signal", failed("", 137), "transient", "exit 137"],
];

for (const [name, result, reason, words] of ROWS) {
  Deno.test(`dnfFailure() knows ${name}`, () => {
    const error = dnfFailure("list updates", result);
    assertEquals(error.reason, reason);
    assert(error.message.startsWith("Cannot list updates: "), error.message);
    assert(error.message.includes(words), error.message);
  });
}

Deno.test("dnfFailure() tells a bounded part of what dnf said", () => {
  const error = dnfFailure("list", failed(`Error: ${"x".repeat(5_000)}\n`.repeat(50)));
  assert(error.message.length < 1_700, `${error.message.length}`);
});

Deno.test("dnfFailure() and dnfWarnings() keep to the laws", () => {
  const stderr = readFixture("dnf", "stderr_repository_down.txt");
  checkJunk(stderr, (text) => dnfFailure("list", failed(`${text}\n`)));
  checkJunk(stderr, (text) => dnfWarnings(succeeded(text, text)));
});

Deno.test("dnfWarnings() and hasNoCache() read what a real dnf 5.4.6 said", () => {
  const told = (name: string) => readFixture("dnf5", `real_stderr_${name}.txt`);
  assertEquals(dnfWarnings(succeeded("", told("left_out"))), [
    "Repositories that could not be read: dead",
  ]);
  for (const name of ["offered", "refresh"]) {
    assertEquals(dnfWarnings(succeeded("", told(name))), [], name);
  }
  assertEquals(hasNoCache(failed(told("no_cache"))), true);
  assertEquals(hasNoCache(failed(told("unreachable"))), false);
});

Deno.test("hasNoCache() and isLocked() need a failure", () => {
  assertEquals(hasNoCache(succeeded("", "Cache-only enabled but no cache")), false);
  assertEquals(isLocked(succeeded("", "Waiting for process with pid 12 to finish.")), false);
});

Deno.test("dnfWarnings() tells a bounded part of each name", () => {
  const long = "x".repeat(301);
  const [file, repository] = dnfWarnings(
    succeeded("", `Warning: failed loading '${long}', skipping.\nIgnoring repositories: ${long}\n`),
  );
  assertEquals(file, `A repository's file could not be read: "${"x".repeat(295)}(cut)"`);
  assertEquals(repository, `Repositories that could not be read: ${"x".repeat(295)}(cut)`);
});

Deno.test("dnfWarnings() names what was left out, whatever else is said", () => {
  assertEquals(dnfWarnings(succeeded("")), []);
  const told = (tool: string, name: string) => dnfWarnings(succeeded("", readFixture(tool, name)));
  assertEquals(told("dnf", "stderr_repository_down.txt"), [
    'A repository\'s file could not be read: "/etc/yum.repos.d/bad.repo"',
    "Repositories that could not be read: dead",
  ]);
  assertEquals(told("dnf5", "stderr_left_out.txt"), [
    "Repositories that could not be read: f43-development",
  ]);
  assertEquals(told("dnf5", "progress.txt"), []);
  // One mirror that is down takes no repository away.
  const mirror = ">>> Status code: 404 for https://mirror.example/x (IP: 192.0.2.1)\n";
  assertEquals(dnfWarnings(succeeded("", mirror)), []);
  assertEquals(dnfWarnings(succeeded("This system is not registered with an entitlement.\n")), [
    "This system is not registered: the repositories of its subscription are missing",
  ]);
});
