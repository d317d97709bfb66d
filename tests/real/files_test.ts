import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { FileError, type FileErrorReason } from "../../src/system/files.ts";
import { realFiles } from "../../src/system/real/files.ts";
import { projectUrl, startDeno } from "./deno_child.ts";
import { inFolder } from "./folder.ts";
import { withSmallDisk } from "./small_disk.ts";

const isWindows = Deno.build.os === "windows";
const isWine = isWindows && Deno.env.get("WINELOADER") !== undefined;

async function refused(reason: FileErrorReason, work: () => Promise<unknown>): Promise<string> {
  const error = await assertRejects(work, FileError);
  assertEquals(error.reason, reason);
  return error.message;
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
}

Deno.test("readText() answers undefined where nothing is", () =>
  inFolder(async (folder) => {
    assertEquals(await realFiles.readText("read it", `${folder}/absent`), undefined);
    await Deno.writeTextFile(`${folder}/file`, "");
    assertEquals(await realFiles.readText("read it", `${folder}/file/below`), undefined);
    assertEquals(await realFiles.readText("read it", `${folder}/file`), "");
  }));

Deno.test("readText() reads up to its limit and refuses a byte more", () =>
  inFolder(async (folder) => {
    const path = `${folder}/text`;
    await Deno.writeTextFile(path, "1234567890");
    assertEquals(await realFiles.readText("read it", path, { maxBytes: 10 }), "1234567890");
    const message = await refused(
      "too_large",
      () => realFiles.readText("read it", path, { maxBytes: 9 }),
    );
    assertEquals(message, `Cannot read it: "${path}": more than 9 bytes`);
    await Deno.writeFile(path, new Uint8Array(1_048_577));
    await refused("too_large", () => realFiles.readText("read it", path));
    await refused("too_large", () => realFiles.readTextAndFacts("read it", path));
    await Deno.truncate(path, 1_048_576);
    assertEquals((await realFiles.readText("read it", path))?.length, 1_048_576);
  }));

Deno.test("readText() reads UTF-8 across its chunks, and what is none as U+FFFD", () =>
  inFolder(async (folder) => {
    const path = `${folder}/text`;
    const text = `x${"é".repeat(70_000)}`;
    await Deno.writeTextFile(path, text);
    assertEquals(await realFiles.readText("read it", path), text);
    await Deno.writeFile(path, new Uint8Array([0x61, 0xff, 0x62]));
    assertEquals(await realFiles.readText("read it", path), "a\ufffdb");
  }));

Deno.test("readBytes() reads bytes that are no text, up to its limit", () =>
  inFolder(async (folder) => {
    const path = `${folder}/key`;
    const bytes = new Uint8Array([0xef, 0xbb, 0xbf, 0xff, 0x00, 0x80]);
    await Deno.writeFile(path, bytes);
    assertEquals(await realFiles.readBytes("read it", path, { maxBytes: 6 }), bytes);
    await refused("too_large", () => realFiles.readBytes("read it", path, { maxBytes: 5 }));
    assertEquals(await realFiles.readBytes("read it", `${folder}/none`), undefined);
  }));

Deno.test("readText() refuses a folder and a pipe instead of waiting for it", () =>
  inFolder(async (folder) => {
    await refused("failed", () => realFiles.readText("read it", folder));
    if (isWindows) return console.log("skipped in part: Windows has no named pipes in folders");
    await new Deno.Command("mkfifo", { args: [`${folder}/pipe`] }).output();
    await refused("failed", () => realFiles.readText("read it", `${folder}/pipe`));
  }));

Deno.test("writeText() writes with exactly the mode asked for, whatever the umask", () =>
  inFolder(async (folder) => {
    if (isWindows) return console.log("skipped: Windows has no modes");
    for (const mode of [0o600, 0o644, 0o640]) {
      const path = `${folder}/text-${mode}`;
      const umask = Deno.umask(0o077);
      await realFiles.writeText("write it", path, "text", { mode }).finally(() =>
        Deno.umask(umask)
      );
      assertEquals(Deno.statSync(path).mode! & 0o7777, mode);
      assertEquals((await realFiles.inspect("look", path))?.mode, mode);
    }
    await realFiles.writeText("write it", `${folder}/text-${0o644}`, "less", { mode: 0o600 });
    assertEquals(Deno.statSync(`${folder}/text-${0o644}`).mode! & 0o7777, 0o600);
  }));

