/** What the agent says it has kept is on the disk, not only in the kernel's memory: seen by strace. */

import { assert, assertEquals } from "@std/assert";
import { openBuffer } from "../../src/buffer/store.ts";
import { realSystem } from "../../src/system/real.ts";
import { projectUrl } from "./deno_child.ts";
import { inFolder } from "./folder.ts";
import { powerCutLosses } from "./power_cut.ts";
import { type Call, cannotTrace, readTrace, traceCode } from "./trace.ts";

const ignore = await cannotTrace();
const LIMITS = { maxEvents: 1_000, maxBytes: 10_000_000, maxAttempts: 3 };

const IMPORTS = `
  import { realSystem } from "${projectUrl("src/system/real.ts")}";
  import { saveIdentity } from "${projectUrl("src/identity.ts")}";
  import { saveState } from "${projectUrl("src/agent/saved_state.ts")}";
  import { saveScannerBreakers } from "${projectUrl("src/agent/saved_state.ts")}";
  import { NEW_STATE } from "${projectUrl("src/loop/state.ts")}";
  import { openBuffer } from "${projectUrl("src/buffer/store.ts")}";
  const system = realSystem();
  const limits = ${JSON.stringify(LIMITS)};
  const log = (id) => ({ kind: "log", commandId: id, snapshotOf: null, body: "{}" });
`;

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name);
}

/** The files of the test that were synced between two printed lines: Deno syncs its own cache as well. */
function syncedIn(calls: readonly Call[], from: string, to: string): string[] {
  const [start, end] = [calls.findIndex(isPrinted(from)), calls.findIndex(isPrinted(to))];
  assert(start >= 0 && end > start, `not printed: ${from}, ${to}`);
  return calls.slice(start, end).flatMap((call) =>
    call.kind === "sync" && isOfTest(call.file) ? [call.file] : []
  );
}

function isOfTest(path: string): boolean {
  return path.includes("/pennon-test-");
}

function isPrinted(text: string): (call: Call) => boolean {
  return (call) => call.kind === "print" && call.text === text;
}

Deno.test({
  name: "what is written to a file is durable when the call returns: bytes, then name",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const calls = await traceCode(`${IMPORTS}
        const folder = ${JSON.stringify(folder)} + "/made/state";
        const { files } = system;
        await files.makeDirectory("make", folder, { mode: 0o700 });
        print("directory");
        const identity = { agentId: "a", serverUrl: "http://s.test", accessToken: "t",
          refreshToken: "r", intervalMs: null };
        await saveIdentity(system, folder, identity);
        print("identity");
        await saveIdentity(system, folder, { ...identity, accessToken: "u" });
        print("identity once more");
        await saveState(system, folder, NEW_STATE);
        print("state");
        await saveScannerBreakers(system, folder, new Map());
        print("scanner breakers");
        await files.overwriteText("overwrite", folder + "/state.json", "{");
        print("overwritten");
        await files.rename("move", folder + "/state.json", folder + "/moved.json");
        print("moved");`);
      assertEquals(powerCutLosses(calls, folder), []);
      const renamed = calls.flatMap((call) =>
        call.kind === "rename" && call.to.startsWith(folder) ? [call.to] : []
      );
      assertEquals(renamed.map((path) => path.split("/").at(-1)), [
        ...["identity.json", "identity.json", "state.json", "scanner-breakers.json"],
        "moved.json",
      ]);
      // Under its own name a file is never seen half-written.
      const written = calls.slice(0, calls.findIndex(isPrinted("scanner breakers")))
        .flatMap((call) =>
          call.kind === "write" && call.file.startsWith(folder) ? [call.file] : []
        );
      assertEquals(written.filter((file) => !file.endsWith(".tmp")), []);
      const state = `${folder}/made/state`;
      assertEquals(syncedIn(calls, "scanner breakers", "overwritten"), [`${state}/state.json`]);
      assertEquals(syncedIn(calls, "overwritten", "moved"), [state]);
    }),
});

