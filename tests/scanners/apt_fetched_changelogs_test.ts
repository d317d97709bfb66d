import { assert, assertEquals } from "@std/assert";
import { AptCommands } from "../../src/scanners/apt_commands.ts";
import { fetchChangelogs } from "../../src/scanners/apt_fetched_changelogs.ts";
import type { Update } from "../../src/scanners/scanner.ts";
import { CommandError, type RunResult } from "../../src/system/process.ts";
import { FakeSystem } from "../fakes/system.ts";
import { succeeded } from "./fixture.ts";

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

function setUp(answer: (packages: readonly string[]) => RunResult) {
  const system = new FakeSystem();
  const asked: string[][] = [];
  system.runCommand = (argv, options) => {
    assertEquals(options.environment?.["PAGER"], "cat");
    const packages = argv.slice(argv.indexOf("changelog") + 1);
    asked.push([...packages]);
    return Promise.resolve(answer(packages));
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
  return { system, asked, fetch };
}

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
  await system.clock.advance(DAY_MS);
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
