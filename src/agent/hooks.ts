/**
 * Starts the administrator's programs (`[hooks]`) when an outage begins and ends, and when a scan finds
 * new security updates; beside the agent's work, which never waits for them. Decision 0045 has the reasons.
 */

import * as v from "valibot";
import { type HookName, hookProgram } from "../config/locations.ts";
import type { Config } from "../config/settings.ts";
import { LOCAL_LIMITS } from "../json.ts";
import { JsonFile } from "../json_file.ts";
import type { Log } from "../log.ts";
import type { AgentState } from "../loop/state.ts";
import { quoteWords } from "../redact.ts";
import { counted, hasCompleteList, type ScanReport } from "../scanners/run_scans.ts";
import { CommandError } from "../system/process.ts";
import { LAST_INSTANT_MS, type System } from "../system/system.ts";
import { programFault } from "../trusted_path.ts";
import { createSaver, orDefault } from "./saved_state.ts";

const instant = v.pipe(v.number(), v.minValue(-LAST_INSTANT_MS), v.maxValue(LAST_INSTANT_MS));

const saved = v.object({
  /** The outage whose beginning a program was started for, in ms since the epoch; `null`: none is on. */
  outageSinceMs: v.nullable(instant),
  /** The security updates that a program was started for, as digests, by scanner. */
  security: v.record(v.string(), v.array(v.string())),
});

/** What programs were started for: after a restart they are not started for it again. */
type Told = v.InferOutput<typeof saved>;

/** Removed for a new agent. */
export const HOOKS_FILE = new JsonFile<Told>({
  name: "hooks.json",
  what: "what hooks were started for",
  schema: "pennon.hooks/1",
  value: saved,
  keys: { outageSinceMs: "outage_since_at" },
  records: ["security"],
  limits: LOCAL_LIMITS,
});

const NOTHING_TOLD: Told = { outageSinceMs: null, security: {} };

/** Between two looks at what has happened. */
const LOOK_EVERY_MS = 5_000;

/** Of the output of a program: as much is read, and as much logged. */
const MAX_OUTPUT_BYTES = 16_384;
const LONGEST_OUTPUT = 500;

/** Longest value of a variable, in characters. */
const LONGEST_VALUE = 200;

/** Most security updates of a scanner that are remembered, and the digits of each. */
const MOST_KEYS = 10_000;
const KEY_DIGITS = 16;

/** Why a program is started: its variables, and what has been told once it was. */
interface HookEvent {
  readonly hook: HookName;
  readonly name: "outage_began" | "outage_ended" | "security_updates";
  /** Besides `PENNON_EVENT`. */
  readonly facts: Readonly<Record<string, string | number>>;
  tell(told: Told): Told;
}

interface HooksDeps {
  readonly system: System;
  readonly log: Log;
  readonly stateDirectory: string;
  readonly settings: Config["hooks"];
  readonly serverUrl: string;
}

/** A scan of which no program has been told. */
interface FreshScan {
  readonly atMs: number;
  readonly updates: number;
  readonly isWhole: boolean;
  /** Of each security update, in order. */
  readonly keys: readonly string[];
}

/** Constructed, told of each scan, and run beside the agent. */
export class Hooks {
  readonly #deps: HooksDeps;
  readonly #save: (told: Told) => Promise<void>;
  readonly #running = new Map<HookName, Promise<void>>();
  /** Why a program is not started, as it was logged. */
  readonly #refused = new Map<HookName, string>();
  readonly #scans = new Map<string, FreshScan>();
  #told: Told = NOTHING_TOLD;
  #hashing: Promise<void> = Promise.resolve();

