/** Runs scripts in Windows PowerShell 5.1 or PowerShell 7, and returns the value that they answer, as JSON. */

import { LOCAL_LIMITS, parseJson } from "../../json.ts";
import type { CommandError, RunResult } from "../../system/process.ts";
import type { System } from "../../system/system.ts";
import { windowsDirectory } from "../../windows_directory.ts";
import { answerTooLong, reasonNotRun, runProgram } from "../programs.ts";
import { cannot, ScanError, type ScanErrorReason } from "../scanner.ts";
import { firstErrorSentence, isAntivirusRefusal } from "./error_output.ts";

/** Below the Windows directory. Pennon is 64-bit: a 32-bit process would see another `System32`. */
const PROGRAM = "System32\\WindowsPowerShell\\v1.0\\powershell.exe";

const FLAGS = ["-NoLogo", "-NoProfile", "-NonInteractive"];

/** Windows starts no program with a longer command line, in UTF-16 units including the final NUL. */
const MAX_COMMAND_LINE = 32_766;

/** An answer is base64, and twice as long where a host writes UTF-16. */
const MAX_OUTPUT_BYTES = 33_554_432;

/** Markers around the answer, which is base64 of UTF-8 of JSON: only ASCII leaves PowerShell. */
export const BEGIN = "<<<BEGIN>>>";
export const END = "<<<END>>>";

/** The answer in constrained language mode. A script cannot encode base64 there. */
const CONSTRAINED = btoa(JSON.stringify({ constrained: true }));

export interface PowershellOptions {
  /** PowerShell is ended after this time; a request that it made to a service continues there. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** The directory of 64-bit programs. */
export function programsDirectory(system: System): string {
  return system.readEnvironment("ProgramW6432") ?? system.readEnvironment("ProgramFiles") ??
    "C:\\Program Files";
}

/** The directory of all versions of PowerShell 7, and of its modules for all users. */
export function pwshDirectory(system: System): string {
  return `${programsDirectory(system)}\\PowerShell`;
}

/** The path of Windows PowerShell. Throws `ScanError`. */
export function powershellPath(system: System): string {
  const root = windowsDirectory(system);
  if (root !== undefined) return `${root}\\${PROGRAM}`;
  const value = firstErrorSentence(system.readEnvironment("SystemRoot") ?? "");
  const fact = `SystemRoot is "${value}", which is not a directory on a drive`;
  throw cannot("run PowerShell", fact, "permanent");
}

/**
 * Runs `script` in Windows PowerShell and returns the value of its `$answer`, decoded from JSON; see
 * `frameScript()` for what a script can rely on. Throws `ScanError`. An error in the script is a value.
 */
export async function runPowershell(
  system: System,
  script: string,
  options: PowershellOptions,
): Promise<unknown> {
  // Allows script modules, in this process only; a domain policy overrides it.
  const bypass = ["-ExecutionPolicy", "Bypass"];
  const argv = [powershellPath(system), ...FLAGS, ...bypass, ...encodedScript(script)];
  // Windows may quote each word, and separates words by a blank.
  const length = argv.reduce((sum, word) => sum + word.length + 3, 0);
  if (length > MAX_COMMAND_LINE) {
    const fact = `the script makes a command line of ${length} characters`;
    throw cannot("run PowerShell", fact, "permanent");
  }
  const result = await run(system, argv, options, (cause) => {
    const fact = cause.message.replace(/^Cannot run "[^"]*": /, "");
    // ERROR_ACCESS_DISABLED_BY_POLICY: a software restriction policy.
    const isForbidden = cause.reason === "failed" && cause.message.includes("os error 1260");
    const reason = isForbidden ? "not_available" : reasonNotRun(cause);
    return cannot("run PowerShell", fact, reason, { cause });
  });
  return readAnswer(result, "PowerShell");
}

/**
 * Does the same in PowerShell 7. Throws `ScanError`, with the reason `not_available` if PowerShell 7 is
 * not in the directory of its installer, which is the same for every minor version.
 */
export async function runPwsh(
  system: System,
  script: string,
  options: PowershellOptions,
): Promise<unknown> {
  const path = `${pwshDirectory(system)}\\7\\pwsh.exe`;
  // -MTA: in a single-threaded apartment, in-process COM fails for services.
  const result = await run(
    system,
    [path, "-MTA", ...FLAGS, ...encodedScript(script)],
    options,
    (cause) => {
      const reason = cause.reason === "not_found" ? "not_available" : "transient";
      return cannot("ask PowerShell 7", cause.message, reason, { cause });
    },
  );
  return readAnswer(result, "PowerShell 7");
}

function run(
  system: System,
  argv: readonly string[],
  { timeoutMs, signal }: PowershellOptions,
  describe: (cause: CommandError) => ScanError,
): Promise<RunResult> {
  const bounds = { timeoutMs, maxOutputBytes: MAX_OUTPUT_BYTES, signal };
  return runProgram(system, argv, bounds, describe);
}

function encodedScript(script: string): string[] {
  return ["-OutputFormat", "Text", "-EncodedCommand", encodeCommand(frameScript(script))];
}

/** Base64 of UTF-16LE, the format of `-EncodedCommand`. */
export function encodeCommand(script: string): string {
  let bytes = "";
  for (let at = 0; at < script.length; at++) {
    const unit = script.charCodeAt(at);
    bytes += String.fromCharCode(unit & 0xff, unit >> 8);
  }
  return btoa(bytes);
}

/**
 * Wraps `script` in a frame that turns errors into values and makes the answer independent of code
 * pages, line widths and other output.
 *
 * A script assigns its answer, a hashtable, to `$answer`; what it prints is discarded. Every error ends
 * the script (`$ErrorActionPreference` is `Stop`), and an uncaught one becomes the answer
 * `{"error": {"hresult", "type", "message", "line"}}`; `Get-Failure $_` returns the same object for a
 * caught one. Values nested more than eight levels deep become text. The frame is PowerShell 5.1 in
 * ASCII.
 */
export function frameScript(script: string): string {
  // In two pieces, so that an echo of the script is not mistaken for an answer.
  const [begin, end] = [BEGIN, END].map((marker) => `'${marker.slice(0, 5)}'+'${marker.slice(5)}'`);
  return `$ErrorActionPreference='Stop'
$ProgressPreference='SilentlyContinue'
$WarningPreference='SilentlyContinue'
if("$($ExecutionContext.SessionState.LanguageMode)" -ne 'FullLanguage'){
(${begin})
'${CONSTRAINED}'
(${end})
exit}
function Get-Failure($Record){
$e=$Record.Exception
while($e.InnerException){$e=$e.InnerException}
[ordered]@{hresult='0x{0:X8}' -f $e.HResult
type=$e.GetType().FullName
message=[string]$e.Message
line=[int]$Record.InvocationInfo.ScriptLineNumber}}
$answer=$null
try{$null=. {
${script}
}}catch{$answer=@{error=Get-Failure $_}}
$json=ConvertTo-Json -InputObject $answer -Depth 8 -Compress
$text=[Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($json))
[Console]::Out.Write("\`n"+${begin}+"\`n"+$text+"\`n"+${end}+"\`n")
`;
}

/** No answer, or one that cannot be read. */
class UnreadableError extends ScanError {}

function readAnswer(result: RunResult, program: string): unknown {
  if (result.truncated) throw answerTooLong(`ask ${program}`);
  try {
    return refuseConstrained(parseEnvelope(result.stdout), program);
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    // The exit code and the complaint say more than what is missing from the answer.
    throw endFailure(result, program, error);
  }
}

/**
 * Decodes the JSON value in the output of PowerShell, regardless of the text around it and of the width
 * of its characters. Throws `ScanError`, also for more than one answer.
 */
export function parseEnvelope(stdout: string): unknown {
  // UTF-16 read as UTF-8 has a NUL after each ASCII character.
  const [, answer, second] = stdout.replaceAll("\0", "").split(BEGIN);
  if (answer === undefined) {
    const next = "look in the antivirus program's log whether it stopped powershell.exe";
    throw unreadable(`it printed none. Next: ${next}`, "permanent");
  }
  if (second !== undefined) throw unreadable("it printed more than one", "permanent");
  const [encoded = "", rest] = answer.split(END);
  if (rest === undefined) throw unreadable("it was cut off", "transient");
  const parsed = parseJson(decodeText(encoded), LOCAL_LIMITS);
  if (parsed.ok) return parsed.value;
  throw unreadable(`it is damaged: ${parsed.why}`, "permanent");
}

/** A narrow host may break the answer into lines; decoding ignores white space in base64. */
function decodeText(base64: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(base64));
  } catch (cause) {
    throw unreadable("it is damaged", "permanent", cause);
  }
}

