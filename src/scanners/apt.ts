/** Scans for updates with apt, on Debian, Ubuntu and their derivatives. */

import { quoteWords } from "../redact.ts";
import type { System } from "../system/system.ts";
import type { RebootState } from "../update.ts";
import { joinNames } from "../wording.ts";
import { APT_GET, type AptOptions, DPKG_QUERY } from "./apt/commands.ts";
import { chooseLists } from "./apt/list_choice.ts";
import { readWithRetry } from "./apt/reading.ts";
import { isName } from "./apt/packages.ts";
import { unlessFileError } from "./private_files.ts";
import { hasFiles } from "./programs.ts";
import {
  oldestAgeS,
  type ScanAnswer,
  type Scanner,
  type ScanOptions,
  withSources,
} from "./scanner.ts";

/** The scanner. It needs no rights and no lock; only with `refresh` and as root it fetches the host's lists. */
export function aptScanner(options: AptOptions = {}): Scanner {
  return {
    name: "apt",
    // Some systems have an `apt-get` for another package manager, and no dpkg.
    isAvailable: (system) => hasFiles(system, "look for apt", [[APT_GET], [DPKG_QUERY]]),
    scan: (system, scanOptions) => scanApt(system, scanOptions, options),
  };
}

async function scanApt(
  system: System,
  scanOptions: ScanOptions,
  options: AptOptions,
): Promise<ScanAnswer> {
  const lists = await chooseLists(system, scanOptions, options);
  const isFetching = scanOptions.changelogs === true;
  const reading = await withSources(
    lists.sources,
    () => readWithRetry(system, { lists, options, isFetching }),
  );
  return {
    updates: reading.updates,
    gaps: [...lists.gaps, ...reading.gaps],
    notes: [...lists.notes, ...reading.notes],
    sources: lists.sources,
    metadataAgeS: oldestAgeS(lists.sources),
    reboot: await readRebootState(system, options.hostDirectory),
  };
}

const REBOOT_PURPOSE = "look for a required reboot";

/** Of a list that has one name per line, in which names repeat. */
const MAX_REBOOT_BYTES = 65_536;

/** The programs that write `/run/reboot-required`; without any of them its absence means nothing. */
const HOOKS = [
  "/usr/share/update-notifier/notify-reboot-required",
  "/etc/kernel/postinst.d/update-notifier",
  "/etc/kernel/postinst.d/unattended-upgrades",
];

/** Reads whether the host asks for a reboot; `null`: unknown. `hostDirectory` is a prefix of each path. */
export function readRebootState(
  { files }: Pick<System, "files">,
  hostDirectory: string = "",
): Promise<RebootState | null> {
  const file = `${hostDirectory}/run/reboot-required`;
  return unlessFileError(async () => {
    if (await files.inspect(REBOOT_PURPOSE, file)) {
      const names = await packagesIn(files, `${file}.pkgs`);
      const cause = names.length === 0 ? "" : `: ${joinNames(names)}`;
      return { isRequired: true, reason: quoteWords(`/run/reboot-required${cause}`, 300) };
    }
    for (const hook of HOOKS) {
      if (await files.inspect(REBOOT_PURPOSE, `${hostDirectory}${hook}`)) {
        return { isRequired: false, reason: "there is no /run/reboot-required" };
      }
    }
    return null;
  }, null);
}

async function packagesIn(files: System["files"], path: string): Promise<string[]> {
  const read = () => files.readText(REBOOT_PURPOSE, path, { maxBytes: MAX_REBOOT_BYTES });
  const text = await unlessFileError(read, undefined);
  const names = (text ?? "").split("\n").map((line) => line.trim()).filter(isName);
  return [...new Set(names)];
}