Deno.test({
  name: "what need not survive a power cut is renamed into its place all the same, and not synced",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const calls = await traceCode(`${IMPORTS}
        const folder = ${JSON.stringify(folder)};
        print("begin");
        await saveState(system, folder, NEW_STATE, { durability: "none" });
        print("middle");
        await saveState(system, folder, NEW_STATE, { durability: "content" });
        print("end");`);
      assertEquals(syncedIn(calls, "begin", "middle"), []);
      const renamed = calls.flatMap((call) => call.kind === "rename" ? [call.to] : []);
      const own = renamed.filter((path) => path.startsWith(folder));
      assertEquals(own, [`${folder}/state.json`, `${folder}/state.json`]);
      // The text alone, before it has its name; the name may be the old text's for a while.
      const last = calls.slice(calls.findIndex(isPrinted("middle")));
      const synced = last.findIndex((call) => call.kind === "sync" && isOfTest(call.file));
      assert(synced < last.findIndex((call) => call.kind === "rename" && isOfTest(call.to)));
      assertEquals(
        syncedIn(calls, "middle", "end").map((path) => path.replace(/\w{8}\.tmp$/, "*")),
        [`${folder}/state.json.*`],
      );
    }),
});

Deno.test({
  name: "each change of the buffer and the journal is durable when the call returns",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const calls = await traceCode(`${IMPORTS}
        const { buffer, journal, close } =
          await openBuffer(system, ${JSON.stringify(folder)}, limits);
        print("opened");
        const [first] = buffer.append([log("a")]).ids;
        print("appended one");
        const [second, third] = buffer.append([log("b"), log("c")]).ids;
        print("appended two");
        buffer.indexPending();
        print("sorted in");
        buffer.refuse(first, "no");
        print("refused");
        buffer.noteUnanswered(second);
        print("unanswered");
        buffer.acknowledge([second]);
        print("acknowledged");
        journal.receive([{ id: "x", type: "scan_updates", params: "{}" }]);
        print("received");
        journal.start("x");
        print("started");
        journal.finish("x", () => buffer.append([log("x")]));
        print("finished");
        close();
        print("closed");
        const again = await openBuffer(system, ${JSON.stringify(folder)}, limits);
        print("opened again");
        again.buffer.append([log("d")]);
        print("appended after a restart");`);
      assertEquals(powerCutLosses(calls, folder), []);
      const log = `${folder}/buffer.sqlite-wal`;
      const marks = calls.flatMap((call) => call.kind === "print" ? [call.text] : []);
      const isClosing = (mark = "") => mark === "closed" || mark === "opened again";
      for (const [at, from] of marks.entries()) {
        const to = marks[at + 1];
        if (to === undefined || isClosing(to)) continue;
        // The last thing before the call returns is the commit's sync.
        assertEquals([to, syncedIn(calls, from, to).at(-1)], [to, log]);
      }
      // The log's own name, when it is new: else the first commits could be gone with it.
      assert(syncedIn(calls, "closed", "appended after a restart").includes(folder));
    }),
});

Deno.test({
  name: "a damaged buffer goes aside only after what could be read is durable in the new one",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const { buffer, close } = await openBuffer(realSystem(), folder, LIMITS);
      buffer.append(Array.from({ length: 50 }, (_, at) => ({
        kind: "log",
        commandId: `c${at}`,
        snapshotOf: null,
        body: JSON.stringify({ text: "x".repeat(1_000) }),
      })));
      close();
      const file = await Deno.open(`${folder}/buffer.sqlite`, { write: true });
      await file.seek(-2 * 4_096, Deno.SeekMode.End);
      await file.write(new Uint8Array(4_096).fill(0xa5));
      file.close();
      const calls = await traceCode(`${IMPORTS}
        const opened = await openBuffer(system, ${JSON.stringify(folder)}, limits);
        print("salvaged " + (opened.recovered?.events > 0));`);
      assertEquals(powerCutLosses(calls, folder, { existing: ["buffer.sqlite"] }), []);
      const isOfNew = ({ file }: { file: string }) => file === `${folder}/buffer.sqlite-wal`;
      const kept = calls.findIndex((call) =>
        call.kind === "rename" && /\.corrupt-[^-]+-[^-]+-[^-]+$/.test(call.to)
      );
      assert(calls.slice(0, kept).some((call) => call.kind === "sync" && isOfNew(call)));
      assert(!calls.slice(kept).some((call) => call.kind === "write" && isOfNew(call)));
      assert(calls.some(isPrinted("salvaged true")));
      assert(namesIn(folder).some((name) => name.startsWith("buffer.sqlite.corrupt-")));
    }),
});

