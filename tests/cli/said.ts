/** Commands of the command line on a host and with a server in memory. */

import { cli } from "../../src/cli/cli.ts";
import { FakeServer } from "../fakes/server.ts";
import { FakeSystem } from "../fakes/system.ts";

/** Where the host keeps its state. */
export const STATE = "/home/test/.local/state/pennon";
export const URL = "http://server.test";

/** What came of a command. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line. */
export async function say(system: FakeSystem, ...words: string[]): Promise<Said> {
  system.terminal.out = "";
  system.terminal.err = "";
  const code = await cli(words, system);
  return { code, out: system.terminal.out, err: system.terminal.err };
}

/** A host that is enrolled with a server in memory. */
export async function enrolled() {
  const system = new FakeSystem();
  const server = new FakeServer(system.clock);
  system.sendHttp = server.sendHttp;
  const answer = {
    agent_id: "a1",
    token: "access-1",
    refresh_token: "refresh-1",
    config: { check_in_interval: 60 },
  };
  server.mood = { kind: "answers", status: 200, body: JSON.stringify(answer) };
  const said = await say(system, "register", "--server", `${URL}/`, "--token", "t");
  server.mood = { kind: "well" };
  return { system, server, said };
}
