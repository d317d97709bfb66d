import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { RunCommand } from "../../src/system/process.ts";
import { settle } from "../fakes/clock.ts";
import { FakeSystem } from "../fakes/system.ts";
import { AptHost, captured as answerOf, questionOf } from "../scanners/apt/host.ts";
import { succeeded } from "../scanners/fixture.ts";
import { runCli } from "./run_cli.ts";

/** A host with apt, whose programs are run so. */
function withApt(runCommand: RunCommand): FakeSystem {
  const system = new AptHost();
  system.runCommand = runCommand;
  return system;
}

/** What apt and dpkg answered on a made host. */
function captured(argv: readonly string[]): string {
  return answerOf(questionOf(argv));
}

const broken: RunCommand = () =>
  Promise.resolve({ code: 100, stdout: "", stderr: "E: broken\u001b[2J", truncated: false });

Deno.test("scan --only accepts names with and without blanks around them", async () => {
  const { code, out } = await runCli(new FakeSystem(), "scan", "--only", " dnf , apt", "--json");
  assertEquals(code, 1);
  const names = JSON.parse(out).scanners.map(({ name }: { name: string }) => name);
  assertEquals(names, ["dnf", "apt"]);
});

Deno.test("scan --only returns 0 if all scanners are on the host, and else names the absent ones", async () => {
  const host = withApt((argv) => Promise.resolve(succeeded(captured(argv))));
  const apt = await runCli(host, "scan", "--only", "apt");
  assertEquals([apt.code, apt.err.includes("is not on this host")], [0, false]);
  const both = await runCli(host, "scan", "--only", "apt,dnf");
  assertEquals(both.code, 1);
  assertStringIncludes(both.err, "pennon: Cannot scan with dnf: it is not on this host\n");
  assert(!both.err.includes("Cannot scan with apt"), both.err);
});

Deno.test("scan asks only the configured scanners, and reports no absent one without --only", async () => {
  const system = new FakeSystem();
  system.environment.set("PENNON_SCANNERS_ENABLED", "dnf");
  const { code, out } = await runCli(system, "scan", "--json");
  const names = JSON.parse(out).scanners.map(({ name }: { name: string }) => name);
  assertEquals([code, names], [0, ["dnf"]]);
});

Deno.test("scan prints the reason of a failure with the scanner's name, and steers no terminal", async () => {
  const { code, err } = await runCli(withApt(broken), "scan");
  assertEquals(code, 1);
  assertStringIncludes(err, "pennon: apt: ");
  // deno-lint-ignore no-control-regex
  assert(!/\u001b/.test(err), err);
});

Deno.test("scan shows its progress, and clears it at the end", async () => {
  const system = withApt(broken);
  const shown: string[] = [];
  system.terminal.showProgress = (text) => void shown.push(text);
  await runCli(system, "scan");
  assertEquals(shown, ["Asking apt ...", ""]);
  shown.length = 0;
  const bare = new FakeSystem();
  bare.terminal.showProgress = (text) => void shown.push(text);
  await runCli(bare, "scan");
  assertEquals(shown, [""], "nothing is asked");
});

Deno.test("scan does not mention absent package managers if there is one", async () => {
  assert(!(await runCli(withApt(broken), "scan")).err.includes("no package manager"));
});

Deno.test("scan downloads package lists with --refresh only", async () => {
  const asked = async (...words: string[]) => {
    const commands: string[] = [];
    const system = withApt((argv, options) => {
      commands.push(questionOf(argv));
      return questionOf(argv) === "sources"
        ? Promise.resolve(succeeded(captured(argv)))
        : broken(argv, options);
    });
    system.machine = { ...system.machine, userId: () => 0 };
    await runCli(system, "scan", "--only", "apt", ...words);
    return commands.includes("update");
  };
  assertEquals([await asked("--refresh"), await asked()], [true, false]);
});

Deno.test("scan fits the terminal, and is complete in a pipe", async () => {
  const widest = async (isTerminal: boolean) => {
    const host = withApt((argv) => Promise.resolve(succeeded(captured(argv))));
    host.terminal.stdoutIsTerminal = isTerminal;
    host.terminal.width = 60;
    const { out } = await runCli(host, "scan", "--only", "apt");
    const table = out.split("\n\n")[0] ?? "";
    return Math.max(...table.split("\n").map((line) => line.length));
  };
  assert(await widest(true) <= 60);
  assert(await widest(false) > 60);
});

Deno.test("scan in CSV has its heading, and no table", async () => {
  const { out } = await runCli(withApt(broken), "scan", "--csv");
  assert(out.startsWith("scanner,package,current_version,"), out);
});

Deno.test("scan ends its programs at Ctrl-C, and removes its signal listener", async () => {
  let stopped = false;
  const system = withApt((_, { signal }) =>
    new Promise((_resolve, reject) =>
      signal?.addEventListener("abort", () => {
        stopped = true;
        reject(signal.reason);
      })
    )
  );
  const scanning = runCli(system, "scan");
  for (let turn = 0; turn < 100 && system.stopListeners.size === 0; turn++) await settle();
  await settle();
  system.stopListeners.forEach((listener) => listener("SIGINT"));
  const { code, err } = await scanning;
  assertEquals([code, stopped, system.stopListeners.size], [1, true, 0]);
  assertStringIncludes(err, "stopped: SIGINT");
});
