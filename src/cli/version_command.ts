/** `pennon version`: prints the version and the platform. */

import { safeJson } from "../strip_controls.ts";
import { VERSION } from "../version.ts";
import { type CliCommand, JSON_OPTION } from "./command.ts";

/** Loads no configuration. */
export const versionCommand: CliCommand = {
  usage: "[--json]",
  details: [],
  options: [JSON_OPTION],
  maxArguments: 0,
  run({ os, architecture, terminal }, { flags }) {
    const answer = { schema: "pennon.version/1", version: VERSION, os, architecture };
    const text = `pennon ${VERSION} (${os}, ${architecture})`;
    terminal.print(flags.has("json") ? safeJson(answer) : text);
    return Promise.resolve(0);
  },
};
