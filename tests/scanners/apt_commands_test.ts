import { assert, assertEquals, assertRejects } from "@std/assert";
import { AptCommands, type AptOptions, type AskOptions } from "../../src/scanners/apt_commands.ts";
import { ScanError } from "../../src/scanners/scanner.ts";
import { CommandError, type RunOptions, type RunResult } from "../../src/system/process.ts";
import { FakeSystem } from "../fakes/system.ts";

const well: RunResult = { code: 0, stdout: "told\n", stderr: "", truncated: false };

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

Deno.test("AptCommands asks programs by their paths, a minute each at most", async () => {
  const { asked, commands } = setUp({ asking: { settings: ["-o", "a=b"] } });
  await commands.queryInstalled();
  await commands.simulateUpgrade();
  await commands.queryReleases();
  await commands.queryUntrusted();
  await commands.queryPolicies(["curl"]);
  await commands.showPackages(["curl=1"]);
  await commands.readChangelogs(["/a.gz"]);
  const set = ["-o", "a=b"];
  assertEquals(
    asked.map(({ argv }) => argv.filter((word) => !word.includes("\t") && !word.includes("${"))),
    [
      ["/usr/bin/dpkg-query", "-W", "-f"],
      [
        "/usr/bin/apt-get",
        ...set,
        "--simulate",
        "-q=1",
        "-o",
        "APT::Get::Show-User-Simulation-Note=false",
        "-o",
        "APT::Get::Assume-Yes=false",
        "dist-upgrade",
      ],
      ["/usr/bin/apt-cache", ...set, "policy"],
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
    ],
  );
  assert(asked.every(({ options }) => options.timeoutMs === 60_000));
});

Deno.test("AptCommands looks where it is told, and else where the host's own are", async () => {
  const host = setUp();
  await host.commands.queryInstalled();
  assert(!host.asked[0]?.argv.some((word) => word.startsWith("--admindir")));
  assertEquals(host.asked[0]?.options.environment, undefined);
  const other = setUp({ options: { dpkgDirectory: "/dpkg", aptConfigFile: "/apt.conf" } });
  await other.commands.queryInstalled();
  assertEquals(other.asked[0]?.argv[1], "--admindir=/dpkg");
  assertEquals(other.asked[0]?.options.environment, { APT_CONFIG: "/apt.conf" });
});

Deno.test("AptCommands passes the signal on, and waits for mirrors longer than for answers", async () => {
  const { signal } = new AbortController();
  const { asked, commands } = setUp({ asking: { signal } });
  await commands.update();
  assertEquals(asked.map(({ argv }) => argv), [[
    "/usr/bin/apt-get",
    "-qq",
    "-o",
    "APT::Update::Error-Mode=any",
    "update",
  ]]);
  assertEquals([asked[0]?.options.timeoutMs, asked[0]?.options.signal], [300_000, signal]);
});

Deno.test("AptCommands answers what the programs said", async () => {
  const { commands } = setUp();
  assertEquals(await commands.queryInstalled(), "told\n");
  assertEquals(await commands.simulateUpgrade(), "told\n");
  assertEquals(await commands.readChangelogs(["/a.gz"]), "told\n");
});

Deno.test("AptCommands asks nothing where there is nothing to ask for", async () => {
  const { asked, commands } = setUp();
  assertEquals(await commands.queryPolicies([]), "");
  assertEquals(await commands.showPackages([]), "");
  assertEquals(await commands.readChangelogs([]), "");
  assertEquals(asked, []);
});

Deno.test("AptCommands joins the answers to a long list, batch by batch", async () => {
  const { asked, commands } = setUp();
  const names = Array.from({ length: 600 }, (_, n) => `${"x".repeat(195)}${1_000 + n}`);
  assertEquals(await commands.queryPolicies(names), "told\ntold\n");
  assertEquals(asked.map(({ argv }) => argv.length), [502, 102]);
});

Deno.test("AptCommands believes no answer that is cut off, or came with an error", async () => {
  const cut = setUp({ answer: { ...well, truncated: true } });
  const error = await assertRejects(() => cut.commands.queryReleases(), ScanError);
  assertEquals([error.reason, error.message], [
    "permanent",
    "Cannot list the package files: the answer is too long",
  ]);
  const failed = setUp({ answer: { ...well, code: 100, stderr: "E: broken\n" } });
  await assertRejects(() => failed.commands.queryReleases(), ScanError, "broken");
});

Deno.test("AptCommands tells once what apt warned of", async () => {
  const { commands } = setUp({ answer: { ...well, stderr: "W: old\nW: older\n" } });
  await commands.queryReleases();
  await commands.queryUntrusted();
  assertEquals(commands.warnings, ["old", "older"]);
});

Deno.test("simulateUpgrade() is null, with a warning, where installed packages do not fit", async () => {
  const stderr = "E: Unmet dependencies. Try apt --fix-broken install\n";
  const { commands } = setUp({ answer: { ...well, code: 100, stderr } });
  assertEquals(await commands.simulateUpgrade(), null);
  assertEquals(commands.warnings, [
    "apt-get upgrades nothing until the installed packages fit together: " +
    "Unmet dependencies. Try apt --fix-broken install",
  ]);
});

Deno.test("AptCommands says why a program was not run, and hides no mistake of ours", async () => {
  const { system, commands } = setUp();
  system.runCommand = () =>
    Promise.reject(new CommandError("no such program", { reason: "not_found" }));
  const error = await assertRejects(() => commands.queryReleases(), ScanError);
  assertEquals(error.message, "Cannot list the package files: no such program");
  system.runCommand = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => commands.queryReleases(), TypeError, "oops");
});
