import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { scanUpdates } from "../../src/commands/scan_updates.ts";
import { aptScanner, readRebootState } from "../../src/scanners/apt.ts";
import { ScanError, type ScanErrorReason } from "../../src/scanners/scanner.ts";
import { CommandError, type RunResult } from "../../src/system/process.ts";
import { FakeFiles } from "../fakes/files.ts";
import { FakeLog } from "../fakes/log.ts";
import { makeScannerRunner, scanDeps } from "../fakes/scanner_runner.ts";
import { scanWith } from "../fakes/scan_with.ts";
import { FakeSystem } from "../fakes/system.ts";
import { AptHost, captured, type Question, questionOf } from "./apt/host.ts";
import { readFixture, succeeded } from "./fixture.ts";
import { describe, EXPECTED_UPDATES, EXPECTED_WARNINGS } from "./apt/made_archive.ts";

const FACTS = { kind: "system_info", commandId: null, snapshotOf: null, body: "{}" } as const;

const scanner = aptScanner();

Deno.test("scan() runs six commands, each within bounds, with nothing for a shell", async () => {
  const host = new AptHost();
  const { updates, warnings, result } = await scanWith(scanner, host, {});
  assertEquals(updates.map(describe).toSorted(), EXPECTED_UPDATES.toSorted());
  assertEquals([warnings, result], [EXPECTED_WARNINGS, "ok"]);
  assertEquals(host.asked.map(questionOf), [
    "sources",
    "installed",
    "policy",
    "untrusted",
    "upgrade",
    "show",
  ]);
  // The more packages, the more time: 60 s, and half a second for each of 24.
  const limits = host.options.map(({ timeoutMs }) => timeoutMs);
  assertEquals(limits, [60_000, 60_000, 72_000, 72_000, 72_000, 72_000]);
  const [shown = []] = host.asked.filter((argv) => questionOf(argv) === "show");
  assertEquals(shown.slice(3), [
    "held-tool=2.0",
    "kept-back=2.0",
    "phased-tool=2.0-0ubuntu1",
    "pinned-down=2.0",
  ]);
});

Deno.test("scan() runs two commands at once where apt's cache is current", async () => {
  const host = new AptHost();
  host.files.texts.set("/var/cache/apt/pkgcache.bin", "");
  host.files.modifiedMs.set("/var/cache/apt/pkgcache.bin", host.clock.nowMs());
  let answer = (_: RunResult) => {};
  const run = host.runCommand;
  host.runCommand = (argv, options) =>
    questionOf(argv) === "policy" ? new Promise((resolve) => answer = resolve) : run(argv, options);
  const scan = scanWith(scanner, host, {});
  await host.clock.advance(1);
  assertEquals(host.count("upgrade"), 1, "apt-get decides while apt-cache is waited for");
  answer(succeeded(captured("policy")));
  assertEquals((await scan).updates.length, EXPECTED_UPDATES.length);
});

Deno.test("scan() is whole without an answer on unsigned sources, and does not ask where nothing waits", async () => {
  const silent = new AptHost();
  silent.answers = { untrusted: () => ({ ...succeeded(""), code: 100, stderr: "E: no\n" }) };
  const { updates, warnings, result } = await scanWith(scanner, silent, {});
  assertEquals([updates.length, result], [EXPECTED_UPDATES.length, "ok"]);
  assertEquals(warnings, EXPECTED_WARNINGS);
  const current = new AptHost();
  const policy = "tool:\n  Installed: 1.0\n  Candidate: 1.0\n  Version table:\n *** 1.0 100\n" +
    "        100 /var/lib/dpkg/status\n";
  current.answers = {
    installed: () => succeeded("tool\t1.0\tamd64\tinstall\tinstalled\ttool\t\n"),
    upgrade: () => succeeded("0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"),
    policy: () => succeeded(policy),
  };
  assertEquals((await scanWith(scanner, current, {})).updates, []);
  assertEquals([current.count("untrusted"), current.count("changelogs")], [0, 0]);
});

