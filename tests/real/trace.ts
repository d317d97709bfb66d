/** What a program asks of the kernel about its files, in order, as strace sees it. */

import { fileURLToPath } from "node:url";
import { lacks } from "./lacks.ts";

/** One call that succeeded. `file`: a descriptor's or a name's path. */
export type Call =
  | { readonly kind: "write" | "sync" | "remove"; readonly file: string }
  /** `mode`: as asked for, the umask not yet taken off; a file that is there keeps its own. */
  | { readonly kind: "make" | "make directory"; readonly file: string; readonly mode: number }
  | { readonly kind: "rename"; readonly file: string; readonly to: string }
  /** A line that the program printed. */
  | { readonly kind: "print"; readonly text: string }
  /** Bytes to a TCP peer. */
  | { readonly kind: "send" }
  | { readonly kind: "start"; readonly program: string };

const SYSCALLS = [
  ...["openat", "mkdir", "mkdirat", "write", "writev", "pwrite64", "ftruncate", "fallocate"],
  ...["fsync", "fdatasync", "sync_file_range"],
  ...["rename", "renameat", "renameat2", "unlink", "unlinkat"],
  ...["sendto", "sendmsg", "execve"],
];

/** Whether no program can be traced here: for `ignore` of a test. */
export async function cannotTrace(): Promise<boolean> {
  if (Deno.build.os !== "linux" || await lacks("strace")) return true;
  const { success } = await new Deno.Command("strace", {
    args: [...straceArguments("/dev/null"), "true"],
    stdout: "null",
    stderr: "null",
  }).output();
  return !success;
}

/** The words before a command that is to be traced into `output`. */
export function traceInto(output: string): [string, ...string[]] {
  return ["strace", ...straceArguments(output)];
}

function straceArguments(output: string): string[] {
  // -yy prints each descriptor's path, or its TCP peer. Strings are long enough for a printed line.
  return ["-f", "-yy", "-qq", "-s", "200", "-e", `trace=${SYSCALLS.join(",")}`, "-o", output];
}

/** Runs lines of code under strace, with `print(line)` to mark a place; answers its calls. */
export async function traceCode(code: string): Promise<Call[]> {
  const folder = await Deno.makeTempDir({ prefix: "pennon-trace-" });
  try {
    const [program, ...args] = traceInto(`${folder}/trace`);
    await Deno.writeTextFile(`${folder}/code.ts`, `${PRINT}${code}`);
    const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
    const deno = ["run", "-A", "--no-prompt", "--frozen", "--cached-only", `--config=${config}`];
    const { code: exit, stderr } = await new Deno.Command(program, {
      args: [...args, Deno.execPath(), ...deno, `${folder}/code.ts`],
      stdout: "null",
      stderr: "piped",
    }).output();
    if (exit !== 0) {
      throw new Error(`Cannot trace: exit ${exit}: ${new TextDecoder().decode(stderr)}`);
    }
    return readTrace(await Deno.readTextFile(`${folder}/trace`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Written in one call, so that strace shows the line whole. */
const PRINT = `
  const print = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\\n"));
`;

/** Reads strace's output. A call counts where it ended: a sync that has not returned is none. */
export function readTrace(text: string): Call[] {
  const unfinished = new Map<string, string>();
  return text.split("\n").flatMap((line) => {
    const [, process = "", rest = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const cut = /^(.*) <unfinished \.\.\.>$/.exec(rest);
    if (cut) {
      unfinished.set(process, cut[1] ?? "");
      return [];
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    const whole = resumed ? `${unfinished.get(process) ?? ""}${resumed[1]}` : rest;
    const call = readCall(whole);
    return call ? [call] : [];
  });
}

function readCall(line: string): Call | undefined {
  const [, name = "", words = "", result = ""] = /^(\w+)\((.*)\)\s+= (\S+)/.exec(line) ?? [];
  if (name === "" || result.startsWith("-")) return undefined;
  const [, file = ""] = /^\d+<([^>]*)>/.exec(words) ?? [];
  const names = [...words.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text = ""]) => text);
  const mode = Number.parseInt(/, (0[0-7]*)$/.exec(words)?.[1] ?? "0", 8);
  switch (name) {
    case "openat":
      return /O_CREAT/.test(words) ? { kind: "make", file: names[0] ?? "", mode } : undefined;
    case "mkdir":
    case "mkdirat":
      return { kind: "make directory", file: names[0] ?? "", mode };
    case "write":
    case "writev":
    case "pwrite64":
    case "ftruncate":
    case "fallocate":
      if (words.startsWith("1<")) {
        return { kind: "print", text: (names[0] ?? "").replace(/\\n$/, "") };
      }
      return isSocket(file) ? { kind: "send" } : { kind: "write", file };
    case "fsync":
    case "fdatasync":
      return { kind: "sync", file };
    case "rename":
    case "renameat":
    case "renameat2":
      return { kind: "rename", file: names[0] ?? "", to: names[1] ?? "" };
    case "unlink":
    case "unlinkat":
      return { kind: "remove", file: names[0] ?? "" };
    case "sendto":
    case "sendmsg":
      return isSocket(file) ? { kind: "send" } : undefined;
    case "execve":
      return { kind: "start", program: names[0] ?? "" };
    default:
      return undefined;
  }
}

function isSocket(file: string): boolean {
  return /^TCP(v6)?:/.test(file);
}
