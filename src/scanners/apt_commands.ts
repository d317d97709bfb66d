/** The commands that the apt scanner asks, each within bounds; what they answer is not read here. */

import { CommandError, type RunResult } from "../system/process.ts";
import type { System } from "../system/system.ts";
import { aptFailure, complaints, isBroken, unfetched } from "./apt_failure.ts";
import { INSTALLED_FORMAT } from "./apt_installed.ts";
import { reasonNotRun } from "./not_run.ts";
import { ScanError } from "./scanner.ts";

/** Absolute, so that nothing found through `PATH` is run in their place. */
export const APT_GET = "/usr/bin/apt-get";
const APT_CACHE = "/usr/bin/apt-cache";
export const DPKG_QUERY = "/usr/bin/dpkg-query";
const GZIP = "/usr/bin/gzip";

/** For each question, which takes one to eight seconds. */
const TIMEOUT_MS = 60_000;

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
}

/** How one scan asks. */
export interface AskOptions {
  /** Put before the other arguments of apt's programs: `-o`, and a setting. */
  readonly settings?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** Asks apt and dpkg; every method throws `ScanError`. */
export class AptCommands {
  readonly #system: System;
  readonly #options: AptOptions;
  readonly #settings: readonly string[];
  readonly #signal: AbortSignal | undefined;
  readonly #warnings = new Set<string>();

  constructor(system: System, options: AptOptions, { settings = [], signal }: AskOptions) {
    this.#system = system;
    this.#options = options;
    this.#settings = settings;
    this.#signal = signal;
  }

  /** What apt complained of without failing. */
  get warnings(): string[] {
    return [...this.#warnings];
  }

  /** The installed packages, in `INSTALLED_FORMAT`. */
  queryInstalled(): Promise<string> {
    const { dpkgDirectory } = this.#options;
    const place = dpkgDirectory === undefined ? [] : [`--admindir=${dpkgDirectory}`];
    const argv = [DPKG_QUERY, ...place, "-W", "-f", INSTALLED_FORMAT];
    return this.#ask("list the installed packages", argv);
  }

  /** What an upgrade would do; `null`, with a warning, where installed packages do not fit. */
  async simulateUpgrade(): Promise<string | null> {
    const action = "simulate an upgrade";
    const settings = [
      "APT::Get::Show-User-Simulation-Note=false",
      // With it apt would refuse to simulate what takes more than a yes: that an essential package
      // goes, or that an older version comes back.
      "APT::Get::Assume-Yes=false",
    ].flatMap((setting) => ["-o", setting]);
    // -qq implies it in spite of the setting, and -q is -qq where the host's settings say `quiet`.
    const argv = [APT_GET, ...this.#settings, "--simulate", "-q=1", ...settings, "dist-upgrade"];
    const result = await this.#run(action, argv, TIMEOUT_MS);
    if (!isBroken(result)) return this.#answer(action, result);
    this.#warnings.add(
      `apt-get upgrades nothing until the installed packages fit together: ${
        complaints(result.stderr, "errors").join("; ")
      }`,
    );
    return null;
  }

  /** The package files and their releases. */
  queryReleases(): Promise<string> {
    return this.#ask("list the package files", [APT_CACHE, ...this.#settings, "policy"]);
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
    const argv = [GZIP, "-dc", "--", ...paths];
    return (await this.#run("read changelogs", argv, TIMEOUT_MS)).stdout;
  }

  /**
   * Fetches package lists, and waits a while for whoever else does. Everything that went wrong is an
   * error, one mirror's failure too.
   */
  async update(): Promise<void> {
    for (const pauseMs of BUSY_PAUSES_MS) {
      try {
        return await this.#updateOnce();
      } catch (error) {
        if (!(error instanceof ScanError) || error.reason !== "locked") throw error;
        await this.#pause(pauseMs);
      }
    }
    await this.#updateOnce();
  }

  async #updateOnce(): Promise<void> {
    const action = "refresh the package lists";
    const argv = [APT_GET, ...this.#settings, "-qq", "-o", "APT::Update::Error-Mode=any", "update"];
    const result = await this.#run(action, argv, REFRESH_TIMEOUT_MS);
    const missing = unfetched(result.stderr);
    if (result.code === 0 && missing.length > 0) {
      const fact = missing.join("; ");
      throw new ScanError(`Cannot ${action}: ${fact}`, { reason: "transient" });
    }
    this.#answer(action, result);
  }

  #pause(ms: number): Promise<void> {
    return this.#system.clock.sleep(ms, this.#signal ?? NEVER);
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
    return this.#answer(action, await this.#run(action, argv, TIMEOUT_MS));
  }

  #answer(action: string, result: RunResult): string {
    if (result.code !== 0) throw aptFailure(action, result);
    if (result.truncated) {
      throw new ScanError(`Cannot ${action}: the answer is too long`, { reason: "permanent" });
    }
    for (const warning of complaints(result.stderr, "warnings")) this.#warnings.add(warning);
    return result.stdout;
  }

  async #run(action: string, argv: readonly string[], timeoutMs: number): Promise<RunResult> {
    const { aptConfigFile } = this.#options;
    try {
      return await this.#system.runCommand(argv, {
        timeoutMs,
        ...(aptConfigFile !== undefined && { environment: { APT_CONFIG: aptConfigFile } }),
        ...(this.#signal && { signal: this.#signal }),
      });
    } catch (cause) {
      if (!(cause instanceof CommandError)) throw cause;
      const reason = reasonNotRun(cause);
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
