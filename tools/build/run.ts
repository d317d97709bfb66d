/** Runs a tool of the build within a time, its caches inside the project. */

/** What came of it. */
export interface ToolResult {
  readonly success: boolean;
  /** stdout and stderr, one after the other. */
  readonly output: string;
}

/** Runs `program`, found through PATH; never throws. */
export async function runTool(
  program: string,
  args: readonly string[],
  options: {
    timeoutMs: number;
    environment?: Readonly<Record<string, string>>;
    /** Where it runs. @default the project's folder */
    folder?: string;
  },
): Promise<ToolResult> {
  const signal = AbortSignal.timeout(options.timeoutMs);
  try {
    const { success, stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      env: { ...caches(), NO_COLOR: "1", ...options.environment },
      cwd: options.folder ?? ".",
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      signal,
    }).output();
    const decoder = new TextDecoder();
    const output = decoder.decode(stdout) + decoder.decode(stderr);
    if (signal.aborted) return { success: false, output: `no end in ${options.timeoutMs} ms` };
    return { success, output };
  } catch (error) {
    return { success: false, output: error instanceof Error ? error.message : String(error) };
  }
}

function caches(): Record<string, string> {
  const folder = `${Deno.cwd()}/.cache`;
  return {
    // Not `deno`: earlier builds took files out of the packages that they left there.
    DENO_DIR: `${folder}/modules`,
    npm_config_cache: `${folder}/npm`,
    // Without a network npx otherwise tries for a minute, at each start, before it takes what it has.
    npm_config_prefer_offline: "true",
    // Deno 2.6.8 trusts its own list of authorities only, unless told; a company's proxy has its own.
    DENO_TLS_CA_STORE: Deno.env.get("DENO_TLS_CA_STORE") ?? "mozilla,system",
  };
}
