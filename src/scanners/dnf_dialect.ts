/** How one generation of dnf is asked, and how its answers are read. */

import type { AdvisoryDetails, AdvisoryRow } from "./dnf_advisories.ts";
import type { CheckedUpdates } from "./dnf_check_update.ts";
import type { PackageList } from "./rpm_packages.ts";

/** One question; `Answer` is what it is about. */
export interface DnfQuestion<Answer> {
  /** The command and its arguments, without those of where and when to fetch. */
  readonly command: readonly string[];
  /** The exit codes that come with an answer. */
  readonly codes: readonly number[];
  /** Reads the answer that came with that exit code; `undefined` if it is none. */
  read(stdout: string, code: number): Answer | undefined;
}

/** The words of dnf 4, or of dnf 5. */
export interface DnfDialect {
  /** Put before every command. */
  readonly settings: readonly string[];
  /** What the host could be upgraded to, in `OFFERED_FORMAT`; tells on stderr what it left out. */
  readonly offered: readonly string[];
  /** Has a command see what the administrator keeps from dnf. */
  readonly withExcluded: readonly string[];
  /** Which advisories there are for newer packages than those installed. */
  readonly advisories: DnfQuestion<PackageList<AdvisoryRow>>;
  /** What those advisories say; `null` where that is not told in a form that can be read. */
  readonly details: DnfQuestion<readonly AdvisoryDetails[]> | null;
  /** What dnf itself would update, and what would be replaced by a package of another name. */
  readonly updates: DnfQuestion<CheckedUpdates>;
  /** What would be replaced, where `updates` does not tell it all; `null` where it does. */
  readonly replacing: DnfQuestion<CheckedUpdates> | null;
  /** How many repositories are enabled; `null` where `updates` fails if there is none. */
  readonly repositories: DnfQuestion<number> | null;
  /** The folder of root's package lists. */
  readonly systemCache: string;
  /** That of a user, below the home folder; `null` where it has no fixed name. */
  readonly userCache: string | null;
}