Deno.test("powerCutLosses() tells each way in which bytes or a name can be lost", () => {
  const file = "/f/a";
  const kept: Call[] = [{ kind: "write", file }, { kind: "sync", file }];
  const rows: [calls: Call[], losses: string[]][] = [
    [[{ kind: "write", file }], ["the end: the bytes of /f/a"]],
    [kept, []],
    [[{ kind: "sync", file }, { kind: "write", file }], ["the end: the bytes of /f/a"]],
    [[{ kind: "write", file: "/other/a" }], []],
    [[{ kind: "write", file: "/f/a-shm" }], []],
    [[{ kind: "make", mode: 0o600, file }], []],
    [
      [{ kind: "make", mode: 0o600, file }, { kind: "write", file }, { kind: "sync", file }],
      ["the end: the name /f/a"],
    ],
    [[{ kind: "make", mode: 0o600, file }, { kind: "sync", file: "/f" }, ...kept], []],
    [[{ kind: "make", mode: 0o600, file: "/f/old" }], []],
    [[{ kind: "make directory", mode: 0o700, file: "/f/d" }], ["the end: the name /f/d"]],
    [[{ kind: "make directory", mode: 0o700, file: "/f/d" }, { kind: "sync", file: "/f" }], []],
    [
      [{ kind: "write", file }, { kind: "print", text: "kept" }, { kind: "sync", file }],
      ["kept: the bytes of /f/a"],
    ],
    [[{ kind: "rename", file, to: "/f/b" }], ["the end: the name /f/b"]],
    [
      [
        { kind: "write", file },
        { kind: "rename", file, to: "/f/b" },
        { kind: "sync", file },
        { kind: "sync", file: "/f" },
      ],
      ["rename of /f/a: the bytes of /f/a"],
    ],
    [
      [{ kind: "write", file }, { kind: "remove", file: "/f/b" }, { kind: "sync", file }],
      ["removal of /f/b: the bytes of /f/a"],
    ],
  ];
  for (const [calls, losses] of rows) {
    assertEquals(powerCutLosses(calls, "/f", { existing: ["old"] }), losses);
  }
});

Deno.test("readTrace() puts calls in the order in which they ended, and leaves out what failed", () => {
  const text = [
    '7 openat(AT_FDCWD</f>, "/f/a", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 22</f/a>',
    '7 openat(AT_FDCWD</f>, "/f/b", O_RDONLY|O_CLOEXEC) = 22</f/b>',
    '8 write(22</f/a>, "he said \\"no\\"", 12) = 12',
    "7 fdatasync(22</f/a> <unfinished ...>",
    '8 rename("/f/a", "/f/b")            = 0',
    "7 <... fdatasync resumed>)          = 0",
    "8 fsync(21</f>)                     = -1 EIO (Input/output error)",
    '9 write(1<pipe:[1]>, "kept\\n", 5)   = 5',
    '9 sendto(5<TCP:[127.0.0.1:1->127.0.0.1:2]>, "x", 1, MSG_NOSIGNAL, NULL, 0) = 1',
    '9 sendto(5<UNIX-STREAM:[1->2]>, "x", 1, MSG_NOSIGNAL, NULL, 0) = 1',
    '9 execve("/bin/true", ["true"], 0x7 /* 9 vars */) = 0',
  ].join("\n");
  assertEquals(readTrace(text), [
    { kind: "make", mode: 0o600, file: "/f/a" },
    { kind: "write", file: "/f/a" },
    { kind: "rename", file: "/f/a", to: "/f/b" },
    { kind: "sync", file: "/f/a" },
    { kind: "print", text: "kept" },
    { kind: "send" },
    { kind: "start", program: "/bin/true" },
  ]);
});
