/** Runs the programs of apt and dpkg, and classifies their failures by their messages in the C locale. */

import { quoteWords } from "../../redact.ts";
import type { RunResult } from "../../system/process.ts";
import type { System } from "../../system/system.ts";
import { answerTooLong, inBatches, outputLines, reasonNotRun, runProgram } from "../programs.ts";
import { cannot, ScanError, type ScanErrorReason } from "../scanner.ts";
import { INSTALLED_FORMAT } from "./packages.ts";

/** Absolute, so that no other program found through `PATH` runs instead. */
export const APT_GET = "/usr/bin/apt-get";
const APT_CACHE = "/usr/bin/apt-cache";
export const DPKG_QUERY = "/usr/bin/dpkg-query";
const GZIP = "/usr/bin/gzip";
const CP = "/usr/bin/cp";

/** Time limit of one command on a host without packages. A command takes one to eight seconds. */
const TIMEOUT_MS = 60_000;

/** Per installed package: for hundreds of updates apt computes 10 s, on a tenth of a core 100 s. */
const TIMEOUT_PER_PACKAGE_MS = 500;
const MAX_TIMEOUT_MS = 900_000;

/** Fetching package lists waits for mirrors. */
const REFRESH_TIMEOUT_MS = 300_000;

/** Pauses before retries while another process (`apt-daily`, an administrator) has the lists locked. */
const LOCK_RETRY_PAUSES_MS = [5_000, 15_000, 30_000];

/** Paths that apt uses instead of the host's own; for tests. */
export interface AptOptions {
  /** A configuration file that apt reads before its others (`APT_CONFIG`). */
  readonly aptConfigFile?: string;
  /** dpkg's database. @default "/var/lib/dpkg" */
  readonly dpkgDirectory?: string;
  /** Apt's state, with the package lists in `lists`. @default "/var/lib/apt" */
  readonly aptStateDirectory?: string;
  /** Apt's own cache. @default "/var/cache/apt" */
  readonly aptCacheDirectory?: string;
  /** Prefix of the host's other paths (`/run/reboot-required`). @default "" */
  readonly hostDirectory?: string;
}

/** Why apt computed no upgrade. */
export interface UpgradeRefusal {
  /** Completes "Cannot compute an upgrade with apt-get: ..." */
  readonly why: string;
  /** Whether apt ran into the time limit instead of refusing. */
  readonly isTimeout: boolean;
}

/** How the commands of one scan run. */
export interface AskOptions {
  /** Inserted before the other arguments of apt's programs: `-o`, and a setting. */
  readonly settings?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** A program that exceeded its time limit. */
class TimeoutError extends ScanError {}

/** The package lists were replaced while apt read them. A retry helps. */
export class ReplacedListsError extends ScanError {}

/** Runs apt and dpkg; every method throws `ScanError`. */
export class AptCommands {
  readonly #system: System;
  readonly #options: AptOptions;
  readonly #settings: readonly string[];
  readonly #signal: AbortSignal | undefined;
  readonly #warnings = new Set<string>();
  #timeoutMs = TIMEOUT_MS;

  constructor(system: System, options: AptOptions, { settings = [], signal }: AskOptions) {
    this.#system = system;
    this.#options = options;
    this.#settings = settings;
    this.#signal = signal;
  }

