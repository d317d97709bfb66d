import { assert, assertEquals, assertRejects } from "@std/assert";
import { dnfScanner } from "../../../src/scanners/dnf.ts";
import {
  DnfCommands,
  dnfFailure,
  dnfGaps,
  fetchFailures,
  isLocked,
  mentionsLock,
} from "../../../src/scanners/dnf/commands.ts";
import { runScan } from "../../../src/scanners/run_scans.ts";
import { DnfHost, failed } from "./host.ts";
import { readFixture, succeeded } from "../fixture.ts";
import type { ScanErrorReason } from "../../../src/scanners/scanner.ts";
import { checkJunk } from "./parser_laws.ts";

const LOCKED = failed("Error: metadata already locked by 4242\n", 200);

/** Advances the clock until the scan has ended. */
async function finish<T>(host: DnfHost, work: Promise<T>): Promise<T> {
  let isDone = false;
  const end = work.finally(() => isDone = true);
  end.catch(() => {});
  while (!isDone) {
    await host.clock.advance(1_000);
    await Promise.resolve();
  }
  return await end;
}

Deno.test("run() retries for a minute while another dnf holds the lock", async () => {
  const host = new DnfHost();
  host.answers = { offered: [LOCKED, LOCKED, succeeded("there\n")] };
  const commands = new DnfCommands(host, undefined);
  const argv = ["/usr/bin/dnf", "-C", "repoquery"];
  const beganMs = host.clock.monotonicMs();
  assertEquals((await finish(host, commands.run("list", argv))).stdout, "there\n");
  assertEquals(host.asked.length, 3);
  assertEquals(host.clock.monotonicMs() - beganMs <= 15_000, true);
});

Deno.test("run() gives up on the lock; the scan fails as 'locked'", async () => {
  const host = new DnfHost();
  host.answers = { offered: LOCKED };
  const report = await finish(host, runScan(host, dnfScanner(), {}));
  assertEquals(report.error?.reason, "locked");
  assertEquals(report.durationMs >= 60_000 && report.durationMs < 70_000, true);
  // Every five seconds, for the last time after a minute.
  assertEquals(host.questions.filter((question) => question === "offered").length, 13);
});

Deno.test("run() stops waiting when the signal is aborted", async () => {
  const host = new DnfHost();
  host.answers = { offered: LOCKED };
  const stop = new AbortController();
  const commands = new DnfCommands(host, stop.signal);
  const waiting = commands.run("list", ["/usr/bin/dnf", "-C", "repoquery"]);
  while (host.clock.sleeping === 0) await Promise.resolve();
  stop.abort(new Error("stopped"));
  await assertRejects(() => waiting, Error, "stopped");
});

Deno.test("run() waits for the lock for a minute in total over all commands", async () => {
  const host = new DnfHost();
  host.answers = { offered: LOCKED };
  const commands = new DnfCommands(host, undefined);
  const ask = () => finish(host, commands.run("list", ["/usr/bin/dnf", "-C", "repoquery"]));
  assertEquals((await ask()).code, 200);
  const asked = host.asked.length;
  assertEquals((await ask()).code, 200);
  assertEquals(host.asked.length, asked + 1);
});

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
    "the same, on stdout",
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
    "install a newer Pennon, this version of dnf expects other arguments",
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
  [
    "no repository at all (5)",
    failed("Loading.\nNo matching repositories for *, as in --setopt\n"),
    "permanent",
    "there are no enabled repositories",
  ],
  [
    "a system without a subscription, in other words",
    failed(
      "This system is not registered with an entitlement server.\n",
      1,
      "no repositories available",
    ),
    "permanent",
    'run "subscription-manager register"',
  ],
  [
    "a signature, at the beginning of a sentence",
    failed("Error: Signature verification error\n"),
    "permanent",
    'run "dnf makecache"',
  ],
  ["a signal", failed("", 137), "transient", "exit 137"],
  ["the least of all signals", failed("", 129), "transient", "exit 129"],
  ["what is no signal yet", failed("", 128), "permanent", "exit 128"],
];

