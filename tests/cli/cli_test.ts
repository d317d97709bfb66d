import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { CliCommand } from "../../src/cli/command.ts";
import { GLOBAL_OPTIONS } from "../../src/cli/options.ts";
import { describeCommand, describeCommands } from "../../src/cli/cli.ts";
import { SickDisk } from "../fakes/sick_disk.ts";
import { FakeSystem } from "../fakes/system.ts";
import { enrolled, runCli, STATE } from "./run_cli.ts";
import { VERSION } from "../../src/version.ts";
import { settle } from "../fakes/clock.ts";

Deno.test("cli() without arguments, or with help, lists the commands", async () => {
  const system = new FakeSystem();
  for (const words of [[], ["help"], ["--help"], ["-h"], ["help", "help"]]) {
    const { code, out, err } = await runCli(system, ...words);
    assertEquals([code, err], [0, ""]);
    assertStringIncludes(out, "Usage: pennon COMMAND [options]");
  }
  assertStringIncludes((await runCli(system, "scan", "--help")).out, "Usage: pennon scan");
  assertStringIncludes((await runCli(system, "--version")).out, "pennon ");
});

Deno.test("cli() misused returns 2, explains on stderr only, and touches nothing", async () => {
  const rows: [words: string[], says: string][] = [
    [["bogus"], 'Cannot run "bogus": no such command'],
    [
      ["stauts"],
      'Cannot run "stauts": no such command; did you mean "status"?\nNext: pennon help\n',
    ],
    [["--bogus"], 'Cannot read "--bogus": no such option'],
    [["--state-dri", "/x", "run"], 'Cannot run "/x": no such command'],
    [["--state-dir", "/x"], 'Cannot read "--state-dir": it is given without a command'],
    [["--state-dir", "/x", "run", "--state-dir=/y"], '"--state-dir": given more than once'],
    [["constructor"], "no such command"],
    [["help", "bogus"], "no such command"],
    [["--config", "x.toml", "run"], 'no file "x.toml"'],
    [["run", "--bogus"], "no such option\nNext: pennon help run\n"],
    [["run", "extra"], "Cannot"],
    [["register", "--server"], "Cannot"],
    [["register", "--server", "x:", "--token", "t"], "server.url (on the command line): found"],
    [["register", "--server", "https://x.test", "--token", "-"], "stdin holds no token"],
    [["scan", "--only", "apt,bogus"], '"bogus" is none of apt, dnf, winupdate, winget'],
    [["scan", "--json", "--csv"], "JSON and CSV at once"],
    [["events", "eat"], "it takes one of list, show, requeue, purge\nNext: pennon help events\n"],
    [["events", "list", "0197f0"], '"events list" takes no argument'],
    [["events", "show"], '"events show": it takes an argument, ID'],
    [["events", "show", "0197f"], '"0197f" is too short'],
    [["events", "show", "--dead", "0197f0"], '"--dead": it belongs to "events list"'],
    [["events", "requeue"], "it takes an ID or --all"],
    [["events", "requeue", "0197f0", "--all"], "not both"],
    [["events", "purge", "--all"], '"--all": it belongs to "events requeue"'],
    [["events", "purge", "0197f0", "0197f1"], "one argument too many"],
    [["config", "eat"], "it takes one of check, show"],
    [["config"], 'Cannot run "config": it takes an action, one of check, show'],
    [["breaker", "reset", "conection"], 'did you mean "connection"?'],
    [["completion", "tcsh"], "it takes one of bash, zsh, fish, powershell"],
    [["status", "--config", "/nowhere"], 'no file "/nowhere"'],
    [["scan", "--log-level", "loud"], "one of debug, info, warning, error"],
  ];
  for (const [words, says] of rows) {
    const system = new FakeSystem();
    const { code, out, err } = await runCli(system, ...words);
    assertEquals([code, out], [2, ""], words.join(" "));
    assertStringIncludes(err, says);
    assertEquals(system.files.texts.size, 0);
  }
});

Deno.test("a wrong argument cannot steer the terminal", async () => {
  const { err } = await runCli(new FakeSystem(), "\u001b[2Jbogus");
  // deno-lint-ignore no-control-regex
  assert(!/\u001b/.test(err), err);
});

