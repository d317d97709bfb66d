/** `pennon doctor`: checks everything that the agent needs, and says what to do next. */

import { ConfigError, loadConfig } from "../config.ts";
import { locations } from "../config/locations.ts";
import { type DoctorOptions, examine } from "../doctor/doctor.ts";
import { type Finding, type FindingLevel, hasFailed } from "../doctor/finding.ts";
import { leaveRoot } from "../service/account.ts";
import type { System } from "../system/system.ts";
import { safeJson, stripControls } from "../strip_controls.ts";
import { adviceLines, completeAdvice } from "../advice.ts";
import { findAdviceFacts } from "./advice_facts.ts";
import { type Paint, painter } from "./colour.ts";
import { type Arguments, type CliCommand, JSON_OPTION } from "./command.ts";

/** Runs beside an agent, and without a registration. */
export const doctorCommand: CliCommand = {
  usage: "[--json]",
  details: [
    "Checks the configuration, the files and their rights, the disk, the way to the",
    "server step by step, what the server thinks of this agent, and the package",
    "managers. A step that depends on one that failed is skipped. It takes a minute",
    "at most, changes nothing, spends no token, and receives no command; it writes",
    "one small file to the state directory and removes it.",
    "Exits 1 if a check failed.",
  ],
  options: [JSON_OPTION],
  maxArguments: 0,
  async run(system, given) {
    const findings = await findWith(system, given, await readConfiguration(system, given));
    if (given.flags.has("json")) system.terminal.print(findingsAsJson(findings));
    else system.terminal.print(findingsAsText(findings, painter(system)), { colours: true });
    return hasFailed(findings) ? 1 : 0;
  },
};

/** Examines; the advice keeps the options that decide which agent a command is about. */
export async function findWith(
  system: System,
  given: Arguments,
  options: DoctorOptions,
): Promise<Finding[]> {
  const facts = await findAdviceFacts(system, given.values);
  return (await examine(system, options)).map((finding) => ({
    ...finding,
    next: finding.next && completeAdvice(finding.next, facts),
  }));
}

/** The configuration or what is wrong with it, and where the state is. */
export async function readConfiguration(
  system: System,
  { values }: Arguments,
): Promise<DoctorOptions> {
  const file = values["config"];
  const stateDirectory = stateDirectoryOf(system, { values });
  // As the account of the service, root sees what the agent sees.
  await leaveRoot(system, stateDirectory);
  try {
    const configuration = await loadConfig(system, file === undefined ? {} : { file });
    return { configuration, stateDirectory };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { configuration: error, stateDirectory };
  }
}

/** The state directory that a command is about. */
export function stateDirectoryOf(
  system: System,
  { values }: Pick<Arguments, "values">,
): string {
  return values["state-dir"] ?? locations(system).stateDirectory;
}

/** The schema `pennon.doctor/1`, which only ever gains fields. */
export function findingsAsJson(findings: readonly Finding[]): string {
  const checks = findings.map(({ check, level, seen, next }) => ({ check, level, seen, next }));
  return safeJson({ schema: "pennon.doctor/1", result: worstOf(findings), checks }, 2);
}

function worstOf(findings: readonly Finding[]): Exclude<FindingLevel, "skip"> {
  if (hasFailed(findings)) return "fail";
  return findings.some(({ level }) => level === "warn") ? "warn" : "ok";
}

const CHECK_COLUMNS = 18;

const LEVEL_COLUMNS = 6;

/** What each level has in common with the health of the agent: its colour. */
const COLOURS = { ok: "ok", warn: "degraded", fail: "failed", skip: null } as const;

/** One line per check, with the next step below it, and the sum at the end. */
export function findingsAsText(findings: readonly Finding[], paint: Paint): string {
  const indent = " ".repeat(LEVEL_COLUMNS + CHECK_COLUMNS);
  const lines = findings.flatMap(({ check, level, seen, next }) => {
    const word = level.toUpperCase();
    const what = stripControls(level === "skip" ? `skipped ${seen}` : seen);
    const line = paint(COLOURS[level], word) + " ".repeat(LEVEL_COLUMNS - word.length) +
      check.padEnd(CHECK_COLUMNS) + what;
    if (next === null) return [line];
    const advice = adviceLines(`Next: ${stripControls(next)}`);
    return [
      line,
      ...advice.map(({ text, isCommand }) => indent + (isCommand ? `  ${text}` : text)),
    ];
  });
  const count = (wanted: FindingLevel) => findings.filter(({ level }) => level === wanted).length;
  const [failed, warned, skipped] = [count("fail"), count("warn"), count("skip")];
  const sum = failed + warned === 0
    ? "All is well"
    : `${failed} failed, ${warned} ${warned === 1 ? "warning" : "warnings"}`;
  const rest = skipped === 0 ? "" : `, ${skipped} skipped`;
  return [...lines, "", sum + rest].join("\n");
}