  constructor(deps: HooksDeps) {
    const { system: { files }, log, stateDirectory } = deps;
    this.#deps = deps;
    this.#save = createSaver<Told>(
      log,
      "hooks",
      (told) => HOOKS_FILE.write(files, stateDirectory, told),
    );
  }

  /** Remembers what a scan found, until `run` looks at it. */
  onScan(report: ScanReport): void {
    if (!this.#deps.settings.onSecurityUpdate || report.result === "failed") return;
    const atMs = this.#deps.system.clock.nowMs();
    this.#hashing = this.#hashing.then(async () => {
      this.#scans.set(report.name, {
        atMs,
        updates: counted(report).length,
        isWhole: hasCompleteList(report),
        keys: await this.#keysOf(report),
      });
    });
  }

  /**
   * Until the agent is done or is to stop. When it is done (`run --once`), programs go on to their ends;
   * a request to stop ends them. Never throws.
   */
  async run(
    stateNow: () => AgentState,
    signals: { doneSignal: AbortSignal; shutdownSignal: AbortSignal },
  ): Promise<void> {
    const { log, settings } = this.#deps;
    if (!settings.onOutage && !settings.onSecurityUpdate) return;
    try {
      await this.#load();
      await this.#watch(stateNow, signals);
    } catch (error) {
      // The agent goes on without its hooks.
      log.error("hook failed", { why: quoteWords(String(error), LONGEST_OUTPUT) });
    }
  }

  async #load(): Promise<void> {
    const { system: { files }, log, stateDirectory } = this.#deps;
    this.#told = await orDefault(log, "hooks", NOTHING_TOLD, async () => {
      const told = await HOOKS_FILE.read(files, stateDirectory, (why) => {
        const file = HOOKS_FILE.pathIn(stateDirectory);
        log.error("state file unreadable; starting with defaults", { file, why });
      });
      return told ?? NOTHING_TOLD;
    });
  }

  async #watch(
    stateNow: () => AgentState,
    { doneSignal, shutdownSignal }: { doneSignal: AbortSignal; shutdownSignal: AbortSignal },
  ): Promise<void> {
    const { clock } = this.#deps.system;
    const signal = AbortSignal.any([doneSignal, shutdownSignal]);
    while (!signal.aborted) {
      await this.#look(stateNow(), shutdownSignal);
      await clock.sleep(LOOK_EVERY_MS, signal).catch(() => {});
    }
    do {
      await Promise.all(this.#running.values());
    } while (!shutdownSignal.aborted && await this.#look(stateNow(), shutdownSignal));
  }

  /** Starts what is due and may be; whether that is anything. */
  async #look(state: AgentState, signal: AbortSignal): Promise<boolean> {
    await this.#hashing;
    const events = [this.#outageEvent(state), this.#securityEvent()];
    const started = await Promise.all(events.map(async (event) => {
      if (event === null || this.#running.has(event.hook)) return false;
      if (!await this.#mayStart(event.hook)) return false;
      this.#told = event.tell(this.#told);
      const work = this.#start(event, signal).finally(() => this.#running.delete(event.hook));
      this.#running.set(event.hook, work);
      return true;
    }));
    return started.includes(true);
  }

  #outageEvent({ connection: { outage }, lastCheckInAtMs }: AgentState): HookEvent | null {
    const { system: { clock }, settings } = this.#deps;
    const { outageSinceMs } = this.#told;
    if (!settings.onOutage) return null;
    if (outageSinceMs !== null) {
      // An agent whose state was lost knows of no outage until it has reached the server.
      if (outage !== null || lastCheckInAtMs === null) return null;
      return this.#outage("outage_ended", outageSinceMs, clock.nowMs() - outageSinceMs);
    }
    if (outage === null) return null;
    const lastedMs = clock.monotonicMs() - outage.sinceMs;
    if (lastedMs < settings.outageAfterMs) return null;
    return this.#outage("outage_began", Math.round(clock.nowMs() - lastedMs), lastedMs);
  }

  #outage(name: HookEvent["name"], sinceMs: number, lastedMs: number): HookEvent {
    return {
      hook: "on_outage",
      name,
      facts: {
        PENNON_SINCE: new Date(sinceMs).toISOString(),
        PENNON_LASTED_S: Math.max(0, Math.round(lastedMs / 1_000)),
        PENNON_SERVER: this.#deps.serverUrl,
      },
      tell: (told) => ({ ...told, outageSinceMs: name === "outage_began" ? sinceMs : null }),
    };
  }

  /** One scanner's new security updates; those of another one come at the next look. */
  #securityEvent(): HookEvent | null {
    for (const [scanner, { atMs, updates, isWhole, keys }] of this.#scans) {
      const before = new Set(this.#told.security[scanner]);
      const fresh = keys.filter((key) => !before.has(key));
      // What a list with gaps lacks may still be there.
      const now = isWhole ? [...keys] : [...before.union(new Set(keys))].slice(-MOST_KEYS);
      const tell = (told: Told) => ({ ...told, security: { ...told.security, [scanner]: now } });
      if (fresh.length === 0) {
        this.#scans.delete(scanner);
        this.#told = tell(this.#told);
        continue;
      }
      return {
        hook: "on_security_update",
        name: "security_updates",
        facts: {
          PENNON_SINCE: new Date(atMs).toISOString(),
          PENNON_SCANNER: scanner,
          PENNON_NEW_SECURITY_UPDATES: fresh.length,
          PENNON_SECURITY_UPDATES: keys.length,
          PENNON_UPDATES: updates,
        },
        tell,
      };
    }
    return null;
  }

  /** Logs once, and not at each look, why a program is not started. */
  async #mayStart(hook: HookName): Promise<boolean> {
    const { system, log } = this.#deps;
    const why = await programFault(system, { name: hook, path: hookProgram(system, hook) });
    if (why === null) this.#refused.delete(hook);
    else if (this.#refused.get(hook) !== why) {
      this.#refused.set(hook, why);
      log.warning("hook not started", { hook, why });
    }
    return why === null;
  }

  async #start({ hook, name, facts }: HookEvent, signal: AbortSignal): Promise<void> {
    const { system, log, settings } = this.#deps;
    const fixed = hook === "on_outage"
      ? settings.onOutageArguments
      : settings.onSecurityUpdateArguments;
    // Before the start: after a crash in between it is not started twice.
    await this.#save(this.#told);
    log.info("hook started", { hook, event: name });
    const startMs = system.clock.monotonicMs();
    const about = () => ({
      hook,
      event: name,
      took_ms: Math.round(system.clock.monotonicMs() - startMs),
    });
    try {
      const { code, stdout, stderr } = await system.runCommand(
        [hookProgram(system, hook), ...fixed],
        {
          timeoutMs: settings.timeoutMs,
          maxOutputBytes: MAX_OUTPUT_BYTES,
          environment: hookEnvironment({ PENNON_EVENT: name, ...facts }),
          signal,
        },
      );
      const result = { ...about(), exit_code: code, ...outputOf(`${stdout}\n${stderr}`) };
      if (code === 0) log.info("hook finished", result);
      else log.warning("hook failed", result);
    } catch (error) {
      const said = error instanceof CommandError ? outputOf(error.stderr) : {};
      const why = error instanceof Error ? error.message : String(error);
      log.warning("hook failed", { ...about(), why, ...said });
    }
  }

  /** Digests instead of names: thousands of names would be a large file. */
  async #keysOf(report: ScanReport): Promise<string[]> {
    const { cryptography } = this.#deps.system;
    const names = counted(report).filter(({ security }) => security === true)
      .map((update) => `${update.package}\0${update.architecture}\0${update.availableVersion}`);
    const digests = await Promise.all([...new Set(names)].map(async (name) => {
      const bytes = await cryptography.sha256(new TextEncoder().encode(name));
      return bytes.toHex().slice(0, KEY_DIGITS);
    }));
    return digests.sort().slice(0, MOST_KEYS);
  }
}

/** Facts as variables: bounded, without controls and without secrets, wherever they come from. */
function hookEnvironment(facts: Readonly<Record<string, string | number>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(facts).map(([name, fact]) => [name, quoteWords(String(fact), LONGEST_VALUE)]),
  );
}

function outputOf(text: string): { output?: string } {
  const output = quoteWords(text.trim(), LONGEST_OUTPUT);
  return output === "" ? {} : { output };
}