Deno.test("scan() is whole without sizes, and has a note why they are missing", async () => {
  const host = new AptHost();
  host.answers = { show: () => ({ ...succeeded(""), code: 100, stderr: "E: no\n" }) };
  const { updates, warnings, result } = await scanWith(scanner, host, {});
  assertEquals([updates.length, result], [EXPECTED_UPDATES.length, "ok"]);
  assert(warnings.includes("Cannot describe packages: no"), warnings.join("\n"));
});

Deno.test("scan() without apt on the host is not_available", async () => {
  const host = new FakeSystem();
  assertEquals(await scanner.isAvailable(host), false);
  const error = await assertRejects(() => scanWith(scanner, host, {}), ScanError);
  assertEquals(error.reason, "not_available");
});

Deno.test("isAvailable() requires dpkg besides apt-get, and never throws", async () => {
  const host = new AptHost();
  assertEquals(await scanner.isAvailable(host), true);
  host.files.fail("look for apt", "denied");
  assertEquals(await scanner.isAvailable(host), false);
  host.files.heal("look for apt");
  host.files.texts.delete("/usr/bin/dpkg-query");
  assertEquals(await scanner.isAvailable(host), false);
});

function exit100(fixture: string): () => RunResult {
  return () => ({ code: 100, stdout: "", stderr: readFixture("apt", fixture), truncated: false });
}

const FAILURES: readonly [string, AptHost["answers"], ScanErrorReason][] = [
  ["the lock is held", { upgrade: exit100("stderr_lock.txt") }, "locked"],
  ["sources cannot be read", { sources: exit100("stderr_sources.txt") }, "permanent"],
  ["there is no such release", { upgrade: exit100("stderr_default_release.txt") }, "permanent"],
  ["dpkg prints nothing", { installed: () => succeeded("") }, "permanent"],
  [
    "apt speaks German",
    { policy: () => succeeded(readFixture("apt", "german_policy.txt")) },
    "permanent",
  ],
  [
    "the answer is too long",
    { policy: () => ({ ...succeeded(""), truncated: true }) },
    "permanent",
  ],
  ["it takes too long", {
    policy: () => {
      throw new CommandError("no end within 72000 ms", { reason: "timeout" });
    },
  }, "transient"],
  ["it may not be run", {
    installed: () => {
      throw new CommandError("permission denied", { reason: "denied" });
    },
  }, "permanent"],
];

for (const [name, answers, reason] of FAILURES) {
  Deno.test(`scan() fails, and has no empty list to show, when ${name}`, async () => {
    const host = new AptHost();
    host.answers = answers;
    const error = await assertRejects(() => scanWith(scanner, host, {}), ScanError);
    assertEquals(error.reason, reason);
    assert(error.message.startsWith("Cannot "), error.message);
    assertEquals(error.sources.length > 0, !("sources" in answers));
  });
}

Deno.test("scan() reports why apt refuses an upgrade, and the updates all the same", async () => {
  const host = new AptHost();
  host.answers = { upgrade: exit100("stderr_broken.txt") };
  const { updates, warnings, result } = await scanWith(scanner, host, {});
  assert(updates.length > 0 && updates.every(({ state }) => state !== "upgradable"));
  assertEquals([warnings.length, result], [1, "degraded"]);
  assert(
    warnings[0]?.startsWith("Cannot compute an upgrade with apt-get: Unmet dependencies"),
    warnings[0],
  );
});

Deno.test("scan() reports updates and the timeout where apt's decision takes too long", async () => {
  const host = new AptHost();
  host.answers = {
    upgrade: () => {
      throw new CommandError("no end within 72000 ms", { reason: "timeout" });
    },
  };
  const { updates, warnings, result } = await scanWith(scanner, host, {});
  assertEquals([updates.length, result], [EXPECTED_UPDATES.length - 1, "degraded"]);
  assertEquals(warnings, [
    "Cannot compute an upgrade with apt-get: apt-get did not finish within 72 s",
  ]);
});

