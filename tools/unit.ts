/**
 * `deno task unit`: prints what `pennon service install` writes, for packages and for reading.
 *
 * The systemd unit by default; `sysusers`, `task` and `launchd` print the account's line, the scheduled
 * task and the property list. `--program PATH` is the executable's place on the host.
 */

import { parseArgs } from "@std/cli/parse-args";
import { launchdPlist } from "../src/service/launchd.ts";
import { systemdUnit, SYSUSERS_LINE } from "../src/service/systemd.ts";
import { taskXml } from "../src/service/task.ts";

const USAGE = "Usage: deno task unit [--program PATH] [systemd|sysusers|task|launchd]";

/** Each kind with the place of the executable and its text. */
const KINDS: Readonly<
  Record<string, readonly [program: string, text: (program: string) => string]>
> = {
  systemd: ["/usr/bin/pennon", (program) => systemdUnit({ program })],
  sysusers: ["", () => `${SYSUSERS_LINE}\n`],
  task: [
    "C:\\Program Files\\Pennon\\pennon.exe",
    (program) => taskXml({ program }),
  ],
  launchd: ["/usr/local/bin/pennon", (program) => launchdPlist({ program })],
};

if (import.meta.main) {
  const flags = parseArgs(Deno.args, { string: ["program"] });
  const kind = KINDS[String(flags._[0] ?? "systemd")];
  if (kind === undefined || flags._.length > 1) {
    console.error(USAGE);
    Deno.exit(2);
  }
  const [program, text] = kind;
  await Deno.stdout.write(new TextEncoder().encode(text(String(flags["program"] ?? program))));
}
