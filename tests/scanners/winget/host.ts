/** A Windows host in memory whose programs answer what a test says. */

import { CommandError, type RunOptions, type RunResult } from "../../../src/system/process.ts";
import { FakeFiles } from "../../fakes/files.ts";
import { FakeSystem } from "../../fakes/system.ts";
import { readFixture, succeeded } from "../fixture.ts";

export const ALIAS = "C:\\Users\\anna\\AppData\\Local\\Microsoft\\WindowsApps\\winget.exe";
export const PACKAGES = "C:\\Program Files\\WindowsApps";

/** Files of Windows: backslashes separate directories. */
class WindowsFiles extends FakeFiles {
  // deno-lint-ignore require-await
  override async list(_purpose: string, path: string): Promise<string[]> {
    const below = [...this.texts.keys()].filter((name) => name.startsWith(`${path}\\`));
    return [...new Set(below.map((name) => name.slice(path.length + 1).split("\\")[0] ?? ""))];
  }
}

/** What a program answers to these arguments; an error is thrown. */
export type Answer = (
  args: readonly string[],
  program: string,
  options: RunOptions,
) => RunResult | Error;

/** A host of the user "anna", with winget's alias. */
export class WingetHost extends FakeSystem {
  override files: WindowsFiles = new WindowsFiles();
  readonly asked: string[][] = [];
  answer: Answer = () => new CommandError("Cannot run: no such program", { reason: "not_found" });

  constructor() {
    super();
    this.os = "windows";
    this.environment.set("USERPROFILE", "C:\\Users\\anna");
    this.environment.set("LOCALAPPDATA", "C:\\Users\\anna\\AppData\\Local");
    this.environment.set("ProgramFiles", "C:\\Program Files");
    this.environment.set("SystemRoot", "C:\\Windows");
    this.files.texts.set(ALIAS, "");
  }

  /** How long each program takes. */
  takesMs = 0;

  override runCommand = async (
    argv: readonly string[],
    options: RunOptions,
  ): Promise<RunResult> => {
    this.asked.push([...argv]);
    const [program = "", ...args] = argv;
    if (this.takesMs > 0) await this.clock.advance(this.takesMs);
    const answer = this.answer(args, program, options);
    if (answer instanceof Error) throw answer;
    return answer;
  };

  /** Changes the account to that of a service. */
  becomeSystem(): void {
    const profile = "C:\\Windows\\system32\\config\\systemprofile";
    this.environment.set("USERPROFILE", profile);
    this.environment.set("LOCALAPPDATA", `${profile}\\AppData\\Local`);
  }

  /** Adds the package of winget where services find it. */
  addPackage(version: string, architecture = "x64"): string {
    const name = `Microsoft.DesktopAppInstaller_${version}_${architecture}__8wekyb3d8bbwe`;
    const path = `${PACKAGES}\\${name}\\winget.exe`;
    this.files.texts.set(path, "");
    return path;
  }
}

/** The output of `winget source export` on every host; recorded with 1.29. */
export const SOURCES = readFixture("winget", "sources_default.txt");

/** A winget of this version that answers a listing with a fixture, or with `code` alone. */
export function winget(version: string, listing: string | RunResult, list?: Answer): Answer {
  return (args, program, options) => {
    if (args[0] === "--version") return succeeded(`${version}\r\n`);
    if (args[0] === "source") return succeeded(SOURCES);
    if (args[0] === "list" && list) return list(args, program, options);
    return typeof listing === "string" ? succeeded(readFixture("winget", listing)) : listing;
  };
}

/** A run that ended with this code, signed as Deno reports it on Windows. */
export function ended(code: number, stdout = ""): RunResult {
  return { code: code | 0, stdout, stderr: "", truncated: false };
}