Deno.test("scan() with 600 updates has time for an apt that computes for six minutes", async () => {
  const host = new AptHost();
  const rows = Array.from({ length: 750 }, (_, n) => `p${n}\t1\tamd64\tinstall\tinstalled\tp\t\n`);
  const policy = Array.from(
    { length: 750 },
    (_, n) => `p${n}:\n  Installed: 1\n  Candidate: ${n < 600 ? 2 : 1}\n  Version table:\n`,
  );
  const changes = Array.from({ length: 600 }, (_, n) => `   p${n} (1 => 2)\n`);
  const decision = `The following packages will be upgraded:\n${changes.join("")}` +
    "600 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n";
  host.answers = {
    installed: () => succeeded(rows.join("")),
    policy: () => succeeded(policy.join("")),
    upgrade: () => succeeded(decision),
  };
  const run = host.runCommand;
  host.runCommand = async (argv, options) => {
    if (questionOf(argv) === "upgrade") {
      const tooLong = new CommandError("no end", { reason: "timeout" });
      if (options.timeoutMs < 360_000) throw tooLong;
      await host.clock.sleep(360_000, new AbortController().signal);
    }
    return await run(argv, options);
  };
  const scan = scanWith(scanner, host, {});
  await host.clock.advance(360_000);
  const { updates, result } = await scan;
  assertEquals([updates.length, result], [600, "ok"]);
});

Deno.test("scan() reports harmless warnings as notes, and the others as gaps", async () => {
  const host = new AptHost();
  const warning = (text: string) => () => ({ ...succeeded(captured("policy")), stderr: text });
  host.answers = { policy: warning("W: http://x s InRelease: Key is stored in legacy keyring\n") };
  const harmless = await scanWith(scanner, host, {});
  assertEquals(harmless.result, "ok");
  assert(harmless.warnings.some((text) => text.includes("legacy keyring")));
  host.answers = { policy: warning("W: You may want to run apt-get update to correct this\n") };
  assertEquals((await scanWith(scanner, host, {})).result, "degraded");
});

Deno.test("scan() without package lists is degraded", async () => {
  const host = new AptHost();
  host.files.texts.clear();
  for (const name of ["apt-get", "apt-cache"]) host.files.texts.set(`/usr/bin/${name}`, "");
  const { sources, result, metadataAgeS } = await scanWith(scanner, host, {});
  assertEquals([result, metadataAgeS], ["degraded", null]);
  assertEquals([...new Set(sources.map(({ result }) => result))], ["missing"]);
  host.answers = { sources: () => succeeded("") };
  const none = await scanWith(scanner, host, {});
  assert(none.warnings.includes("No package source is enabled: no update can be known"));
});

function once(answer: () => RunResult, then: Question): () => RunResult {
  let isFirst = true;
  return () => {
    if (!isFirst) return succeeded(captured(then));
    isFirst = false;
    return answer();
  };
}

const replaced = () => ({
  code: 100,
  stdout: "",
  stderr: "E: Unable to parse package file /var/lib/apt/lists/x_Packages (1)\n",
  truncated: false,
});

Deno.test("scan() retries once when the lists were replaced", async () => {
  const host = new AptHost();
  host.answers = { policy: once(replaced, "policy") };
  assertEquals((await scanWith(scanner, host, {})).updates.length, EXPECTED_UPDATES.length);
  host.answers = { policy: replaced };
  host.asked.length = 0;
  const error = await assertRejects(() => scanWith(scanner, host, {}), ScanError);
  assertEquals(error.reason, "transient");
  assertEquals(host.asked.filter((argv) => questionOf(argv) === "policy").length, 2);
});

Deno.test("scan() retries once when packages changed meanwhile, and then fails", async () => {
  const host = new AptHost();
  let changes = 1;
  host.answers = {
    policy: () => {
      host.files.texts.set("/var/lib/dpkg/status", "");
      if (changes > 0) host.files.modifiedMs.set("/var/lib/dpkg/status", changes--);
      return succeeded(captured("policy"));
    },
  };
  assertEquals((await scanWith(scanner, host, {})).updates.length, EXPECTED_UPDATES.length);
  changes = 9;
  const error = await assertRejects(() => scanWith(scanner, host, {}), ScanError);
  assertEquals(error.reason, "locked");
});

