/** Every parser of what a package manager says, with real texts to begin from. */

import { changelogFacts, parseChangelogs } from "../../src/scanners/apt/changelogs.ts";
import { quotedMessages } from "../../src/scanners/apt/commands.ts";
import { parseInstalled, parsePolicy, parseShow } from "../../src/scanners/apt/packages.ts";
import { parseOutcomes } from "../../src/scanners/apt/private_lists.ts";
import { parseRelease, parseSources } from "../../src/scanners/apt/sources.ts";
import { parseUpgrade } from "../../src/scanners/apt/upgrade.ts";
import { parseEnvelope } from "../../src/scanners/powershell/powershell.ts";
import { firstErrorSentence } from "../../src/scanners/powershell/error_output.ts";
import { parseWinupdate } from "../../src/scanners/winupdate/search.ts";
import {
  describeGaps,
  describeNotes,
  describeUpdates,
} from "../../src/scanners/winupdate/updates.ts";

import { dnfFailure, dnfGaps, fetchFailures } from "../../src/scanners/dnf/commands.ts";
import {
  parseCheckUpdate,
  parseDnfVersion,
  parseRebootText,
} from "../../src/scanners/dnf/dialect.ts";
import {
  parseDnf4Advisories,
  parseDnf4AdvisoryDetails,
  parseDnf4Repositories,
} from "../../src/scanners/dnf/dnf4.ts";
import {
  parseDnf5Advisories,
  parseDnf5AdvisoryDetails,
  parseDnf5AdvisoryTable,
  parseDnf5CheckUpgrade,
  parseDnf5Repositories,
  parseRebootJson,
} from "../../src/scanners/dnf/dnf5.ts";
import { describeSources, type DnfRepositories } from "../../src/scanners/dnf/repositories.ts";
import { parseInstalledRpms, parseOfferedRpms } from "../../src/scanners/dnf/rpm.ts";
import { wingetGaps, wingetUpdates } from "../../src/scanners/winget/answer.ts";
import { parseWingetModule } from "../../src/scanners/winget/module.ts";
import { markPinned } from "../../src/scanners/winget/upgrades.ts";
import { parseWingetUpgrades } from "../../src/scanners/winget/upgrades.ts";

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
  { name: "apt_upgrade", tool: "apt", fixtures: /_upgrade/, parse: parseUpgrade },
  { name: "apt_sources", tool: "apt", fixtures: /_sources\./, parse: parseSources },
  { name: "apt_update", tool: "apt", fixtures: /^update_/, parse: readUpdate },
  { name: "apt_policy", tool: "apt", fixtures: /_policy\./, parse: parsePolicy },
  { name: "apt_releases", tool: "apt", fixtures: /^release_/, parse: parseRelease },
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
    parse: (text) => [quotedMessages(text, "errors"), quotedMessages(text, "warnings")],
  },
  {
    name: "powershell",
    tool: "winupdate",
    fixtures: /^stdout/,
    parse: (text) => {
      const complaint = firstErrorSentence(text);
      return [complaint, describeWinupdate(parseEnvelope(text))];
    },
  },
  {
    name: "winupdate",
    tool: "winupdate",
    fixtures: /\.json$/,
    parse: (text) => describeWinupdate(readJson(text)),
  },
  { name: "dnf_offered", tool: "dnf", fixtures: /^offered/, parse: parseOfferedRpms },
  { name: "rpm_installed", tool: "dnf", fixtures: /^installed/, parse: parseInstalledRpms },
  { name: "dnf4_advisories", tool: "dnf", fixtures: /^advisories/, parse: parseDnf4Advisories },
  { name: "dnf4_details", tool: "dnf", fixtures: /^cves/, parse: parseDnf4AdvisoryDetails },
  { name: "dnf_check_update", tool: "dnf", fixtures: /^check_update/, parse: parseCheckUpdate },
  {
    name: "dnf_failure",
    tool: "dnf",
    fixtures: /^stderr/,
    parse: (stderr) => {
      const result = { code: 1, stdout: "", stderr, truncated: false };
      const failures = [...fetchFailures(stderr)];
      return [dnfFailure("list updates", result).message, dnfGaps(result), failures];
    },
  },
  {
    name: "dnf5_advisories",
    tool: "dnf5",
    fixtures: /^advisory_list\.json/,
    parse: (text) => parseDnf5Advisories(asJson(text)),
  },
  {
    name: "dnf5_details",
    tool: "dnf5",
    fixtures: /^advisory_info/,
    parse: (text) => parseDnf5AdvisoryDetails(asJson(text)),
  },
  {
    name: "dnf5_check_upgrade",
    tool: "dnf5",
    fixtures: /^check_upgrade\.json/,
    parse: (text) => parseDnf5CheckUpgrade(asJson(text)),
  },
  {
    name: "dnf5_table",
    tool: "dnf5",
    fixtures: /^advisory_list\.txt/,
    parse: parseDnf5AdvisoryTable,
  },
  {
    name: "dnf4_repositories",
    tool: "dnf",
    fixtures: /^repositories/,
    parse: (text) => described(parseDnf4Repositories(text, "")),
  },
  {
    name: "dnf5_repositories",
    tool: "dnf5",
    fixtures: /^real_repo_info/,
    parse: (text) => described(parseDnf5Repositories(asJson(text))),
  },
  {
    name: "dnf_reboot",
    tool: "dnf",
    fixtures: /^needs_restarting/,
    parse: (text) => [parseRebootText(text), parseRebootJson(asJson(text))],
  },
  { name: "dnf_version", tool: "dnf5", fixtures: /^version/, parse: parseDnfVersion },
  {
    name: "winget_upgrades",
    tool: "winget",
    fixtures: /^(language|list|new|nothing|old|report)_/,
    parse: (text) => {
      const answer = parseWingetUpgrades(text);
      return [wingetUpdates(answer.rows), wingetGaps(answer)];
    },
  },
  {
    name: "winget_pins",
    tool: "winget",
    fixtures: /^(language|list|new|report)_/,
    parse: (text) => markPinned(parseWingetUpgrades(text).rows, text),
  },
  {
    name: "winget_module",
    tool: "winget",
    fixtures: /^module/,
    parse: (text) => wingetUpdates(parseWingetModule(readJson(text)).updates),
  },
];

/** Repositories as the scanner reports them. */
function described(told: DnfRepositories | undefined): unknown {
  const facts = { nowMs: 0, failures: new Map(), fetchedFromMs: null, isRefresh: false };
  return describeSources(told?.repositories ?? [], { ...facts, hasAdvisories: new Map() });
}

/** The sources are apt's words as well: each is named by the update that failed for it. */
function readUpdate(text: string): unknown {
  const sources = ["http://127.0.0.1:9/x/dists/s/", "http://127.0.0.1:9/flat/./"].map((
    address,
  ) => ({
    name: address.replace(/\/dists\/(.*)\/$/, " $1"),
    address,
    prefix: address,
    lists: ["x_Packages"],
  }));
  return [...parseOutcomes({ stdout: text, stderr: text, code: 100 }, sources)];
}

/** A text of brackets alone never ends for V8's own reader of JSON. */
function asJson(text: string): string {
  return /^[[{]{20}/.test(text) ? "" : text;
}

function describeWinupdate(value: unknown) {
  const answer = parseWinupdate(value);
  return [describeUpdates(answer), describeGaps(answer), describeNotes(answer)];
}

/**
 * Text that is no JSON never reaches this parser, which refuses `null` as it does whatever is no object;
 * V8 itself takes seconds over ten million brackets.
 */
function readJson(text: string): unknown {
  if (!text.trimStart().startsWith("{")) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
