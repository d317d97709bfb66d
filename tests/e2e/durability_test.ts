import { assert, assertEquals } from "@std/assert";
import { powerCutLosses } from "../real/power_cut.ts";
import { cannotTrace, readTrace, traceInto } from "../real/trace.ts";
import { type Host, onHost, TOKEN, within } from "./harness.ts";

const ignore = await cannotTrace();

/** Runs a command to its end under strace; answers what it asked of the kernel. */
async function trace(host: Host, words: readonly string[], input = "") {
  const path = `${host.folder}/trace`;
  const { ended } = host.start(words, { input, wrap: traceInto(path) });
  const { code } = await within(ended, `pennon ${words.join(" ")}`);
  assertEquals(code, 0);
  return readTrace(await Deno.readTextFile(path));
}

Deno.test({
  name: "a power cut takes nothing of what register has said, or of what the server knows of it",
  ignore,
  fn: () =>
    onHost(async (host) => {
      const words = ["register", "--server", host.server.url, "--token", "-"];
      const calls = await trace(host, words, TOKEN);
      assertEquals(powerCutLosses(calls, host.folder), []);
      assert(calls.some((call) => call.kind === "print"));
      assert(
        calls.some((call) => call.kind === "rename" && call.to.endsWith("/state/identity.json")),
      );
    }),
});

Deno.test({
  name: "a power cut takes no event that was sent, and no command that was handed over",
  ignore,
  fn: () =>
    onHost(async (host) => {
      await host.register();
      const ids = ["collect_specs", "enable_heartbeat"].map((type) =>
        host.server.queueCommand({ type, params: {} })
      );
      const calls = await trace(host, ["run", "--once"]);
      for (const id of ids) assertEquals(host.logOf(id)?.result, "success");
      // Not at the start of a program: a child calls execve at an instant of its own, in the middle
      // of what the agent is just about to sync.
      const options = { at: ["send"], only: /buffer\.sqlite/ } as const;
      assertEquals(powerCutLosses(calls, host.stateDirectory, options), []);
      // What is written of the state ahead of a check-in need not survive one.
      const rest = { at: [], only: /^(?!.*\/state\.json)/ } as const;
      assertEquals(powerCutLosses(calls, host.stateDirectory, rest), []);
      const sends = calls.filter(({ kind }) => kind === "send").length;
      const syncs = calls.filter((call) =>
        call.kind === "sync" && call.file.endsWith("buffer.sqlite-wal")
      ).length;
      // Of each command: received, started, finished, its log acknowledged.
      assert(sends >= 4 && syncs >= 8, `${sends} sends, ${syncs} syncs`);
    }),
});
