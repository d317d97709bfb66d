/** `pennon diagnostics`: writes one archive for support, after it has shown what is in it. */

import { completeAdvice, pennonCommand, sameCommand } from "../advice.ts";
import { assessHealth } from "../agent/health.ts";
import { readStatus, type Status } from "../agent/status.ts";
import { ConfigError } from "../config.ts";
import { assemble, type Config } from "../config/settings.ts";
import { collectEntries, collectSecrets, hideIn, readServiceLog } from "../doctor/diagnostics.ts";
import { type ArchiveEntry, gzip, makeTar } from "../doctor/tar.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import type { Paint } from "./colour.ts";
import type { Arguments, CliCommand, ExitCode } from "./command.ts";
import {
  findingsAsJson,
  findingsAsText,
  findWith,
  readConfiguration,
  stateDirectoryOf,
} from "./doctor_command.ts";
import { statusAsJson } from "./status_command.ts";
import { statusAsText } from "./status_text.ts";
import { describeSize } from "./terminal_text.ts";

/** Works with a broken configuration and without a registration, since that is what support asks about. */
export const diagnosticsCommand: CliCommand = {
  usage: "[--output FILE] [--yes]",
  details: [
    "Writes a .tar.gz with the status, the configuration, the log, the state and the",
    `findings of \`${pennonCommand("doctor")}\`. Tokens, passwords and the machine id are left out`,
    "or hidden. It lists the contents first, and asks before it writes; the file is",
    "for its user alone, and replaces no other one.",
  ],
  options: [
    {
      name: "output",
      value: "FILE",
      summary: "The archive; by default a new one in this directory",
    },
    { name: "yes", summary: "Write without asking" },
  ],
  maxArguments: 0,
  async run(system, given) {
    const wasRoot = system.machine.userId() === ROOT;
    // Before root is given up: the service's account may not read the journal.
    const log = await readServiceLog(system, stateDirectoryOf(system, given));
    const { configuration, stateDirectory } = await readConfiguration(system, given);
    const isValid = !(configuration instanceof ConfigError);
    const config: Config = isValid ? configuration.config : assemble(({ fallback }) => fallback);
    const host = await collectSecrets(system, { config, stateDirectory });
    const status = await readStatus(system, { stateDirectory, config }).catch((error) => {
      if (error instanceof FileError) return null;
      throw error;
    });
    const shown = status && hideIn(status, host);
    const findings = hideIn(await findWith(system, given, { configuration, stateDirectory }), host);
    const entries = [
      ...shown === null ? [] : [
        { name: "status.txt", text: `${statusText(shown, given)}\n` },
        { name: "status.json", text: `${statusAsJson(shown)}\n` },
      ],
      { name: "doctor.txt", text: `${findingsAsText(findings, PLAIN)}\n` },
      { name: "doctor.json", text: `${findingsAsJson(findings)}\n` },
      ...await collectEntries(system, { configuration, config, stateDirectory, status, log, host }),
    ];
    // The account of the service can write there, and not where root stands.
    const isInState = wasRoot && system.machine.userId() !== ROOT;
    const path = given.values["output"] ??
      `${isInState ? `${stateDirectory}/` : ""}${defaultName(system)}`;
    return await writeArchive(system, given, { path, entries });
  },
};

function defaultName({ machine, clock }: System): string {
  const host = machine.hostName().replaceAll(/[^\w.-]/g, "") || "host";
  const instant = new Date(clock.nowMs()).toISOString().slice(0, 19).replaceAll(/[-:]/g, "");
  return `pennon-diagnostics-${host}-${instant}Z.tar.gz`;
}

const ROOT = 0;

const TEXT_WIDTH = 100;

const PLAIN: Paint = (_word, text) => text;

function statusText(status: Status, given: Arguments): string {
  return statusAsText(status, assessHealth(status), {
    width: TEXT_WIDTH,
    isVerbose: true,
    paint: PLAIN,
    given,
  });
}

const FOLDER = "pennon-diagnostics";

async function writeArchive(
  system: System,
  given: Arguments,
  { path, entries }: { path: string; entries: readonly ArchiveEntry[] },
): Promise<ExitCode> {
  const { terminal, files, clock } = system;
  terminal.print("The archive holds:");
  for (const { name, text } of entries) {
    const size = describeSize(new TextEncoder().encode(text).length);
    terminal.print(`  ${name.padEnd(20)}${size}`);
  }
  terminal.print("Not in it: tokens, passwords, the machine id, the bodies of events.");
  if (!given.flags.has("yes")) {
    const answer = await terminal.ask(`Write "${path}"? [y/N]`);
    if (answer === undefined) {
      terminal.printError(
        "pennon: Cannot ask whether to write it: stdin is no terminal. " +
          `Next: ${completeAdvice(sameCommand("diagnostics", given, { yes: true }), given)}`,
      );
      return 2;
    }
    if (!/^y(?:es)?$/i.test(answer)) {
      terminal.print("Nothing was written");
      return 1;
    }
  }
  const inFolder = entries.map(({ name, text }) => ({ name: `${FOLDER}/${name}`, text }));
  const bytes = await gzip(makeTar(inFolder, clock.nowMs()));
  try {
    await files.createBytes("write the archive", path, bytes, { mode: 0o600 });
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    const next = error.reason === "exists" ? "name another one" : "name one that can be written";
    throw new Error(`${error.message}. Next: ${next} with --output`, { cause: error });
  }
  terminal.print(`Wrote "${path}" (${describeSize(bytes.length)})`);
  return 0;
}