Deno.test("scan() retries a failure only if the state changed meanwhile", async () => {
  const host = new AptHost();
  let changes = 1;
  const answer = () => {
    host.files.texts.set("/var/lib/dpkg/status", "");
    if (changes === 0) return succeeded(captured("policy"));
    host.files.modifiedMs.set("/var/lib/dpkg/status", changes--);
    return { ...succeeded(""), code: 100, stderr: "E: Something odd\n" };
  };
  host.answers = { policy: answer };
  assertEquals((await scanWith(scanner, host, {})).updates.length, EXPECTED_UPDATES.length);
  host.answers = { policy: () => ({ ...succeeded(""), code: 100, stderr: "E: Something odd\n" }) };
  const error = await assertRejects(() => scanWith(scanner, host, {}), ScanError, "Something odd");
  assertEquals(error.reason, "permanent");
});

Deno.test("scan() ends all that it starts with its own signal, fetching too", async () => {
  const { signal } = new AbortController();
  for (const ageMs of [0, 2 * 86_400_000]) {
    const host = new AptHost();
    host.putLists("/var/lib/apt/lists", ageMs);
    await scanWith(scanner, host, { signal, cacheDirectory: "/own" });
    assert(host.options.length >= 5 && host.options.every((each) => each.signal === signal));
  }
  const refreshed = new AptHost();
  refreshed.machine = { ...refreshed.machine, userId: () => 0 };
  await scanWith(scanner, refreshed, { refresh: true, signal });
  assertEquals(refreshed.count("update"), 1);
  assert(refreshed.options.every((each) => each.signal === signal));
});

Deno.test("scan() reports whether the host asks for a reboot", async () => {
  const host = new AptHost();
  assertEquals((await scanWith(scanner, host, {})).reboot, null);
  host.files.texts.set("/run/reboot-required", "*** System restart required ***\n");
  host.files.texts.set("/run/reboot-required.pkgs", "linux-image-6.1\nlibc6\nlibc6\n");
  assertEquals((await scanWith(scanner, host, {})).reboot, {
    isRequired: true,
    reason: "/run/reboot-required: linux-image-6.1, libc6",
  });
});

/** What a program may say, with an address in it. */
const QUOTES: readonly ((url: string) => RunResult)[] = [
  (url) => ({ ...succeeded(""), code: 100, stderr: `E: Failed to fetch ${url}  401\n` }),
  (url) => ({
    ...succeeded(""),
    code: 100,
    stderr: `E: The repository '${url} s Release' is bad.\n`,
  }),
  (url) => ({ ...succeeded(""), code: 2, stderr: `dpkg-query: error: ${url}\n` }),
  (url) => ({ ...succeeded(`Err:1 ${url} s InRelease\n  ${url} refuses\n`), code: 100 }),
  (url) => succeeded(captured("sources"), `W: You may want to run apt-get update: ${url}\n`),
  (url) =>
    succeeded(
      `'${url}/dists/s/InRelease' x_dists_s_InRelease 0 \n` +
        `'${url}/dists/s/main/binary-amd64/Packages.xz' x_dists_s_main_binary-amd64_Packages 0 \n`,
    ),
];

const ADDRESSES: readonly ((secret: string) => string)[] = [
  (secret) => `https://deploy:${secret}@deb.example/debian`,
  (secret) => `https://${secret}@deb.example/debian`,
  (secret) => `http://deb.example/debian?token=${secret}`,
  (secret) => `mirror+https://me:x/${secret}@deb.example/debian`,
  (secret) => `https://deb.example/${secret}/deb`,
];