for (const [name, result, reason, words] of ROWS) {
  Deno.test(`dnfFailure() recognises ${name}`, () => {
    const error = dnfFailure("list updates", result);
    assertEquals(error.reason, reason);
    assert(error.message.startsWith("Cannot list updates: "), error.message);
    assert(error.message.includes(words), error.message);
  });
}

Deno.test("dnfFailure() limits the quoted messages", () => {
  const error = dnfFailure("list", failed(`Error: ${"x".repeat(5_000)}\n`.repeat(50)));
  assert(error.message.length < 1_700, `${error.message.length}`);
});

Deno.test("dnfFailure() quotes the cause beside dnf 4's error, without secrets", () => {
  const { message } = dnfFailure("list", failed("dnf/stderr_unreached.txt"));
  assert(message.includes("Failed to download metadata for repo 'new'"), message);
  assert(message.includes("Status code: 401 for http://(hidden)@127.0.0.1:9/private/"), message);
  assert(!message.includes("S3cret"), message);
});

Deno.test("parsers of dnf's messages obey the laws of parsers", () => {
  const stderr = readFixture("dnf", "stderr_repository_down.txt");
  checkJunk(stderr, (text) => dnfFailure("list", failed(`${text}\n`)));
  checkJunk(stderr, (text) => dnfGaps(succeeded(text, text)));
  checkJunk(readFixture("dnf", "stderr_unreached.txt"), fetchFailures);
  checkJunk(readFixture("dnf5", "real_stderr_unreached.txt"), fetchFailures);
});

Deno.test("isLocked() requires a failure", () => {
  assertEquals(isLocked(succeeded("", "Waiting for process with pid 12 to finish.")), false);
});

/** Dnf's output, and the complete message. */
const WHOLE: readonly [string, ReturnType<typeof failed>, string][] = [
  [
    "all of a configuration's error",
    failed("Config error: no rights\n"),
    "Config error: no rights",
  ],
  ["an error without its mark", failed("Error: no rights\n"), "no rights"],
  ["an error, and no hint below it", failed("Error: it failed\nSee the log.\n"), "it failed"],
  [
    "an error, and no line that only speaks of one",
    failed("plugin error: x\nError: it failed\n"),
    "it failed",
  ],
  ["the last line where none is an error", failed("plugin error: x\nrpm died\n"), "rpm died"],
  ["the last line, above empty ones", failed("rpm died\n\n  \n"), "rpm died"],
  ["nothing of empty lines", failed("\n \n"), "exit 1"],
  ["lines that are all set in", failed("  one\n  two\n"), "one; two"],
  [
    "the cause, once if the error contains it",
    failed(
      "  - Status code: 503 for http://x.example/ \n  - Curl error (7): refused\nnote:  - nothing\n" +
        "Error: Failed to download metadata for repo 'x': Curl error (7): refused\n",
    ),
    "Failed to download metadata for repo 'x': Curl error (7): refused; " +
    "Status code: 503 for http://x.example/",
  ],
  [
    "no more than five complaints",
    failed([..."abcdef"].map((one) => `Error: ${one}\n`).join("")),
    "a; b; c; d; e",
  ],
  [
    "no advice to register where it is something else that failed",
    failed("This system is not registered with an entitlement server.\nError: rpmdb open failed\n"),
    "rpmdb open failed",
  ],
  [
    "no advice to register to a system that is not asked to",
    failed("Error: There are no enabled repositories\n"),
    "There are no enabled repositories",
  ],
  [
    "no lack of repositories where that is only quoted",
    failed("Error: said No matching repositories for *\n"),
    "said No matching repositories for *",
  ],
];

for (const [name, result, expected] of WHOLE) {
  Deno.test(`dnfFailure() quotes ${name}`, () => {
    assertEquals(dnfFailure("list", result).message, `Cannot list: ${expected}`);
  });
}

