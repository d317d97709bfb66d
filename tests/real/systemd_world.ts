/** What every test under systemd begins with: a machine that can boot, and a server for its agent. */

import { assertEquals } from "@std/assert";
import { startRefserver } from "../../tools/refserver/refserver.ts";
import type { Refserver } from "../../tools/refserver/server.ts";
import { Machine } from "./systemd_machine.ts";

/** The server takes it, any number of times. */
export const TOKEN = "a-registration-token";

/** A host and the server that its agent is to register with. */
export interface World {
  /** Not booted yet, so that a test can write its files first. */
  readonly machine: Machine;
  readonly server: Refserver;
}

/** What the machine is made of. */
export interface MachineOptions {
  /** The Debian below it; `undefined`: none was made for this run, and the test is ignored. */
  readonly root: string | undefined;
  /** The agent's executable; `null`: a package brings it. */
  readonly executable: string | null;
}

/** A test in a world of its own, in which the agent may do nothing that the server calls a violation. */
export function onMachine(
  name: string,
  { root, executable }: MachineOptions,
  test: (world: World, t: Deno.TestContext) => Promise<void>,
): void {
  const ignore = root === undefined;
  const missing = ignore ? " (deno task test:systemd runs this)" : "";
  Deno.test({
    name: `${name}${missing}`,
    ignore,
    fn: async (t) => {
      const server = await startRefserver({
        registrationTokens: [TOKEN],
        checkInIntervalS: 10,
        limits: { agent: 0, register: 0, public: 0 },
      });
      try {
        await using machine = await Machine.create(root!, executable);
        await test({ machine, server }, t);
        assertEquals(server.state().violations, []);
      } finally {
        await server.close();
      }
    },
  });
}