Deno.test("scan() lets no secret of an address into the report, the log, an event or a file", async () => {
  const secret = "S3cr3tA1b2C3d4E5f6G7h8";
  const questions: readonly Question[] = [
    "sources",
    "installed",
    "upgrade",
    "policy",
    "show",
    "update",
    "releases",
    "untrusted",
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...questions),
      fc.constantFrom(...QUOTES),
      fc.constantFrom(...ADDRESSES),
      fc.constantFrom(0, 5 * 86_400_000),
      async (question, quote, address, ageMs) => {
        const host = new AptHost();
        await host.clock.advance(ageMs);
        host.putLists("/var/lib/apt/lists", ageMs);
        host.answers = { [question]: () => quote(address(secret)) };
        const log = new FakeLog();
        const { runner, kept } = makeScannerRunner(host, log);
        const findScanners = () => Promise.resolve([scanner]);
        const collectSystemInfo = () => Promise.resolve(FACTS);
        const deps = scanDeps({ system: host, log, runner, findScanners, collectSystemInfo });
        const outcome = await scanUpdates(deps).run(
          { id: "c", type: "scan_updates", params: { full: true } },
          { signal: new AbortController().signal, appendEarly: () => {} },
        );
        const files = [...host.files.texts].filter(([path]) => path.startsWith("/state"));
        const breakers = kept.map((saved) => [...saved]);
        const all = JSON.stringify([outcome, log.events, files, breakers]);
        assert(
          !all.includes(secret),
          `${question}: ${
            all.slice(Math.max(0, all.indexOf(secret) - 200), all.indexOf(secret) + 30)
          }`,
        );
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("readRebootState() follows the host's file, and its absence only if something writes it", async () => {
  const files = new FakeFiles();
  assertEquals(await readRebootState({ files }), null);
  files.texts.set("/usr/share/update-notifier/notify-reboot-required", "");
  const reason = "there is no /run/reboot-required";
  assertEquals(await readRebootState({ files }), { isRequired: false, reason });
  files.texts.set("/run/reboot-required", "");
  assertEquals(await readRebootState({ files }), {
    isRequired: true,
    reason: "/run/reboot-required",
  });
  const names = Array.from({ length: 20 }, (_, n) => `linux-image-${n}`);
  files.texts.set("/run/reboot-required.pkgs", [...names, "x y", "\u001b[2J"].join("\n"));
  const { reason: many } = await readRebootState({ files }) ?? { reason: "" };
  assertEquals(many.endsWith("linux-image-9 and 10 more"), true, many);
});

Deno.test("readRebootState() reads 64 KiB of names, and quotes 300 characters", async () => {
  const files = new FakeFiles();
  files.texts.set("/run/reboot-required", "");
  const reasonOf = async (text: string) => {
    files.texts.set("/run/reboot-required.pkgs", text);
    return (await readRebootState({ files }))?.reason;
  };
  assertEquals(await reasonOf("  libc6 \r\n\tdbus\n"), "/run/reboot-required: libc6, dbus");
  const names = "libc6\n".repeat(65_536 / 4).slice(0, 65_536);
  assertEquals(await reasonOf(names), "/run/reboot-required: libc6, libc");
  assertEquals(await reasonOf(`${names}x`), "/run/reboot-required");
  const long = Array.from({ length: 9 }, (_, n) => `p${n}${"x".repeat(200)}\n`);
  assertEquals((await reasonOf(long.join("")))?.length, 300);
});

Deno.test("readRebootState() checks for every program that writes the file", async () => {
  const hooks = [
    "/usr/share/update-notifier/notify-reboot-required",
    "/etc/kernel/postinst.d/update-notifier",
    "/etc/kernel/postinst.d/unattended-upgrades",
  ];
  for (const hook of hooks) {
    const files = new FakeFiles();
    files.texts.set(`/host${hook}`, "");
    assertEquals(await readRebootState({ files }), null);
    assertEquals((await readRebootState({ files }, "/host"))?.isRequired, false, hook);
    files.texts.set("/host/run/reboot-required", "");
    assertEquals((await readRebootState({ files }, "/host"))?.isRequired, true, hook);
  }
});

Deno.test("readRebootState() is null for files that cannot be inspected, and passes programming errors on", async () => {
  const files = new FakeFiles();
  files.fail("look for a required reboot", "denied");
  assertEquals(await readRebootState({ files }), null);
  files.heal("look for a required reboot");
  files.texts.set("/run/reboot-required", "");
  files.kinds.set("/run/reboot-required.pkgs", "directory");
  assertEquals((await readRebootState({ files }))?.reason, "/run/reboot-required");
  files.readText = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => readRebootState({ files }), TypeError, "oops");
  files.inspect = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => readRebootState({ files }), TypeError, "oops");
});
