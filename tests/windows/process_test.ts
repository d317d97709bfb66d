import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  CommandError,
  type CommandErrorReason,
  type RunOptions,
} from "../../src/system/process.ts";
import { runRealCommand } from "../../src/system/real/process.ts";
import { standInTest, windowsTest } from "./stand_in.ts";

const patient: RunOptions = { timeoutMs: 30_000 };

async function refused(reason: CommandErrorReason, work: () => Promise<unknown>): Promise<string> {
  const error = await assertRejects(work, CommandError);
  assertEquals([error.reason, error.message], [reason, error.message]);
  return error.message;
}

async function took(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

standInTest("a program's end is a result, an HRESULT's too", async (make) => {
  const program = await make("stdout = out\nstderr = err\nexit = 7", { out: "out", err: "err" });
  assertEquals(await runRealCommand([program.path], patient), {
    code: 7,
    stdout: "out",
    stderr: "err",
    truncated: false,
  });
  for (const [exit, expected] of [["0x8A150014", 0x8a150014], ["0xFFFFFFFF", 0xffffffff]]) {
    await program.play(`exit = ${exit}`);
    assertEquals((await runRealCommand([program.path], patient)).code >>> 0, expected);
  }
});

standInTest("a crash is a result, with Windows' own code", async (make) => {
  const program = await make("stdout = out\ncrash = 1", { out: "half" });
  const { code, stdout } = await runRealCommand([program.path], patient);
  assertEquals([code >>> 0, stdout], [0xc0000005, "half"]);
});

standInTest("arguments arrive as they are", async (make) => {
  const program = await make("exit = 0");
  const words = [
    "a b",
    "%PATH%",
    "*",
    `'"`,
    `"`,
    "\\",
    `\\"`,
    "a\\\\",
    "c d\\",
    "",
    "é\n",
    "^&|<>",
  ];
  await runRealCommand([program.path, ...words], patient);
  assertEquals((await program.runs())[0]?.argv.slice(1), words);
});

standInTest("it runs in System32, with Windows' variables and none of ours", async (make) => {
  const program = await make("exit = 0");
  Deno.env.set("PENNON_TOKEN", "secret");
  try {
    await runRealCommand([program.path], { ...patient, environment: { ADDED: "1" } });
  } finally {
    Deno.env.delete("PENNON_TOKEN");
  }
  const [run] = await program.runs();
  assertEquals(run?.folder.toLowerCase(), "c:\\windows\\system32");
  const names = run?.environment.map((line) => line.split("=")[0]?.toUpperCase()) ?? [];
  for (const name of ["ADDED", "LC_ALL", "LOCALAPPDATA", "SYSTEMROOT", "TEMP"]) {
    assert(names.includes(name), `${name} is not in ${names}`);
  }
  assert(!names.includes("PENNON_TOKEN"));
  assert(!names.includes("NO_COLOR"));
});

standInTest("what cannot be started is told apart", async (make, folder) => {
  const program = await make("exit = 0");
  const absent = `${folder}\\absent.exe`;
  assertStringIncludes(
    await refused("not_found", () => runRealCommand([absent], patient)),
    `Cannot run "${absent}": `,
  );
  await refused("not_found", () => runRealCommand([`${program.path}\\below.exe`], patient));
  await Deno.writeTextFile(`${folder}\\text.exe`, "no program");
  await refused("failed", () => runRealCommand([`${folder}\\text.exe`], patient));
  await refused("failed", () => runRealCommand(["program.exe"], patient));
  await refused("failed", () => runRealCommand(["\\program.exe"], patient));
  await refused("failed", () => runRealCommand([program.path, "a\0b"], patient));
});

standInTest("output beyond the limit is dropped, and the program ends by itself", async (make) => {
  const program = await make("stdout = kib\nstderr = err\nrepeat = 20000\nexit = 3", {
    kib: "x".repeat(1_024),
    err: "end",
  });
  const limit = { ...patient, maxOutputBytes: 1_000 };
  assertEquals(await runRealCommand([program.path], limit), {
    code: 3,
    stdout: "x".repeat(1_000),
    stderr: "end",
    truncated: true,
  });
  await program.play("stdout = kib");
  const exact = await runRealCommand([program.path], { ...patient, maxOutputBytes: 1_024 });
  assertEquals([exact.stdout.length, exact.truncated], [1_024, false]);
});

standInTest("bytes come as they are: CRLF, a mark, another code page, cut apart", async (make) => {
  // "Verfügbar" in code page 850, whose ü is no UTF-8.
  const bytes = new Uint8Array([0xef, 0xbb, 0xbf, 0x56, 0x81, 0x0d, 0x0a, 0xc3, 0xa9]);
  const program = await make("stdout = out\nchunk = 1\npause_ms = 5", { out: bytes });
  // The decoder takes the mark for what it is.
  assertEquals((await runRealCommand([program.path], patient)).stdout, "V\ufffd\r\né");
});

standInTest("a program past its time is ended, one that says nothing too", async (make) => {
  const program = await make("stdout = out\nhang = 60000", { out: "so far" });
  const limit = { timeoutMs: 300 };
  const message = await refused("timeout", () => runRealCommand([program.path], limit));
  assertEquals(message, `Cannot run "${program.path}": no end within 300 ms`);
  await program.play("delay_ms = 60000");
  const tookMs = await took(() => refused("timeout", () => runRealCommand([program.path], limit)));
  assert(tookMs >= 300 && tookMs < 6_000, `took ${tookMs} ms`);
});

standInTest("a child that holds the pipes is ended with its parent", async (make) => {
  const program = await make("hold = child\nhold_file = held\nhang = 60000");
  const running = runRealCommand([program.path], { timeoutMs: 2_000 });
  await refused("timeout", () => running);
  assertEquals(await program.isHeld("held"), false);
});

standInTest("one that is in no tree any more does not hold us", async (make) => {
  const program = await make("hold = orphan\nhold_file = held\nhang = 60000\nhold_ms = 12000");
  const tookMs = await took(() =>
    refused("timeout", () => runRealCommand([program.path], { timeoutMs: 2_000 }))
  );
  assert(tookMs < 9_000, `took ${tookMs} ms`);
  assertEquals(await program.isHeld("held"), true);
  await ended(() => program.isHeld("held"));
});

standInTest("one that a program left behind when it ended does not hold us", async (make) => {
  const play = "stdout = out\nhold = child\nhold_file = held\nhold_ms = 6000";
  const program = await make(play, { out: "done" });
  const tookMs = await took(async () => {
    const { code, stdout } = await runRealCommand([program.path], patient);
    assertEquals([code, stdout], [0, "done"]);
  });
  assert(tookMs < 5_000, `took ${tookMs} ms`);
  assertEquals(await program.isHeld("held"), true);
  await ended(() => program.isHeld("held"));
});

standInTest("an abort ends the program, and one given before starts none", async (make) => {
  const program = await make("hang = 60000");
  const stop = new AbortController();
  const options = { ...patient, signal: stop.signal };
  const running = runRealCommand([program.path], options);
  stop.abort();
  await refused("aborted", () => running);
  await refused("aborted", () => runRealCommand([program.path], options));
});

windowsTest("Windows' own programs run", async () => {
  const cmd = "C:\\Windows\\System32\\cmd.exe";
  const { code, stdout } = await runRealCommand([cmd, "/d", "/c", "echo out& exit 5"], patient);
  assertEquals([code, stdout], [5, "out\r\n"]);
});

/** Waits, bounded, for what a test left behind to end by itself: its folder cannot go before. */
async function ended(isThere: () => Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; waitedMs < 20_000 && await isThere(); waitedMs += 100) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