Deno.test("writeText() shows a reader the old text or the new one, never a part", () =>
  inFolder(async (folder) => {
    const path = `${folder}/text`;
    const texts = ["a".repeat(200_000), "b".repeat(300_000)];
    await realFiles.writeText("write it", path, texts[0]!, { mode: 0o600 });
    const seen = new Set<string>();
    let writing = true;
    if (isWine) console.log("skipped in part: Wine replaces a file in two steps");
    const reading = (async () => {
      do {
        try {
          seen.add(await Deno.readTextFile(path));
        } catch (error) {
          if (!isWine || !(error instanceof Deno.errors.NotFound)) throw error;
        }
        // There an open file is not replaced, and one always open never.
        if (isWine) await new Promise((resolve) => setTimeout(resolve, 20));
      } while (writing);
    })();
    for (let round = 1; round <= 40; round++) {
      await realFiles.writeText("write it", path, texts[round % 2]!, { mode: 0o600 });
    }
    writing = false;
    await reading;
    assert([...seen].every((text) => texts.includes(text)));
    assertEquals(namesIn(folder), ["text"]);
  }));

Deno.test("writeText() lets writers of one file race; one of them wins whole", () =>
  inFolder(async (folder) => {
    const path = `${folder}/text`;
    const texts = Array.from({ length: 8 }, (_, index) => String(index).repeat(50_000));
    await Promise.all(
      texts.map((text) => realFiles.writeText("write it", path, text, { mode: 0o600 })),
    );
    assert(texts.includes(await Deno.readTextFile(path)));
    assertEquals(namesIn(folder), ["text"]);
  }));

Deno.test("writeText() removes what a writer that died left, once it is old", () =>
  inFolder(async (folder) => {
    const path = `${folder}/text`;
    const [old, young, other] = ["0badc0de", "0badc0df", "another1"].map((middle) =>
      `${path}.${middle}.tmp`
    );
    for (const leftover of [old!, young!, other!]) await Deno.writeTextFile(leftover, "part");
    await Deno.utime(old!, new Date(0), new Date(0));
    await Deno.utime(other!, new Date(0), new Date(0));
    await realFiles.writeText("write it", path, "whole", { mode: 0o600 });
    assertEquals(namesIn(folder), ["text", "text.0badc0df.tmp", "text.another1.tmp"]);
    // A directory is slow to list: the next write looks for none.
    await Deno.writeTextFile(old!, "part");
    await Deno.utime(old!, new Date(0), new Date(0));
    await realFiles.writeText("write it", path, "whole", { mode: 0o600 });
    assertEquals(namesIn(folder).length, 4);
  }));

Deno.test("writeText() removes no file of another name, however old, and however alike its name", () =>
  inFolder(async (folder) => {
    const others = [
      "state.json.0badc0de.txt",
      "state.json-0badc0de.tmp",
      "other.json.0badc0de.tmp",
      "state.json.0badc0de",
      "state.json.0badc0de0.tmp",
    ];
    for (const name of others) {
      await Deno.writeTextFile(`${folder}/${name}`, "another's");
      await Deno.utime(`${folder}/${name}`, new Date(0), new Date(0));
    }
    await realFiles.writeText("write it", `${folder}/state.json`, "whole", { mode: 0o600 });
    assertEquals(namesIn(folder), ["state.json", ...others].sort());
  }));

Deno.test("writeText() leaves the old text and nothing else when it fails", () =>
  inFolder(async (folder) => {
    await refused(
      "failed",
      () => realFiles.writeText("write it", `${folder}/absent/text`, "text", { mode: 0o600 }),
    );
    await Deno.mkdir(`${folder}/taken`);
    await refused(
      // To Windows, replacing a folder by a file is a matter of rights.
      isWindows ? "denied" : "failed",
      () => realFiles.writeText("write it", `${folder}/taken`, "text", { mode: 0o600 }),
    );
    assertEquals(namesIn(folder), ["taken"]);
  }));

Deno.test("writeText() tells a full disk and a read-only one apart", async () => {
  await withSmallDisk({ sizeKib: 64 }, async (folder, { remount }) => {
    const path = `${folder}/text`;
    await realFiles.writeText("save it", path, "old", { mode: 0o600 });
    const message = await refused(
      "full",
      () => realFiles.writeText("save it", path, "x".repeat(100_000), { mode: 0o600 }),
    );
    assertEquals(message, `Cannot save it: "${path}": No space left on device`);
    assertEquals(await Deno.readTextFile(path), "old");
    assertEquals(namesIn(folder), ["text"]);
    await realFiles.writeText("save it", path, "new", { mode: 0o600 });
    await remount("ro");
    await refused("denied", () => realFiles.writeText("save it", path, "newer", { mode: 0o600 }));
    await refused("denied", () => realFiles.remove("remove it", path));
    await refused("denied", () => realFiles.lock("lock it", `${folder}/lock`));
    assertEquals(await realFiles.readText("read it", path), "new");
    await remount("rw");
  });
});

