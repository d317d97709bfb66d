/** The service on Windows: creates, removes and asks about the scheduled task of `task.ts`. */

import { registerCommand } from "../advice.ts";
import type { System } from "../system/system.ts";
import { windowsDirectory } from "../windows_directory.ts";
import {
  executableOf,
  isRegistered,
  runManager,
  runOrFail,
  type Service,
  ServiceError,
  type ServiceStatus,
  tailOf,
} from "./manager.ts";
import { LOG_FILE, TASK, taskXml } from "./task.ts";

/** For `--print` where no executable runs: the place of `install.ps1`. */
const USUAL_PROGRAM = "C:\\Program Files\\Pennon\\pennon.exe";

const ADMINISTRATOR = "Next: do this in a terminal that was opened with Run as administrator";

export class TaskService implements Service {
  readonly #system: System;
  readonly #stateDirectory: string;

  constructor(system: System, stateDirectory: string) {
    this.#system = system;
    this.#stateDirectory = stateDirectory;
  }

  definition(): string {
    return taskXml({ program: this.#system.executable ?? USUAL_PROGRAM });
  }

  async install(): Promise<string[]> {
    const action = "install the service";
    const { files } = this.#system;
    executableOf(this.#system, action);
    const xmlFile = `${this.#stateDirectory}\\task.xml`;
    await files.makeDirectory("make the state directory", this.#stateDirectory, { mode: 0o700 });
    const options = { mode: 0o600, encoding: "utf-16" } as const;
    await files.writeText("write the task", xmlFile, this.definition(), options);
    try {
      await this.#schtasks(action, "/create", "/f", "/xml", xmlFile);
    } finally {
      await files.remove("remove the task's file", xmlFile);
    }
    const done = [`Created the task ${TASK}: the agent starts at boot, as SYSTEM`];
    if (!await isRegistered(this.#system, this.#stateDirectory)) {
      const next = `${registerCommand()}, then schtasks /run /tn ${TASK}`;
      return [...done, `Not started: this host is not registered. Next: ${next}`];
    }
    await this.#schtasks(action, "/run");
    return [...done, "Started: the agent runs"];
  }

  async uninstall(): Promise<string[]> {
    const action = "uninstall the service";
    if (!(await this.status()).isInstalled) return ["The service is not installed"];
    // Fails if the task does not run.
    await runManager(this.#system, action, [this.#program(action), "/end", "/tn", TASK]);
    await this.#schtasks(action, "/delete", "/f");
    return [`Stopped and removed the task ${TASK}`, `Left: ${this.#stateDirectory}, config.toml`];
  }

  /** Of `schtasks`, whose words are in the language of Windows, only the exit code counts. */
  async status(): Promise<ServiceStatus> {
    const action = "ask for the service";
    const argv = [this.#program(action), "/query", "/tn", TASK, "/fo", "list"];
    const { code, stdout } = await runManager(this.#system, action, argv);
    const isInstalled = code === 0;
    const isRunning = isInstalled && await this.#isAgentRunning();
    return { isInstalled, isRunning, details: isInstalled ? parseList(stdout) : {} };
  }

  async logs(lines: number): Promise<string> {
    return await tailOf(this.#system, `${this.#stateDirectory}\\${LOG_FILE}`, lines);
  }

  /** An agent that runs holds the lock of its state directory. */
  async #isAgentRunning(): Promise<boolean> {
    const { files } = this.#system;
    const lockFile = `${this.#stateDirectory}\\agent.lock`;
    if (await files.inspect("look for the agent's lock", lockFile) === undefined) return false;
    const lock = await files.lock("look for a running agent", lockFile);
    lock?.release();
    return lock === undefined;
  }

  async #schtasks(action: string, verb: string, ...words: string[]): Promise<void> {
    try {
      await runOrFail(this.#system, action, [this.#program(action), verb, "/tn", TASK, ...words]);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      throw new ServiceError(`${error.message}. ${ADMINISTRATOR}`, { cause: error });
    }
  }

  #program(action: string): string {
    const windows = windowsDirectory(this.#system);
    if (windows !== undefined) return `${windows}\\System32\\schtasks.exe`;
    throw new ServiceError(`Cannot ${action}: SystemRoot does not name the directory of Windows`);
  }
}

/** Lines `Name:   value`, in whatever language. */
export function parseList(text: string): Record<string, string> {
  const pairs = text.split(/\r?\n/).flatMap((line) => {
    const [, name, value] = /^([^:]{1,60}):\s+(.{0,300})/.exec(line) ?? [];
    return name === undefined || value === undefined ? [] : [[name.trim(), value.trim()]];
  });
  return Object.fromEntries(pairs);
}
