import { assert, assertEquals, assertRejects } from "@std/assert";
import { AptCommands } from "../../../src/scanners/apt/commands.ts";
import { fetchChangelogs } from "../../../src/scanners/apt/fetched_changelogs.ts";
import { CommandError, type RunResult } from "../../../src/system/process.ts";
import type { Update } from "../../../src/update.ts";
import { FakeSystem } from "../../fakes/system.ts";
import { succeeded } from "../fixture.ts";

const DAY_MS = 24 * 3_600_000;

function update(name: string, more: Partial<Update> = {}): Update {
  return {
    package: name,
    currentVersion: "1-1",
    availableVersion: "1-3+b1",
    architecture: "amd64",
    source: null,
    state: "upgradable",
    severity: null,
    severityReason: "",
    security: true,
    cves: [],
    advisories: [],
    sizeBytes: null,
    description: null,
    sourcePackage: name,
    reboot: null,
    ...more,
  };
}

function changelog(source: string): string {
  return `${source} (1-3) s; urgency=high\n\n  * CVE-2026-0003\n\n${source} (1-2) s; urgency=low\n\n` +
    `  * CVE-2026-0002\n\n${source} (1-1) s; urgency=low\n\n  * CVE-2026-0001\n\n`;
}

function setUp(answer: (packages: readonly string[]) => RunResult | Promise<RunResult>) {
  const system = new FakeSystem();
  const asked: string[][] = [];
  const limitsMs: number[] = [];
  system.runCommand = async (argv, options) => {
    assertEquals(options.environment?.["PAGER"], "cat");
    const packages = argv.slice(argv.indexOf("changelog") + 1);
    asked.push([...packages]);
    limitsMs.push(options.timeoutMs);
    return await answer(packages);
  };
  const fetch = async (...updates: Update[]) => {
    const found = await fetchChangelogs(system, new AptCommands(system, {}, {}), {
      directory: { path: "/own" },
      updates,
    });
    return Object.fromEntries(
      [...found].map(([source, entries]) => [source, entries.flatMap(({ cves }) => cves)]),
    );
  };
  const cached = () => JSON.parse(system.files.texts.get(CACHE) ?? "{}").changelogs ?? {};
  return { system, asked, limitsMs, fetch, cached };
}

const CACHE = "/own/changelogs.json";

const well = (packages: readonly string[]) =>
  succeeded(packages.map((name) => changelog(name.split(":")[0]!)).join(""));

Deno.test("fetchChangelogs() asks for each source once, and keeps what is newer than what is there", async () => {
  const { system, asked, fetch } = setUp(well);
  const pair = [update("aa"), update("liba", { sourcePackage: "aa" }), update("bb")];
  const expected = {
    aa: ["CVE-2026-0003", "CVE-2026-0002"],
    bb: ["CVE-2026-0003", "CVE-2026-0002"],
  };
  assertEquals(await fetch(...pair), expected);
  assertEquals(asked, [["aa:amd64=1-3+b1", "bb:amd64=1-3+b1"]]);
  await system.clock.advance(9 * DAY_MS);
  assertEquals(await fetch(...pair), expected);
  assertEquals(asked.length, 1, "it is kept for as long as the version waits");
  assertEquals(Object.keys(await fetch(update("cc"))), ["cc"]);
  assert(!system.files.texts.get("/own/changelogs.json")?.includes('"aa 1-3"'));
});

Deno.test("fetchChangelogs() wants nothing of vendors, nor of what names its CVEs already", async () => {
  const { asked, fetch } = setUp(well);
  await fetch(
    update("vendor", { security: null }),
    update("told", { cves: ["CVE-2026-0009"] }),
    update("odd", { currentVersion: null }),
    update("sourceless", { sourcePackage: null }),
  );
  assertEquals(asked, []);
});

