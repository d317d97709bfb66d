/** Reads what `apt-get --simulate dist-upgrade` would do: lines that apt never translates. */

import { type AptName, isAptName, isArchitecture, isVersion } from "./apt_name.ts";
import { outputLines } from "./output_lines.ts";

/** A package that would be replaced by another version of itself. */
export interface SimulatedChange {
  readonly name: AptName;
  readonly currentVersion: string;
  readonly newVersion: string;
  readonly architecture: string;
  /** `Debian-Security:12/oldstable-security`, several joined by ", ". To show, not to decide by. */
  readonly origins: string | null;
}

/** What would happen. New packages are no updates, and left out. */
export interface Simulation {
  readonly changes: readonly SimulatedChange[];
  /** Packages that would go. */
  readonly removals: readonly AptName[];
  /** Lines that are apt's and yet could not be read; what hooks print in between is none. */
  readonly unparsed: number;
}

/** Reads a simulation; lines that begin with none of apt's four words are not looked at. */
export function parseSimulation(text: string): Simulation {
  const { lines, dropped } = outputLines(text);
  const changes: SimulatedChange[] = [];
  const removals: AptName[] = [];
  let unparsed = dropped;
  for (const line of lines) {
    const space = line.indexOf(" ");
    const rest = line.slice(space + 1);
    switch (line.slice(0, Math.max(0, space))) {
      case "Inst": {
        const installation = parseInstallation(rest);
        if (!installation) unparsed += 1;
        else if (isChange(installation)) changes.push(installation);
        break;
      }
      case "Remv":
      case "Purg": {
        const [name = ""] = rest.split(" ", 1);
        if (isAptName(name)) removals.push(name);
        else unparsed += 1;
      }
    }
  }
  return { changes, removals, unparsed };
}

type Installation = Omit<SimulatedChange, "currentVersion"> & { currentVersion: string | null };

/** A package without a version in place is a new one, brought by another. */
function isChange(installation: Installation): installation is SimulatedChange {
  return installation.currentVersion !== null;
}

/**
 * Reads `name [current] (new origins [architecture]) [...]` from its fixed points: an origin's label
 * may itself hold blanks, commas, brackets and parentheses.
 */
function parseInstallation(text: string): Installation | undefined {
  const [name = ""] = text.split(" ", 1);
  let rest = text.slice(name.length + 1);
  let currentVersion: string | null = null;
  if (rest.startsWith("[")) {
    const close = rest.indexOf("] ");
    currentVersion = rest.slice(1, Math.max(1, close));
    rest = rest.slice(close + "] ".length);
    if (!isVersion(currentVersion)) return undefined;
  }
  const end = rest.lastIndexOf("])");
  const inside = rest.slice(1, Math.max(1, end));
  const bracket = inside.lastIndexOf(" [");
  if (!rest.startsWith("(") || bracket < 0) return undefined;
  const [newVersion = ""] = inside.split(" ", 1);
  const architecture = inside.slice(bracket + " [".length);
  const origins = inside.slice(newVersion.length + 1, bracket).trim() || null;
  if (!isAptName(name) || !isVersion(newVersion) || !isArchitecture(architecture)) return undefined;
  return { name, currentVersion, newVersion, architecture, origins };
}
