/** Starts a second Deno on a few lines of code that import from `src/`. */

import { fileURLToPath } from "node:url";

/** A running child; disposing of it ends it for sure and removes its code. */
export interface DenoChild extends AsyncDisposable {
  readonly process: Deno.ChildProcess;
  /** Resolves with what it printed first; rejects when it ends before printing anything. */
  firstOutput(): Promise<string>;
}

/** The URL of a file of the project, to be imported by the code of a child. */
export function projectUrl(path: string): string {
  return new URL(`../../${path}`, import.meta.url).href;
}

/** Writes `code` to a temporary file and runs it, with all permissions unless told others. */
export async function startDeno(
  code: string,
  permissions: readonly string[] = ["-A"],
  stdio: {
    stdin?: "null" | "piped";
    stdout?: "piped" | "null";
    stderr?: "inherit" | "piped";
  } = {},
): Promise<DenoChild> {
  const path = await Deno.makeTempFile({ prefix: "pennon-child-", suffix: ".ts" });
  await Deno.writeTextFile(path, code);
  // For the names in its import map.
  const config = `--config=${fileURLToPath(new URL("../../deno.json", import.meta.url))}`;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--frozen", "--cached-only", config, ...permissions, path],
    stdin: stdio.stdin ?? "null",
    stdout: stdio.stdout ?? "piped",
    stderr: stdio.stderr ?? "inherit",
  }).spawn();
  return {
    process,
    async firstOutput() {
      const reader = process.stdout.getReader();
      const { value, done } = await reader.read();
      reader.releaseLock();
      if (done) throw new Error("Cannot read from child: it ended without a word");
      return new TextDecoder().decode(value);
    },
    async [Symbol.asyncDispose]() {
      try {
        process.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await process.status;
      if (stdio.stdout !== "null" && !process.stdout.locked) await process.stdout.cancel();
      if (stdio.stdin === "piped") await process.stdin.abort().catch(() => {});
      await Deno.remove(path);
    },
  };
}