Deno.test("fetchChangelogs() takes security updates first, forty at a time", async () => {
  const { asked, fetch } = setUp(well);
  const many = Array.from({ length: 50 }, (_, n) => update(`p${n}`, { security: n >= 45 }));
  await fetch(...many);
  assertEquals([asked[0]?.length, asked[0]?.slice(0, 2)], [40, [
    "p45:amd64=1-3+b1",
    "p46:amd64=1-3+b1",
  ]]);
  await fetch(...many);
  assertEquals(asked.map(({ length }) => length), [40, 10]);
});

Deno.test("fetchChangelogs() asks for the others where one is not to be had, and for it tomorrow", async () => {
  const { system, asked, fetch } = setUp((packages) => {
    const stderr = "E: Failed to fetch http://x  Changelog unavailable for bb=1-3+b1 (404)\n";
    return packages.some((name) => name.startsWith("bb:"))
      ? { ...succeeded("", stderr), code: 100 }
      : well(packages);
  });
  assertEquals(Object.keys(await fetch(update("aa"), update("bb"))), ["aa"]);
  assertEquals(asked.map((packages) => packages.length), [2, 1]);
  await fetch(update("aa"), update("bb"));
  assertEquals(asked.length, 2);
  await system.clock.advance(DAY_MS - 1);
  await fetch(update("aa"), update("bb"));
  assertEquals(asked.length, 2);
  await system.clock.advance(1);
  await fetch(update("aa"), update("bb"));
  assertEquals(asked.at(-1), ["bb:amd64=1-3+b1"]);
});

Deno.test("fetchChangelogs() without a way to the servers tells nothing, and leaves them alone for a day", async () => {
  for (
    const answer of [
      () => ({ ...succeeded("", "E: no network\n"), code: 100 }),
      () => {
        throw new CommandError("no end", { reason: "timeout" });
      },
    ]
  ) {
    const { system, asked, fetch } = setUp(answer);
    const many = Array.from({ length: 50 }, (_, n) => update(`p${n}`));
    assertEquals(await fetch(...many), {});
    await fetch(...many);
    assertEquals(asked.length, 1);
    await system.clock.advance(DAY_MS);
    await fetch(...many);
    assertEquals(asked.length, 2);
  }
});

Deno.test("fetchChangelogs() takes a damaged cache for none, and does without a disk", async () => {
  const { system, asked, fetch } = setUp(well);
  system.files.texts.set("/own/changelogs.json", '{"version":1,"changelogs":{"aa 1-3":{}}}');
  assertEquals(Object.keys(await fetch(update("aa"))), ["aa"]);
  system.files.fail("keep changelogs", "full");
  assertEquals(Object.keys(await fetch(update("aa"))), ["aa"]);
  assertEquals(asked.length, 2);
});

Deno.test("fetchChangelogs() asks for the package of a source that goes furthest back, by apt's name for it", async () => {
  const shared = { sourcePackage: "aa", architecture: "all" };
  const newer = update("new", { ...shared, currentVersion: "1-2" });
  const older = update("old", { ...shared, currentVersion: "1-1" });
  const ask = async (...updates: Update[]) => {
    const { asked, fetch } = setUp(well);
    await fetch(...updates);
    return asked[0];
  };
  assertEquals(await ask(newer, older), ["old=1-3+b1"]);
  assertEquals(await ask(older, newer), ["old=1-3+b1"]);
  assertEquals(await ask(older, update("twin", shared)), ["old=1-3+b1"], "the first of equals");
  assertEquals(await ask(update("x", { architecture: null })), ["x=1-3+b1"]);
  assertEquals(await ask(update("x", { architecture: "i386" })), ["x:i386=1-3+b1"]);
});

