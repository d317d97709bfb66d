/** The configuration file that packages install: every setting, commented out. Pure. */

import { ALL_SETTINGS, type Setting } from "../../src/config/settings.ts";

const HEADER = `# Configuration of Pennon, the update agent. Nothing has to be set.
#
# Every setting is below with its default. Remove the "# " before a setting to change it, then run
# "pennon config check" and "systemctl restart pennon". This file is TOML.
`;

/** The text of the file. With every "# " before a setting removed, it says what holds anyway. */
export function exampleConfig(settings: readonly Setting<unknown>[] = ALL_SETTINGS): string {
  const sections = Map.groupBy(settings, ({ path }) => path.slice(0, path.indexOf(".")));
  const texts = [...sections].map(([name, members]) =>
    `\n[${name}]\n${members.map(describeSetting).join("\n")}`
  );
  return HEADER + texts.join("");
}

function describeSetting({ path, kind, fallback, summary }: Setting<unknown>): string {
  const key = path.slice(path.indexOf(".") + 1);
  const value = fallback === null ? '""' : tomlOf(fallback, kind.show(fallback));
  const note = fallback === null ? "; not set" : "";
  return `# ${summary} (${kind.allowed}${note}).\n# ${key} = ${value}\n`;
}

/** A value as TOML writes it; `shown` has the unit of a duration or size. */
function tomlOf(value: unknown, shown: string): string {
  if (Array.isArray(value)) return `[${value.map((item) => JSON.stringify(item)).join(", ")}]`;
  if (typeof value === "boolean") return shown;
  return typeof value === "number" && /^\d+$/.test(shown) ? shown : JSON.stringify(shown);
}
