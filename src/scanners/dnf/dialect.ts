/** How one generation of dnf is asked, and how its answers are read. */

import type { AdvisoryDetails, AdvisoryRow } from "./advisories.ts";
import type { CheckedUpdates } from "./check_update.ts";
import type { DnfRepositories } from "./repositories.ts";
import type { PackageList } from "./rpm_packages.ts";
import type { RebootState } from "../../update.ts";

/** One question; `Answer` is what it is about. */
export interface DnfQuestion<Answer> {
  /** The command and its arguments, without those of where and when to fetch. */
  readonly command: readonly string[];
  /** The exit codes that come with an answer. */
  readonly codes: readonly number[];
  /** See `RunOptions.environment`. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Reads the answer that came with that exit code; `undefined` if it is none. */
  read(stdout: string, code: number, stderr: string): Answer | undefined;
}

/** The words of dnf 4, or of dnf 5. */
export interface DnfDialect {
  /** Put before every command. */
  readonly settings: readonly string[];
  /** Put before every command of a user that is not root. */
  readonly userSettings: readonly string[];
  /** Has a command keep its package lists in this directory, and change no state of the host. */
  privateLists(directory: string): readonly string[];
  /** Fetches the package lists of which the time is up. */
  readonly fetch: readonly string[];
  /** What the host could be upgraded to, in `OFFERED_FORMAT`; tells on stderr what it left out. */
  readonly offered: readonly string[];
  /** Has a command see what `excludepkgs` keeps from dnf, and heed `includepkgs` all the same. */
  readonly withExcluded: readonly string[];
  /** Has a command see what version locks keep from dnf. */
  readonly withLocked: readonly string[];
  /**
   * Where version locks act: on the commands that resolve alone (dnf 4's plugin), or on every command;
   * there, what lifts the locks lifts `includepkgs` as well (dnf 5).
   */
  readonly locksActOn: "updates" | "everything";
  /** Which advisories there are for newer packages than those installed. */
  readonly advisories: DnfQuestion<PackageList<AdvisoryRow>>;
  /** What those advisories say; `null` where that is not told in a form that can be read. */
  readonly details: DnfQuestion<readonly AdvisoryDetails[]> | null;
  /** What dnf itself would update, and what would be replaced by a package of another name. */
  readonly updates: DnfQuestion<CheckedUpdates>;
  /** What would be replaced, where `updates` does not tell it all; `null` where it does. */
  readonly replacing: DnfQuestion<CheckedUpdates> | null;
  /** Every enabled repository. */
  readonly repositories: DnfQuestion<DnfRepositories>;
  /** Has `repoquery` list only what a security advisory is about, of this severity if one is given. */
  securityFilter(severity?: string): readonly string[];
  /** What ends a line of `repoquery`'s format. */
  readonly lineEnd: string;
  /** Whether the host asks for a restart; `null` where the answer does not tell. */
  readonly reboot: DnfQuestion<RebootState | null>;
  /** The folder of root's package lists, if nobody says otherwise, and the setting that does. */
  readonly systemCache: string;
  /** That of a user, below the home folder; `null` where it has no fixed name. */
  readonly userCache: string | null;
}
