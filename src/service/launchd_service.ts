/** The service under launchd: installs, removes and asks about the daemon of `launchd.ts`. */

import { pennonCommand, registerCommand } from "../advice.ts";
import type { System } from "../system/system.ts";
import { LABEL, LAUNCHD_LOG, launchdPlist } from "./launchd.ts";
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

const LAUNCHCTL = "/bin/launchctl";
const PLIST_FILE = `/Library/LaunchDaemons/${LABEL}.plist`;
const LOG_DIRECTORY = LAUNCHD_LOG.slice(0, LAUNCHD_LOG.lastIndexOf("/"));

/** launchd refuses a list that other users can write; all may read it. */
const PLIST_MODE = 0o644;

/** For `--print` where no executable runs. */
const USUAL_PROGRAM = "/usr/local/bin/pennon";

export class LaunchdService implements Service {
  readonly #system: System;
  readonly #stateDirectory: string;

  constructor(system: System, stateDirectory: string) {
    this.#system = system;
    this.#stateDirectory = stateDirectory;
  }

  definition(): string {
    return launchdPlist({ program: this.#system.executable ?? USUAL_PROGRAM });
  }

  async install(): Promise<string[]> {
    const action = "install the service";
    const { files } = this.#system;
    this.#requireRoot(action, "install");
    executableOf(this.#system, action);
    await this.#refuseLink(action);
    const plist = this.definition();
    const isChanged = await files.readText("read the daemon", PLIST_FILE) !== plist;
    await files.makeDirectory("make the directory of logs", LOG_DIRECTORY, { mode: 0o700 });
    if (isChanged) {
      await files.writeText("write the daemon", PLIST_FILE, plist, { mode: PLIST_MODE });
    }
    const done = [`${isChanged ? "Wrote" : "Unchanged:"} ${PLIST_FILE}`];
    if (!await isRegistered(this.#system, this.#stateDirectory)) {
      const next = `sudo ${registerCommand()} && sudo ${pennonCommand("service", "install")}`;
      return [...done, `Not started: this host is not registered. Next: ${next}`];
    }
    const isLoaded = (await this.status()).isInstalled;
    if (isLoaded && !isChanged) return [...done, "The agent is loaded already"];
    // A changed list counts from the next load on.
    if (isLoaded) await this.#bootOut(action);
    await runOrFail(this.#system, action, [LAUNCHCTL, "bootstrap", "system", PLIST_FILE]);
    return [...done, "Started: the agent runs, and starts at boot"];
  }

  async uninstall(): Promise<string[]> {
    const action = "uninstall the service";
    this.#requireRoot(action, "uninstall");
    await this.#refuseLink(action);
    const isThere = await this.#system.files.inspect("look at the daemon", PLIST_FILE);
    if (isThere === undefined) return ["The service is not installed"];
    if ((await this.status()).isInstalled) await this.#bootOut(action);
    await this.#system.files.remove("remove the daemon", PLIST_FILE);
    return [
      `Stopped the agent and removed ${PLIST_FILE}`,
      `Left: ${this.#stateDirectory} with the configuration, and ${LOG_DIRECTORY}`,
    ];
  }

  async status(): Promise<ServiceStatus> {
    const argv = [LAUNCHCTL, "print", `system/${LABEL}`];
    const { code, stdout } = await runManager(this.#system, "ask for the service", argv);
    const details = code === 0 ? parsePrint(stdout) : {};
    return { isInstalled: code === 0, isRunning: details["state"] === "running", details };
  }

  async logs(lines: number): Promise<string> {
    return await tailOf(this.#system, LAUNCHD_LOG, lines);
  }

  async #bootOut(action: string): Promise<void> {
    await runOrFail(this.#system, action, [LAUNCHCTL, "bootout", `system/${LABEL}`]);
  }

  #requireRoot(action: string, verb: string): void {
    if (this.#system.machine.userId() === 0) return;
    throw new ServiceError(
      `Cannot ${action}: only root can. Next: sudo ${pennonCommand("service", verb)}`,
    );
  }

  async #refuseLink(action: string): Promise<void> {
    const { steps } = await this.#system.files.trace("look at the daemon", PLIST_FILE);
    if (!steps.some(({ path, kind }) => path === PLIST_FILE && kind === "link")) return;
    throw new ServiceError(
      `Cannot ${action}: "${PLIST_FILE}" is a symbolic link. Next: remove the link`,
    );
  }
}

/** The lines of `launchctl print` about the service itself: its format is not documented. */
export function parsePrint(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/^\t(state|pid|runs|last exit code) = (.{0,100})$/gm)];
  return Object.fromEntries(pairs.map(([, name, value]) => [name, value]));
}
