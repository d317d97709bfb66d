import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  AptCommands,
  aptFailure,
  type AptOptions,
  type AskOptions,
  isGapWarning,
  isRefusal,
  quotedMessages,
  rawMessages,
  ReplacedListsError,
} from "../../../src/scanners/apt/commands.ts";
import { ScanError, type ScanErrorReason } from "../../../src/scanners/scanner.ts";
import { CommandError, type RunOptions, type RunResult } from "../../../src/system/process.ts";
import { FakeSystem } from "../../fakes/system.ts";
import { readFixture } from "../fixture.ts";

const well: RunResult = { code: 0, stdout: "output\n", stderr: "", truncated: false };

function setUp(
  { answer = well, options = {}, asking = {} }: {
    answer?: RunResult;
    options?: AptOptions;
    asking?: AskOptions;
  } = {},
) {
  const system = new FakeSystem();
  const asked: { argv: readonly string[]; options: RunOptions }[] = [];
  system.runCommand = (argv, options) => {
    asked.push({ argv, options });
    return Promise.resolve(answer);
  };
  return { system, asked, commands: new AptCommands(system, options, asking) };
}

Deno.test("AptCommands runs programs by their absolute paths, a minute each at most", async () => {
  const { asked, commands } = setUp({ asking: { settings: ["-o", "a=b"] } });
  await commands.queryInstalled();
  await commands.listSources();
  await commands.decideUpgrade();
  await commands.queryUntrusted();
  await commands.queryPolicies(["curl"]);
  await commands.showPackages(["curl=1"]);
  await commands.readChangelogs(["/a.gz"]);
  await commands.copy(["/a", "/b"], "/own/");
  const set = ["-o", "a=b"];
  assertEquals(
    asked.map(({ argv }) => argv.filter((word) => !word.includes("\t") && !word.includes("${"))),
    [
      ["/usr/bin/dpkg-query", "-W", "-f"],
      ["/usr/bin/apt-get", ...set, "-q=1", "--print-uris", "update"],
      [
        "/usr/bin/apt-get",
        ...set,
        "-q=1",
        "--print-uris",
        "-V",
        "-o",
        "APT::Get::Assume-Yes=false",
        "-o",
        "APT::Get::Remove=true",
        "-o",
        "APT::Get::Show-Upgraded=true",
        "-o",
        "APT::Get::Show-Versions=true",
        "-o",
        "APT::Get::Download=true",
        "-o",
        "APT::Get::Download-Only=false",
        "-o",
        "APT::Output-Version=0",
        "-o",
        "APT::Get::List-Columns=false",
        "dist-upgrade",
      ],
      [
        "/usr/bin/apt-get",
        ...set,
        "indextargets",
        "--format",
        "$(DESCRIPTION)",
        "Created-By: Packages",
        "Trusted: no",
      ],
      ["/usr/bin/apt-cache", ...set, "policy", "curl"],
      ["/usr/bin/apt-cache", ...set, "show", "--no-all-versions", "curl=1"],
      ["/usr/bin/gzip", "-dc", "--", "/a.gz"],
      ["/usr/bin/cp", "--preserve=timestamps", "--dereference", "--", "/a", "/b", "/own/"],
    ],
  );
  assert(asked.every(({ options }) => options.timeoutMs === 60_000));
});

Deno.test("AptCommands uses the paths in its options, else the host's own", async () => {
  const host = setUp();
  await host.commands.queryInstalled();
  assert(!host.asked[0]?.argv.some((word) => word.startsWith("--admindir")));
  assertEquals(Object.keys(host.asked[0]?.options ?? {}), ["timeoutMs"]);
  const other = setUp({ options: { dpkgDirectory: "/dpkg", aptConfigFile: "/apt.conf" } });
  await other.commands.queryInstalled();
  assertEquals(other.asked[0]?.argv[1], "--admindir=/dpkg");
  assertEquals(other.asked[0]?.options.environment, { APT_CONFIG: "/apt.conf" });
});

Deno.test("AptCommands passes the signal on, and has a longer limit for mirrors than for questions", async () => {
  const { signal } = new AbortController();
  const { asked, commands } = setUp({ asking: { signal } });
  await commands.update();
  assertEquals(asked.map(({ argv }) => argv), [[
    "/usr/bin/apt-get",
    "-q=1",
    "-o",
    "APT::Update::Error-Mode=any",
    "-o",
    "Acquire::Retries::Delay=false",
    "update",
  ]]);
  assertEquals([asked[0]?.options.timeoutMs, asked[0]?.options.signal], [300_000, signal]);
});

Deno.test("AptCommands returns what the programs print", async () => {
  const { commands } = setUp();
  assertEquals(await commands.queryInstalled(), "output\n");
  assertEquals(await commands.decideUpgrade(), "output\n");
  assertEquals(await commands.readChangelogs(["/a.gz"]), "output\n");
});

