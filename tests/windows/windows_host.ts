/** A Windows of a test's own, as far as Pennon looks at it: folders, variables, programs played. */

import { inFolder } from "../real/folder.ts";
import { script } from "../../tools/program.ts";
import { envelope } from "../scanners/powershell/stub.ts";
import { type Files, StandIn, windowsTest } from "./stand_in.ts";

/**
 * Windows' folder, where the one that there is may be played with: Wine lets no program have another
 * `SystemRoot` than its own.
 */
const OWN_ROOT = Deno.env.get("PENNON_PLAYED_WINDOWS");

/** The executable under test; without one the same program runs from source. */
export const EXECUTABLE: string | undefined = Deno.env.get("PENNON_EXECUTABLE");

/** What came of a command that ran to its end. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** How a test's host differs from that of a user named Anna. */
export interface HostOptions {
  /** SYSTEM has another profile. */
  readonly profile?: string;
  /** Its ProgramData is the one of the Windows that runs the tests. */
  readonly isShared?: boolean;
}

/** Its folders are below one; `variables` say so to whoever reads the environment. */
export class WindowsHost {
  readonly folder: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly #isShared: boolean;

  private constructor(folder: string, { profile = "", isShared = false }: HostOptions) {
    this.folder = folder;
    this.#isShared = isShared;
    this.variables = {
      SystemRoot: OWN_ROOT ?? `${folder}\\Windows`,
      LOCALAPPDATA: `${folder}\\Users\\anna\\AppData\\Local`,
      USERPROFILE: profile === "" ? `${folder}\\Users\\anna` : `${folder}\\${profile}`,
      ProgramData: isShared ? "C:\\ProgramData" : `${folder}\\ProgramData`,
      ProgramFiles: `${folder}\\Program Files`,
      ProgramW6432: `${folder}\\Program Files`,
    };
  }

  /** One with Windows Update, whose PowerShell must still be made. */
  static async make(folder: string, options: HostOptions = {}): Promise<WindowsHost> {
    const host = new WindowsHost(folder, options);
    // What a test that was killed has left there.
    if (options.isShared) await host.#removeShared();
    if (OWN_ROOT !== undefined) return host;
    await Deno.mkdir(host.#system, { recursive: true });
    await Deno.writeTextFile(`${host.#system}\\wuapi.dll`, "");
    // Ending a program's children is Windows' own business, and not played.
    await Deno.copyFile(
      `${Deno.env.get("SystemRoot")}\\System32\\taskkill.exe`,
      `${host.#system}\\taskkill.exe`,
    );
    return host;
  }

  /** Takes its played programs away. */
  async end(): Promise<void> {
    await Deno.remove(this.#powershell, { recursive: true }).catch(() => {});
    for (const ending of ["", ".play", ".runs"]) {
      await Deno.remove(`${this.#system}\\eventcreate.exe${ending}`).catch(() => {});
    }
    if (this.#isShared) await this.#removeShared();
  }

  /** Where Pennon has its configuration, and the state below it. */
  get programData(): string {
    return `${this.variables["ProgramData"]}\\Pennon`;
  }

  async #removeShared(): Promise<void> {
    await Deno.remove(this.programData, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }

  /** Writes Pennon's configuration where it is looked for. */
  async configure(text: string): Promise<void> {
    await Deno.mkdir(this.programData, { recursive: true });
    await Deno.writeTextFile(`${this.programData}\\config.toml`, text);
  }

  /** Windows' program that writes to the Event Log, which Wine does not have, with what it plays. */
  async eventcreate(play: string, files: Files = {}): Promise<StandIn> {
    return await StandIn.make(this.#system, "eventcreate.exe", play, files);
  }

  /** Windows PowerShell, with what it plays. */
  async powershell(play: string, files: Files = {}): Promise<StandIn> {
    return await StandIn.make(this.#powershell, "powershell.exe", play, files);
  }

  /** The user's own winget, or, in `folder`, another's. */
  async winget(play: string, files: Files = {}, folder?: string): Promise<StandIn> {
    const alias = `${this.variables["LOCALAPPDATA"]}\\Microsoft\\WindowsApps`;
    return await StandIn.make(folder ?? alias, "winget.exe", play, files);
  }

  /** Runs a command of Pennon's to its end, as on this host. */
  async pennon(words: readonly string[], options: { input?: string } = {}): Promise<Ended> {
    const child = this.start(words);
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.input ?? "")).catch(() => {});
    await writer.close().catch(() => {});
    const { code, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
  }

  /**
   * Starts one; whoever does ends it. Its files are where Windows has them. From the cache only:
   * Windows' Deno asks the npm registry about packages that it has, and two of its threads that start
   * Winsock at once may leave Wine's count of starts at 0, where no socket opens (error 10093).
   */
  start(words: readonly string[]): Deno.ChildProcess {
    const [source, ...args] = script("main.ts", ...words);
    return new Deno.Command(EXECUTABLE ?? source, {
      args: EXECUTABLE === undefined ? args.toSpliced(1, 0, "--cached-only") : [...words],
      env: { ...this.variables, NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  get #system(): string {
    return `${this.variables["SystemRoot"]}\\System32`;
  }

  get #powershell(): string {
    return `${this.#system}\\WindowsPowerShell\\v1.0`;
  }
}

/** A test on a host of its own, whose variables are this process's for as long as it takes. */
export function hostTest(
  name: string,
  work: (host: WindowsHost) => Promise<void>,
  options: HostOptions = {},
): void {
  windowsTest(name, () =>
    inFolder(async (folder) => {
      const host = await WindowsHost.make(folder, options);
      const before = Object.keys(host.variables).map((key) => [key, Deno.env.get(key)] as const);
      for (const [key, value] of Object.entries(host.variables)) Deno.env.set(key, value);
      try {
        await work(host);
      } finally {
        await host.end();
        for (const [key, value] of before) {
          if (value === undefined) Deno.env.delete(key);
          else Deno.env.set(key, value);
        }
      }
    }));
}

/** Bytes of a file of `tests/fixtures`, as they are. */
export function fixtureBytes(path: string): Uint8Array {
  return Deno.readFileSync(new URL(`../fixtures/${path}`, import.meta.url));
}

/** A fixture of JSON within the envelope that PowerShell prints, with Windows' line ends. */
export function enveloped(path: string): string {
  return crlf(envelope(new TextDecoder().decode(fixtureBytes(path))));
}

/** A text with Windows' line ends. */
export function crlf(text: string): string {
  return text.replace(/\r?\n/g, "\r\n");
}
