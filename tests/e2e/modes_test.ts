import { assert, assertEquals } from "@std/assert";
import { cannotTrace, readTrace, traceInto } from "../real/trace.ts";
import { type Host, onHost, TOKEN, within } from "./harness.ts";

const isWindows = Deno.build.os === "windows";

/** The words before a command that is to run under another umask. */
function underUmask(umask: string): [string, ...string[]] {
  return ["/bin/sh", "-c", 'umask "$0"; exec "$@"', umask];
}

/**
 * Everything at and below a directory, with what others may do to it. What package managers write for
 * the agent has the modes that they give it; the directory around it lets nobody in.
 */
function openToOthers(directory: string): string[] {
  return [
    ...closedDirectory(directory),
    ...[...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) => {
      const path = `${directory}/${name}`;
      const isCache = directory.endsWith("/cache");
      if (isDirectory) return isCache ? closedDirectory(path) : openToOthers(path);
      try {
        const bits = (Deno.lstatSync(path).mode ?? 0) & 0o7777;
        return bits === 0o600 ? [] : [`${path} ${bits.toString(8)}`];
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return []; // It was a temporary file.
        throw error;
      }
    }),
  ];
}

function closedDirectory(path: string): string[] {
  const { mode } = Deno.lstatSync(path);
  return ((mode ?? 0) & 0o7777) === 0o700 ? [] : [`${path} ${mode?.toString(8)}`];
}

function namesIn(host: Host): string[] {
  return [...Deno.readDirSync(host.stateDirectory)].map(({ name }) =>
    name.replace(/corrupt-.*?Z/, "corrupt")
  ).sort();
}

/** Lives through everything that makes a file in the state directory, under one umask. */
async function live(host: Host, umask: string): Promise<void> {
  const wrap = underUmask(umask);
  const run = async (words: readonly string[], input = "") => {
    const { ended, lines } = host.start(words, { wrap, input });
    const { code } = await within(ended, words.join(" "));
    assertEquals([words[0], code], [words[0], 0], lines.join("\n"));
    assertEquals(openToOthers(host.stateDirectory), []);
  };
  await run(["register", "--server", host.server.url, "--token", "-"], TOKEN);
  const ids = ["scan_updates", "collect_specs"].map((type) => host.server.queueCommand({ type }));
  const agent = host.start(["run"], { wrap });
  await host.until("results", () => ids.every((id) => host.logOf(id) !== undefined));
  await run(["breaker", "reset", "connection"]);
  await run(["status"]);
  const whileRunning = namesIn(host);
  for (const name of ["agent.json", ...["", "-wal", "-shm"].map((end) => `buffer.sqlite${end}`)]) {
    assert(whileRunning.includes(name), `no ${name} in ${whileRunning.join(" ")}`);
  }
  await agent.stop("SIGKILL");
  await run(["status"]);
  await Deno.writeTextFile(`${host.stateDirectory}/buffer.sqlite`, "no database. ".repeat(1_000));
  await run(["run", "--once"]);
  assert(namesIn(host).includes("buffer.sqlite.corrupt"), namesIn(host).join(" "));
  for (
    const name of [
      ...["agent.lock", "buffer.sqlite", "disk.json", "identity.json"],
      ...["last-scans.json", "scanner-breakers.json", "state.json"],
    ]
  ) {
    assert(namesIn(host).includes(name), `no ${name} in ${namesIn(host).join(" ")}`);
  }
}

for (const umask of ["000", "077"]) {
  Deno.test({
    name: `nothing in the state directory is open to others, under umask ${umask}`,
    ignore: isWindows,
    fn: () => onHost((host) => live(host, umask)),
  });
}

Deno.test({
  name: "no file in the state directory is open to others for an instant, under umask 000",
  ignore: isWindows || await cannotTrace(),
  fn: () =>
    onHost(async (host) => {
      const trace = async (words: readonly string[], input = "") => {
        const path = `${host.folder}/trace`;
        const wrap: [string, ...string[]] = [...underUmask("000"), ...traceInto(path)];
        const { code } = await within(host.start(words, { wrap, input }).ended, words.join(" "));
        assertEquals(code, 0);
        return readTrace(await Deno.readTextFile(path));
      };
      const calls = await trace(["register", "--server", host.server.url, "--token", "-"], TOKEN);
      const id = host.server.queueCommand({ type: "collect_specs" });
      calls.push(...await trace(["run", "--once"]));
      assertEquals(host.logOf(id)?.result, "success");
      const made = new Map<string, number>();
      for (const call of calls) {
        if (call.kind !== "make" && call.kind !== "make directory") continue;
        if (!call.file.startsWith(host.stateDirectory)) continue;
        // Only the first one makes it: SQLite says how it would be made whenever it opens one.
        if (!made.has(call.file)) made.set(call.file, call.mode);
      }
      const open = [...made].filter(([, mode]) => (mode & 0o077) !== 0);
      assertEquals(open.map(([file, mode]) => `${file} ${mode.toString(8)}`), []);
      for (const name of ["", "/agent.lock", "/buffer.sqlite", "/buffer.sqlite-wal"]) {
        assert(made.has(host.stateDirectory + name), name);
      }
      assert([...made.keys()].some((file) => /\/identity\.json\..*\.tmp$/.test(file)));
    }),
});
