import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { findingsAsJson, findingsAsText } from "../../src/cli/doctor_command.ts";
import { fail, ok, skip, warn } from "../../src/doctor/finding.ts";
import { FakeSystem } from "../fakes/system.ts";
import { enrolled, runCli, STATE } from "./run_cli.ts";

const plain = (_word: unknown, text: string) => text;

Deno.test("pennon doctor colours the level alone, and on a terminal alone", async () => {
  const system = new FakeSystem();
  assert(!(await runCli(system, "doctor")).out.includes("\x1b"));
  system.terminal.stdoutIsTerminal = true;
  const { out } = await runCli(system, "doctor");
  assertStringIncludes(out, "\x1b[31mFAIL\x1b[0m  package managers");
  assertStringIncludes(out, "\x1b[32mOK\x1b[0m    configuration");
});

Deno.test("findingsAsText() has a line per check, the next step below it, and a sum", () => {
  const findings = [
    ok("dns", "a is b"),
    warn("clock", "2 min ahead", "set it"),
    fail("tls", "no\x1b[2J trust", "name it"),
    skip("health", '"tls" failed'),
  ];
  assertEquals(findingsAsText(findings, plain).split("\n"), [
    "OK    dns               a is b",
    "WARN  clock             2 min ahead",
    "                        Next: set it",
    "FAIL  tls               no[2J trust",
    "                        Next: name it",
    'SKIP  health            skipped because "tls" failed',
    "",
    "1 failed, 1 warning, 1 skipped",
  ]);
  assertEquals(findingsAsText([ok("a", "b")], plain).split("\n").at(-1), "All is well");
});

Deno.test("findingsAsJson() names the worst level, and skips count for nothing", () => {
  const result = (...findings: Parameters<typeof findingsAsJson>[0]) =>
    JSON.parse(findingsAsJson(findings)).result;
  assertEquals([result(skip("a", "b"), ok("a", "b")), result(ok("a", "b"), warn("a", "b", "c"))], [
    ...["ok", "warn"],
  ]);
  assertEquals(result(warn("a", "b", "c"), fail("a", "b", "c")), "fail");
});

Deno.test("pennon doctor works on a bare host, takes no lock, and writes nothing that stays", async () => {
  const system = new FakeSystem();
  const before = [...system.files.texts.keys()];
  const { code, out } = await runCli(system, "doctor");
  assertEquals(code, 1); // There is no package manager on it.
  assertStringIncludes(out, "FAIL  package managers");
  assertStringIncludes(out, "skipped because no server is known");
  assertEquals([...system.files.texts.keys()], before);
  assertEquals(system.files.locked.size, 0);
});

Deno.test("pennon doctor shows the access token to its own server, in one call without effect", async () => {
  const { system, server } = await enrolled();
  server.requests.length = 0;
  const { out } = await runCli(system, "doctor", "--json");
  const { schema, checks } = JSON.parse(out);
  assertEquals(schema, "pennon.doctor/1");
  const levels = new Map(
    checks.map((one: { check: string; level: string }) => [one.check, one.level] as const),
  );
  assertEquals([levels.get("registration"), levels.get("health"), levels.get("access")], [
    ...["ok", "ok", "ok"],
  ]);
  assertEquals(server.requests.map(({ method, path, token }) => `${method} ${path} ${token}`), [
    "GET /health null",
    "GET /api/v1/agents/a1/config access-1",
    "GET /api/v1/public-keys null",
    "GET /api/v1/public-key null",
  ]);
  assert(!out.includes("access-1") && !out.includes("refresh-1"));
});

Deno.test("pennon doctor sends no token to a server that the host is not registered with", async () => {
  const { system, server } = await enrolled();
  server.requests.length = 0;
  system.environment.set("PENNON_SERVER_URL", "http://other.test");
  const { code, out } = await runCli(system, "doctor");
  assertEquals(code, 1);
  assertStringIncludes(out, 'FAIL  registration      registered with "http://server.test"');
  assertEquals(server.requests.map(({ path, token }) => [path, token]), [["/health", null]]);
});

Deno.test("pennon doctor goes on with what it can where the state directory cannot be read", async () => {
  const { system } = await enrolled();
  system.files.fail("read the state directory", "denied");
  const { code, out } = await runCli(system, "doctor");
  assertEquals(code, 1);
  assertStringIncludes(out, "FAIL  state directory");
  assertStringIncludes(out, 'SKIP  registration      skipped because "state directory" failed');
  assertStringIncludes(out, "configuration     valid");
  assert(![...system.files.texts.keys()].includes(`${STATE}/doctor.try`));
});
