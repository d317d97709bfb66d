import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  CommandError,
  type CommandErrorReason,
  type RunOptions,
} from "../../src/system/process.ts";
import { runRealCommand } from "../../src/system/real/process.ts";
import { projectUrl, startDeno } from "./deno_child.ts";
import { lacks } from "./lacks.ts";

const isWindows = Deno.build.os === "windows";
const patient: RunOptions = { timeoutMs: 30_000 };

/** These tests talk to programs of Unix; what Windows does differently is named in the source. */
function unixTest(name: string, work: () => Promise<void>): void {
  Deno.test({ name, ignore: isWindows }, async () => {
    await work();
  });
}

function shell(script: string, options: RunOptions = patient) {
  return runRealCommand(["/bin/sh", "-c", script], options);
}

async function refused(reason: CommandErrorReason, work: () => Promise<unknown>): Promise<string> {
  const error = await assertRejects(work, CommandError);
  assertEquals(error.reason, reason);
  return error.message;
}

/** Whether a process is there and not a zombie. Minimal Linux systems have no `ps`. */
async function isAlive(pid: number): Promise<boolean> {
  if (Deno.build.os === "linux") {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => ") Z");
    return !stat.includes(") Z");
  }
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "stat=", "-p", `${pid}`] })
    .output();
  return /^[^Z]/.test(new TextDecoder().decode(stdout).trim());
}

unixTest("a program's end is a result, whatever its code", async () => {
  assertEquals(await shell("printf out; printf err >&2; exit 7"), {
    code: 7,
    stdout: "out",
    stderr: "err",
    truncated: false,
  });
  assertEquals((await shell("kill -TERM $$")).code, 143);
  assertEquals((await shell("kill -KILL $$")).code, 137);
});

unixTest("arguments arrive as they are, and stdin is empty", async () => {
  const words = ["a b", "$HOME", "*", "'\"", "", "é\n"];
  const result = await runRealCommand(["/usr/bin/printf", "<%s>", ...words], patient);
  assertEquals(result.stdout, words.map((word) => `<${word}>`).join(""));
  assertEquals((await runRealCommand(["/bin/cat"], patient)).stdout, "");
});

unixTest("the environment is PATH, HOME, LC_ALL and what was added, nothing else", async () => {
  Deno.env.set("LANGUAGE", "de");
  Deno.env.set("PENNON_TOKEN", "secret");
  try {
    const { stdout } = await runRealCommand(["/usr/bin/env"], {
      ...patient,
      environment: { DEBIAN_FRONTEND: "noninteractive" },
    });
    const lines = stdout.trim().split("\n").sort();
    assertEquals(lines.map((line) => line.split("=")[0]), [
      "DEBIAN_FRONTEND",
      "HOME",
      "LC_ALL",
      "PATH",
    ]);
    assert(lines.includes("LC_ALL=C.UTF-8"));
    assert(lines.includes("DEBIAN_FRONTEND=noninteractive"));
  } finally {
    Deno.env.delete("LANGUAGE");
    Deno.env.delete("PENNON_TOKEN");
  }
});

unixTest("what cannot be started is told apart", async () => {
  assertStringIncludes(
    await refused("not_found", () => runRealCommand(["/usr/bin/no-such-program"], patient)),
    `Cannot run "/usr/bin/no-such-program": `,
  );
  await refused("not_found", () => runRealCommand(["/etc/passwd/below"], patient));
  await refused("denied", () => runRealCommand(["/etc/passwd"], patient));
  await refused("denied", () => runRealCommand(["/etc"], patient));
  await refused("failed", () => runRealCommand(["env"], patient));
  await refused("failed", () => runRealCommand([], patient));
  await refused("failed", () => runRealCommand(["/usr/bin/env", "a\0b"], patient));
});

unixTest(
  "output beyond the limit is read and dropped, and the program comes to its end",
  async () => {
    const limit = { ...patient, maxOutputBytes: 1_000 };
    const much = await shell(
      "head -c 50000000 /dev/zero | tr '\\0' x; echo end >&2; exit 3",
      limit,
    );
    assertEquals(much, { code: 3, stdout: "x".repeat(1_000), stderr: "end\n", truncated: true });
    const exact = await shell("head -c 1000 /dev/zero | tr '\\0' x", limit);
    assertEquals([exact.stdout.length, exact.truncated], [1_000, false]);
    const more = await shell("head -c 1001 /dev/zero | tr '\\0' x >&2", limit);
    assertEquals([more.stderr.length, more.truncated], [1_000, true]);
  },
);

unixTest("50 MB on both streams at once come whole", async () => {
  const { stdout, stderr, truncated } = await shell(
    "(head -c 50000000 /dev/zero | tr '\\0' e >&2) & head -c 50000000 /dev/zero | tr '\\0' o; wait",
    { ...patient, maxOutputBytes: 50_000_000 },
  );
  assertEquals([stdout.length, stderr.length, truncated], [50_000_000, 50_000_000, false]);
});

unixTest(
  "bytes that are no UTF-8 become U+FFFD, and characters survive being cut apart",
  async () => {
    const { stdout } = await shell("printf 'a\\377b\\303'; sleep 0.05; printf '\\251'");
    assertEquals(stdout, "a\ufffdbé");
  },
);

unixTest("a program past its time is ended with its children", async () => {
  const message = await refused(
    "timeout",
    () => shell("sleep 300 & echo $! > /dev/null; wait", { timeoutMs: 100 }),
  );
  assertEquals(message, `Cannot run "/bin/sh": no end within 100 ms`);
});

unixTest("a program past its time leaves what it said on stderr", async () => {
  const error = await assertRejects(
    () => shell("echo waiting >&2; exec sleep 300", { timeoutMs: 500 }),
    CommandError,
  );
  assertEquals([error.reason, error.stderr], ["timeout", "waiting\n"]);
});

