/** The service under systemd: installs, removes and asks about the unit of `systemd.ts`. */

import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { pennonCommand, registerCommand, shellWord } from "../advice.ts";
import { isRefused, trustProblems } from "../trusted_path.ts";
import {
  executableOf,
  isRegistered,
  runManager,
  runOrFail,
  type Service,
  ServiceError,
  type ServiceStatus,
} from "./manager.ts";
import {
  PACKAGED_PROGRAM,
  SERVICE_STATE_DIRECTORY,
  systemdUnit,
  SYSUSERS_LINE,
  UNIT,
} from "./systemd.ts";

const SYSTEMCTL = "/usr/bin/systemctl";
const JOURNALCTL = "/usr/bin/journalctl";
const SYSUSERS = "/usr/bin/systemd-sysusers";

/** Where the unit goes; a package's is in one of the others, and one here takes its place. */
const UNIT_FILE = `/etc/systemd/system/${UNIT}`;
const PACKAGED = ["/usr/lib/systemd/system", "/lib/systemd/system"].map((at) => `${at}/${UNIT}`);

/** Units hold no secret, and every user may read those of the host. */
const UNIT_MODE = 0o644;

/** There while systemd is the first process: sd_booted(3). */
const BOOTED = "/run/systemd/system";

/** What systemd keeps from the agent, and so no program can be in. */
const HIDDEN = /^\/(?:home|root|run\/user|tmp|var\/tmp)\//;

const SHOWN = "LoadState ActiveState SubState UnitFileState FragmentPath Result ExecMainStatus " +
  "MainPID NRestarts";

export class SystemdService implements Service {
  readonly #system: System;

  constructor(system: System) {
    this.#system = system;
  }

