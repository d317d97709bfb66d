/** What a server of either age must never see of an agent; docs/resilience.md, "What was simulated". */

import type { HttpRequest } from "../../src/system/http.ts";
import type { Monitor } from "./monitor.ts";
import type { SimServer } from "./sim_server.ts";

/** What is watched, and what it is compared with. */
interface Watched {
  readonly server: SimServer;
  readonly monitor: Monitor;
  /** Updates that wait no more, as `type/name`. */
  readonly withdrawn: ReadonlySet<string>;
  fail(what: string): void;
}

/** After a crash, or a sick disk, the agent first has to find its feet. */
const UNSTEADY_MS = 120_000;

/** Watches the server's side of a run. */
export class ServerWatch {
  readonly #watched: Watched;
  /** Commands that are in the journal, and that no check-in with an answer has listed since. */
  readonly #due = new Set<string>();

  constructor(watched: Watched) {
    const { server, monitor, withdrawn, fail } = watched;
    this.#watched = watched;
    server.onViolation = fail;
    server.onTurnedAway = (group) => monitor.turnedAway(group);
    server.packages.onClosed = (type, name) => {
      if (!withdrawn.has(`${type}/${name}`)) {
        fail(`${name} (${type}) waits, and counts as installed`);
      }
    };
  }

  /** The journal has this command. */
  journalled(id: string): void {
    this.#due.add(id);
  }

  /** A check-in was answered by something that did not ask the server. */
  answeredByOther(): void {
    this.#due.clear();
  }

  /** Before a check-in leaves: a server of 0.2 has to be told of each command that is on disk. */
  checkIn({ body = "{}" }: HttpRequest): void {
    const { server, monitor, fail } = this.#watched;
    const listed = new Set<string>(JSON.parse(body).received_command_ids ?? []);
    if (server.age !== "0.2") {
      // It ignores the list. Once it is of 0.2, it hands these over again, and is told again.
      for (const id of listed) this.#due.delete(id);
      return;
    }
    for (const id of server.commands.unconfirmed()) {
      if (!this.#due.has(id) || listed.has(id) || !monitor.isClear(UNSTEADY_MS)) continue;
      fail(`command ${id} is in the journal, and is not listed as received`);
    }
  }
}
