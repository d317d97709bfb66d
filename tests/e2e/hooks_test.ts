/**
 * The administrator's programs (`[hooks]`), started by a real agent. Their paths are fixed, so each host
 * has an `/etc/pennon` of its own: a mount that only the programs of the test see.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Program } from "../../tools/program.ts";
import { lacks } from "../real/lacks.ts";
import { type Host, onHost, within } from "./harness.ts";
import { OUTAGE_CONFIG, pause, type Told, told } from "./outage.ts";

const CONFIG = `
[hooks]
on_outage = true
on_outage_arguments = ["--page", "the ops; $(id)"]
outage_after = "1s"
`;

/** Root's own view of the host, with `$1` as `/etc/pennon`. */
const MOUNT = 'mkdir -p "$1/over" "$1/work" "$1/over/pennon/hooks" && ' +
  'mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/over,workdir=$1/work" /etc && ' +
  'mount --bind "$1/hooks" /etc/pennon/hooks && shift && exec "$@"';

/** A program that appends its event, its arguments and its standard input to `record`. */
const RECORDS = (host: Host) =>
  `#!/bin/sh
set > ${host.folder}/variables
cat > ${host.folder}/stdin
printf '%s|' "$PENNON_EVENT" "$@" >> ${host.folder}/record
echo >> ${host.folder}/record
echo "paged, password=hunter2hunter2"
`;

class HookHost {
  readonly host: Host;
  readonly place: string;

  private constructor(host: Host, place: string) {
    this.host = host;
    this.place = place;
  }

  static async make(host: Host): Promise<HookHost> {
    const place = `${host.folder}/view`;
    await Deno.mkdir(`${place}/hooks`, { recursive: true });
    await Deno.mkdir(`${place}/over/pennon/hooks`, { recursive: true });
    for (const path of ["", "/hooks", "/over", "/over/pennon", "/over/pennon/hooks"]) {
      await Deno.chmod(`${place}${path}`, 0o755);
    }
    const made = new HookHost(host, place);
    await made.configure('"2s"');
    return made;
  }

  async configure(timeout: string): Promise<void> {
    const config = `${OUTAGE_CONFIG}${CONFIG}timeout = ${timeout}\n`;
    await Deno.writeTextFile(`${this.host.folder}/config.toml`, config);
  }

  get wrap(): readonly [string, ...string[]] {
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNT, "sh", this.place];
  }

  async write(text: string, mode = 0o755, name = "on_outage"): Promise<void> {
    const path = `${this.place}/hooks/${name}`;
    await Deno.writeTextFile(path, text);
    await Deno.chmod(path, mode);
  }

  /** `isRapid`: it tries the server every second or two. */
  async run({ isRapid = false } = {}): Promise<Program> {
    await this.host.register();
    const params = { duration_minutes: 10 };
    const id = isRapid
      ? this.host.server.queueCommand({ type: "enable_heartbeat", params })
      : undefined;
    const words = ["run", "--log-format", "json", "--log-level", "debug"];
    const agent = this.host.start(words, { wrap: this.wrap });
    await this.host.until(
      "check-in",
      (host) => id === undefined ? host.checkIns() > 0 : host.logOf(id) !== undefined,
    );
    return agent;
  }

  /** Takes the server away for `ms`, or until `line` is logged. */
  async outage(agent: Program, line: string): Promise<void> {
    await this.host.server.setFault({ mode: "reset" });
    await within(agent.waitFor(line, (text) => text.includes(line)), line);
    await this.host.server.setFault({ mode: "none" });
    const back = "connection recovered";
    await within(agent.waitFor(back, (text) => text.includes(back)), back);
  }

  async record(): Promise<string[]> {
    const text = await Deno.readTextFile(`${this.host.folder}/record`).catch(() => "");
    return text.split("\n").filter((line) => line !== "");
  }
}

