import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { systemdUnit } from "../../src/service/systemd.ts";
import { FakeSystem } from "../fakes/system.ts";
import { runCli } from "./run_cli.ts";

/** A host on which systemd says this of the unit. */
function host(answer = "LoadState=loaded\nActiveState=active\nMainPID=7\n"): FakeSystem {
  const system = new FakeSystem();
  system.files.texts.set("/run/systemd/system/mark", "");
  system.runCommand = () =>
    Promise.resolve({ code: 0, stdout: answer, stderr: "", truncated: false });
  return system;
}

Deno.test("service install --print shows the unit, with the program where it is, and needs no rights", async () => {
  const system = new FakeSystem();
  system.executable = "/opt/pennon";
  const { code, out, err } = await runCli(system, "service", "install", "--print");
  assertEquals([code, out, err], [0, systemdUnit({ program: "/opt/pennon" }), ""]);
  system.os = "windows";
  assertMatch(
    (await runCli(system, "service", "install", "--print")).out,
    /^<\?xml[^]*<\/Task>\n$/,
  );
  system.os = "macos";
  assertMatch(
    (await runCli(system, "service", "install", "--print")).out,
    /^<\?xml[^]*<\/plist>\n$/,
  );
});

Deno.test("service status exits 1 unless the agent runs", async () => {
  const text = await runCli(host(), "service", "status");
  assertEquals([text.code, text.out.split("\n")[0]], [0, "Service      running"]);
  const stopped = host("LoadState=loaded\nActiveState=failed\n");
  assertEquals((await runCli(stopped, "service", "status")).code, 1);
  const { code, out } = await runCli(host("LoadState=not-found\n"), "service", "status", "--json");
  assertEquals([code, JSON.parse(out)], [1, {
    schema: "pennon.service-status/1",
    installed: false,
    running: false,
    details: { LoadState: "not-found" },
  }]);
});

Deno.test("service logs prints as many lines as were asked for", async () => {
  const system = host();
  const asked: (string | undefined)[] = [];
  system.runCommand = (argv) => {
    asked.push(argv.find((word) => word.startsWith("--lines")));
    return Promise.resolve({ code: 0, stdout: "a line\n", stderr: "", truncated: false });
  };
  await runCli(system, "service", "logs");
  await runCli(system, "service", "logs", "--lines", "10000");
  assertEquals(asked, ["--lines=100", "--lines=10000"]);
  for (const lines of ["0", "10001", "-1", "x", "1e3"]) {
    assertEquals((await runCli(system, "service", "logs", `--lines=${lines}`)).code, 2, lines);
  }
  assertEquals(asked.length, 2);
});

Deno.test("service logs prints the lines of the journal, or why there are none", async () => {
  const system = host();
  const journal = (stdout: string) => {
    system.runCommand = () => Promise.resolve({ code: 0, stdout, stderr: "", truncated: false });
  };
  journal("2026-11-30 INFO agent started\n2026-11-30 INFO checked in\n");
  const two = await runCli(system, "service", "logs");
  assertEquals([two.code, two.err], [0, ""]);
  assertEquals(two.out.trimEnd().split("\n").length, 2);
  assertMatch(two.out, /^2026-11-30 INFO agent started\n2026-11-30 INFO checked in\n/);
  journal("");
  const user = await runCli(system, "service", "logs");
  assertEquals([user.code, user.out], [1, ""]);
  assertMatch(
    user.err,
    /no line of pennon.service that this user may read\. Next: sudo pennon service logs$/m,
  );
  system.machine = { ...system.machine, userId: () => 0 };
  const root = await runCli(system, "service", "logs");
  assertEquals(root.err, "pennon: Cannot read the journal: it holds no line of pennon.service\n");
  system.files.texts.clear();
  const elsewhere = await runCli(system, "service", "logs");
  assertMatch(elsewhere.err, /systemd does not run here\. Next: .* or set log\.file/);
});

Deno.test("service install names the server of the configuration or of the environment, where one is known", async () => {
  const install = (...words: string[]) => {
    const system = host();
    system.executable = "/usr/local/bin/pennon";
    system.files.texts.set(system.executable, "");
    system.machine = { ...system.machine, userId: () => 0 };
    return { system, run: () => runCli(system, "service", "install", ...words) };
  };
  const unknown = install();
  const next = (server: string) =>
    `Next: sudo pennon register --server ${server} --token TOKEN && sudo pennon service install`;
  assertStringIncludes((await unknown.run()).out, next("URL"));
  const environment = install();
  environment.system.environment.set("PENNON_SERVER_URL", "https://a.test");
  assertStringIncludes((await environment.run()).out, next("https://a.test"));
  const file = install("--json");
  file.system.files.texts.set("/etc/pennon/config.toml", '[server]\nurl = "https://b.test"\n');
  assertStringIncludes(JSON.parse((await file.run()).out).done.at(-1), next("https://b.test"));
  // The service would not find what is registered elsewhere.
  const places = install("--state-dir", "/elsewhere");
  const { out, err } = await places.run();
  assertStringIncludes(out, next("URL"));
  assertEquals(
    err,
    'pennon: without effect here: "--state-dir"; the service has its own configuration and state\n',
  );
});

Deno.test("service refuses words that it does not know, with exit code 2", async () => {
  for (const words of [[], ["start"], ["status", "--print"], ["install", "now"]]) {
    const { code, out } = await runCli(host(), "service", ...words);
    assertEquals([code, out], [2, ""], words.join(" "));
  }
});

Deno.test("service install without rights exits 1 and names the next step", async () => {
  const { code, err } = await runCli(host(), "service", "install");
  assertEquals(code, 1);
  assertMatch(err, /only root can\. Next: sudo pennon service install$/m);
});