Deno.test("run --once checks in, delivers, and returns 1 if no server was reached", async () => {
  const { system, server } = await enrolled();
  server.queue("c1", "enable_heartbeat", { duration_minutes: 5 });
  assertEquals((await runCli(system, "run", "--once")).code, 0);
  assertEquals(server.reports.map(({ report }) => report), ["logs", "system-info"]);
  server.mood = { kind: "gone" };
  assertEquals((await runCli(system, "run", "--once")).code, 1);
});

Deno.test("run --once on a disk that accepts no writes reports it, returns 1 and fetches no command", async () => {
  const { system, server } = await enrolled();
  const disk = new SickDisk(system);
  server.queue("c1", "reboot");
  for (const breakIt of [() => disk.fault = "full", () => disk.isDead = true]) {
    disk.heal();
    breakIt();
    const { code, err } = await runCli(system, "run", "--once");
    assertEquals([code, server.count("/commands")], [1, 0]);
    assertStringIncludes(err, "Cannot check in: the disk cannot store commands");
  }
  disk.heal();
  assertEquals((await runCli(system, "run", "--once")).code, 0);
  assertEquals(server.count("/commands"), 1);
});

Deno.test("scan returns 1 if a package manager failed, and prints the reason", async () => {
  const system = new FakeSystem();
  for (const name of ["apt-get", "dpkg-query"]) system.files.texts.set(`/usr/bin/${name}`, "");
  const { code, out, err } = await runCli(system, "scan", "--only", "apt", "--json");
  assertEquals(code, 1);
  const [apt] = JSON.parse(out).scanners;
  assertEquals([apt.available, apt.result, apt.updates], [true, "failed", []]);
  assertStringIncludes(err, `pennon: apt: ${apt.error.message}`);
});

Deno.test("scan reports a host without a package manager, and an absent one that --only names", async () => {
  const system = new FakeSystem();
  const none = await runCli(system, "scan", "--json");
  const { schema, scanners } = JSON.parse(none.out);
  assertEquals([none.code, schema, scanners.length], [0, "pennon.scan/1", 4]);
  assert(scanners.every(({ available }: { available: boolean }) => !available));
  assertStringIncludes(none.err, "no package manager that Pennon knows is on this host");
  const missed = await runCli(system, "scan", "--only", "apt");
  assertEquals(missed.code, 1);
  assertStringIncludes(missed.err, "Cannot scan with apt: it is not on this host");
});

Deno.test("run without a registration returns 3", async () => {
  const { code, err } = await runCli(new FakeSystem(), "run");
  assertEquals(code, 3);
  assertStringIncludes(err, "pennon register --server URL --token TOKEN");
});

Deno.test("events list shows pending events", async () => {
  const { system, server } = await enrolled();
  assertEquals((await runCli(system, "events", "list")).out, "No events\n");
  assertEquals((await runCli(system, "events")).out, "No events\n");
  server.poison = { text: "command_id", status: 400 };
  server.queue("c1", "disable_heartbeat");
  await runCli(system, "run", "--once");
  const { events, total } = JSON.parse((await runCli(system, "events", "list", "--json")).out);
  assertEquals([total, events[0].kind, events[0].command_id, events[0].attempts], [
    1,
    "log",
    "c1",
    1,
  ]);
  assertStringIncludes((await runCli(system, "events", "list")).out, "HTTP 400");
  assertEquals((await runCli(system, "events", "list", "--dead")).out, "No events\n");
});

Deno.test("cli() prints the next step if permission is denied", async () => {
  const system = new FakeSystem();
  system.files.fail("read the identity", "denied");
  const denied = await runCli(system, "unregister");
  assertEquals(denied.code, 1);
  assertStringIncludes(denied.err, "Next: run this as the agent's user, or as root");
  const broken = new FakeSystem();
  broken.files.fail("read the identity", "failed");
  const failed = await runCli(broken, "unregister");
  assertEquals([failed.code, failed.err.includes("as root")], [1, false]);
});

Deno.test("cli() explains each command with help NAME, --help and -h", async () => {
  const system = new FakeSystem();
  const names = "run register unregister scan status events breaker config version completion"
    .split(" ");
  for (const name of names) {
    const { code, out } = await runCli(system, "help", name);
    assertEquals(code, 0);
    assert(out.startsWith(`pennon ${name} - `), out);
    assertEquals((await runCli(system, name, "--help")).out, out);
    assertEquals((await runCli(system, name, "-h")).out, out);
    for (const line of out.split("\n")) assert(line.length <= 80, line);
  }
  const { out } = await runCli(system);
  for (const name of names) assertStringIncludes(out, `\n  ${name.padEnd(12)}`);
});

