/** The program where FIFOs, directories, devices and links to nothing have the names of its files. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Program } from "../../tools/program.ts";
import { type Irregular, makeIrregular, NAMES } from "../real/irregular.ts";
import { type Host, onHost, within } from "./harness.ts";

const KINDS: readonly Irregular[] = ["fifo", "directory", "dangling", "to_device"];

/** Windows has no such things in its directories. */
const unixOnly = { ignore: Deno.build.os === "windows" };

/**
 * The executable may look into no device at all, and says so in place of its kind: a device is met
 * by a permission that it has not.
 */
function says(kind: Irregular, text: string): boolean {
  return text.includes(`is ${NAMES[kind]}, not a regular file`) ||
    (kind === "to_device" && /Requires .* access/.test(text));
}

function waitFor(program: Program, text: string): Promise<string> {
  return within(program.waitFor(text, (line) => line.includes(text)), text);
}

/** Starts the agent with a command to take, which it is to report all the same. */
function start(host: Host): { agent: Program; works(): Promise<void> } {
  const id = host.server.queueCommand({ type: "collect_specs" });
  const agent = host.run();
  return {
    agent,
    async works() {
      await host.until("the command's result", () => host.logOf(id) !== undefined);
      assertEquals(host.logOf(id)?.result, "success");
      await within(agent.stop("SIGTERM"), "the end");
      assertEquals((await agent.ended).code, 0);
    },
  };
}

/** What the agent can do without, or makes anew. */
const DISPENSABLE = [
  "state.json",
  "scanner-breakers.json",
  "breaker-reset.json",
  "told-updates.json",
  "last-scans.json",
  "disk.json",
  "agent.json",
  "agent.lock",
  "agent.lock-journal",
  "status.try",
  "cache",
  "buffer-v1.sqlite",
];

for (const kind of KINDS) {
  Deno.test({
    ...unixOnly,
    name: `the agent runs where what it can do without is no regular file: ${kind}`,
    fn: () =>
      onHost(async (host) => {
        await host.register();
        for (const name of DISPENSABLE) {
          await makeIrregular(kind, `${host.stateDirectory}/${name}`);
        }
        const { agent, works } = start(host);
        await waitFor(agent, "agent started");
        await waitFor(agent, "state directory not locked");
        const refused = await waitFor(agent, "cannot read saved state; starting with defaults");
        assert(says(kind, refused), refused);
        for (const words of [["status"], ["breaker", "list"], ["events", "list"]]) {
          const { code, err } = await host.pennon(words);
          assert(code === 0 || says(kind, err), `${words.join(" ")}: ${err}`);
        }
        await works();
      }),
  });

  Deno.test({
    ...unixOnly,
    name: `the agent runs where its buffer is no regular file, and loses nothing: ${kind}`,
    fn: () =>
      onHost(async (host) => {
        await host.register();
        const path = `${host.stateDirectory}/buffer.sqlite`;
        await makeIrregular(kind, path);
        const { code, err } = await host.pennon(["events", "list"]);
        // A link to nothing is a buffer that is not there.
        assert(kind === "dangling" ? code === 0 : code === 1 && says(kind, err), err);
        const { agent, works } = start(host);
        if (kind === "dangling" || kind === "to_device") {
          // The link stays for a person to look at; what there is to tell is in memory meanwhile.
          await waitFor(agent, "agent started");
          if (kind === "dangling") {
            const line = await waitFor(agent, "disk refuses writes, buffering events in memory");
            assert(says(kind, line), line);
            await Deno.remove(path);
            await waitFor(agent, "disk accepts writes again");
          }
        } else {
          const line = await waitFor(agent, "buffer was damaged, salvaged into a new file");
          assert(says(kind, line), line);
          const names = [...Deno.readDirSync(host.stateDirectory)].map(({ name }) => name);
          assert(names.some((name) => name.startsWith("buffer.sqlite.corrupt-")), names.join());
        }
        await works();
      }),
  });

  Deno.test({
    ...unixOnly,
    name: `a file without which there is nothing to do, and is not one, is named: ${kind}`,
    fn: () =>
      onHost(async (host) => {
        await host.register();
        const isNamed = async (code: number, path: string, words: readonly string[]) => {
          const ended = await host.pennon(words);
          assertEquals(ended.code, code, ended.err);
          assertStringIncludes(ended.err, `"${path}`);
          assert(says(kind, ended.err), ended.err);
        };
        const state = host.stateDirectory;
        await Deno.copyFile(`${state}/identity.json`, `${host.folder}/identity.json`);
        await makeIrregular(kind, `${state}/identity.json`);
        await isNamed(1, `${state}/identity.json`, ["run", "--once"]);
        await isNamed(1, `${state}/identity.json`, ["status"]);
        await Deno.remove(`${state}/identity.json`, { recursive: true });
        await Deno.copyFile(`${host.folder}/identity.json`, `${state}/identity.json`);
        const register = ["register", "--replace"];
        await makeIrregular(kind, `${host.folder}/other.json`);
        const adopt = [...register, "--adopt", `${host.folder}/other.json`];
        await isNamed(1, `${host.folder}/other.json`, adopt);
        const config = `${host.folder}/config.toml`;
        await Deno.writeTextFile(config, `tls.ca_file = "${host.folder}/other.json"`);
        await isNamed(1, `${host.folder}/other.json`, ["run", "--once"]);
        await makeIrregular(kind, config);
        await isNamed(2, config, ["config", "check"]);
      }),
  });
}

Deno.test({
  ...unixOnly,
  name: "a FIFO beside the buffer keeps its events in memory until it is gone",
  fn: () =>
    onHost(async (host) => {
      await host.register();
      assertEquals((await host.pennon(["run", "--once"])).code, 0);
      for (const suffix of ["-wal", "-shm", "-journal"]) {
        const path = `${host.stateDirectory}/buffer.sqlite${suffix}`;
        await makeIrregular("fifo", path);
        const { code, err } = await host.pennon(["events", "list"]);
        assertEquals(code, 1);
        assertStringIncludes(err, `"${path}" is a FIFO, not a regular file. Next: move it away`);
        const { agent, works } = start(host);
        const line = await waitFor(agent, "disk refuses writes, buffering events in memory");
        assert(says("fifo", line), line);
        await Deno.remove(path);
        await waitFor(agent, "disk accepts writes again");
        await works();
      }
    }),
});

Deno.test({
  ...unixOnly,
  name: "a token is read from no directory",
  fn: () =>
    onHost(async (host) => {
      const words = ["register", "--server", host.server.url, "--token", "-"];
      const program = host.start(words, { wrap: ["sh", "-c", 'exec "$@" < /', "sh"] });
      const { code } = await within(program.ended, "the program");
      assertEquals(code, 1);
      assertStringIncludes(program.lines.join("\n"), "pennon: Cannot read stdin: ");
    }),
});
