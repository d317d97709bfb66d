import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  findRedflagActivity,
  findRedflagUser,
  parseServiceStart,
  parseServiceState,
  redflagConfigPaths,
} from "../../src/host/redflag_agent.ts";
import { CommandError } from "../../src/system/process.ts";
import type { Os } from "../../src/system/system.ts";
import { FakeSystem } from "../fakes/system.ts";

/** What a played program prints, and its exit code; an error: it does not end by itself. */
type Played = [stdout: string, code: number] | CommandError;

const SYSTEMCTL = "/usr/bin/systemctl";

/** A host whose programs are played; one that is not named is not there. */
function hostWith(os: Os, programs: Record<string, Played>, processes: string[] = []) {
  const system = new FakeSystem();
  system.os = os;
  if (Object.keys(programs).some((line) => line.startsWith(SYSTEMCTL))) {
    system.files.texts.set(SYSTEMCTL, "");
    system.files.texts.set("/run/systemd/system/x", "");
  }
  processes.forEach((_, index) => system.files.texts.set(`/proc/${index + 1}/stat`, ""));
  system.files.texts.set("/proc/self/stat", "");
  const ran: string[] = [];
  system.runCommand = (argv) => {
    const line = argv.join(" ");
    ran.push(line);
    if (argv[0] === "/usr/bin/cat") {
      const lines = argv.slice(1).map((path) => {
        const id = Number(path.split("/")[2]);
        const [name = "", state = "S"] = (processes[id - 1] ?? "").split(" ");
        return `${id} (${name}) ${state} 1 ${id} ${id} 0 -1 4194560\n`;
      });
      return result([lines.join(""), 1]);
    }
    return result(programs[line] ?? new CommandError("Cannot run", { reason: "not_found" }));
  };
  return { system, ran };
}

function result(played: Played) {
  if (played instanceof CommandError) return Promise.reject(played);
  const [stdout, code] = played;
  return Promise.resolve({ code, stdout, stderr: "", truncated: false });
}

/** systemctl as systemd 252 answers. */
function systemd(active: string, enabled: string): Record<string, Played> {
  return {
    [`${SYSTEMCTL} is-active redflag-agent.service`]: [`${active}\n`, active === "active" ? 0 : 3],
    [`${SYSTEMCTL} is-enabled redflag-agent.service`]: [
      `${enabled}\n`,
      enabled === "enabled" ? 0 : 1,
    ],
  };
}

Deno.test("findRedflagActivity() finds a service that runs, or that will", async () => {
  const rows: [active: string, enabled: string, fact: string | null][] = [
    ["active", "enabled", "its service is active"],
    ["active", "disabled", "its service is active"],
    ["activating", "disabled", "its service is activating"],
    ["deactivating", "disabled", "its service is deactivating"],
    ["reloading", "disabled", "its service is reloading"],
    ["inactive", "enabled", "its service is stopped, but enabled"],
    ["failed", "enabled-runtime", "its service is stopped, but enabled"],
    ["inactive", "disabled", null],
    ["inactive", "masked", null],
    ["failed", "disabled", null],
    ["inactive", "", null],
    ["inactive", "not-enabled", null],
    ["unknown", "not-found", null],
  ];
  for (const [active, enabled, fact] of rows) {
    const { system } = hostWith("linux", systemd(active, enabled), ["systemd", "redflag-agents"]);
    const found = await findRedflagActivity(system);
    if (fact === null) assertEquals(found, { kind: "stopped" }, `${active} ${enabled}`);
    else {
      assert(found.kind === "runs" && found.fact.startsWith(fact), `${active} ${enabled}`);
      assert(found.remedy.includes("systemctl disable --now redflag-agent"), found.remedy);
    }
  }
});

Deno.test("findRedflagActivity() names the service rather than its process, and then lists no processes", async () => {
  const { system, ran } = hostWith("linux", systemd("active", "enabled"), ["redflag-agent"]);
  const found = await findRedflagActivity(system);
  assert(found.kind === "runs" && found.fact === "its service is active", JSON.stringify(found));
  assertEquals(ran, [`${SYSTEMCTL} is-active redflag-agent.service`]);
});