Deno.test("cli() applies --state-dir, --log-level and --log-format", async () => {
  const { system } = await enrolled();
  assertEquals((await runCli(system, "status", "--state-dir", "/elsewhere")).code, 3);
  assertEquals((await runCli(system, "--state-dir", "/elsewhere", "status")).code, 3);
  assertEquals((await runCli(system, "--state-dir", STATE, "status", "--json")).code, 0);
  const { err } = await runCli(
    system,
    "run",
    "--once",
    "--log-format",
    "json",
    "--log-level",
    "debug",
  );
  const lines = err.split("\n").filter((line) => line.startsWith("{"));
  assert(lines.some((line) => JSON.parse(line).level === "debug"), err);
  const quiet = await runCli(system, "run", "--once", "--log-level", "error");
  assert(!quiet.err.includes("agent started"), quiet.err);
});

Deno.test("cli() refuses more arguments than a command accepts, and points to the help", async () => {
  const most = {
    run: 0,
    register: 0,
    unregister: 0,
    scan: 0,
    status: 0,
    events: 2,
    breaker: 2,
    config: 1,
    version: 0,
    completion: 1,
  };
  for (const [name, count] of Object.entries(most)) {
    const words = Array.from({ length: count + 1 }, (_, index) => `word${index}`);
    const { code, out, err } = await runCli(new FakeSystem(), name, ...words);
    assertEquals([code, out], [2, ""], name);
    assertEquals(
      err,
      `pennon: Cannot read "word${count}": one argument too many\nNext: pennon help ${name}\n`,
    );
  }
});

Deno.test("run --once logs its start and its end", async () => {
  const { system } = await enrolled();
  const { err } = await runCli(system, "run", "--once", "--log-format", "json");
  const logged = err.split("\n").filter((line) => line.startsWith("{")).map((line) =>
    JSON.parse(line)
  );
  assertEquals(logged[0].message, "agent started");
  assertEquals([logged[0].agent, logged[0].server], ["a1", "http://server.test"]);
  assertEquals(logged.at(-1).message, "agent stopped");
  assertEquals([system.stopListeners.size, system.hintListeners.size, system.clock.sleeping], [
    0,
    0,
    0,
  ]);
  assertEquals(system.files.locked.size, 0, "another agent may run now");
});

Deno.test("cli() limits the length of an error's text", async () => {
  const system = new FakeSystem();
  const line = `${"x".repeat(3_000)}\u202e`;
  system.machine = {
    ...system.machine,
    userId: () => {
      throw new Error(`${line}\n`.repeat(200));
    },
  };
  const { code, err } = await runCli(system, "config", "check");
  assertEquals(code, 1);
  const lines = err.trimEnd().split("\n");
  assertEquals([lines.length, lines.at(-1)], [101, "pennon: and 101 more lines"]);
  assertEquals(lines[0], `pennon: ${"x".repeat(1_995)}(cut)`);
});

Deno.test("commands of root touch no state directory of another user", async () => {
  const system = new FakeSystem();
  system.machine = { ...system.machine, userId: () => 0 };
  system.files.texts.set("/srv/state/bait", "");
  system.files.owners.set("/srv/state", 1_001);
  const own = ["--state-dir", "/srv/state"];
  for (
    const words of [["run"], ["status"], ["scan"], ["events", "list"], ["breaker", "list"], [
      "config",
      "check",
    ]]
  ) {
    const { code, out, err } = await runCli(system, ...words, ...own);
    assertEquals([code, out], [2, ""], words.join(" "));
    assert(err.includes('"/srv/state" belongs to user 1001'), err);
  }
  system.machine = { ...system.machine, userId: () => 1_000 };
  const { code, err } = await runCli(system, "config", "check", ...own);
  assertEquals(code, 0);
  assert(err.includes('the state directory is not safe: "/srv/state" belongs to user 1001'), err);
});

const NAMED = { name: "eat", summary: "Eat a meal" };

