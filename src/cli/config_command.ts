/** `pennon config check` and `config show`: whether the configuration holds, and what it says. */

import { describeSettings } from "../config.ts";
import { type CliCommand, UsageError } from "./command.ts";
import { openSettings } from "./settings.ts";
import { formatTable } from "./table.ts";
import { safeJson } from "../strip_controls.ts";

export const configCommand: CliCommand = {
  usage: "check or show [--json]",
  details: [
    "check exits 2 and names every line that does not hold. show prints each",
    "setting, its value and where that came from; secrets stay hidden.",
  ],
  options: [{ name: "json", summary: "Answer in JSON" }],
  maxArguments: 1,
  async run(system, given) {
    const [action] = given.positional;
    if (action !== "check" && action !== "show") {
      throw new UsageError(`Cannot run "config ${action ?? ""}": it takes "check" or "show"`);
    }
    const { loaded } = await openSettings(system, given);
    const { terminal } = system;
    const isJson = given.flags.has("json");
    if (action === "check") {
      const where = loaded.file === null ? "no file, defaults only" : loaded.file;
      const answer = { schema: "pennon.config-check/1", ok: true, file: loaded.file };
      terminal.print(isJson ? safeJson(answer) : `Configuration is good (${where})`);
      return 0;
    }
    const settings = describeSettings(loaded);
    if (isJson) {
      const answer = { schema: "pennon.config-show/1", file: loaded.file, settings };
      terminal.print(safeJson(answer, 2));
      return 0;
    }
    const rows = settings.map(({ path, value, from }) => [path, value, from]);
    const columns = [{ title: "SETTING" }, { title: "VALUE" }, { title: "FROM" }];
    const width = terminal.stdoutIsTerminal ? terminal.columns() : Infinity;
    terminal.print(formatTable(columns, rows, width).join("\n"));
    return 0;
  },
};
