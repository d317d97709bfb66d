/** Replacing the executable of a running agent, restarting into the next version, and going back. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SCHEMA_VERSION } from "../../src/buffer/schema.ts";
import { VERSION } from "../../src/version.ts";
import { Program } from "../../tools/program.ts";
import { EXECUTABLE, type Host, onHost, within } from "./harness.ts";
import { OTHER_VERSION, writeOtherRelease } from "./other_release.ts";
import { told } from "./outage.ts";

const ignore = EXECUTABLE === undefined || Deno.build.os !== "linux";
if (ignore) console.log("ignored: upgrades need a Linux executable in PENNON_EXECUTABLE");

const MIGRATION = "ALTER TABLE counters ADD COLUMN later TEXT";

/** An installed executable on a host, which can be replaced. */
class Installation {
  readonly #host: Host;
  readonly #path: string;
  #agent: Program | null = null;

  constructor(host: Host) {
    this.#host = host;
    this.#path = `${host.folder}/pennon`;
  }

  /** The one that was started last. */
  get agent(): Program {
    if (!this.#agent) throw new Error("Cannot name the agent: none was started");
    return this.#agent;
  }

  /** As package managers and `install` do it: written beside, then renamed over. */
  async install(write: (path: string) => Promise<void>): Promise<void> {
    await write(`${this.#path}.new`);
    await Deno.rename(`${this.#path}.new`, this.#path);
  }

  start(): Program {
    this.#agent = new Program({ argv: this.#argv("run", "--log-format", "json") });
    return this.#agent;
  }

  async stop(agent: Program): Promise<void> {
    await within(agent.stop("SIGTERM"), "the end");
    assertEquals((await agent.ended).code, 0, agent.lines.slice(-5).join("\n"));
  }

  /** The output of a command of the executable that is installed now. */
  async output(...words: string[]): Promise<string> {
    const [program, ...args] = this.#argv(...words);
    const { stdout } = await new Deno.Command(program!, { args, stderr: "null" }).output();
    return new TextDecoder().decode(stdout);
  }

  async pending(): Promise<number> {
    return JSON.parse(await this.output("status", "--json")).buffer.pending;
  }

  /** Kills what still runs. */
  async end(): Promise<void> {
    await this.#agent?.stop("SIGKILL");
  }

  #argv(...words: [string, ...string[]] | string[]): [string, ...string[]] {
    const { stateDirectory, folder } = this.#host;
    return [this.#path, ...words, "--state-dir", stateDirectory].concat(
      "--config",
      `${folder}/config.toml`,
    ) as [string, ...string[]];
  }
}

/** This version's executable, copied. */
async function thisRelease(path: string): Promise<void> {
  await Deno.copyFile(EXECUTABLE!, path);
}

/** The next version's. */
function nextRelease(migration?: string): (path: string) => Promise<void> {
  const options = migration === undefined ? {} : { migration };
  return (path) => writeOtherRelease(EXECUTABLE!, path, options);
}

async function onInstalledHost(
  story: (host: Host, installation: Installation) => Promise<void>,
): Promise<void> {
  await onHost(async (host) => {
    await host.register();
    const installation = new Installation(host);
    try {
      await story(host, installation);
      assertEquals(host.server.state().violations, []);
    } finally {
      await installation.end();
    }
  });
}

/**
 * Has the server refuse the report of a command, so that it waits in the agent's buffer. An agent that
 * `start` starts has the command at its first check-in.
 */
async function holdReport(host: Host, start: () => void = () => {}): Promise<string> {
  const isReport = ({ path }: { path: string }) => path.endsWith("/logs");
  await host.server.setFault({ mode: "reset", path: "/logs$" });
  const id = host.server.queueCommand({ type: "collect_specs" });
  host.server.resetRequests();
  start();
  await host.until("report", () => host.server.state().requests.some(isReport));
  assertEquals(host.logOf(id), undefined);
  return id;
}

function reportsOf(host: Host, id: string): number {
  return host.server.state().logs.filter((log) => log.command_id === id).length;
}

function versionOf(agent: Program): unknown {
  return told(agent, "agent started")[0]?.["version"];
}

Deno.test(
  "a running agent survives the replacement of its file, and the next version delivers its buffer",
  {
    ignore,
  },
  () =>
    onInstalledHost(async (host, installation) => {
      await installation.install(thisRelease);
      const agent = installation.start();
      await agent.waitFor("start", (line) => line.includes("agent started"));
      // The client for HTTP is read at the first request: it must come out of the file that was started.
      await installation.install((path) => Deno.writeTextFile(path, "no program", { mode: 0o755 }));
      const first = host.server.queueCommand({ type: "collect_specs" });
      await host.until("result", () => host.logOf(first) !== undefined);
      assertEquals(host.logOf(first)?.result, "success");

      await installation.install(nextRelease(MIGRATION));
      const held = await holdReport(host);
      await installation.stop(agent);
      assertEquals(versionOf(agent), VERSION);
      assertStringIncludes(await installation.output("version"), `pennon ${OTHER_VERSION} (`);

      const next = installation.start();
      await next.waitFor("start", (line) => line.includes("agent started"));
      assertEquals(versionOf(next), OTHER_VERSION);
      assert(await installation.pending() >= 1, "the buffer went along");
      await host.server.setFault({ mode: "none" });
      await host.until("report", () => host.logOf(held) !== undefined);
      await installation.stop(next);
      assertEquals([reportsOf(host, first), reportsOf(host, held)], [1, 1]);
      assertEquals(await installation.pending(), 0);
    }),
);

Deno.test(
  "one version back works with a buffer of the same schema",
  { ignore },
  () =>
    onInstalledHost(async (host, installation) => {
      await installation.install(nextRelease());
      const held = await holdReport(host, () => installation.start());
      const next = installation.agent;
      await installation.install(thisRelease);
      await installation.stop(next);
      assertEquals(versionOf(next), OTHER_VERSION);

      const back = installation.start();
      await host.server.setFault({ mode: "none" });
      await host.until("report", () => host.logOf(held) !== undefined);
      await installation.stop(back);
      assertEquals([versionOf(back), reportsOf(host, held)], [VERSION, 1]);
    }),
);

Deno.test("one version back leaves a migrated buffer alone and says so; nothing is lost", {
  ignore,
}, () =>
  onInstalledHost(async (host, installation) => {
    await installation.install(nextRelease(MIGRATION));
    const held = await holdReport(host, () => installation.start());
    const next = installation.agent;
    await installation.stop(next);
    await host.server.setFault({ mode: "none" });

    await installation.install(thisRelease);
    const writer = `a newer Pennon (schema ${SCHEMA_VERSION + 1})`;
    const asked = host.server.queueCommand({ type: "collect_specs" });
    host.server.resetRequests();
    const back = installation.start();
    await host.until("check-in", () => host.checkIns() > 0);
    const said = await back.waitFor("words", (line) => line.includes(writer));
    assertStringIncludes(said, 'give this one a \\"--state-dir\\" of its own');
    assertStringIncludes(await installation.output("status"), writer);
    await installation.stop(back);
    // A command that could not be recorded was not started, and its report of before is not sent.
    assertEquals([reportsOf(host, held), reportsOf(host, asked)], [0, 0]);

    await installation.install(nextRelease(MIGRATION));
    const again = installation.start();
    await host.until("report", () => host.logOf(held) !== undefined);
    await installation.stop(again);
    assertEquals(reportsOf(host, held), 1);
  }));
