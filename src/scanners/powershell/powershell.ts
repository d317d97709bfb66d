/** Asks Windows PowerShell 5.1, which every Windows has, for a value: by a script, and as JSON. */

import { LOCAL_LIMITS, parseJson } from "../../json.ts";
import { reasonNotRun, ScanError, type ScanErrorReason } from "../scanner.ts";
import { CommandError, type RunResult } from "../../system/process.ts";
import type { System } from "../../system/system.ts";
import { describeComplaint, isBlocked } from "./complaint.ts";
import { BEGIN, END, frameScript } from "./frame.ts";

/** Below Windows' folder. A 32-bit program would be shown another `System32`; Pennon is none. */
const PROGRAM = "System32\\WindowsPowerShell\\v1.0\\powershell.exe";

/** Windows has one where the environment does not say which. */
const USUAL_ROOT = "C:\\Windows";

const FLAGS = [
  "-NoLogo",
  "-NoProfile",
  "-NonInteractive",
  // For modules of scripts, in this process alone; a policy of the domain's wins over it.
  "-ExecutionPolicy",
  "Bypass",
  "-OutputFormat",
  "Text",
];

/** Windows starts no program with a longer command line, in UTF-16 units and with an ending NUL. */
const MAX_COMMAND_LINE = 32_766;

/** An answer is base64, and twice as long where a host writes UTF-16. */
const MAX_OUTPUT_BYTES = 33_554_432;

/** Bounds on one question. */
export interface PowershellOptions {
  /** After this PowerShell is ended; what it asked of a service goes on there. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

function systemRoot(system: System): string {
  return system.readEnvironment("SystemRoot") ?? USUAL_ROOT;
}

/** Windows' folder as the environment has it; `undefined` if that is no folder on a drive. */
export function windowsFolder(system: System): string | undefined {
  const root = systemRoot(system);
  const isFolder = /^[A-Za-z]:(?:\\[\w $~.()-]+)+\\?$/.test(root) && !root.includes("..");
  return isFolder ? root.replace(/\\$/, "") : undefined;
}

/** The program; throws `ScanError`. */
export function powershellPath(system: System): string {
  const root = windowsFolder(system);
  if (root !== undefined) return `${root}\\${PROGRAM}`;
  const value = describeComplaint(systemRoot(system));
  const fact = `SystemRoot is "${value}", which is no folder on a drive`;
  throw new ScanError(`Cannot run PowerShell: ${fact}`, { reason: "permanent" });
}

/**
 * The value that `script` leaves in `$answer`, after a way through JSON; `powershell/frame.ts` tells
 * what a script may rely on. Throws `ScanError`; an error in the script is a value, see there.
 */
export async function runPowershell(
  system: System,
  script: string,
  options: PowershellOptions,
): Promise<unknown> {
  const argv = commandLine(powershellPath(system), script);
  return readAnswer(await run(system, argv, options), "PowerShell");
}

/** The value that a run of `program` answered. Throws `ScanError`, with what it complained of. */
export function readAnswer(result: RunResult, program: string): unknown {
  if (result.truncated) {
    const fact = "the answer is too long";
    throw new ScanError(`Cannot ask ${program}: ${fact}`, { reason: "permanent" });
  }
  try {
    return refuseConstrained(parseEnvelope(result.stdout), program);
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    // How it ended, and what it complained of, says more than what is missing from an answer.
    throw endFailure(result, program, error);
  }
}

function commandLine(program: string, script: string): string[] {
  const argv = [program, ...FLAGS, "-EncodedCommand", encodeCommand(frameScript(script))];
  // Each word may get quotes, and has a blank behind it.
  const length = argv.reduce((sum, word) => sum + word.length + 3, 0);
  if (length <= MAX_COMMAND_LINE) return argv;
  const fact = `the script makes a command line of ${length} characters`;
  throw new ScanError(`Cannot run PowerShell: ${fact}`, { reason: "permanent" });
}

/** Base64 of UTF-16LE, as `-EncodedCommand` wants it. */
export function encodeCommand(script: string): string {
  let bytes = "";
  for (let at = 0; at < script.length; at++) {
    const unit = script.charCodeAt(at);
    bytes += String.fromCharCode(unit & 0xff, unit >> 8);
  }
  return btoa(bytes);
}

async function run(
  system: System,
  argv: readonly string[],
  { timeoutMs, signal }: PowershellOptions,
): Promise<RunResult> {
  try {
    return await system.runCommand(argv, {
      timeoutMs,
      maxOutputBytes: MAX_OUTPUT_BYTES,
      ...(signal && { signal }),
    });
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    const fact = cause.message.replace(/^Cannot run "[^"]*": /, "");
    throw new ScanError(`Cannot run PowerShell: ${fact}`, { reason: startFailure(cause), cause });
  }
}

function startFailure(cause: CommandError): ScanErrorReason {
  // ERROR_ACCESS_DISABLED_BY_POLICY: a software restriction policy.
  const isForbidden = cause.reason === "failed" && cause.message.includes("os error 1260");
  return isForbidden ? "not_available" : reasonNotRun(cause);
}

/** There is no answer, or none that can be read. */
class UnreadableError extends ScanError {}

/**
 * The JSON value in what PowerShell printed, whatever stands around it and in whatever width its
 * characters were written. Throws `ScanError`, also where there is more than one answer.
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
  return decodeAnswer(encoded);
}

/** A host that is narrower than the answer may have broken it into lines; base64 minds no blanks. */
function decodeAnswer(text: string): unknown {
  const parsed = parseJson(decodeText(text), LOCAL_LIMITS);
  if (parsed.ok) return parsed.value;
  throw unreadable(`it is damaged: ${parsed.why}`, "permanent");
}

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

/** The frame answers by itself where the script's own means are forbidden. */
function refuseConstrained(answer: unknown, program: string): unknown {
  const isObject = typeof answer === "object" && answer !== null;
  if (!isObject || !("constrained" in answer) || answer.constrained !== true) return answer;
  const fact = "an application control policy holds it to ConstrainedLanguage mode";
  const next = "have the policy (WDAC, AppLocker) allow Pennon's scripts";
  throw new ScanError(`Cannot ask ${program}: ${fact}. Next: ${next}`, {
    reason: "not_available",
  });
}

/** Larger codes are NTSTATUS and HRESULT: it crashed, or its session ended. */
const LAST_OWN_CODE = 0xffff;

function endFailure(
  { code, stdout, stderr }: RunResult,
  program: string,
  unreadable: UnreadableError,
): ScanError {
  // Windows' codes are unsigned; Deno tells them as signed.
  const unsigned = code >>> 0;
  const hasAnswer = stdout.replaceAll("\0", "").includes(BEGIN);
  const said = describeComplaint(stderr) ||
    (code === 0 || hasAnswer ? "" : describeComplaint(stdout));
  if (code === 0 && said === "") return unreadable;
  const exit = unsigned > LAST_OWN_CODE ? `0x${unsigned.toString(16)}` : `${unsigned}`;
  const fact = code === 0 ? "it ended well without an answer" : `exit ${exit}`;
  const next = isBlocked(stderr) || isBlocked(stdout)
    ? ". Next: have the antivirus program allow Pennon's scripts"
    : "";
  return new ScanError(`Cannot ask ${program}: ${fact}${said && `: ${said}`}${next}`, {
    reason: unsigned > LAST_OWN_CODE ? "transient" : "permanent",
    cause: unreadable,
  });
}
