/** `pennon version`: which Pennon this is. */

import { VERSION } from "../version.ts";
import type { CliCommand } from "./command.ts";
import { safeJson } from "../strip_controls.ts";

export const versionCommand: CliCommand = {
  usage: "[--json]",
  details: [],
  options: [{ name: "json", summary: "Answer in JSON" }],
  maxArguments: 0,
  run(system, { flags }) {
    const { os, architecture } = system;
    if (flags.has("json")) {
      const answer = { schema: "pennon.version/1", version: VERSION, os, architecture };
      system.terminal.print(safeJson(answer));
    } else system.terminal.print(`pennon ${VERSION} (${os}, ${architecture})`);
    return Promise.resolve(0);
  },
};