Deno.test("fetchChangelogs() asks three times at most, and for no more than a minute in all", async () => {
  const refusing = ([first = ""]: readonly string[]) => ({
    ...succeeded("", `E: Changelog unavailable for ${first} (404)\n`),
    code: 100,
  });
  const names = ["aa", "bb", "cc", "dd", "ee"].map((name) =>
    update(name, { architecture: "i386" })
  );
  const often = setUp(refusing);
  assertEquals(await often.fetch(...names), {});
  assertEquals(often.asked.map(({ length }) => length), [5, 4, 3]);
  assertEquals(often.limitsMs, [60_000, 60_000, 60_000]);
  for (const [tookMs, times] of [[59_000, 2], [59_001, 1]] as const) {
    const slow = setUp(async (packages) => {
      await slow.system.clock.advance(tookMs);
      return refusing(packages);
    });
    assertEquals(await slow.fetch(...names), {});
    assertEquals(slow.limitsMs, [60_000, 1_000].slice(0, times));
  }
  const alone = setUp(refusing);
  assertEquals(await alone.fetch(update("aa")), {});
  assertEquals(alone.asked.length, 1, "there are no others");
});

Deno.test("fetchChangelogs() goes on where apt does not say for which package there is none", async () => {
  const { asked, fetch } = setUp(() => ({
    ...succeeded("", "E: Changelog unavailable for other=1 (404)\n"),
    code: 100,
  }));
  assertEquals(await fetch(update("aa")), {});
  assertEquals(asked.length, 1);
});

Deno.test("fetchChangelogs() keeps a hundred versions of a source, and two hundred names of each", async () => {
  const names = Array.from({ length: 201 }, (_, n) => n);
  const holes = names.map((n) => `  * CVE-2026-${10_000 + n} DSA-${1_000 + n}-1\n`).join("");
  const versions = names.slice(0, 101).map((n) => `aa (9-${200 - n}) s; urgency=low\n\n${holes}\n`);
  const { fetch, cached, system } = setUp(() => succeeded(versions.join("")));
  const found = await fetch(update("aa"));
  assertEquals(found["aa"]?.length, 100 * 200);
  assertEquals([found["aa"]?.[0], found["aa"]?.[199]], ["CVE-2026-10000", "CVE-2026-10199"]);
  const { entries } = cached()["aa 1-3"];
  assertEquals([entries.length, entries[0].version, entries[99].version], [100, "9-200", "9-101"]);
  assertEquals([entries[0].advisories.length, entries[0].advisories[0]], [200, "DSA-1000-1"]);
  assertEquals(system.files.modes.get(CACHE), 0o600, "it tells what is not yet closed");
});

Deno.test("fetchChangelogs() keeps five hundred sources, those that are wanted most", async () => {
  const { fetch, cached } = setUp(() => ({ ...succeeded("", "E: no network\n"), code: 100 }));
  await fetch(...Array.from({ length: 501 }, (_, n) => update(`p${n}`, { security: n > 0 })));
  const keys = Object.keys(cached());
  assertEquals([keys.length, keys[0], keys.includes("p0 1-3")], [500, "p1 1-3", false]);
});

Deno.test("fetchChangelogs() writes what is new before it answers, and nothing where nothing is", async () => {
  const { system, fetch } = setUp(well);
  let writes = 0;
  let unfinished = 0;
  const write = system.files.writeText.bind(system.files);
  system.files.writeText = async (...args) => {
    writes += 1;
    unfinished += 1;
    await new Promise((resolve) => setTimeout(resolve));
    await write(...args);
    unfinished -= 1;
  };
  await fetch(update("aa"));
  await fetch(update("aa"));
  assertEquals([writes, unfinished], [1, 0]);
});

Deno.test("fetchChangelogs() hides no mistake of ours", async () => {
  const oops = () => Promise.reject(new TypeError("oops"));
  for (const method of ["readText", "writeText"] as const) {
    const { system, fetch } = setUp(well);
    system.files[method] = oops;
    await assertRejects(() => fetch(update("aa")), TypeError, "oops");
  }
  await assertRejects(() => setUp(oops).fetch(update("aa")), TypeError, "oops");
});
