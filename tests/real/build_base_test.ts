import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Base, releaseObjections } from "../../tools/build/base.ts";
import { BuildError } from "../../tools/build/build_error.ts";
import { readSourceState } from "../../tools/build/commit.ts";
import { fetchDenoBase, UnreachableError } from "../../tools/build/deno_base.ts";
import { inFolder } from "./folder.ts";
import { lacks } from "./lacks.ts";

/** `denort` with the content "base", as Python's zipfile packs it, in base64. */
const ARCHIVE = "UEsDBBQAAAAAAAAAIQBh/rTABAAAAAQAAAAGAAAAZGVub3J0YmFzZVBLAQIUAxQAAAAAAAAAIQBh/rTA" +
  "BAAAAAQAAAAGAAAAAAAAAAAAAACAAQAAAABkZW5vcnRQSwUGAAAAAAEAAQA0AAAAKAAAAAAA" +
  "";

/** Runs `work` in an empty current folder, with a server that has one file. */
async function withDownload(
  path: string,
  work: (download: string, requests: () => number) => Promise<void>,
): Promise<void> {
  let requests = 0;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, ({ url }) => {
    requests++;
    if (new URL(url).pathname !== path) return new Response(null, { status: 404 });
    return new Response(Uint8Array.from(atob(ARCHIVE), (letter) => letter.charCodeAt(0)));
  });
  const before = Deno.cwd();
  try {
    await inFolder(async (folder) => {
      Deno.chdir(folder);
      try {
        await work(`http://127.0.0.1:${server.addr.port}`, () => requests);
      } finally {
        Deno.chdir(before);
      }
    });
  } finally {
    await server.shutdown();
  }
}

Deno.test("fetchDenoBase() downloads once, and says whether its SHA-256 is pinned", () =>
  withDownload("/denort-some-triple.zip", async (download, requests) => {
    const { path, sha256, isPinned } = await fetchDenoBase("some-triple", { download });
    assertEquals(await Deno.readTextFile(path), "base");
    assertEquals(isPinned, false);
    await Deno.writeTextFile(path, "damaged");
    const pins = new Map([["some-triple", sha256]]);
    const pinned = await fetchDenoBase("some-triple", { download, pins });
    assertEquals([await Deno.readTextFile(path), pinned.isPinned, requests()], ["base", true, 1]);
    // What is there needs no download, and what is not there none that was tried in vain.
    await fetchDenoBase("some-triple", { download: null });
    await assertRejects(() => fetchDenoBase("other", { download: null }), UnreachableError);
    assertEquals(requests(), 1);
  }));

Deno.test("fetchDenoBase() keeps nothing that is not the archive that is pinned", () =>
  withDownload("/denort-some-triple.zip", async (download) => {
    const pins = new Map([["some-triple", "0".repeat(64)]]);
    const { message } = await assertRejects(
      () => fetchDenoBase("some-triple", { download, pins }),
      BuildError,
    );
    assertStringIncludes(message, `instead of "${"0".repeat(64)}"`);
    assertEquals([...Deno.readDirSync(".cache/denort")], []);
  }));

Deno.test("fetchDenoBase() says that the download cannot be reached, and leaves nothing", () =>
  withDownload("/other", async (download) => {
    const { message } = await assertRejects(
      () => fetchDenoBase("some-triple", { download }),
      UnreachableError,
    );
    assertStringIncludes(message, "HTTP status 404");
    // A port that is refused: nobody may listen on port 1 here.
    await assertRejects(
      () => fetchDenoBase("some-triple", { download: "http://127.0.0.1:1" }),
      UnreachableError,
    );
    assertEquals([...Deno.readDirSync(".cache/denort")], []);
  }));

Deno.test("releaseObjections() lets only Deno's own pinned base of a clean commit pass", () => {
  const clean = { commit: "c0ffee", isDirty: false };
  const own: Base = { path: "/base", kind: "deno", origin: "its origin", isPinned: true };
  const rows: [
    base: Partial<Base>,
    source: Partial<typeof clean>,
    allow: boolean,
    found: string[],
  ][] = [
    [{}, {}, false, []],
    [{}, {}, true, []],
    [{ isPinned: false }, {}, true, ["is not pinned in tools/build/deno_base.ts"]],
    [{ kind: "pypi" }, {}, false, ["is not Deno's own (its origin); --allow-foreign-base"]],
    [{ kind: "pypi" }, {}, true, []],
    [{ kind: "named", isPinned: false }, {}, false, ["is not Deno's own"]],
    [{ kind: "named", isPinned: false }, {}, true, []],
    [{}, { isDirty: true }, true, ["differ from their commit"]],
    [{ kind: "pypi" }, { isDirty: true }, false, ["differ from", "is not Deno's own"]],
  ];
  for (const [base, source, allowForeignBase, expected] of rows) {
    const found = releaseObjections({ ...own, ...base }, { ...clean, ...source }, {
      allowForeignBase,
    });
    assertEquals(found.length, expected.length, found.join());
    found.forEach((objection, index) => assertStringIncludes(objection, expected[index]!));
  }
  const [objection] = releaseObjections(own, { commit: null, isDirty: false }, {
    allowForeignBase: false,
  });
  assertEquals(objection, "the sources are not in a clone");
});

Deno.test("readSourceState() is the commit, dirty only by what goes into an executable", {
  ignore: await lacks("git"),
}, () =>
  inFolder(async (folder) => {
    assertEquals(await readSourceState(folder), { commit: null, isDirty: false });
    const git = async (...args: string[]) => {
      const identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
      const { success, stdout } = await new Deno.Command("git", {
        args: ["-C", folder, ...identity, ...args],
        stderr: "null",
      }).output();
      assertEquals(success, true, args.join(" "));
      return new TextDecoder().decode(stdout).trim();
    };
    await git("init", "--quiet");
    await Deno.mkdir(`${folder}/src`);
    await Deno.writeTextFile(`${folder}/main.ts`, "1");
    await Deno.writeTextFile(`${folder}/README.md`, "1");
    await git("add", ".");
    await git("commit", "--quiet", "--message", "first");
    const commit = await git("rev-parse", "HEAD");
    assertEquals(await readSourceState(folder), { commit, isDirty: false });
    await Deno.writeTextFile(`${folder}/README.md`, "2");
    assertEquals(await readSourceState(folder), { commit, isDirty: false });
    // A file that git does not know yet would be bundled too.
    await Deno.writeTextFile(`${folder}/src/new.ts`, "1");
    assertEquals(await readSourceState(folder), { commit, isDirty: true });
    await Deno.remove(`${folder}/src/new.ts`);
    await Deno.writeTextFile(`${folder}/main.ts`, "2");
    assertEquals(await readSourceState(folder), { commit, isDirty: true });
    // An unpacked archive inside of somebody's clone is not of that clone's commit.
    assertEquals(await readSourceState(`${folder}/src`), { commit: null, isDirty: false });
  }));