const eat: CliCommand = {
  usage: "MEAL [--hot]",
  details: ["Meals are served all day.", "Bring your own fork."],
  options: [
    { name: "hot", summary: "Heat it first" },
    { name: "with", value: "SAUCE", choices: ["red", "brown"], summary: "Add this" },
  ],
  maxArguments: 1,
  run: () => Promise.resolve(0),
};

/** The words of an option's summary are its own business; what stands around them is not. */
const summaryOf = (name: string) => GLOBAL_OPTIONS.find((option) => option.name === name)?.summary;

const EVERYWHERE = [
  `  --config FILE         ${summaryOf("config")}`,
  `  --state-dir DIR       ${summaryOf("state-dir")}`,
  `  --log-level LEVEL     ${summaryOf("log-level")} (debug, info, warning, error)`,
  `  --log-format FORMAT   ${summaryOf("log-format")} (text, json)`,
  `  -h, --help            ${summaryOf("help")}`,
];

Deno.test("describeCommand() has usage, details, and each option with its value and choices", () => {
  assertEquals(describeCommand(NAMED, eat).split("\n"), [
    "pennon eat - Eat a meal",
    "",
    "Usage: pennon eat MEAL [--hot]",
    "",
    "Meals are served all day.",
    "Bring your own fork.",
    "",
    "Options:",
    "  --hot                 Heat it first",
    "  --with SAUCE          Add this (red, brown)",
    "",
    "Options of every command:",
    ...EVERYWHERE,
  ]);
});

Deno.test("describeCommand() has a line for each action with its argument", () => {
  const actions = [
    { name: "list", summary: "List them" },
    { name: "show", argument: { name: "ID" }, summary: "Show one" },
    { name: "requeue", argument: { name: "ID", isOptional: true }, summary: "Send again" },
  ];
  assertStringIncludes(
    describeCommand(NAMED, { ...eat, actions }),
    [
      "",
      "Actions:",
      "  list                  List them",
      "  show ID               Show one",
      "  requeue [ID]          Send again",
      "",
      "Options:",
      "",
    ].join("\n"),
  );
});

Deno.test("describeCommand() leaves out what a command does not have", () => {
  assertEquals(
    describeCommand(NAMED, { ...eat, usage: "", details: [], options: [] }).split("\n"),
    [
      "pennon eat - Eat a meal",
      "",
      "Usage: pennon eat",
      "",
      "Options of every command:",
      ...EVERYWHERE,
    ],
  );
});

Deno.test("describeCommands() has a line for each command, and the exit codes", () => {
  assertEquals(describeCommands([NAMED]).split("\n"), [
    "pennon - reports the available updates of this host to a RedFlag server",
    "",
    "Usage: pennon COMMAND [options]",
    "",
    "Commands:",
    "  eat         Eat a meal",
    "  help        Show what a command does",
    "",
    "Options of every command, before or after its name:",
    ...EVERYWHERE,
    "",
    "Exit codes: 0 done, 1 failed, 2 misused or badly configured, 3 not registered",
  ]);
});

Deno.test("version prints the version and the platform", async () => {
  const system = new FakeSystem();
  const text = { code: 0, out: `pennon ${VERSION} (linux, x86_64)\nfrom source\n`, err: "" };
  assertEquals(await runCli(system, "version"), text);
  for (const word of ["--version", "-v", "-V"]) assertEquals(await runCli(system, word), text);
  assertEquals(await runCli(system, "--log-level", "debug", "-v"), text);
  const { code, out } = await runCli(system, "version", "--json");
  assertEquals([code, JSON.parse(out)], [0, {
    schema: "pennon.version/1",
    version: VERSION,
    os: "linux",
    architecture: "x86_64",
    commit: null,
    dirty: false,
    deno: null,
    base: null,
  }]);
});

Deno.test("status prints the agent's files, as text and as JSON", async () => {
  const { system, server } = await enrolled();
  assertStringIncludes((await runCli(system, "status")).out, "no check-in yet");
  await runCli(system, "run", "--once");
  server.mood = { kind: "gone" };
  await runCli(system, "run", "--once");
  const { code, out } = await runCli(system, "status", "--json");
  assertEquals(code, 0);
  const status = JSON.parse(out);
  assertEquals([status.schema, status.registered, status.running], [
    "pennon.status/1",
    true,
    false,
  ]);
  assertEquals([status.connection.breaker, status.connection.failures], ["closed", 1]);
  assertEquals([status.disk.takes_writes, status.disk.why, status.process_id], [true, null, null]);
  assertEquals([status.scanners, status.scanner_breakers], [{}, []]);
  const none = { received: 0, started: 0, finished: 0, reported: 0, remembered: 0, unfinished: 0 };
  assertEquals(status.commands, { ...none, max_remembered: 10_000 });
  const text = (await runCli(system, "status")).out;
  assertStringIncludes(text, "Outage");
  assert(!text.includes("access-1") && !out.includes("refresh-1"));
});