Deno.test("findRedflagActivity() finds a process without a service", async () => {
  const many = [...Array(2_500).fill("sh"), "redflag-agent"];
  for (const programs of [{}, systemd("inactive", "disabled"), systemd("", "")]) {
    for (const processes of [["redflag-agent"], ["init", "sh", "redflag-agent", "cat"], many]) {
      const { system } = hostWith("linux", programs, processes);
      const found = await findRedflagActivity(system);
      assert(found.kind === "runs" && found.fact.includes("process"), JSON.stringify(found));
      const id = processes.indexOf("redflag-agent") + 1;
      assertStringIncludes(
        found.remedy,
        `end it: kill ${id}. Or: stop it for good: sudo systemctl`,
      );
    }
  }
  // One that has ended, and one that is called alike.
  for (const name of ["redflag-agent Z", "redflag-agents", "(redflag-agent"]) {
    const { system } = hostWith("linux", {}, [name]);
    assertEquals(await findRedflagActivity(system), { kind: "stopped" }, name);
  }
  const { system, ran } = hostWith("linux", {}, many.slice(0, -1));
  assertEquals(await findRedflagActivity(system), { kind: "stopped" });
  assertEquals(ran.length, 3); // 1,000 processes with one program.
});

Deno.test("findRedflagActivity() says what it could not ask", async () => {
  const offline = hostWith("linux", systemd("offline", ""), ["sh"]);
  const found = await findRedflagActivity(offline.system);
  assert(found.kind === "unknown" && found.why.includes("gave no answer"), JSON.stringify(found));
  offline.system.files.texts.delete(SYSTEMCTL);
  assertEquals(await findRedflagActivity(offline.system), {
    kind: "unknown",
    why: "there is no systemctl",
  });
  offline.system.files.texts.delete("/run/systemd/system/x");
  assertEquals(await findRedflagActivity(offline.system), { kind: "stopped" });
  const odd = hostWith("linux", systemd("active-ish", "disabled"), ["sh"]);
  assertEquals((await findRedflagActivity(odd.system)).kind, "unknown");
  const slow = hostWith("linux", {
    [`${SYSTEMCTL} is-active redflag-agent.service`]: new CommandError("Cannot wait", {
      reason: "timeout",
    }),
  }, ["sh"]);
  assertEquals((await findRedflagActivity(slow.system)).kind, "unknown");
  const blind = hostWith("linux", {});
  blind.system.files.fail("list the processes", "denied");
  assertEquals((await findRedflagActivity(blind.system)).kind, "unknown");
  const mac = hostWith("macos", {});
  assertEquals([await findRedflagActivity(mac.system), mac.ran], [{ kind: "stopped" }, []]);
});

/** `sc.exe query` as Windows 11 prints it in English; `qc` likewise. */
function query(state: string): string {
  return [
    "",
    "SERVICE_NAME: RedFlagAgent ",
    "        TYPE               : 10  WIN32_OWN_PROCESS  ",
    `        STATE              : ${state} `,
    "                                (STOPPABLE, NOT_PAUSABLE, ACCEPTS_SHUTDOWN)",
    "        WIN32_EXIT_CODE    : 0  (0x0)",
    "        SERVICE_EXIT_CODE  : 0  (0x0)",
    "        CHECKPOINT         : 0x0",
    "        WAIT_HINT          : 0x0",
    "",
  ].join("\r\n");
}

function startsAs(type: string): string {
  return [
    "[SC] QueryServiceConfig SUCCESS",
    "",
    "SERVICE_NAME: RedFlagAgent",
    "        TYPE               : 10  WIN32_OWN_PROCESS ",
    `        START_TYPE         : ${type}`,
    "        ERROR_CONTROL      : 1   NORMAL",
    '        BINARY_PATH_NAME   : "C:\\Program Files\\RedFlag\\redflag-agent.exe"',
    "        SERVICE_START_NAME : LocalSystem",
    "",
  ].join("\r\n");
}

Deno.test("findRedflagActivity() finds the service on Windows", async () => {
  const sc = "C:\\Windows\\System32\\sc.exe";
  const rows: [state: Played, start: string, kind: string][] = [
    [[query("4  RUNNING"), 0], "4   DISABLED", "runs"],
    [[query("2  START_PENDING"), 0], "4   DISABLED", "runs"],
    [[query("7  PAUSED"), 0], "4   DISABLED", "runs"],
    [[query("1  STOPPED"), 0], "2   AUTO_START", "runs"],
    [[query("1  STOPPED"), 0], "2   AUTO_START  (DELAYED)", "runs"],
    [[query("1  STOPPED"), 0], "?", "runs"],
    [[query("1  STOPPED"), 0], "4   DISABLED", "stopped"],
    [[query("1  STOPPED"), 0], "3   DEMAND_START", "stopped"],
    [["[SC] EnumQueryServicesStatus:OpenService FAILED 1060:\r\n", 1_060], "", "stopped"],
    [["[SC] OpenSCManager FAILED 5:\r\n", 5], "", "unknown"],
    [["", 0], "", "unknown"],
    [new CommandError("Cannot wait", { reason: "timeout" }), "", "unknown"],
  ];
  for (const [state, start, kind] of rows) {
    const { system } = hostWith("windows", {
      [`${sc} query RedFlagAgent`]: state,
      [`${sc} qc RedFlagAgent`]: [startsAs(start), 0],
    });
    assertEquals((await findRedflagActivity(system)).kind, kind, `${state} ${start}`);
  }
  const odd = hostWith("windows", {});
  odd.system.environment.set("SystemRoot", "..\\evil");
  assertEquals([(await findRedflagActivity(odd.system)).kind, odd.ran], ["unknown", []]);
});

