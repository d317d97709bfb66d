/** Runs test files in a copy of the project, within limits of time and memory. */

import { isRealTest, type Stage } from "./tests_of.ts";

/** How a run ended. */
export type TestEnd = "passed" | "failed" | "timeout" | "memory";

/** As in `deno.json`, where the tasks say what each kind of test may do. */
const UNIT_PERMISSIONS = ["--allow-read=src,tests,docs,tools,main.ts"];
const REAL_PERMISSIONS = ["-A"];

/** A mutation that removes a limit must not take the machine's memory. */
const LARGEST_BYTES = 2_147_483_648;
const LOOK_EVERY_MS = 500;

/**
 * Runs a command in a process namespace of its own: a mutation in what ends processes must find no
 * others, and all that it starts ends with it. Its mounts are its own as well. The shell is the first
 * process there, which Deno cannot be: it reaps what others leave behind. Process numbers begin where
 * they do on a host: procps' `kill` takes a group's number below 65 for a signal's.
 */
const NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
const SHELL = ["/bin/sh", "-c", 'echo 1000 > /proc/sys/kernel/ns_last_pid; "$@"; exit $?', "sh"];

/** Whether this host lets us have such a namespace; without one, tests on real parts are left out. */
export async function hasNamespaces(): Promise<boolean> {
  const [program = "", ...args] = NAMESPACE;
  try {
    const { success } = await new Deno.Command(program, {
      args: [...args, ...SHELL, "true"],
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  }
}

/** Runs the stage's tests until the first fails; `limitMs` is for all of them together. */
export async function runTests(
  stage: Stage,
  { folder, limitMs }: { folder: string; limitMs: number },
): Promise<TestEnd> {
  const permissions = stage.isReal ? REAL_PERMISSIONS : UNIT_PERMISSIONS;
  const flags = ["--quiet", "--no-prompt", "--no-check", "--cached-only", "--fail-fast"];
  const deno = [Deno.execPath(), "test", ...flags, ...permissions, ...stage.files];
  const [program = "", ...args] = stage.isReal ? [...NAMESPACE, ...SHELL, ...deno] : deno;
  const child = new Deno.Command(program, {
    args,
    cwd: folder,
    env: { NO_COLOR: "1", TMPDIR: `${folder}/tmp` },
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn();
  let end: TestEnd | null = null;
  const stop = (why: TestEnd) => {
    end ??= why;
    killGroup(child.pid);
  };
  running.add(child.pid);
  const limit = setTimeout(() => stop("timeout"), limitMs);
  const look = setInterval(() => {
    if (memoryOf(child.pid) > LARGEST_BYTES) stop("memory");
  }, LOOK_EVERY_MS);
  try {
    const { success } = await child.status;
    return end ?? (success ? "passed" : "failed");
  } finally {
    clearTimeout(limit);
    clearInterval(look);
    running.delete(child.pid);
    killGroup(child.pid); // What a test left behind.
  }
}

/** Ends every run of this process, for one that is interrupted. */
export function stopAllTests(): void {
  for (const pid of running) killGroup(pid);
}

const running = new Set<number>();

function killGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** Resident memory of a process and all below it; 0 where /proc does not say. */
function memoryOf(pid: number): number {
  try {
    const [, pages = "0"] = Deno.readTextFileSync(`/proc/${pid}/statm`).split(" ");
    const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
    const below = children === "" ? [] : children.split(" ").map(Number);
    return Number(pages) * 4_096 + below.reduce((sum, child) => sum + memoryOf(child), 0);
  } catch {
    return 0;
  }
}

/** How long each test file takes unmutated. */
export type Durations = Map<string, number>;

/** A machine that is busy may need so much longer than when the time was measured. */
const PATIENCE = 5;
const START_MS = 10_000;

/** How long a stage may take: a multiple of what it takes unmutated. */
export function limitFor(stage: Stage, durations: Durations): number {
  const usual = stage.files.reduce((sum, file) => sum + (durations.get(file) ?? 0), 0);
  return START_MS + PATIENCE * usual;
}

/**
 * Runs one test file unmutated; answers how long it took, or `null` if it did not pass. On a busy
 * machine a test that measures time may fail once: it gets a second chance.
 */
export async function measure(file: string, folder: string): Promise<number | null> {
  const stage = { files: [file], isReal: isRealTest(file) };
  for (let attempt = 0; attempt < 2; attempt++) {
    const startedMs = performance.now();
    const end = await runTests(stage, { folder, limitMs: LONGEST_UNMUTATED_MS });
    if (end === "passed") return performance.now() - startedMs;
  }
  return null;
}

const LONGEST_UNMUTATED_MS = 600_000;