Deno.test("a missing permission is a refusal like the system's own", () =>
  inFolder(async (folder) => {
    await using child = await startDeno(
      `import { realFiles } from "${projectUrl("src/system/real/files.ts")}";
      const reasons = [];
      for (const work of [
        () => realFiles.writeText("write", ${JSON.stringify(`${folder}/a`)}, "", { mode: 0o600 }),
        () => realFiles.readText("read", ${JSON.stringify(`${folder}/a`)}),
        () => realFiles.lock("lock", ${JSON.stringify(`${folder}/a`)}),
      ]) await work().catch((error) => reasons.push(error.name + " " + error.reason));
      console.log(reasons.join());`,
      [],
    );
    assertEquals(
      (await child.firstOutput()).trim(),
      "FileError denied,FileError denied,FileError denied",
    );
  }));

Deno.test("makeDirectory() makes parents with its mode and takes what is there", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a/b`;
    await realFiles.makeDirectory("make it", path, { mode: 0o700 });
    await realFiles.makeDirectory("make it", path, { mode: 0o755 });
    const facts = await realFiles.inspect("look", path);
    assertEquals([facts?.kind, facts?.mode], ["directory", isWindows ? null : 0o700]);
    await Deno.writeTextFile(`${folder}/file`, "");
    await refused(
      "failed",
      () => realFiles.makeDirectory("make it", `${folder}/file`, { mode: 0o700 }),
    );
  }));

Deno.test("remove(), rename(), list() and inspect() do what they say", () =>
  inFolder(async (folder) => {
    await realFiles.remove("remove it", `${folder}/absent`);
    assertEquals(await realFiles.inspect("look", `${folder}/absent`), undefined);
    assertEquals(await realFiles.list("look", `${folder}/absent`), []);
    await Deno.writeTextFile(`${folder}/a`, "12345");
    await realFiles.rename("move it", `${folder}/a`, `${folder}/b`);
    assertEquals(await realFiles.list("look", folder), ["b"]);
    const facts = await realFiles.inspect("look", `${folder}/b`);
    assertEquals([facts?.kind, facts?.sizeBytes], ["file", 5]);
    assertEquals(facts?.modifiedMs, Deno.statSync(`${folder}/b`).mtime?.getTime());
    await realFiles.remove("remove it", `${folder}/b`);
    assertEquals(await realFiles.list("look", folder), []);
    const message = await refused(
      "failed",
      () => realFiles.rename("move it", `${folder}/b`, `${folder}/c`),
    );
    assertStringIncludes(message, `Cannot move it: "${folder}/b": `);
  }));

Deno.test("lock() is refused while held in this process and free after release", () =>
  inFolder(async (folder) => {
    const path = `${folder}/lock`;
    const lock = await realFiles.lock("lock it", path);
    assert(lock);
    if (!isWindows) assertEquals(Deno.statSync(path).mode! & 0o7777, 0o600);
    assertEquals(await realFiles.lock("lock it", path), undefined);
    lock.release();
    lock.release();
    const again = await realFiles.lock("lock it", path);
    assert(again);
    again.release();
  }));

Deno.test("lock() held here stays held against others when it is asked for again", () =>
  inFolder(async (folder) => {
    const path = `${folder}/lock`;
    const lock = await realFiles.lock("lock it", path);
    assertEquals(await realFiles.lock("lock it", path), undefined);
    await using child = await startDeno(
      `import { realFiles } from "${projectUrl("src/system/real/files.ts")}";
      console.log(await realFiles.lock("lock it", ${JSON.stringify(path)}) ? "taken" : "refused");`,
    );
    assertEquals((await child.firstOutput()).trim(), "refused");
    lock?.release();
  }));

Deno.test("lock() held by another process is refused at once, and free when that is killed", () =>
  inFolder(async (folder) => {
    const path = `${folder}/lock`;
    await using child = await startDeno(
      `import { realFiles } from "${projectUrl("src/system/real/files.ts")}";
      globalThis.lock = await realFiles.lock("lock it", ${JSON.stringify(path)});
      console.log(globalThis.lock ? "held" : "refused");
      setInterval(() => {}, 60_000);`,
    );
    assertEquals((await child.firstOutput()).trim(), "held");
    const startMs = performance.now();
    assertEquals(await realFiles.lock("lock it", path), undefined);
    // Trying must not have let go of the other's hold either.
    assertEquals(await realFiles.lock("lock it", path), undefined);
    assert(performance.now() - startMs < 1_000);
    child.process.kill("SIGKILL");
    await child.process.status;
    const lock = await realFiles.lock("lock it", path);
    assert(lock);
    lock.release();
  }));

Deno.test("lock() keeps others out on a full disk, and is refused on a read-only one", async () => {
  await withSmallDisk({ sizeKib: 64 }, async (folder, disk) => {
    const path = `${folder}/lock`;
    await Deno.writeTextFile(path, "");
    await disk.fill();
    const lock = await realFiles.lock("lock it", path);
    assert(lock !== undefined);
    assertEquals(await realFiles.lock("lock it", path), undefined);
    assertEquals((await Deno.stat(path)).size, 0);
    lock.release();
    await disk.remount("ro");
    await refused("denied", () => realFiles.lock("lock it", path));
    await disk.remount("rw");
  });
});

Deno.test("overwriteText() writes in place what a full disk would not take anew", async () => {
  await withSmallDisk({ sizeKib: 64 }, async (folder, disk) => {
    const path = `${folder}/note`;
    await refused("failed", () => realFiles.overwriteText("tell it", path, "new"));
    await realFiles.writeText("tell it", path, "old and long", { mode: 0o600 });
    await disk.fill();
    await refused("full", () => realFiles.writeText("tell it", path, "new", { mode: 0o600 }));
    await realFiles.overwriteText("tell it", path, "new");
    assertEquals(await Deno.readTextFile(path), "new and long");
    await disk.remount("ro");
    await refused("denied", () => realFiles.overwriteText("tell it", path, "newer"));
    await disk.remount("rw");
  });
});

Deno.test("inspect() tells one file from another of its name", () =>
  inFolder(async (folder) => {
    const path = `${folder}/file`;
    await Deno.writeTextFile(path, "a");
    const before = await realFiles.inspect("look", path);
    await Deno.writeTextFile(path, "b");
    assertEquals((await realFiles.inspect("look", path))?.identity, before?.identity);
    await Deno.writeTextFile(`${folder}/other`, "c");
    await Deno.rename(`${folder}/other`, path);
    const after = await realFiles.inspect("look", path);
    assert(isWindows ? after?.identity === null : after?.identity !== before?.identity);
  }));

Deno.test("no call leaves a file open, whether it goes well or not", () =>
  inFolder(async (folder) => {
    if (Deno.build.os !== "linux") return console.log("skipped: /proc is Linux'");
    const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const path = `${folder}/text`;
    const round = async () => {
      await realFiles.writeText("write it", path, "x".repeat(100), { mode: 0o600 });
      await realFiles.overwriteText("write it", path, "y");
      await realFiles.readText("read it", path);
      await realFiles.readText("read it", path, { maxBytes: 5 }).catch(() => {});
      await realFiles.readText("read it", folder).catch(() => {});
      await realFiles.writeText("write it", folder, "x", { mode: 0o600 }).catch(() => {});
      const lock = await realFiles.lock("lock it", `${folder}/lock`);
      await realFiles.lock("lock it", `${folder}/lock`);
      lock?.release();
      await realFiles.lock("lock it", `${folder}/absent/lock`).catch(() => {});
    };
    await round();
    const before = open();
    for (let count = 0; count < 20; count++) await round();
    assertEquals(open(), before);
  }));

Deno.test("appendText() adds to a file, which it makes with the mode, and refuses a directory", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/a.log`;
    const append = (text: string) =>
      realFiles.appendText("write the log", path, text, { mode: 0o600 });
    assertEquals(await append("\u00e9\n"), 3);
    assertEquals(await append("b\n"), 5);
    assertEquals(await Deno.readTextFile(path), "\u00e9\nb\n");
    if (Deno.build.os !== "windows") assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
    await Deno.remove(path);
    await Deno.mkdir(path);
    await assertRejects(() => append("c\n"), FileError, "not a regular file");
  });
});

Deno.test("writeText() writes UTF-16 as Windows does", async () => {
  await inFolder(async (folder) => {
    const options = { mode: 0o600, encoding: "utf-16" } as const;
    await realFiles.writeText("write the task", `${folder}/a.xml`, "<\u00e9>", options);
    const bytes = [...await Deno.readFile(`${folder}/a.xml`)];
    assertEquals(bytes, [0xff, 0xfe, 0x3c, 0, 0xe9, 0, 0x3e, 0]);
  });
});
