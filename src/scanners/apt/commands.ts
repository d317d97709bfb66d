/** The commands that the apt scanner asks, each within bounds; what they answer is not read here. */

import { reasonNotRun, ScanError } from "../scanner.ts";
import { CommandError, type RunResult } from "../../system/process.ts";
import type { System } from "../../system/system.ts";
import { aptFailure, complaints, isLoss, isRefusal } from "./failure.ts";
import { INSTALLED_FORMAT } from "./installed.ts";

/** Absolute, so that nothing found through `PATH` is run in their place. */
export const APT_GET = "/usr/bin/apt-get";
const APT_CACHE = "/usr/bin/apt-cache";
export const DPKG_QUERY = "/usr/bin/dpkg-query";
const GZIP = "/usr/bin/gzip";
const CP = "/usr/bin/cp";

/** For each question about a host without packages: a question takes one to eight seconds. */
const TIMEOUT_MS = 60_000;

/**
 * Besides, for each installed package: with hundreds of updates apt computes for ten seconds, and on a
 * tenth of a core for a hundred.
 */
const TIMEOUT_PER_PACKAGE_MS = 500;
const LONGEST_TIMEOUT_MS = 900_000;

/** Fetching package lists waits for mirrors. */
const REFRESH_TIMEOUT_MS = 300_000;

/** Between two tries to fetch lists that something else (`apt-daily`, a person) has locked. */
const BUSY_PAUSES_MS = [5_000, 15_000, 30_000];

const NEVER = new AbortController().signal;

/** Linux takes at most 128 KiB of arguments where the stack is small; some is left for the rest. */
const MAX_ARGUMENT_BYTES = 100_000;

/** Where apt is to look instead of at the host's own folders; for tests. */
export interface AptOptions {
  /** A configuration file that apt reads before its others (`APT_CONFIG`). */
  readonly aptConfigFile?: string;
  /** dpkg's database. @default "/var/lib/dpkg" */
  readonly dpkgDirectory?: string;
  /** Apt's state, with the package lists in `lists`. @default "/var/lib/apt" */
  readonly aptStateDirectory?: string;
  /** Apt's own cache. @default "/var/cache/apt" */
  readonly aptCacheDirectory?: string;
  /** Put before the host's other paths (`/run/reboot-required`). @default "" */
  readonly hostDirectory?: string;
}

/** Why apt would not decide on an upgrade. */
export interface Refusal {
  /** Completes "apt-get decides nothing: ..." */
  readonly why: string;
  /** It was not refused: it took too long. */
  readonly isTimeout: boolean;
}

/** How one scan asks. */
export interface AskOptions {
  /** Put before the other arguments of apt's programs: `-o`, and a setting. */
  readonly settings?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** A program that was ended because it took too long. */
export class TimeoutError extends ScanError {
  /** `apt-get did not finish within 60 s`. */
  readonly fact: string;

  constructor(message: string, { fact, cause }: { fact: string; cause: unknown }) {
    super(message, { reason: "transient", cause });
    this.fact = fact;
  }
}

/** Asks apt and dpkg; every method throws `ScanError`. */
export class AptCommands {
  readonly #system: System;
  readonly #options: AptOptions;
  readonly #settings: readonly string[];
  readonly #signal: AbortSignal | undefined;
  readonly #losses = new Set<string>();
  readonly #notes = new Set<string>();
  #timeoutMs = TIMEOUT_MS;

  constructor(system: System, options: AptOptions, { settings = [], signal }: AskOptions) {
    this.#system = system;
    this.#options = options;
    this.#settings = settings;
    this.#signal = signal;
  }