Deno.test("status --watch of an unregistered host repeats too, and returns 3", async () => {
  const system = new FakeSystem();
  const watching = runCli(system, "status", "--watch");
  for (let turn = 0; turn < 10; turn++) await system.clock.advance(1_000);
  system.stopListeners.forEach((listener) => listener("SIGINT"));
  const { code, err } = await watching;
  assertEquals(code, 3);
  assert(err.includes("pennon register"), err);
});

Deno.test("status --watch repeats until it is asked to stop", async () => {
  const { system } = await enrolled();
  const watching = runCli(system, "status", "--watch", "--json");
  for (let turn = 0; turn < 10; turn++) await system.clock.advance(1_000);
  system.stopListeners.forEach((listener) => listener("SIGINT"));
  const { code, out } = await watching;
  assertEquals(code, 0);
  const lines = out.trimEnd().split("\n");
  assert(lines.length >= 3, out);
  assertEquals(JSON.parse(lines.at(-1)!).schema, "pennon.status/1");
  assertEquals(system.stopListeners.size, 0);
});

Deno.test("status of an unregistered host prints the next step, and returns 3", async () => {
  const { code, out, err } = await runCli(new FakeSystem(), "status");
  assertEquals([code, err], [3, "Next: pennon register --server URL --token TOKEN\n"]);
  assertStringIncludes(out, "not registered");
});

Deno.test("status --watch prints a block every two seconds, and redraws on a terminal only", async () => {
  const blocks = async (isTerminal: boolean, ...words: string[]) => {
    const { system } = await enrolled();
    system.terminal.stdoutIsTerminal = isTerminal;
    const watching = runCli(system, "status", "--watch", ...words);
    // The first block: what the command loads takes turns, and no time.
    for (let turn = 0; turn < 1_000 && system.clock.sleeping === 0; turn++) await settle();
    await system.clock.advance(1_999);
    const before = system.terminal.out.split("Agent ").length - 1;
    await system.clock.advance(1);
    for (let turn = 0; turn < 1_000 && system.clock.sleeping === 0; turn++) await settle();
    system.stopListeners.forEach((listener) => listener("SIGINT"));
    const { out } = await watching;
    return {
      before,
      after: out.split("Agent ").length - 1,
      drawn: out.split("(clear)").length - 1,
    };
  };
  assertEquals(await blocks(true), { before: 1, after: 2, drawn: 2 });
  assertEquals(await blocks(false), { before: 1, after: 2, drawn: 0 });
  assertEquals((await blocks(true, "--json")).drawn, 0);
});

Deno.test("status reports an unreadable buffer, and everything else", async () => {
  const { system } = await enrolled();
  await runCli(system, "run", "--once");
  system.files.fail("look for the buffer", "denied");
  const { code, out } = await runCli(system, "status");
  assertEquals(code, 0);
  assertStringIncludes(out, "buffer unreadable: Cannot look for the buffer");
  assertStringIncludes(out, "Check-in");
  const { buffer, commands, disk } = JSON.parse((await runCli(system, "status", "--json")).out);
  assertEquals([buffer, commands], [null, null]);
  assertStringIncludes(disk.why, "Cannot look for the buffer");
});

Deno.test("status prints the interval in effect: the server's, or else the configured one", async () => {
  const { system } = await enrolled();
  const interval = async () => {
    await runCli(system, "run", "--once");
    return JSON.parse((await runCli(system, "status", "--json")).out).polling.interval_s;
  };
  assertEquals(await interval(), 60);
  const path = `${STATE}/identity.json`;
  const identity = JSON.parse(system.files.texts.get(path) ?? "");
  for (const key of Object.keys(identity)) if (/interval/i.test(key)) identity[key] = null;
  system.files.texts.set(path, JSON.stringify(identity));
  system.environment.set("PENNON_POLLING_INTERVAL", "7m");
  assertEquals(await interval(), 420);
});
