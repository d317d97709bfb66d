/**
 * Starts the agent again and again beside `status` in a loop, and counts the starts that are refused: none
 * may be, because `status` takes no lock that can refuse one. A start is cut short as soon as it has the
 * lock. Bounded by `--starts` and by `--minutes`.
 */

import { parseArgs } from "@std/cli/parse-args";
import { Program } from "../program.ts";
import { startRefserver } from "../refserver/refserver.ts";
import { costOf } from "./scan_times.ts";

const REGISTRATION_TOKEN = "bench-registration-token";

const given = parseArgs(Deno.args, {
  string: ["executable", "starts", "minutes", "loops"],
  default: { starts: "10000", minutes: "25", loops: "1" },
});
const executable = String(given.executable ?? "dist/pennon-linux-x64");
const [wanted, minutes, loops] = [given.starts, given.minutes, given.loops].map(Number);

if (![wanted, minutes, loops].every((number) => Number.isFinite(number) && (number ?? 0) > 0)) {
  console.error("Cannot read --starts, --minutes or --loops: each is a number above 0");
  Deno.exit(2);
}

const folder = await Deno.makeTempDir({ prefix: "pennon-lock-starts-" });
try {
  Deno.exitCode = await run();
} finally {
  await Deno.remove(folder, { recursive: true });
}

async function run(): Promise<number> {
  const server = await startRefserver({ registrationTokens: [REGISTRATION_TOKEN] });
  const own = ["--state-dir", `${folder}/state`, "--config", `${folder}/config.toml`];
  // No call is to go out: only the lock matters.
  await Deno.writeTextFile(`${folder}/config.toml`, '[polling]\nstart_spread = "10m"\n');
  const words = ["register", "--server", server.url, "--token", REGISTRATION_TOKEN];
  await costOf({ argv: [executable, ...words, ...own], code: 0 });
  await server.close();

  const untilMs = performance.now() + (minutes ?? 0) * 60_000;
  const isOver = () => performance.now() >= untilMs;
  const figures = { starts: 0, refused: 0, statuses: 0, wrong: 0 };
  const done = new AbortController();
  const watching = Array.from({ length: loops ?? 1 }, async () => {
    while (!done.signal.aborted) {
      const status = new Program({ argv: [executable, "status", ...own] });
      const { code } = await status.ended;
      figures.statuses += 1;
      if (code !== 0) figures.wrong += 1;
    }
  });
  while (figures.starts < (wanted ?? 0) && !isOver()) {
    const agent = new Program({ argv: [executable, "run", ...own] });
    const end = agent.ended.then(() => "ended");
    const started = agent.waitFor("its start", (line) => line.includes("agent started"));
    const outcome = await Promise.race([started.then(() => "started", () => "ended"), end]);
    await agent.stop("SIGKILL");
    figures.starts += 1;
    if (outcome === "started") continue;
    figures.refused += 1;
    console.error(agent.lines.join("\n"));
  }
  done.abort();
  await Promise.all(watching);
  console.log(
    `${figures.starts} starts, ${figures.refused} refused, beside ${figures.statuses} times ` +
      `\`status\`, ${figures.wrong} of them failed`,
  );
  return figures.refused + figures.wrong === 0 ? 0 : 1;
}
