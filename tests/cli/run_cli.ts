/** Runs the command line on a fake host with an in-memory server. */

import { cli } from "../../src/cli/cli.ts";
import { FakeServer } from "../fakes/server.ts";
import { FakeSystem } from "../fakes/system.ts";

/** The state directory of the host. */
export const STATE = "/home/test/.local/state/pennon";
export const URL = "http://server.test";

/** The result of a command. */
export interface CliResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line on the fake system, and collects its output. */
export async function runCli(system: FakeSystem, ...words: string[]): Promise<CliResult> {
  system.terminal.out = "";
  system.terminal.err = "";
  const code = await cli(words, system);
  return { code, out: system.terminal.out, err: system.terminal.err };
}

/** A host that is enrolled with an in-memory server. */
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
  const result = await runCli(system, "register", "--server", `${URL}/`, "--token", "t");
  server.mood = { kind: "well" };
  return { system, server, result };
}