/** Mounts take root, and not every container lets root. */
async function cannotMount(): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return true;
  if (await lacks("unshare", "mount", "sh")) return true;
  const folder = await Deno.makeTempDir({ prefix: "pennon-e2e-" });
  try {
    const place = `${folder}/view`;
    await Deno.mkdir(`${place}/hooks`, { recursive: true });
    const { success } = await new Deno.Command("unshare", {
      args: ["--mount", "--propagation", "private", "sh", "-c", MOUNT, "sh", place, "true"],
      stdout: "null",
      stderr: "null",
    }).output();
    return !success;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const ignore = await cannotMount();

function hookTest(name: string, story: (host: HookHost) => Promise<void>): void {
  Deno.test({ name, ignore }, () => onHost(async (host) => await story(await HookHost.make(host))));
}

const about = (agent: Program, message: string): Told[] => told(agent, message);

hookTest(
  "on_outage is started once when an outage begins, and once when it is over",
  async (hooks) => {
    const { host } = hooks;
    await hooks.write(RECORDS(host));
    const agent = await hooks.run();
    await hooks.outage(agent, "hook finished");
    await within(
      agent.waitFor(
        "the end",
        (line) => line.includes("outage_ended") && line.includes("finished"),
      ),
      "the second run",
    );
    await pause(6_000); // One look more.
    await agent.stop("SIGTERM");
    assertEquals(await hooks.record(), [
      "outage_began|--page|the ops; $(id)|",
      "outage_ended|--page|the ops; $(id)|",
    ]);
    assertEquals(await Deno.readTextFile(`${host.folder}/stdin`), "");
    const variables = await Deno.readTextFile(`${host.folder}/variables`);
    assertMatch(variables, /^PENNON_SINCE='?20\d\d-\d\d-\d\dT[\d:.]+Z'?$/m);
    assertMatch(variables, /^PENNON_LASTED_S='?\d+'?$/m);
    assertStringIncludes(variables, `PENNON_SERVER='${host.server.url}'`);
    // Nothing of the agent's own environment.
    assert(!/^(PENNON_TOKEN|DENO_|NO_COLOR)/m.test(variables), variables);
    const [first] = about(agent, "hook finished");
    assertEquals([first?.["exit_code"], first?.["output"]], [0, "paged, password=(hidden)"]);
  },
);

hookTest(
  "a program that hangs is killed at its limit with its children, and nothing waits",
  async (hooks) => {
    const { host } = hooks;
    await hooks.write(
      `#!/bin/sh\ntrap '' TERM\nsleep 1111 &\necho $! > ${host.folder}/child\necho hangs >&2\n` +
        "sleep 1111\n",
    );
    await hooks.configure('"5s"');
    const agent = await hooks.run({ isRapid: true });
    await hooks.outage(agent, "hook failed");
    const [{ why, output } = { why: "", output: "" }] = about(agent, "hook failed");
    assertStringIncludes(String(why), "no end within 5000 ms");
    assertEquals(output, "hangs");
    const child = (await Deno.readTextFile(`${host.folder}/child`)).trim();
    assert(!await isRunning(child), `${child} still runs`);
    // The agent went on trying the server meanwhile.
    const lines = agent.lines.filter((line) => line.startsWith("{")).map((line) =>
      JSON.parse(line)
    );
    const from = lines.findIndex(({ message }) => message === "hook started");
    const to = lines.findIndex(({ message }) => message === "hook failed");
    const meanwhile = lines.slice(from, to);
    assert(
      meanwhile.some(({ attempt }) => typeof attempt === "number"),
      meanwhile.map(({ time, message }) => `${time} ${message}`).join("\n"),
    );
    await agent.stop("SIGTERM");
  },
);

hookTest("a stop request ends a program that runs, within the limit of a stop", async (hooks) => {
  const { host } = hooks;
  await hooks.write(`#!/bin/sh\necho $$ > ${host.folder}/child\nexec sleep 1111\n`);
  await hooks.configure('"10m"');
  const agent = await hooks.run();
  await host.server.setFault({ mode: "reset" });
  await within(agent.waitFor("a start", (line) => line.includes("hook started")), "a start");
  await pause(500);
  const startMs = performance.now();
  await agent.stop("SIGTERM");
  assert(performance.now() - startMs < 5_500);
  const child = (await Deno.readTextFile(`${host.folder}/child`)).trim();
  assert(!await isRunning(child), `${child} still runs`);
});

hookTest(
  "a program that others can write is refused, said once, and started when that is mended",
  async (hooks) => {
    const { host } = hooks;
    await hooks.write(RECORDS(host), 0o757);
    const agent = await hooks.run();
    await host.server.setFault({ mode: "reset" });
    const line = "hook not started";
    await within(agent.waitFor(line, (text) => text.includes(line)), line);
    await pause(11_000); // Two looks more.
    const refusals = about(agent, line);
    assertEquals(refusals.map(({ hook }) => hook), ["on_outage"]);
    const why = String(refusals[0]?.["why"]);
    assertStringIncludes(
      why,
      "can be written by every user (mode 757). Next: chmod go-w /etc/pennon",
    );
    assertEquals(await hooks.record(), []);
    await Deno.chmod(`${hooks.place}/hooks/on_outage`, 0o755);
    const done = "hook finished";
    await within(agent.waitFor(done, (text) => text.includes(done)), done);
    assertEquals((await hooks.record()).length, 1);
    await agent.stop("SIGTERM");
  },
);

hookTest("a program that fails is logged with its exit code and what it said", async (hooks) => {
  await hooks.write("#!/bin/sh\necho no pager >&2\nexit 3\n");
  const agent = await hooks.run();
  await hooks.outage(agent, "hook failed");
  const [{ exit_code, output } = { exit_code: 0, output: "" }] = about(agent, "hook failed");
  assertEquals([exit_code, output], [3, "no pager"]);
  await agent.stop("SIGTERM");
});

hookTest(
  "config check says what keeps a program from being started, and its advice mends it",
  async (hooks) => {
    const { host } = hooks;
    const check = async () => {
      const words = ["config", "check", "--json"];
      const program = host.start(words, { wrap: hooks.wrap });
      const { code } = await within(program.ended, "config check");
      const answer = JSON.parse(program.lines.find((line) => line.startsWith("{")) ?? "");
      assertEquals([code, answer.errors], [0, []]);
      return answer.warnings.join("\n");
    };
    assertStringIncludes(
      await check(),
      'no program "/etc/pennon/hooks/on_outage". Next: put it there',
    );
    await hooks.write("#!/bin/sh\n", 0o644);
    assertStringIncludes(await check(), "Next: chmod 755 /etc/pennon/hooks/on_outage");
    await hooks.write("#!/bin/sh\n", 0o777);
    assertStringIncludes(await check(), "Next: chmod go-w /etc/pennon/hooks/on_outage");
    await Deno.chmod(`${hooks.place}/hooks/on_outage`, 0o755);
    await Deno.chown(`${hooks.place}/hooks`, 54_321, 54_321);
    assertStringIncludes(await check(), "Next: chown root /etc/pennon/hooks");
    await Deno.chown(`${hooks.place}/hooks`, 0, 0);
    assertEquals(await check(), "");
  },
);

/** Not as a zombie, which a container without an init may keep. */
async function isRunning(processId: string): Promise<boolean> {
  const status = await Deno.readTextFile(`/proc/${processId}/status`).catch(() => "");
  return status !== "" && !/^State:\tZ/m.test(status);
}