Deno.test("AptCommands runs nothing for an empty list", async () => {
  const { asked, commands } = setUp();
  assertEquals(await commands.queryPolicies([]), "");
  assertEquals(await commands.showPackages([]), "");
  assertEquals(await commands.readChangelogs([]), "");
  assertEquals(asked, []);
});

Deno.test("AptCommands joins the output for a long list, batch by batch", async () => {
  const { asked, commands } = setUp();
  const names = Array.from({ length: 600 }, (_, n) => `${"x".repeat(195)}${1_000 + n}`);
  assertEquals(await commands.queryPolicies(names), "output\noutput\n");
  assertEquals(asked.map(({ argv }) => argv.length), [502, 102]);
});

Deno.test("AptCommands rejects output that is truncated or came with an error", async () => {
  const cut = setUp({ answer: { ...well, truncated: true } });
  const error = await assertRejects(() => cut.commands.listSources(), ScanError);
  assertEquals([error.reason, error.message], [
    "permanent",
    "Cannot list the package sources: the answer is too long",
  ]);
  const failed = setUp({ answer: { ...well, code: 100, stderr: "E: broken\n" } });
  await assertRejects(() => failed.commands.listSources(), ScanError, "broken");
});

Deno.test("AptCommands reports each warning once, as a gap or as a note", async () => {
  const stderr = "W: old\nW: older\nW: Unable to read x\n";
  const { commands } = setUp({ answer: { ...well, stderr } });
  await commands.listSources();
  await commands.queryUntrusted();
  assertEquals(commands.notes, ["old", "older"]);
  assertEquals(commands.gaps, ["Unable to read x"]);
});

Deno.test("decideUpgrade() returns why apt refuses, and throws only where other commands would fail too", async () => {
  const refusing = (stderr: string) => setUp({ answer: { ...well, code: 100, stderr } }).commands;
  assertEquals(await refusing("E: Unmet dependencies.\n").decideUpgrade(), {
    why: "Unmet dependencies.",
    isTimeout: false,
  });
  assertEquals(await refusing("").decideUpgrade(), { why: "exit 100", isTimeout: false });
  const locked = refusing("E: Could not get lock /var/lib/dpkg/lock\n");
  const error = await assertRejects(() => locked.decideUpgrade(), ScanError);
  assertEquals(error.reason, "locked");
});

Deno.test("extendTimeout() raises the limit with the number of packages, and the error names it", async () => {
  const { system, asked, commands } = setUp();
  const limits = [];
  for (const packages of [0, 750, 1_000_000]) {
    commands.extendTimeout(packages);
    await commands.queryUntrusted();
    limits.push(asked.at(-1)?.options.timeoutMs);
  }
  assertEquals(limits, [60_000, 435_000, 900_000]);
  system.runCommand = () => Promise.reject(new CommandError("no end", { reason: "timeout" }));
  assertEquals(await commands.decideUpgrade(), {
    why: "apt-get did not finish within 900 s",
    isTimeout: true,
  });
  const error = await assertRejects(() => commands.queryPolicies(["a"]), ScanError);
  assertEquals([error.reason, error.message], [
    "transient",
    "Cannot list the versions of packages: apt-cache did not finish within 900 s",
  ]);
});

Deno.test("update() returns apt's output, and retries three times while the lists are locked", async () => {
  const failed = { ...well, code: 100, stderr: "W: Failed to fetch http://x\n" };
  assertEquals(await setUp({ answer: failed }).commands.update(), failed);
  const stderr = "E: Could not get lock /var/lib/apt/lists/lock\n";
  const { system, asked, commands } = setUp({ answer: { ...well, code: 100, stderr } });
  const update = assertRejects(() => commands.update(), ScanError, "Could not get lock");
  await system.clock.advance(49_999);
  assertEquals(asked.length, 3);
  await system.clock.advance(1);
  assertEquals([(await update).reason, asked.length], ["locked", 4]);
});

Deno.test("update() accepts exit code 0, and its pause ends with the signal", async () => {
  const stderr = "E: Could not get lock /var/lib/apt/lists/lock\n";
  const fine = { ...well, stderr };
  assertEquals(await setUp({ answer: fine }).commands.update(), fine);
  const controller = new AbortController();
  const { system, asked, commands } = setUp({
    answer: { ...fine, code: 100 },
    asking: { signal: controller.signal },
  });
  const update = assertRejects(() => commands.update());
  await system.clock.advance(1_000);
  controller.abort();
  await update;
  assertEquals(asked.length, 1);
});

Deno.test("copy() runs nothing for no file, and its error says why it failed", async () => {
  const { system, asked, commands } = setUp();
  await commands.copy([], "/own/");
  assertEquals(asked, []);
  system.runCommand = () => Promise.reject(new CommandError("no room", { reason: "failed" }));
  const error = await assertRejects(() => commands.copy(["/a"], "/own/"), ScanError);
  assertEquals(error.message, "Cannot copy package lists: no room");
});