  definition(): string {
    return systemdUnit({ program: this.#system.executable ?? PACKAGED_PROGRAM });
  }

  async install(): Promise<string[]> {
    const action = "install the service";
    const { files } = this.#system;
    await this.#requireSystemd(action);
    this.#requireRoot(action, "install");
    const packaged = await this.#packagedUnit(action);
    const done: string[] = [];
    let isChanged = false;
    if (packaged === undefined) {
      await this.#requireTrustedProgram(action);
      const unit = this.definition();
      isChanged = await this.#readOwnUnit(action) !== unit;
      await runOrFail(this.#system, action, [SYSUSERS, "--inline", SYSUSERS_LINE]);
      if (isChanged) {
        await files.writeText("write the unit", UNIT_FILE, unit, { mode: UNIT_MODE });
        await runOrFail(this.#system, action, [SYSTEMCTL, "daemon-reload"]);
      }
      done.push(`${isChanged ? "Wrote" : "Unchanged:"} ${UNIT_FILE}`);
    } else done.push(`The package's unit is used: ${packaged}`);
    await runOrFail(this.#system, action, [SYSTEMCTL, "--quiet", "enable", UNIT]);
    done.push("Enabled: the agent starts at boot");
    return [...done, await this.#start(action, isChanged)];
  }

  async uninstall(): Promise<string[]> {
    const action = "uninstall the service";
    await this.#requireSystemd(action);
    this.#requireRoot(action, "uninstall");
    const unit = await this.#readOwnUnit(action);
    const packaged = await this.#packagedUnit(action);
    if (unit === undefined && packaged === undefined) return ["The service is not installed"];
    await runOrFail(this.#system, action, [SYSTEMCTL, "--quiet", "disable", "--now", UNIT]);
    const done = ["Stopped and disabled the agent"];
    if (unit !== undefined) {
      await this.#system.files.remove("remove the unit", UNIT_FILE);
      await runOrFail(this.#system, action, [SYSTEMCTL, "daemon-reload"]);
      done.push(`Removed ${UNIT_FILE}`);
    }
    // Fails for a unit that has not failed or is gone.
    await runManager(this.#system, action, [SYSTEMCTL, "reset-failed", UNIT]);
    if (packaged !== undefined) done.push(`The package's unit stays: ${packaged}`);
    return [...done, `Left: ${SERVICE_STATE_DIRECTORY}, /etc/pennon, and the account`];
  }

  async status(): Promise<ServiceStatus> {
    const action = "ask for the service";
    await this.#requireSystemd(action);
    const properties = SHOWN.split(" ").map((name) => `--property=${name}`);
    const text = await runOrFail(this.#system, action, [SYSTEMCTL, "show", ...properties, UNIT]);
    const details = parseProperties(text);
    return {
      isInstalled: details["LoadState"] === "loaded",
      isRunning: details["ActiveState"] === "active",
      details,
    };
  }

  async logs(lines: number): Promise<string> {
    const action = "read the journal";
    const booted = await this.#system.files.inspect("look for systemd", BOOTED);
    if (booted?.kind !== "directory") {
      throw new ServiceError(
        `Cannot ${action}: systemd does not run here. Next: see where the program that starts the ` +
          "agent sends its stderr, or set log.file, which keeps the log in the state directory",
      );
    }
    const argv = [JOURNALCTL, "--unit", UNIT, "--no-pager", "--quiet", "--output=cat"];
    const text = await runOrFail(this.#system, action, [...argv, `--lines=${lines}`]);
    if (text.trim() !== "") return text;
    // Without rights journalctl(1) prints nothing of other users' units, and says so on stderr alone.
    const isRoot = this.#system.machine.userId() === 0;
    throw new ServiceError(
      `Cannot ${action}: it holds no line of ${UNIT}` +
        (isRoot ? "" : ` that this user may read. Next: sudo ${pennonCommand("service", "logs")}`),
    );
  }

  async #requireSystemd(action: string): Promise<void> {
    const booted = await this.#system.files.inspect("look for systemd", BOOTED);
    if (booted?.kind === "directory") return;
    throw new ServiceError(
      `Cannot ${action}: systemd does not run here. Next: start "${
        pennonCommand("run")
      }" with this ` +
        `host's own service manager; "${
          pennonCommand("service", "install", "--print")
        }" shows the unit`,
    );
  }

  #requireRoot(action: string, verb: string): void {
    if (this.#system.machine.userId() === 0) return;
    throw new ServiceError(
      `Cannot ${action}: only root can. Next: sudo ${pennonCommand("service", verb)}`,
    );
  }

  /** The program must be where systemd lets the service see it, and no other user can change it. */
  async #requireTrustedProgram(action: string): Promise<void> {
    const program = executableOf(this.#system, action);
    const next = `Next: sudo install -m 0755 ${shellWord(program)} /usr/local/bin/pennon && ` +
      "sudo /usr/local/bin/pennon service install";
    if (HIDDEN.test(program)) {
      throw new ServiceError(
        `Cannot ${action}: a service cannot start "${program}": its sandbox hides that directory. ${next}`,
      );
    }
    const trace = await this.#system.files.trace("look at the way to the program", program);
    const [problem] = trustProblems(trace, { userId: 0, use: "configuration" }).filter(isRefused);
    if (problem === undefined) return;
    throw new ServiceError(`Cannot ${action}: ${problem.text}; or ${next}`);
  }

  /** The unit that a former install wrote; `undefined`: there is none. Refuses any other file. */
  async #readOwnUnit(action: string): Promise<string | undefined> {
    const { files } = this.#system;
    const { steps, isWhole } = await files.trace("look at the unit", UNIT_FILE);
    // The port follows links; what is behind one is not ours.
    if (steps.some(({ path, kind }) => path === UNIT_FILE && kind === "link")) {
      throw new ServiceError(
        `Cannot ${action}: "${UNIT_FILE}" is a symbolic link, not a unit of Pennon's. ` +
          `Next: sudo systemctl unmask pennon, or remove the link`,
      );
    }
    if (!isWhole) return undefined;
    const text = await files.readText("read the unit", UNIT_FILE);
    if (text === undefined || text.startsWith(MARK)) return text;
    throw new ServiceError(
      `Cannot ${action}: "${UNIT_FILE}" was not written by Pennon. Next: move it away`,
    );
  }

  async #packagedUnit(action: string): Promise<string | undefined> {
    for (const path of PACKAGED) {
      try {
        if (await this.#system.files.inspect("look for the package's unit", path)) return path;
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
        throw new ServiceError(`Cannot ${action}: ${error.message}`, { cause: error });
      }
    }
    return undefined;
  }

  /** Restarts a running agent only for a changed unit. */
  async #start(action: string, isChanged: boolean): Promise<string> {
    if (!await isRegistered(this.#system, SERVICE_STATE_DIRECTORY)) {
      return "Not started: this host is not registered. " +
        `Next: sudo ${registerCommand()} && sudo ${pennonCommand("service", "install")}`;
    }
    const verb = isChanged ? "restart" : "start";
    const { code } = await runManager(this.#system, action, [SYSTEMCTL, "--quiet", verb, UNIT]);
    if (code !== 0) {
      throw new ServiceError(
        `Cannot ${action}: it is installed, but does not start. Next: ${
          pennonCommand("service", "logs")
        }`,
      );
    }
    return "Started: the agent runs";
  }
}

/** The beginning of every unit of Pennon's. */
const MARK = '# Written by "pennon service install"';

/** Lines `Name=value` of `systemctl show`. */
export function parseProperties(text: string): Record<string, string> {
  const wanted = new Set(SHOWN.split(" "));
  const pairs = text.split("\n").flatMap((line) => {
    const end = line.indexOf("=");
    const name = line.slice(0, Math.max(end, 0));
    return wanted.has(name) ? [[name, line.slice(end + 1).trim()]] : [];
  });
  return Object.fromEntries(pairs);
}