  /** Apt's warnings after which something is missing from its output. */
  get gaps(): string[] {
    return [...this.#warnings].filter(isGapWarning);
  }

  get notes(): string[] {
    return [...this.#warnings].filter((warning) => !isGapWarning(warning));
  }

  /** Raises the time limit of each further command with the number of installed packages. */
  extendTimeout(packageCount: number): void {
    const neededMs = TIMEOUT_MS + packageCount * TIMEOUT_PER_PACKAGE_MS;
    this.#timeoutMs = Math.min(MAX_TIMEOUT_MS, neededMs);
  }

  /** Lists the installed packages, in `INSTALLED_FORMAT`. */
  queryInstalled(): Promise<string> {
    const { dpkgDirectory } = this.#options;
    const place = dpkgDirectory === undefined ? [] : [`--admindir=${dpkgDirectory}`];
    const argv = [DPKG_QUERY, ...place, "-W", "-f", INSTALLED_FORMAT];
    return this.#ask("list the installed packages", argv);
  }

  /** Lists every enabled source and what apt would fetch from it. Fetches nothing. */
  listSources(): Promise<string> {
    // -qq prints nothing, and -q is -qq where the host's settings say `quiet`.
    const argv = [APT_GET, ...this.#settings, "-q=1", "--print-uris", "update"];
    return this.#ask("list the package sources", argv);
  }

  /** Computes an upgrade of everything: `--simulate` decides the same and takes four times as long. */
  async decideUpgrade(): Promise<string | UpgradeRefusal> {
    const action = "decide on an upgrade";
    const settings = [
      // With a yes apt refuses what needs more than that: removing an essential package, or a
      // downgrade. Without `Remove` it refuses whatever removes a package.
      "APT::Get::Assume-Yes=false",
      "APT::Get::Remove=true",
      "APT::Get::Show-Upgraded=true",
      "APT::Get::Show-Versions=true",
      "APT::Get::Download=true",
      "APT::Get::Download-Only=false",
      "APT::Output-Version=0",
      "APT::Get::List-Columns=false",
    ];
    const what = ["-q=1", "--print-uris", "-V", ...asOptions(settings), "dist-upgrade"];
    try {
      const result = await this.#run(action, [APT_GET, ...this.#settings, ...what]);
      if (!isRefusal(result)) return this.#answer(action, result);
      const errors = quotedMessages(result.stderr, "errors").join("; ");
      return { why: errors || `exit ${result.code}`, isTimeout: false };
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      return { why: error.message.replace(`Cannot ${action}: `, ""), isTimeout: true };
    }
  }

  /** Lists the package files that no signature covers, one per line. */
  queryUntrusted(): Promise<string> {
    const filter = ["--format", "$(DESCRIPTION)", "Created-By: Packages", "Trusted: no"];
    const argv = [APT_GET, ...this.#settings, "indextargets", ...filter];
    return this.#ask("list the sources that are not signed", argv);
  }

  /** Lists the versions of packages, given by apt's names. */
  queryPolicies(names: readonly string[]): Promise<string> {
    const argv = [APT_CACHE, ...this.#settings, "policy"];
    return this.#askInBatches("list the versions of packages", argv, names);
  }

  /** Shows the details of packages, each given as `name=version`. */
  showPackages(packages: readonly string[]): Promise<string> {
    const argv = [APT_CACHE, ...this.#settings, "show", "--no-all-versions"];
    return this.#askInBatches("describe packages", argv, packages);
  }

  /** Returns the concatenated texts of packed changelogs; omits unreadable ones. */
  async readChangelogs(paths: readonly string[]): Promise<string> {
    if (paths.length === 0) return "";
    return (await this.#run("read changelogs", [GZIP, "-dc", "--", ...paths])).stdout;
  }

  /** Fetches changelogs from the distributors' servers, each given as `name=version`. */
  fetchChangelogs(packages: readonly string[], timeoutMs: number): Promise<RunResult> {
    const settings = [
      "Acquire::Retries=0",
      "Acquire::http::Timeout=10",
      "Acquire::https::Timeout=10",
    ];
    const what = ["-q=1", ...asOptions(settings), "changelog", ...packages];
    // Apt shows each with a pager.
    const argv = [APT_GET, ...this.#settings, ...what];
    return this.#run("fetch changelogs", argv, timeoutMs, { PAGER: "cat" });
  }

  /**
   * Fetches package lists, and retries for a while if another process has them locked. A failed source
   * is part of the result; throws if apt could not ask any source.
   */
  async update(): Promise<RunResult> {
    const action = "refresh the package lists";
    const settings = [
      "APT::Update::Error-Mode=any",
      // With a pause before a retry apt 2.6 never ends where one of two sources of a host answers 503.
      "Acquire::Retries::Delay=false",
    ];
    const argv = [APT_GET, ...this.#settings, "-q=1", ...asOptions(settings), "update"];
    const pausesMs = [...LOCK_RETRY_PAUSES_MS];
    while (true) {
      const result = await this.#run(action, argv, REFRESH_TIMEOUT_MS);
      const failure = result.code === 0 ? null : aptFailure(action, result);
      if (failure?.reason !== "locked") return result;
      const pauseMs = pausesMs.shift();
      if (pauseMs === undefined) throw failure;
      await this.#system.clock.sleep(pauseMs, this.#signal ?? new AbortController().signal);
    }
  }

  /** Copies files into a directory and preserves their times; omits unreadable ones. */
  async copy(paths: readonly string[], directory: string): Promise<void> {
    if (paths.length === 0) return;
    const argv = [CP, "--preserve=timestamps", "--dereference", "--", ...paths, directory];
    await this.#run("copy package lists", argv);
  }

  async #askInBatches(
    action: string,
    argv: readonly string[],
    names: readonly string[],
  ): Promise<string> {
    let answer = "";
    for (const batch of inBatches(names)) answer += await this.#ask(action, [...argv, ...batch]);
    return answer;
  }

  async #ask(action: string, argv: readonly string[]): Promise<string> {
    return this.#answer(action, await this.#run(action, argv));
  }

  #answer(action: string, result: RunResult): string {
    if (result.code !== 0) throw aptFailure(action, result);
    if (result.truncated) throw answerTooLong(action);
    for (const warning of quotedMessages(result.stderr, "warnings")) this.#warnings.add(warning);
    return result.stdout;
  }

  #run(
    action: string,
    argv: readonly string[],
    timeoutMs: number = this.#timeoutMs,
    more: Readonly<Record<string, string>> = {},
  ): Promise<RunResult> {
    const { aptConfigFile: APT_CONFIG } = this.#options;
    const environment = { ...more, ...(APT_CONFIG !== undefined && { APT_CONFIG }) };
    const options = {
      timeoutMs,
      ...(Object.keys(environment).length > 0 && { environment }),
      signal: this.#signal,
    };
    return runProgram(this.#system, argv, options, (cause) => {
      const reason = reasonNotRun(cause);
      if (cause.reason !== "timeout") return cannot(action, cause.message, reason, { cause });
      const program = argv[0]?.replace(/.*\//, "");
      const fact = `${program} did not finish within ${Math.round(timeoutMs / 1_000)} s`;
      return new TimeoutError(`Cannot ${action}: ${fact}`, { reason, cause });
    });
  }
}

/** Passes each setting to apt with `-o`. */
export function asOptions(settings: readonly string[]): string[] {
  return settings.flatMap((setting) => ["-o", setting]);
}

/** The start of apt's error and warning messages; apt 3 spells the severities out. */
const SEVERITY = /^(E|W|Err:\d+|Error|Warning): ?/;

/** Apt 3 prints the severity in bold even without a terminal. */
// deno-lint-ignore no-control-regex
const COLOUR = /\x1b\[[\d;]*m/g;

/** Length of a quoted message, which goes to a terminal and to a server. */
const MAX_MESSAGE_LENGTH = 300;

/** Messages are read from this much of a command's standard error; more would be a flood. */
const MAX_STDERR_LENGTH = 1_048_576;
const MAX_MESSAGES = 1_000;

/** Quoted messages of one command; mirrors come in dozens. */
const MAX_QUOTED_MESSAGES = 10;

const LOCKED = /Could not get lock|Unable to lock|Unable to acquire the dpkg frontend lock/;
/** Apt has no list of sources: it then knows no update, and the rest of its output is worthless. */
const NO_SOURCES =
  /The list of sources could not be read|Malformed (?:entry|line|stanza)|is invalid for APT::Default-Release/;
/** Warnings after which something is missing from a list; all others become notes. */
const GAP_WARNING = /Unable to read |could(?: not|n't) be read|You may want to run apt-get update/;
const REPLACED =
  /Unable to parse package file|Could not open file .*\/lists\/|lists or status file/;

/** `dpkg-query: error: FACT`, with the indented lines after it. */
const DPKG_ERROR =
  /^dpkg(?:-query)?: (?:unrecoverable fatal |fatal )?error[:,] ?(.*(?:\n[ \t].*)*)/gm;

/** Apt's messages of a severity, one per line, without the severity. They may contain secrets. */
export function rawMessages(stderr: string, severity: "errors" | "warnings"): string[] {
  const text = stderr.slice(0, MAX_STDERR_LENGTH).replace(COLOUR, "");
  return outputLines(`${text}\n`).lines.flatMap((line) => {
    const [start = "", kind = ""] = SEVERITY.exec(line) ?? [];
    if (start === "" || kind.startsWith("W") !== (severity === "warnings")) return [];
    // Nothing is missing where the same list is configured twice.
    const text = line.slice(start.length).trim();
    return / is configured multiple times /.test(text) ? [] : [text];
  }).slice(0, MAX_MESSAGES);
}

/** Apt's messages as an error quotes them: redacted, shortened, each once, and the first of many. */
export function quotedMessages(stderr: string, severity: "errors" | "warnings"): string[] {
  const found = rawMessages(stderr, severity).map((text) => quoteWords(text, MAX_MESSAGE_LENGTH));
  return [...new Set(found)].slice(0, MAX_QUOTED_MESSAGES);
}

/** Whether something is missing from the output of a successful command that printed this warning. */
export function isGapWarning(warning: string): boolean {
  return GAP_WARNING.test(warning);
}

/** Whether apt refused an upgrade because of this host's packages, and other commands would succeed. */
export function isRefusal(result: RunResult): boolean {
  const errors = quotedMessages(result.stderr, "errors");
  const isOther = [LOCKED, NO_SOURCES, REPLACED].some((words) =>
    errors.some((error) => words.test(error))
  );
  return result.code !== 0 && result.code <= 128 && !isOther;
}

/** The error for a command with another exit code than 0; `action` completes "Cannot …". */
export function aptFailure(action: string, { code, stderr }: RunResult): ScanError {
  const errors = quotedMessages(stderr, "errors");
  const facts = [...errors, ...dpkgErrors(stderr)].join("; ") || `exit ${code}`;
  const message = `Cannot ${action}: ${facts}`;
  if (errors.some((error) => REPLACED.test(error))) {
    return new ReplacedListsError(message, { reason: "transient" });
  }
  return new ScanError(message, { reason: reasonOf(errors, code) });
}

function dpkgErrors(stderr: string): string[] {
  const { lines } = outputLines(`${stderr.slice(0, MAX_STDERR_LENGTH)}\n`);
  const found = [...lines.join("\n").matchAll(DPKG_ERROR)].slice(0, MAX_QUOTED_MESSAGES);
  return found.map(([, fact = ""]) => quoteWords(fact.replace(/\s+/g, " "), MAX_MESSAGE_LENGTH));
}

function reasonOf(errors: readonly string[], code: number): ScanErrorReason {
  if (errors.some((error) => LOCKED.test(error))) return "locked";
  // A signal ended it: out of memory, or the host is shutting down.
  return code > 128 ? "transient" : "permanent";
}