  /** Warnings of apt's after which something is missing from an answer. */
  get losses(): string[] {
    return [...this.#losses];
  }

  /** Its other warnings. */
  get notes(): string[] {
    return [...this.#notes];
  }

  /** Gives each further question more time on a host with more packages. */
  allowFor(packages: number): void {
    const neededMs = TIMEOUT_MS + packages * TIMEOUT_PER_PACKAGE_MS;
    this.#timeoutMs = Math.min(LONGEST_TIMEOUT_MS, neededMs);
  }

  /** The installed packages, in `INSTALLED_FORMAT`. */
  queryInstalled(): Promise<string> {
    const { dpkgDirectory } = this.#options;
    const place = dpkgDirectory === undefined ? [] : [`--admindir=${dpkgDirectory}`];
    const argv = [DPKG_QUERY, ...place, "-W", "-f", INSTALLED_FORMAT];
    return this.#ask("list the installed packages", argv);
  }

  /** Every enabled source, and what it would fetch; nothing is fetched. */
  listSources(): Promise<string> {
    // -qq prints nothing, and -q is -qq where the host's settings say `quiet`.
    const argv = [APT_GET, ...this.#settings, "-q=1", "--print-uris", "update"];
    return this.#ask("list the package sources", argv);
  }

  /**
   * What an upgrade of everything would do, or why apt would not say. It decides as an upgrade does, and
   * prints what it would download: `--simulate` decides the same and takes four times as long.
   */
  async decideUpgrade(): Promise<string | Refusal> {
    const action = "decide on an upgrade";
    const settings = [
      // With a yes apt refuses what takes more than that: that an essential package goes, or that an
      // older version comes back. Without `Remove` it refuses what removes anything.
      "APT::Get::Assume-Yes=false",
      "APT::Get::Remove=true",
      "APT::Get::Show-Upgraded=true",
      "APT::Get::Show-Versions=true",
      "APT::Get::Download=true",
      "APT::Get::Download-Only=false",
      "APT::Output-Version=0",
      "APT::Get::List-Columns=false",
    ].flatMap((setting) => ["-o", setting]);
    const what = ["-q=1", "--print-uris", "-V", ...settings, "dist-upgrade"];
    try {
      const result = await this.#run(action, [APT_GET, ...this.#settings, ...what]);
      if (!isRefusal(result)) return this.#answer(action, result);
      const words = complaints(result.stderr, "errors").join("; ");
      return { why: words || `exit ${result.code}`, isTimeout: false };
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      return { why: error.fact, isTimeout: true };
    }
  }

  /** The package files that no signature vouches for, one a line. */
  queryUntrusted(): Promise<string> {
    const filter = ["--format", "$(DESCRIPTION)", "Created-By: Packages", "Trusted: no"];
    const argv = [APT_GET, ...this.#settings, "indextargets", ...filter];
    return this.#ask("list the sources that are not signed", argv);
  }

  /** The versions of packages, by apt's names. */
  queryPolicies(names: readonly string[]): Promise<string> {
    const argv = [APT_CACHE, ...this.#settings, "policy"];
    return this.#askInBatches("list the versions of packages", argv, names);
  }

  /** What is known of packages, each as `name=version`. */
  showPackages(packages: readonly string[]): Promise<string> {
    const argv = [APT_CACHE, ...this.#settings, "show", "--no-all-versions"];
    return this.#askInBatches("describe packages", argv, packages);
  }

  /** The texts of packed changelogs, one after the other; those that cannot be read are left out. */
  async readChangelogs(paths: readonly string[]): Promise<string> {
    if (paths.length === 0) return "";
    return (await this.#run("read changelogs", [GZIP, "-dc", "--", ...paths])).stdout;
  }

  /** Changelogs from the servers of the packages' distributors, each as `name=version`. */
  fetchChangelogs(packages: readonly string[], timeoutMs: number): Promise<RunResult> {
    const settings = [
      "Acquire::Retries=0",
      "Acquire::http::Timeout=10",
      "Acquire::https::Timeout=10",
    ].flatMap((setting) => ["-o", setting]);
    const argv = [APT_GET, ...this.#settings, "-q=1", ...settings, "changelog", ...packages];
    // Apt shows each with a pager.
    return this.#run("fetch changelogs", argv, timeoutMs, { PAGER: "cat" });
  }

  /**
   * Fetches what the settings say, and waits a while for whoever else does. A source that fails is part
   * of the result; that nothing could be asked is an error.
   */
  async update(): Promise<RunResult> {
    const action = "refresh the package lists";
    const settings = [
      "APT::Update::Error-Mode=any",
      // With a pause before a retry apt 2.6 never ends where one of two sources of a host answers 503.
      "Acquire::Retries::Delay=false",
    ].flatMap((setting) => ["-o", setting]);
    const argv = [APT_GET, ...this.#settings, "-q=1", ...settings, "update"];
    const pausesMs = [...BUSY_PAUSES_MS];
    while (true) {
      const result = await this.#run(action, argv, REFRESH_TIMEOUT_MS);
      const failure = result.code === 0 ? null : aptFailure(action, result);
      if (failure?.reason !== "locked") return result;
      const pauseMs = pausesMs.shift();
      if (pauseMs === undefined) throw failure;
      await this.#system.clock.sleep(pauseMs, this.#signal ?? NEVER);
    }
  }

  /** Copies files into a directory, with their times; those that cannot be read are left out. */
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
    if (result.truncated) {
      throw new ScanError(`Cannot ${action}: the answer is too long`, { reason: "permanent" });
    }
    for (const warning of complaints(result.stderr, "warnings")) {
      (isLoss(warning) ? this.#losses : this.#notes).add(warning);
    }
    return result.stdout;
  }

  async #run(
    action: string,
    argv: readonly string[],
    timeoutMs: number = this.#timeoutMs,
    more: Readonly<Record<string, string>> = {},
  ): Promise<RunResult> {
    const { aptConfigFile } = this.#options;
    const environment = {
      ...more,
      ...(aptConfigFile !== undefined && { APT_CONFIG: aptConfigFile }),
    };
    try {
      return await this.#system.runCommand(argv, {
        timeoutMs,
        ...(Object.keys(environment).length > 0 && { environment }),
        ...(this.#signal && { signal: this.#signal }),
      });
    } catch (cause) {
      if (!(cause instanceof CommandError)) throw cause;
      const reason = reasonNotRun(cause);
      if (cause.reason === "timeout") {
        const [program = ""] = argv;
        const name = program.replace(/.*\//, "");
        const fact = `${name} did not finish within ${Math.round(timeoutMs / 1_000)} s`;
        throw new TimeoutError(`Cannot ${action}: ${fact}`, { fact, cause });
      }
      throw new ScanError(`Cannot ${action}: ${cause.message}`, { reason, cause });
    }
  }
}

/** Cuts a list of arguments so that each part fits into one call. Names are ASCII. */
export function inBatches(names: readonly string[]): string[][] {
  const batches: string[][] = [];
  let roomBytes = 0;
  for (const name of names) {
    const sizeBytes = name.length + 1;
    if (sizeBytes > roomBytes) {
      batches.push([]);
      roomBytes = MAX_ARGUMENT_BYTES;
    }
    batches.at(-1)?.push(name);
    roomBytes -= sizeBytes;
  }
  return batches;
}
