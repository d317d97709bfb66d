/** A host's package managers, played from captured output: well, hanging, locked, broken, flooding. */

import { CommandError, type RunCommand, type RunResult } from "../../src/system/process.ts";
import type { Clock, Random } from "../../src/system/system.ts";
import { FakeClock } from "../fakes/clock.ts";
import { captured, MADE_LISTS, type Question, questionOf } from "../scanners/apt/host.ts";
import { DnfHost, questionOf as dnfQuestionOf } from "../scanners/dnf/host.ts";
import { succeeded } from "../scanners/fixture.ts";

/** What a server of 0.2 knows the host by: the SHA-256 of `MACHINE_ID` (RedFlag's own rule). */
export const SIM_MACHINE = "3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9";

/** How its package managers are at the moment; `partial`: the lists of one repository are missing. */
export type ScanMood = "well" | "partial" | "hangs" | "fails" | "locked" | "garbage" | "flood";

/** Programs that the scanners look for. */
export const PROGRAMS: readonly string[] = [
  "/usr/bin/apt-get",
  "/usr/bin/apt-cache",
  "/usr/bin/dpkg-query",
  "/usr/bin/dnf",
  "/usr/bin/rpm",
];

/** Package lists of apt's, the host's and those that it would fetch for the agent, by path. */
export function aptLists(stateDirectory: string): [path: string, text: string][] {
  return ["/var/lib/apt/lists", `${stateDirectory}/cache/apt/lists`].flatMap((folder) =>
    Object.entries(MADE_LISTS).map(([name, text]): [string, string] => [`${folder}/${name}`, text])
  );
}

/** The package lists of dnf's, by path. */
export function dnfLists(): [path: string, text: string][] {
  return [...dnfHost.files.texts].filter(([path]) => path.startsWith(dnfHost.cache));
}

/** Of these the scanner is told `truncated`; what it gets is as much as it can be made to keep. */
const FLOOD = "0123456789abcdef\n".repeat(4_000);

/** A package of dnf's that an operator may install by hand, and one that gets an update some day. */
export const BY_HAND = "tzdata";
export const ARRIVES = "multi";

/** What a host's package managers depend on. */
interface HostParts {
  readonly clock: Clock;
  readonly random: Random;
  /** Updates that wait no more, as `type/name`. */
  readonly withdrawn: ReadonlySet<string>;
}

/** Runs a program of this host; `moodOf` tells how apt's and dnf's programs are. */
export function simCommands(
  parts: HostParts,
  moodOf: (manager: "apt" | "dnf") => ScanMood,
): RunCommand {
  return async (argv, options) => {
    const { clock, random } = parts;
    const manager = /dnf|rpm/.test(argv[0] ?? "") ? "dnf" : "apt";
    const mood = moodOf(manager);
    const answer = await answerOf(argv, parts, mood === "partial");
    if (answer === undefined) {
      throw new CommandError(`Cannot run "${argv[0]}": no such program`, { reason: "not_found" });
    }
    const signal = options.signal ?? new AbortController().signal;
    const wait = async (ms: number, reason: "timeout" | "aborted") => {
      await clock.sleep(ms, signal).catch(() => {
        throw new CommandError(`Cannot run "${argv[0]}": aborted`, { reason: "aborted" });
      });
      if (reason === "timeout") {
        throw new CommandError(`Cannot run "${argv[0]}": no end`, { reason: "timeout" });
      }
    };
    switch (mood) {
      case "well":
      case "partial":
        if (random() < 0.2) await wait(random() * 20_000, "aborted");
        return answer;
      case "hangs":
        await wait(options.timeoutMs, "timeout");
        return answer;
      case "fails":
        return failed("E: Unmet dependencies. Try 'apt --fix-broken install'");
      case "locked":
        return failed("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1");
      case "garbage":
        return { code: 0, stdout: "\u0000\u001b[31mgarbage\u001b[0m \ufffd\n\n\t", ...rest };
      case "flood":
        return { code: 0, stdout: FLOOD, stderr: FLOOD, truncated: true };
    }
  };
}

const rest = { stderr: "", truncated: false };

function failed(stderr: string): RunResult {
  return { code: 100, stdout: "", stderr, truncated: false };
}

const cache = new Map<string, RunResult>();

/** Answers for a host with dnf 4; its package lists were fetched an hour ago. */
const dnfHost = new DnfHost(4);

async function dnfAnswer(
  argv: readonly string[],
  { nowMs, isPartial }: { nowMs: number; isPartial: boolean },
): Promise<RunResult> {
  const question = dnfQuestionOf(argv);
  if (question === "repositories") {
    dnfHost.clock = new FakeClock(nowMs);
    return dnfHost.answerRepositories(
      dnfHost.repositories.map((one) =>
        isPartial && one.id === PARTED ? { ...one, ageMs: null } : one
      ),
    );
  }
  return await dnfHost.runCommand(argv, { timeoutMs: 1 });
}

/** Without the lines of packages whose updates do not wait, or of a repository whose lists are missing. */
function withoutLines(result: RunResult, isOut: (line: string) => boolean): RunResult {
  const lines = result.stdout.split("\n").filter((line) => !isOut(line));
  return { ...result, stdout: lines.join("\n") };
}

/** The repository that is missing when dnf's lists are not whole. */
const PARTED = "updates";

function aptAnswer(question: Question): RunResult {
  const key = `apt/${question}`;
  const result = cache.get(key) ?? succeeded(captured(question));
  cache.set(key, result);
  return result;
}

async function answerOf(
  argv: readonly string[],
  { clock, withdrawn }: Pick<HostParts, "clock" | "withdrawn">,
  isPartial: boolean,
): Promise<RunResult | undefined> {
  switch (argv[0]) {
    case "/usr/bin/dpkg-query":
    case "/usr/bin/apt-get":
    case "/usr/bin/apt-cache":
    case "/usr/bin/gzip":
      return aptAnswer(questionOf(argv));
    case "/usr/bin/rpm":
    case "/usr/bin/dnf": {
      const answer = await dnfAnswer(argv, { nowMs: clock.nowMs(), isPartial });
      if (withdrawn.size === 0 && !isPartial) return answer;
      const isOffer = dnfQuestionOf(argv) !== "installed";
      return withoutLines(answer, (line) =>
        withdrawn.has(`dnf/${/^[\w-]+/.exec(line)?.[0]}`) ||
        isPartial && isOffer && /\s/.test(line) && line.split(/\s+/).includes(PARTED));
    }
  }
  return undefined;
}
