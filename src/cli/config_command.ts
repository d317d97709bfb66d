/** `pennon config check` and `config show`: validates the configuration, or prints it. */

import { describeSettings } from "../config.ts";
import { loadServerKeys, NO_SERVER_KEYS } from "../server/key_trust.ts";
import { safeJson } from "../strip_controls.ts";
import { FileError } from "../system/files.ts";
import { type CliCommand, JSON_OPTION, UsageError } from "./command.ts";
import { openSettings } from "./command_setup.ts";
import { withServerKeys } from "./signing_status.ts";
import { formatTable } from "./table.ts";
import { outputWidth } from "./terminal_text.ts";

/** Reads the configuration only; needs no registration. */
export const configCommand: CliCommand = {
  usage: "check | show [--json]",
  details: [
    "check exits 2 and names every line that is wrong. show prints each setting,",
    "its value and where the value comes from; secrets stay hidden. Of a server that",
    "signs commands it shows the pinned key.",
  ],
  options: [JSON_OPTION],
  maxArguments: 1,
  async run(system, given) {
    const [action] = given.positional;
    if (action !== "check" && action !== "show") {
      throw new UsageError(`Cannot run "config ${action ?? ""}": it takes "check" or "show"`);
    }
    const { loaded, stateDirectory } = await openSettings(system, given);
    const { file } = loaded;
    const { terminal } = system;
    const isJson = given.flags.has("json");
    if (action === "check") {
      const answer = { schema: "pennon.config-check/1", ok: true, file };
      const text = `The configuration is valid (${file ?? "no file, defaults only"})`;
      terminal.print(isJson ? safeJson(answer) : text);
      return 0;
    }
    // A state directory that this user cannot read hides no setting.
    const keys = await loadServerKeys(system.files, stateDirectory).catch((error) => {
      if (error instanceof FileError) return NO_SERVER_KEYS;
      throw error;
    });
    const settings = withServerKeys(describeSettings(loaded), keys);
    if (isJson) {
      terminal.print(safeJson({ schema: "pennon.config-show/1", file, settings }, 2));
      return 0;
    }
    const rows = settings.map(({ path, value, from }) => [path, value, from]);
    const columns = [{ title: "SETTING" }, { title: "VALUE" }, { title: "FROM" }];
    terminal.print(formatTable(columns, rows, outputWidth(terminal)).join("\n"));
    return 0;
  },
};