Deno.test("AptCommands says why a program did not run, and passes programming errors on", async () => {
  const { system, commands } = setUp();
  system.runCommand = () =>
    Promise.reject(new CommandError("no such program", { reason: "not_found" }));
  const error = await assertRejects(() => commands.listSources(), ScanError);
  assertEquals(error.message, "Cannot list the package sources: no such program");
  system.runCommand = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => commands.listSources(), TypeError, "oops");
});

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
  Deno.test(`aptFailure() explains: ${message.slice(0, 50)}`, () => {
    const error = aptFailure("scan", failed(stderr));
    assertEquals([error.reason, error.message], [reason, message]);
  });
}

Deno.test("aptFailure() is transient for an end by a signal", () => {
  const reasons = [128, 129, 137].map((code) => aptFailure("scan", failed("", code)).reason);
  assertEquals(reasons, ["permanent", "transient", "transient"]);
});

Deno.test("aptFailure() recognizes lists that were replaced while apt read them", () => {
  const stderr = "E: Could not open file /var/lib/apt/lists/x_Packages - open (2: No such file)\n";
  const error = aptFailure("scan", failed(stderr));
  assertInstanceOf(error, ReplacedListsError);
  assertEquals(error.reason, "transient");
});

Deno.test("aptFailure() quotes dpkg's errors, with continued lines", () => {
  const stderr =
    "dpkg-query: error: parsing file '/var/lib/dpkg/status' near line 3 package 'a':\n" +
    " 'Version' field value '1 2': version string has embedded spaces\nmore\n";
  assertEquals(
    aptFailure("scan", failed(stderr, 2)).message,
    "Cannot scan: parsing file '/var/lib/dpkg/status' near line 3 package 'a': " +
      "'Version' field value '1 2': version string has embedded spaces",
  );
});

Deno.test("aptFailure() separates dpkg's errors from each other and from other lines", () => {
  const stderr = " set in\ndpkg: error: one\n  goes\ton\n\tand on\nmore\n  of another\n" +
    "say dpkg: error: none\ndpkg: unrecoverable fatal error, two\ndpkg-query: fatal error: three\n";
  assertEquals(
    aptFailure("scan", failed(stderr, 2)).message,
    "Cannot scan: one goes on and on; two; three",
  );
});

Deno.test("aptFailure() quotes ten of dpkg's errors, each shortened", () => {
  const many = Array.from({ length: 11 }, (_, n) => `dpkg: error: ${n} ${"x".repeat(400)}\n`);
  const facts = aptFailure("scan", failed(many.join(""), 2)).message.slice("Cannot scan: ".length)
    .split("; ");
  assertEquals([facts.length, facts[9]?.slice(0, 3), facts[9]?.length], [10, "9 x", 300]);
});

Deno.test("a flood of messages on standard error is read within bounds", () => {
  const filler = `${"x".repeat(65_535)}\n`.repeat(16);
  const dpkg = "dpkg: error: far down\n";
  const apt = "E: far down\n";
  for (const error of [apt, dpkg]) {
    const last = aptFailure("scan", failed(filler.slice(error.length) + error));
    assertEquals(last.message, "Cannot scan: far down");
    assertEquals(aptFailure("scan", failed(filler + error)).message, "Cannot scan: exit 100");
  }
  const numbered = Array.from({ length: 1_001 }, (_, n) => `E: ${n}\n`).join("");
  assertEquals(rawMessages(numbered, "errors").at(-1), "999");
  assertEquals(rawMessages(numbered, "errors").length, 1_000);
});

Deno.test("isRefusal() is true for errors about packages, and for no others", () => {
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

Deno.test("isGapWarning() recognizes warnings after which something is missing", () => {
  assertEquals(isGapWarning("You may want to run apt-get update to correct these problems"), true);
  assertEquals(
    isGapWarning("Unable to read /etc/apt/sources.list.d/x.list - open (13: denied)"),
    true,
  );
  assertEquals(
    isGapWarning("http://x s InRelease: Key is stored in legacy trusted.gpg keyring"),
    false,
  );
  assertEquals(
    isGapWarning("No sandbox user '_apt' on the system, can not drop privileges"),
    false,
  );
});

Deno.test("quotedMessages() separates errors and warnings, each once, within bounds", () => {
  const stderr = readFixture("apt", "stderr_refused.txt");
  assertEquals(quotedMessages(stderr, "errors"), []);
  assertEquals(quotedMessages(stderr, "warnings").length, 2);
  assertEquals(quotedMessages("W: a\nW: a\nW: b is configured multiple times in x\n", "warnings"), [
    "a",
  ]);
  const said = "E:  a \nError: b\nWarning: c\nErr:7: d\nsee E: no\nEven: no\n";
  assertEquals([quotedMessages(said, "errors"), quotedMessages(said, "warnings")], [
    ["a", "b", "d"],
    [
      "c",
    ],
  ]);
  const many = Array.from({ length: 40 }, (_, n) => `E: ${n} ${"x".repeat(400)}\n`).join("");
  const quoted = quotedMessages(many, "errors");
  assertEquals([quoted.length, quoted[0]?.length], [10, 300]);
});