function unreadable(fact: string, reason: ScanErrorReason, cause?: unknown): ScanError {
  return new UnreadableError(`Cannot read PowerShell's answer: ${fact}`, { reason, cause });
}

/** The frame itself answers where the language mode forbids what a script needs. */
function refuseConstrained(answer: unknown, program: string): unknown {
  const isObject = typeof answer === "object" && answer !== null;
  if (!isObject || !("constrained" in answer) || answer.constrained !== true) return answer;
  const fact = "an application control policy holds it to ConstrainedLanguage mode";
  const next = "have the policy (WDAC, AppLocker) allow Pennon's scripts";
  throw cannot(`ask ${program}`, fact, "not_available", { next });
}

/** Larger exit codes are NTSTATUS or HRESULT: the process crashed, or its session ended. */
const LAST_OWN_CODE = 0xffff;

function endFailure(
  { code, stdout, stderr }: RunResult,
  program: string,
  unreadable: UnreadableError,
): ScanError {
  // Windows' exit codes are unsigned; Deno reports them as signed.
  const unsigned = code >>> 0;
  const hasAnswer = stdout.replaceAll("\0", "").includes(BEGIN);
  const said = firstErrorSentence(stderr) ||
    (code === 0 || hasAnswer ? "" : firstErrorSentence(stdout));
  if (code === 0 && said === "") return unreadable;
  const exit = unsigned > LAST_OWN_CODE ? `0x${unsigned.toString(16)}` : `${unsigned}`;
  const fact = code === 0 ? "it ended well without an answer" : `exit ${exit}`;
  const reason = unsigned > LAST_OWN_CODE ? "transient" : "permanent";
  const isRefused = isAntivirusRefusal(stderr) || isAntivirusRefusal(stdout);
  const next = isRefused ? "have the antivirus program allow Pennon's scripts" : undefined;
  const facts = `${fact}${said && `: ${said}`}`;
  return cannot(`ask ${program}`, facts, reason, { next, cause: unreadable });
}
