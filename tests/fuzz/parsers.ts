/** Every parser of what a package manager says, with real texts to begin from. */

import { changelogFacts, parseChangelogs } from "../../src/scanners/apt_changelogs.ts";
import { complaints } from "../../src/scanners/apt_failure.ts";
import { parseInstalled } from "../../src/scanners/apt_installed.ts";
import { parsePolicy } from "../../src/scanners/apt_policy.ts";
import { parseReleases } from "../../src/scanners/apt_releases.ts";
import { parseShow } from "../../src/scanners/apt_show.ts";
import { parseSimulation } from "../../src/scanners/apt_simulation.ts";
import { parseEnvelope } from "../../src/scanners/powershell.ts";
import { describeComplaint } from "../../src/scanners/powershell_complaint.ts";
import { parseWinupdate } from "../../src/scanners/winupdate_answer.ts";
import { describeUpdates, tellGaps } from "../../src/scanners/winupdate_updates.ts";

/** One parser: whatever it makes of a text is looked through. */
export interface Parser {
  readonly name: string;
  /** Folder of `tests/fixtures`, and how its texts' names begin. */
  readonly tool: string;
  readonly fixtures: RegExp;
  parse(text: string): unknown;
}

export const PARSERS: readonly Parser[] = [
  { name: "apt_installed", tool: "apt", fixtures: /_installed\./, parse: parseInstalled },
  { name: "apt_simulation", tool: "apt", fixtures: /_simulation/, parse: parseSimulation },
  { name: "apt_policy", tool: "apt", fixtures: /_policy\./, parse: parsePolicy },
  { name: "apt_releases", tool: "apt", fixtures: /_releases\./, parse: parseReleases },
  { name: "apt_show", tool: "apt", fixtures: /_show\./, parse: parseShow },
  {
    name: "apt_changelogs",
    tool: "apt",
    fixtures: /^changelog/,
    parse: (text) => {
      const versions = { currentVersion: "1", availableVersion: "1.20.1-2+deb12u5" };
      return changelogFacts(parseChangelogs(text), "krb5", versions);
    },
  },
  {
    name: "apt_failure",
    tool: "apt",
    fixtures: /^stderr/,
    parse: (text) => [complaints(text, "errors"), complaints(text, "warnings")],
  },
  {
    name: "powershell",
    tool: "winupdate",
    fixtures: /^stdout/,
    parse: (text) => {
      const complaint = describeComplaint(text);
      return [complaint, describeWinupdate(parseEnvelope(text))];
    },
  },
  {
    name: "winupdate",
    tool: "winupdate",
    fixtures: /\.json$/,
    parse: (text) => describeWinupdate(readJson(text)),
  },
];

function describeWinupdate(value: unknown) {
  const answer = parseWinupdate(value);
  return [describeUpdates(answer), tellGaps(answer)];
}

/** Text that is no JSON never reaches this parser; `null` is refused by it. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