Deno.test("parseServiceState() reads one state, in any language, and nothing of anything else", () => {
  const rows: [text: string, state: string | null][] = [
    ["", null],
    ["RUNNING", null],
    [query("4  RUNNING"), "RUNNING"],
    [query("4  RUNNING").replace("STATE ", "ÉTAT "), "RUNNING"],
    [query("4  RUNNING").replaceAll("\r", ""), "RUNNING"],
    [query("1  STOPPED"), "STOPPED"],
    [query("1  RUNNING"), null], // Number and word have to agree.
    [query("4  running"), null],
    [query("9  UNHEARD_OF"), null],
    [query("4  RUNNING") + query("1  STOPPED"), null],
  ];
  for (const [text, state] of rows) assertEquals(parseServiceState(text), state, text);
  assertEquals(parseServiceStart(startsAs("2   AUTO_START")), "AUTO_START");
  assertEquals(parseServiceStart(startsAs("2   AUTO_START  (DELAYED)")), "AUTO_START");
  assertEquals(parseServiceStart(startsAs("4   DISABLED")), "DISABLED");
  assertEquals(parseServiceStart(query("1  STOPPED")), null);
});

Deno.test("findRedflagUser() reads the number of RedFlag's user, if there is one", async () => {
  const line = (name: string, id: string) => `${name}:x:${id}:${id}::/var/lib/redflag:/bin/false\n`;
  const rows: [os: Os, passwd: string | undefined, id: number | null][] = [
    ["linux", line("root", "0") + line("redflag-agent", "998") + line("z", "7"), 998],
    ["linux", line("redflag-agents", "1") + line("x-redflag-agent", "2"), null],
    ["linux", line("redflag-agent", ""), null],
    ["linux", "", null],
    ["linux", undefined, null],
    ["windows", line("redflag-agent", "998"), null],
  ];
  for (const [os, passwd, id] of rows) {
    const { system } = hostWith(os, {});
    if (passwd !== undefined) system.files.texts.set("/etc/passwd", passwd);
    assertEquals(await findRedflagUser(system), id);
  }
  const { system } = hostWith("linux", {});
  system.files.fail("look for RedFlag's user", "denied");
  assertEquals(await findRedflagUser(system), null);
});

Deno.test("redflagConfigPaths() begins with the newest layout", () => {
  assertEquals(redflagConfigPaths("linux"), [
    "/etc/redflag/agent/config.json",
    "/etc/redflag/config.json",
    "/etc/aggregator/config.json",
  ]);
  assertEquals(redflagConfigPaths("windows"), [
    "C:\\ProgramData\\RedFlag\\agent\\config.json",
    "C:\\ProgramData\\RedFlag\\config.json",
    "C:\\ProgramData\\Aggregator\\config.json",
  ]);
  assertEquals(redflagConfigPaths("macos"), []);
});

Deno.test("findRedflagActivity() bounds each program, and passes programming errors on", async () => {
  const sc = "C:\\Windows\\System32\\sc.exe";
  const hosts = [
    hostWith("linux", systemd("inactive", "disabled"), ["sh"]),
    hostWith("windows", {
      [`${sc} query RedFlagAgent`]: [query("1  STOPPED"), 0],
      [`${sc} qc RedFlagAgent`]: [startsAs("4   DISABLED"), 0],
    }),
  ];
  for (const { system } of hosts) {
    const { runCommand } = system;
    const limits: (number | undefined)[][] = [];
    system.runCommand = (argv, options) => {
      limits.push([options.timeoutMs, options.maxOutputBytes]);
      return runCommand(argv, options);
    };
    await findRedflagActivity(system);
    assert(limits.length > 1);
    for (const [timeoutMs = Infinity, maxBytes = Infinity] of limits) {
      assert(timeoutMs <= 10_000 && maxBytes <= 1_048_576, `${timeoutMs} ${maxBytes}`);
    }
    // One of the systemd's words, one of the processes, one of sc.exe.
    for (const turn of [0, 2]) {
      let calls = 0;
      system.runCommand = (argv, options) => {
        if (calls++ === turn) throw new TypeError("a mistake of the program's own");
        return runCommand(argv, options);
      };
      if (system.os === "windows" && turn === 2) continue;
      await assertRejects(() => findRedflagActivity(system), TypeError);
    }
  }
});
