/** Lists updates with the PowerShell module Microsoft.WinGet.Client, if the host has it. */

import * as v from "valibot";
import { quoteWords } from "../../redact.ts";
import type { System } from "../../system/system.ts";
import {
  type PowershellOptions,
  pwshDirectory,
  runPowershell,
  runPwsh,
} from "../powershell/powershell.ts";
import { listNames } from "../private_files.ts";
import { cannot } from "../scanner.ts";
import { plainText } from "./layout.ts";
import type { WingetAccount } from "./program.ts";
import type { WingetUpgrade } from "./upgrades.ts";

/**
 * The script, for `frameScript()`. It answers one object, even for one update or none, and copies every
 * property by name. `IsUpdateAvailable` is the result of the module: the script compares no versions.
 */
export const WINGET_SCRIPT = String.raw`
Import-Module Microsoft.WinGet.Client
$packages = @(Get-WinGetPackage -Source winget)
$updates = @($packages | Where-Object { $_.IsUpdateAvailable } | ForEach-Object {
  [ordered]@{
    name = [string]$_.Name
    id = [string]$_.Id
    installed = [string]$_.InstalledVersion
    available = [string](@($_.AvailableVersions)[0])
    source = [string]$_.Source
  }
})
$answer = [ordered]@{ packages = [int]$packages.Count; updates = $updates }
`;

const NAME = "Microsoft.WinGet.Client";

const MAX_TEXT_LENGTH = 1_000;
const MAX_MESSAGE_LENGTH = 300;
const MAX_UPDATES = 5_000;

const text = v.pipe(v.string(), v.maxLength(MAX_TEXT_LENGTH), v.transform(plainText));
const word = v.pipe(text, v.regex(/^\S+$/));
const update = v.object({
  name: text,
  id: word,
  installed: text,
  available: v.pipe(text, v.nonEmpty()),
  source: v.nullish(text),
});

const answered = v.object({
  packages: v.pipe(v.number(), v.integer(), v.minValue(0)),
  // Windows PowerShell can turn a list of one into its element.
  updates: v.union([
    v.pipe(v.array(update), v.maxLength(MAX_UPDATES)),
    v.pipe(update, v.transform((one) => [one])),
  ]),
});

const failed = v.object({ error: v.object({ message: text, hresult: v.optional(text) }) });

/**
 * Lists updates with the module; returns `null` if it is not installed. Throws `ScanError`.
 *
 * In Windows PowerShell the module refuses the account of a service ("not supported"); in PowerShell 7
 * it does not.
 */
export async function askWingetModule(
  system: System,
  account: WingetAccount,
  options: PowershellOptions,
): Promise<WingetUpgrade[] | null> {
  const host = await hostOf(system, account);
  if (host === null) return null;
  const answer = host === "pwsh"
    ? await runPwsh(system, WINGET_SCRIPT, options)
    : await runPowershell(system, WINGET_SCRIPT, options);
  return parseWingetModule(answer).updates;
}

/** Reads the script's answer. Throws `ScanError`. */
export function parseWingetModule(answer: unknown): { packages: number; updates: WingetUpgrade[] } {
  const failure = v.safeParse(failed, answer);
  if (failure.success) {
    const { message, hresult } = failure.output.error;
    const code = hresult === undefined ? "" : ` (${hresult})`;
    const said = quoteWords(message, MAX_MESSAGE_LENGTH);
    throw cannot(`ask ${NAME}`, `${said}${code}`, "permanent");
  }
  const result = v.safeParse(answered, answer);
  if (!result.success) {
    throw cannot(`read ${NAME}'s answer`, result.issues[0].message, "permanent");
  }
  const { packages, updates } = result.output;
  return {
    packages,
    updates: updates.map(({ name, id, installed, available, source }) => ({
      name,
      id,
      version: installed,
      available,
      source: source || null,
      state: "upgradable",
    })),
  };
}

/** The PowerShell that can import the module, if one can: only 7 searches the directories of both. */
async function hostOf(
  system: System,
  { isService }: WingetAccount,
): Promise<"powershell" | "pwsh" | null> {
  const programs = system.readEnvironment("ProgramFiles") ?? "C:\\Program Files";
  const profile = system.readEnvironment("USERPROFILE");
  const documents = profile === undefined ? [] : [`${profile}\\Documents`];
  const classic = [programs, ...documents].map((directory) => `${directory}\\WindowsPowerShell`);
  if (await isInAny(system, classic)) return isService ? "pwsh" : "powershell";
  const own = pwshDirectory(system);
  const modern = documents.map((directory) => `${directory}\\PowerShell`);
  return await isInAny(system, [own, `${own}\\7`, ...modern]) ? "pwsh" : null;
}

async function isInAny(system: System, directories: readonly string[]): Promise<boolean> {
  const purpose = "look for winget's module";
  const found = await Promise.all(
    directories.map((directory) => listNames(system, purpose, `${directory}\\Modules\\${NAME}`)),
  );
  return found.some((names) => names.length > 0);
}