Deno.test("dnfFailure() quotes at most five facts", () => {
  const facts = [..."abcdef"];
  const { message } = dnfFailure("list", failed("Error: x\n"), facts);
  assertEquals(message, "Cannot list: a; b; c; d; e");
});

Deno.test("mentionsLock() searches the last 1,000,000 characters, from the start of a line", () => {
  const lock = "already locked by 12\n";
  const filled = (length: number) => lock + "x".repeat(length - lock.length);
  assertEquals(mentionsLock(filled(1_000_000)), true);
  assertEquals(mentionsLock(filled(1_000_001)), false);
  // If the cut falls between two lines, the second one is complete.
  assertEquals(mentionsLock(`x\n${lock}${"x".repeat(999_999 - lock.length)}`), true);
  const half = (text: string) => `${"x".repeat(1_000_000)}${text}${"\n".repeat(500_000)}`;
  assertEquals(mentionsLock(half(lock)), false);
  assertEquals(mentionsLock(half(`\n${lock}`)), true);
  assertEquals(mentionsLock(`${"x".repeat(1_000_000)}${lock.trim()}`), false);
});

const REFUSED = "Could not connect to server for http://(hidden)@127.0.0.1:9/";

Deno.test("fetchFailures() returns a cause per repository: by id for dnf 4, by name for dnf 5", () => {
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

Deno.test("dnfGaps() finds gaps among other messages", () => {
  assertEquals(dnfGaps(succeeded("")), []);
  const gapsIn = (tool: string, name: string) => dnfGaps(succeeded("", readFixture(tool, name)));
  assertEquals(gapsIn("dnf", "stderr_repository_down.txt"), [
    'A repository\'s file could not be read: "/etc/yum.repos.d/bad.repo"',
  ]);
  assertEquals(gapsIn("dnf5", "stderr_left_out.txt"), []);
  assertEquals(gapsIn("dnf5", "progress.txt"), []);
  assertEquals(dnfGaps(succeeded("This system is not registered with an entitlement.\n")), [
    "This system is not registered: the repositories of its subscription are missing",
  ]);
  const long = "x".repeat(301);
  assertEquals(dnfGaps(succeeded("", `Warning: failed loading '${long}', skipping.\n`)), [
    `A repository's file could not be read: "${"x".repeat(295)}(cut)"`,
  ]);
});

Deno.test("dnfGaps() describes modular dependency problems", () => {
  assertEquals(dnfGaps(succeeded("", readFixture("dnf", "stderr_modular.txt"))), [
    "Modular dependency problem, packages of modules may be missing: nothing provides " +
    "module(base:1) needed by module tool:2:1:deadbeef.x86_64",
  ]);
});

/** Why the repository could not be fetched. */
function why(...lines: string[]): string | undefined {
  const all = [...fetchFailures(lines.map((line) => `${line}\n`).join(""))];
  assertEquals(all.length <= 1, true);
  return all[0]?.[1];
}

Deno.test("fetchFailures() returns the first specific cause", () => {
  const progress = " The updates   ???% |   0.0   B/s |  -1.0   B |  ?     ";
  const usable = ">>> Usable URL not found";
  const begun = "Errors during downloading metadata for repository 'x':";
  const failed = "Error: Failed to download metadata for repo 'x': all were tried";
  const rows: [string[], string | undefined][] = [
    [[progress, ">>> Status code: 503", usable], "Status code: 503"],
    [[progress, usable, ">>> Status code: 503"], "Status code: 503"],
    [[progress, usable], "Usable URL not found"],
    [[begun, "  - Status code: 503", "  - Status code: 404", failed], "Status code: 503"],
    [[begun, failed], "all were tried"],
    [[begun, "  - Usable URL not found", failed], "all were tried"],
    [["Error: Failed to download metadata for repo 'x': "], "dnf does not say why"],
    [["Warning: Loading repository 'x' has failed"], "has failed"],
    // Dnf appends the URL to the message.
    [
      [progress, ">>> Status code: 404 for http://a.example/ - http://a.example/"],
      "Status code: 404 for http://a.example/",
    ],
    [
      [progress, ">>> Status code: 404 - http://a.example/ (IP: ::1)"],
      "Status code: 404 - http://a.example/ (IP: ::1)",
    ],
  ];
  for (const [lines, expected] of rows) assertEquals(why(...lines), expected, lines.join("\n"));
});

Deno.test("fetchFailures() ignores quoted failures and failures without a repository", () => {
  const lines = [
    "Errors during downloading metadata for repository 'x':",
    "Error: Failed to download metadata for repo 'x': y",
    " The updates   ???% |   0.0   B/s |  -1.0   B |  ?     ",
    ">>> Status code: 503",
    "  - Status code: 503",
  ];
  for (const line of lines.slice(3)) assertEquals(why(line), undefined, line);
  for (const quoted of lines.filter((_, index) => index !== 2)) {
    const cause = why("note: " + quoted, ...lines.slice(3).filter((line) => line !== quoted));
    assertEquals(cause, undefined, quoted);
  }
  const progress = lines[2] ?? "";
  for (const quoted of lines.slice(3)) assertEquals(why(progress, `note: ${quoted}`), undefined);
  // A line with a deeper indentation is not the progress of a repository.
  assertEquals(why(`  ${progress}`, ">>> Status code: 503"), undefined);
});

Deno.test("fetchFailures() ignores the local repository of a plugin", () => {
  const text = "Errors during downloading metadata for repository '_dnf_local':\n" +
    "  - Curl error (37): x\nError: Failed to download metadata for repo '_dnf_local': y\n";
  assertEquals(fetchFailures(text).size, 0);
});

Deno.test("fetchFailures() returns at most 500 repositories", () => {
  const lines = (count: number, line: (id: string) => string) =>
    Array.from({ length: count }, (_, n) => line(`r${n}`)).join("");
  const facts = (id: string) => `Error: Failed to download metadata for repo '${id}': y\n`;
  const causes = (id: string) =>
    `Errors during downloading metadata for repository '${id}':\n  - Status code: 503\n`;
  for (const line of [facts, causes]) {
    assertEquals([500, 501].map((count) => fetchFailures(lines(count, line)).size), [500, 500]);
  }
});

Deno.test("dnfGaps() parses the first 4,000 characters of a line, and only whole sentences", () => {
  const gaps = (line: string) => dnfGaps(succeeded("", `${line}\n`)).length;
  const [start, end] = ["Warning: failed loading '", "', skipping."];
  const long = (length: number) => start + "x".repeat(length - start.length - end.length) + end;
  assertEquals([gaps(long(4_000)), gaps(long(4_001))], [1, 0]);
  const sentences = [`${start}x${end}`, "Modular dependency problems:"];
  for (const sentence of [...sentences, "This system is not registered with an entitlement."]) {
    assertEquals([gaps(sentence), gaps(`note: ${sentence}`)], [1, 0], sentence);
  }
  assertEquals(gaps(`${start}x${end} And so on`), 0);
  // Each once.
  assertEquals(gaps(`${start}x${end}\n${start}x${end}`), 1);
});

Deno.test("dnfGaps() names two modular problems, and no line below them", () => {
  const problems = (...lines: string[]) => {
    const text = ["Modular dependency problems:", ...lines, ""].join("\n");
    const [gap = ""] = dnfGaps(succeeded("", text));
    return gap.split("may be missing: ")[1];
  };
  const conflict = " Problem: conflicting requests";
  assertEquals(problems("", conflict, "  - a", "  - b", "  - c"), "a; b");
  assertEquals(problems("", " Problem 1: x", " Problem 12: y"), "x; y");
  // Without another problem, this one is named.
  assertEquals(problems("", conflict), "conflicting requests");
  assertEquals(problems("", "  - a", "Other words", "  - b"), "a");
  assertEquals(problems("Other words", "  - b"), "");
  assertEquals(problems("", " and so on - or not", " no Problem: none", "  - a - b"), "a - b");
});