unixTest("a group that ignores TERM is killed, grandchildren that hold the pipe too", async () => {
  const pidFile = await Deno.makeTempFile();
  try {
    const script = `trap '' TERM; sleep 300 & echo $! > ${pidFile}; while :; do sleep 1; done`;
    const startMs = performance.now();
    await refused("timeout", () => shell(script, { timeoutMs: 200 }));
    const tookMs = performance.now() - startMs;
    assert(tookMs >= 2_200 && tookMs < 10_000, `took ${tookMs} ms`);
    assert(!await isAlive(Number(await Deno.readTextFile(pidFile))));
  } finally {
    await Deno.remove(pidFile);
  }
});

unixTest("a program that ends at TERM need not wait for KILL", async () => {
  const startMs = performance.now();
  await refused("timeout", () => shell("exec sleep 300", { timeoutMs: 50 }));
  assert(performance.now() - startMs < 1_900);
});

unixTest("a grandchild that left the group and holds the pipe does not hold us", async () => {
  const pidFile = await Deno.makeTempFile();
  try {
    const leave = `setsid sh -c 'echo $$ >> ${pidFile}; exec sleep 300' & `;
    const written = `while ! [ -s ${pidFile} ]; do sleep 0.02; done`;
    const startMs = performance.now();
    const result = await shell(`${leave} ${written}; echo done`);
    assertEquals([result.code, result.stdout], [0, "done\n"]);
    await refused(
      "timeout",
      () => shell(`${leave} ${written}; exec sleep 300`, { timeoutMs: 300 }),
    );
    assert(performance.now() - startMs < 15_000);
  } finally {
    await killAll(await Deno.readTextFile(pidFile));
    await Deno.remove(pidFile);
  }
});

unixTest("an abort ends the program, and one given before starts none", async () => {
  const stop = new AbortController();
  const running = shell("sleep 300", { ...patient, signal: stop.signal });
  stop.abort();
  assertEquals(
    await refused("aborted", () => running),
    `Cannot run "/bin/sh": asked to stop`,
  );
  await refused(
    "aborted",
    () => runRealCommand(["/usr/bin/no-such-program"], { ...patient, signal: stop.signal }),
  );
});

for (const kill of ["/bin/kill", "no kill"]) {
  Deno.test({
    name: `with the right to run named programs only and ${kill}, a run is ended`,
    ignore: isWindows || (kill !== "no kill" && !await exists(kill)),
  }, async () => {
    const programs = kill === "no kill" ? "/bin/sh" : `/bin/sh,${kill}`;
    const pidFile = await Deno.makeTempFile();
    await using child = await startDeno(
      `import { runRealCommand } from "${projectUrl("src/system/real/process.ts")}";
      const script = "trap '' TERM; sleep 300 & echo $! > ${pidFile}; wait; wait";
      const startMs = performance.now();
      const end = await runRealCommand(["/bin/sh", "-c", script], { timeoutMs: 200 })
        .catch((error) => error.reason);
      console.log(end, performance.now() - startMs < 10_000);`,
      [`--allow-run=${programs}`, "--allow-env=HOME", "--allow-read"],
    );
    assertEquals((await child.firstOutput()).trim(), "timeout true");
    assertEquals(await child.process.status.then((status) => status.code), 0);
    const pids = await Deno.readTextFile(pidFile);
    await Deno.remove(pidFile);
    assertEquals(await isAlive(Number(pids)), kill === "no kill");
    await killAll(pids);
  });
}

/** Whether a program can be started where it sees no other processes, numbered from 1. */
async function cannotUnshare(): Promise<boolean> {
  if (isWindows || await lacks("unshare", "kill")) return true;
  const { success } = await new Deno.Command("unshare", {
    args: ["--pid", "--fork", "--mount-proc", "true"],
    stderr: "null",
  }).output();
  return !success;
}

Deno.test({
  name: "with the right to run /bin/kill only, a group with a small number is ended too",
  ignore: await cannotUnshare(),
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "pennon-test-" });
    await Deno.writeTextFile(
      `${folder}/code.ts`,
      `import { runRealCommand } from "${projectUrl("src/system/real/process.ts")}";
      const script = "trap '' TERM; echo $$ > ${folder}/group; " +
        "while :; do echo x >> ${folder}/alive; sleep 0.05; done & wait; wait";
      await runRealCommand(["/bin/sh", "-c", script], { timeoutMs: 300 }).catch(() => {});
      const before = (await Deno.stat("${folder}/alive")).size;
      await new Promise((resolve) => setTimeout(resolve, 500));
      console.log(before === (await Deno.stat("${folder}/alive")).size ? "ended" : "alive");`,
    );
    const rights = ["--allow-run=/bin/sh,/bin/kill", "--allow-env=HOME", "--allow-read"];
    const { stdout } = await new Deno.Command("unshare", {
      args: ["--pid", "--fork", "--mount-proc", "--kill-child", Deno.execPath(), "run"]
        .concat(["--no-prompt", "--cached-only", ...rights, `${folder}/code.ts`]),
      stderr: "inherit",
    }).output();
    // Procps' kill takes "-N" for a signal where there is one of that number.
    const group = Number(await Deno.readTextFile(`${folder}/group`));
    await Deno.remove(folder, { recursive: true });
    assert(group < 65, `the group has the number ${group}`);
    assertEquals(new TextDecoder().decode(stdout).trim(), "ended");
  },
});

/** Ends what a test left running on purpose. */
async function killAll(pids: string): Promise<void> {
  for (const pid of pids.trim().split("\n").map(Number)) {
    if (await isAlive(pid)) Deno.kill(pid, "SIGKILL");
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
