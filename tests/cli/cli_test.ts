import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SickDisk } from "../fakes/sick_disk.ts";
import { FakeSystem } from "../fakes/system.ts";
import { enrolled, say } from "./said.ts";

Deno.test("cli() without a word, or asked for it, says what there is", async () => {
  const system = new FakeSystem();
  for (const words of [[], ["help"], ["--help"], ["-h"], ["help", "help"]]) {
    const { code, out, err } = await say(system, ...words);
    assertEquals([code, err], [0, ""]);
    assertStringIncludes(out, "Usage: pennon COMMAND [options]");
  }
  assertStringIncludes((await say(system, "scan", "--help")).out, "Usage: pennon scan");
  assertStringIncludes((await say(system, "--version")).out, "pennon ");
});

Deno.test("cli() misused answers 2, says how on stderr alone, and touches nothing", async () => {
  const rows: [words: string[], says: string][] = [
    [["bogus"], 'Cannot run "bogus": no such command'],
    [["constructor"], "no such command"],
    [["help", "bogus"], "no such command"],
    [["--config", "x.toml", "run"], 'Cannot run "--config": options come after the command'],
    [["run", "--bogus"], "no such option"],
    [["run", "extra"], "Cannot"],
    [["register", "--server"], "Cannot"],
    [["register", "--server", "x:", "--token", "t"], "server.url (on the command line): found"],
    [["register", "--server", "https://x.test", "--token", "-"], "no token came on stdin"],
    [["scan", "--only", "apt,bogus"], '"bogus": it is none of apt, dnf, winupdate, winget'],
    [["scan", "--json", "--csv"], "JSON and CSV at once"],
    [["events", "eat"], 'it takes "list", "show ID"'],
    [["events"], 'Cannot run "events "'],
    [["events", "list", "0197f0"], "list takes no ID"],
    [["events", "show"], "Cannot show event: it takes an ID"],
    [["events", "show", "0197f"], '"0197f" is too short'],
    [["events", "show", "--dead", "0197f0"], '"--dead": it belongs to "events list"'],
    [["events", "requeue"], "it takes an ID or --all"],
    [["events", "requeue", "0197f0", "--all"], "not both"],
    [["events", "purge", "--all"], '"--all": it belongs to "events requeue"'],
    [["events", "purge", "0197f0", "0197f1"], "one argument too many"],
    [["config", "eat"], "Cannot"],
    [["status", "--config", "/nowhere"], 'no file "/nowhere"'],
    [["scan", "--log-level", "loud"], "one of debug, info, warning, error"],
  ];
  for (const [words, says] of rows) {
    const system = new FakeSystem();
    const { code, out, err } = await say(system, ...words);
    assertEquals([code, out], [2, ""], words.join(" "));
    assertStringIncludes(err, says);
    assertEquals(system.files.texts.size, 0);
  }
});

Deno.test("what a bad word holds cannot steer the terminal", async () => {
  const { err } = await say(new FakeSystem(), "\u001b[2Jbogus");
  // deno-lint-ignore no-control-regex
  assert(!/\u001b/.test(err), err);
});

Deno.test("run --once checks in, delivers, and answers 1 where no server was reached", async () => {
  const { system, server } = await enrolled();
  server.queue("c1", "enable_heartbeat", { duration_minutes: 5 });
  assertEquals((await say(system, "run", "--once")).code, 0);
  assertEquals(server.reports.map(({ report }) => report), ["logs", "system-info"]);
  server.mood = { kind: "gone" };
  assertEquals((await say(system, "run", "--once")).code, 1);
});

Deno.test("run --once on a disk that takes no writes says so, ends with 1 and takes no command", async () => {
  const { system, server } = await enrolled();
  const disk = new SickDisk(system);
  server.queue("c1", "reboot");
  for (const breakIt of [() => disk.fault = "full", () => disk.isDead = true]) {
    disk.heal();
    breakIt();
    const { code, err } = await say(system, "run", "--once");
    assertEquals([code, server.count("/commands")], [1, 0]);
    assertStringIncludes(err, "Cannot check in: the disk cannot store commands");
  }
  disk.heal();
  assertEquals((await say(system, "run", "--once")).code, 0);
  assertEquals(server.count("/commands"), 1);
});

Deno.test("scan of which a package manager failed answers 1, and prints its reason", async () => {
  const system = new FakeSystem();
  for (const name of ["apt-get", "dpkg-query"]) system.files.texts.set(`/usr/bin/${name}`, "");
  const { code, out, err } = await say(system, "scan", "--only", "apt", "--json");
  assertEquals(code, 1);
  const [apt] = JSON.parse(out).scanners;
  assertEquals([apt.available, apt.result, apt.updates], [true, "failed", []]);
  assertStringIncludes(err, `pennon: apt: ${apt.error.message}`);
});

