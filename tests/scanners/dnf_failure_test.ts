import { assert, assertEquals } from "@std/assert";
import { dnfFailure, dnfGaps, fetchFailures, isLocked } from "../../src/scanners/dnf_failure.ts";
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
    "a system whose subscription is not taken any more",
    failed(
      "Unable to read consumer identity\nErrors during downloading metadata for repository 'r':\n" +
        "  - Status code: 403 for https://cdn.example/repomd.xml\n",
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
    "Status code: 403 for https://cdn.example/repomd.xml",
  ],
  [
    "unknown arguments",
    failed('Unknown argument "--json" for command "list".\n', 2),
    "permanent",
    "this version of dnf is asked in another way",
  ],
  ["a lock (4)", failed("metadata already locked by 12\n", 200), "locked", "already locked by 12"],
  ["a lock, in small letters", failed("failed to obtain rpm lock\n"), "locked", "rpm lock"],
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

Deno.test("dnfFailure() tells the cause beside what dnf 4 calls the error, and no secret", () => {
  const { message } = dnfFailure("list", failed("dnf/stderr_unreached.txt"));
  assert(message.includes("Failed to download metadata for repo 'new'"), message);
  assert(message.includes("Status code: 401 for http://(hidden)@127.0.0.1:9/private/"), message);
  assert(!message.includes("S3cret"), message);
});

Deno.test("what reads dnf's complaints keeps to the laws", () => {
  const stderr = readFixture("dnf", "stderr_repository_down.txt");
  checkJunk(stderr, (text) => dnfFailure("list", failed(`${text}\n`)));
  checkJunk(stderr, (text) => dnfGaps(succeeded(text, text)));
  checkJunk(readFixture("dnf", "stderr_unreached.txt"), fetchFailures);
  checkJunk(readFixture("dnf5", "real_stderr_unreached.txt"), fetchFailures);
});

Deno.test("isLocked() needs a failure", () => {
  assertEquals(isLocked(succeeded("", "Waiting for process with pid 12 to finish.")), false);
});

const REFUSED = "Could not connect to server for http://(hidden)@127.0.0.1:9/";

Deno.test("fetchFailures() tells of each repository why, of dnf 4 by id, of dnf 5 by name", () => {
  const dnf4 = fetchFailures(readFixture("dnf", "stderr_unreached.txt"));
  assertEquals([...dnf4.keys()], ["meta", "new"]);
  assertEquals(
    dnf4.get("new"),
    "Status code: 401 for http://(hidden)@127.0.0.1:9/private/(hidden)/repomd.xml (IP: 127.0.0.1)",
  );
  assert(
    dnf4.get("meta")?.startsWith("Curl error (7): Couldn't connect to server for http://(hidden)"),
  );
  const dnf5 = fetchFailures(readFixture("dnf5", "real_stderr_unreached.txt"));
  assertEquals([...dnf5.keys()], ["Repo new", "Repo ml"]);
  for (const why of dnf5.values()) {
    assert(why.startsWith(`Curl error (7): ${REFUSED}`), why);
    assert(!why.includes("S3cret"), why);
  }
  assertEquals([...fetchFailures(readFixture("dnf5", "real_stderr_left_out.txt")).keys()], [
    "dead",
  ]);
  for (const name of ["offered", "refresh"]) {
    assertEquals(fetchFailures(readFixture("dnf5", `real_stderr_${name}.txt`)).size, 0, name);
  }
  const long = `Error: Failed to download metadata for repo 'x': ${"y".repeat(400)}\n`;
  assertEquals(fetchFailures(long).get("x"), `${"y".repeat(295)}(cut)`);
});

Deno.test("dnfGaps() tells what is missing besides repositories, whatever else is said", () => {
  assertEquals(dnfGaps(succeeded("")), []);
  const told = (tool: string, name: string) => dnfGaps(succeeded("", readFixture(tool, name)));
  assertEquals(told("dnf", "stderr_repository_down.txt"), [
    'A repository\'s file could not be read: "/etc/yum.repos.d/bad.repo"',
  ]);
  assertEquals(told("dnf5", "stderr_left_out.txt"), []);
  assertEquals(told("dnf5", "progress.txt"), []);
  assertEquals(dnfGaps(succeeded("This system is not registered with an entitlement.\n")), [
    "This system is not registered: the repositories of its subscription are missing",
  ]);
  const long = "x".repeat(301);
  assertEquals(dnfGaps(succeeded("", `Warning: failed loading '${long}', skipping.\n`)), [
    `A repository's file could not be read: "${"x".repeat(295)}(cut)"`,
  ]);
});

Deno.test("dnfGaps() tells of modules that do not fit", () => {
  assertEquals(dnfGaps(succeeded("", readFixture("dnf", "stderr_modular.txt"))), [
    "Modular dependency problem, packages of modules may be missing: nothing provides " +
    "module(base:1) needed by module tool:2:1:deadbeef.x86_64",
  ]);
});