Deno.test("scan on a host without a package manager says so; one asked for by name is missed", async () => {
  const system = new FakeSystem();
  const none = await say(system, "scan", "--json");
  const { schema, scanners } = JSON.parse(none.out);
  assertEquals([none.code, schema, scanners.length], [0, "pennon.scan/1", 4]);
  assert(scanners.every(({ available }: { available: boolean }) => !available));
  assertStringIncludes(none.err, "no package manager that Pennon knows is on this host");
  const missed = await say(system, "scan", "--only", "apt");
  assertEquals(missed.code, 1);
  assertStringIncludes(missed.err, "Cannot scan with apt: it is not on this host");
});

Deno.test("run without a registration answers 3", async () => {
  const { code, err } = await say(new FakeSystem(), "run");
  assertEquals(code, 3);
  assertStringIncludes(err, "pennon register --server URL");
});

Deno.test("events list tells what waits", async () => {
  const { system, server } = await enrolled();
  assertEquals((await say(system, "events", "list")).out, "No events\n");
  server.poison = { text: "command_id", status: 400 };
  server.queue("c1", "disable_heartbeat");
  await say(system, "run", "--once");
  const { events, total } = JSON.parse((await say(system, "events", "list", "--json")).out);
  assertEquals([total, events[0].kind, events[0].command_id, events[0].attempts], [
    1,
    "log",
    "c1",
    1,
  ]);
  assertStringIncludes((await say(system, "events", "list")).out, "HTTP 400");
  assertEquals((await say(system, "events", "list", "--dead")).out, "No events\n");
});

Deno.test("cli() says what to do where this user may not, and answers 3 where it is not registered", async () => {
  const system = new FakeSystem();
  system.files.fail("read the identity", "denied");
  const denied = await say(system, "unregister");
  assertEquals(denied.code, 1);
  assertStringIncludes(denied.err, "Next: run this as the agent's user, or as root");
  const broken = new FakeSystem();
  broken.files.fail("read the identity", "failed");
  const failed = await say(broken, "unregister");
  assertEquals([failed.code, failed.err.includes("as root")], [1, false]);
});

Deno.test("cli() explains each command, whichever way it is asked", async () => {
  const system = new FakeSystem();
  const names = "run register unregister scan status events breaker config version".split(" ");
  for (const name of names) {
    const { code, out } = await say(system, "help", name);
    assertEquals(code, 0);
    assert(out.startsWith(`pennon ${name} - `), out);
    assertEquals((await say(system, name, "--help")).out, out);
    assertEquals((await say(system, name, "-h")).out, out);
    for (const line of out.split("\n")) assert(line.length <= 80, line);
  }
  const { out } = await say(system);
  for (const name of names) assertStringIncludes(out, `\n  ${name.padEnd(12)}`);
});

Deno.test("cli() keeps its state where it is told, and logs as it is told", async () => {
  const { system } = await enrolled();
  assertEquals((await say(system, "status", "--state-dir", "/elsewhere")).code, 3);
  const { err } = await say(
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
  const quiet = await say(system, "run", "--once", "--log-level", "error");
  assert(!quiet.err.includes("agent started"), quiet.err);
});

Deno.test("cli() takes no more words than a command has a use for, and says where help is", async () => {
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
  };
  for (const [name, count] of Object.entries(most)) {
    const words = Array.from({ length: count + 1 }, (_, index) => `word${index}`);
    const { code, out, err } = await say(new FakeSystem(), name, ...words);
    assertEquals([code, out], [2, ""], name);
    assertEquals(
      err,
      `pennon: Cannot read "word${count}": one argument too many\nNext: pennon help\n`,
    );
  }
});

Deno.test("run --once logs what it is, and that it is done", async () => {
  const { system } = await enrolled();
  const { err } = await say(system, "run", "--once", "--log-format", "json");
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

Deno.test("what went wrong is told in bounded words, however long it is", async () => {
  const system = new FakeSystem();
  const line = `${"x".repeat(3_000)}\u202e`;
  system.machine = {
    ...system.machine,
    userId: () => {
      throw new Error(`${line}\n`.repeat(200));
    },
  };
  const { code, err } = await say(system, "config", "check");
  assertEquals(code, 1);
  const lines = err.trimEnd().split("\n");
  assertEquals([lines.length, lines.at(-1)], [101, "pennon: and 101 more lines"]);
  assertEquals(lines[0], `pennon: ${"x".repeat(1_995)}(cut)`);
});

Deno.test("root's commands touch no state directory of another user's", async () => {
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
    const { code, out, err } = await say(system, ...words, ...own);
    assertEquals([code, out], [2, ""], words.join(" "));
    assert(err.includes('"/srv/state" belongs to user 1001'), err);
  }
  system.machine = { ...system.machine, userId: () => 1_000 };
  const { code, err } = await say(system, "config", "check", ...own);
  assertEquals(code, 0);
  assert(err.includes('the state directory is not safe: "/srv/state" belongs to user 1001'), err);
});
