import { assertEquals } from "@std/assert";
import { needsLookup, uncut } from "../../../src/scanners/winget/cut.ts";
import { parseWingetUpgrades, type WingetUpgrade } from "../../../src/scanners/winget/upgrades.ts";
import { readFixture } from "../fixture.ts";
import { renderTable } from "./renderer.ts";

const TITLES = ["Name", "Id", "Version", "Available", "Source"];

function row(extra: Partial<WingetUpgrade>): WingetUpgrade {
  return {
    name: "Contoso Tool",
    id: "Contoso.To…",
    version: "1.0",
    available: "1.1",
    source: null,
    state: "upgradable",
    ...extra,
  };
}

function listing(...rows: string[][]): string {
  return [...renderTable(TITLES, rows), ""].join("\r\n");
}

async function lookUp(rows: readonly WingetUpgrade[], answers: Record<string, string>) {
  const asked: string[] = [];
  const found = await uncut(rows, (query) => {
    asked.push(query.join(" "));
    return Promise.resolve(answers[query.join(" ")] ?? null);
  });
  return { asked, ids: found.rows.map(({ id }) => id), ...found };
}

Deno.test("needsLookup() minds cut ids and versions, not cut names", () => {
  assertEquals(needsLookup(row({ id: "Contoso.Tool" })), false);
  assertEquals(needsLookup(row({ id: "Contoso.Tool", name: "Contoso T…" })), false);
  for (const extra of [{}, { version: "1.0…" }, { available: "1.…" }]) {
    assertEquals(needsLookup(row(extra)), true);
  }
});

Deno.test("uncut() asks for what is left of an id, and leaves out what it learns nothing of", async () => {
  const { rows } = parseWingetUpgrades(readFixture("winget", "old_cut_ids.txt"));
  const first = "--id Contoso.ProductWithAnIdThatGoesOnAndOn.ToTheEn";
  const { asked, ids, unknown } = await lookUp(rows, {
    [first]: readFixture("winget", "list_cut_id.txt"),
  });
  assertEquals(asked, [first, "--id Microsoft.DotNet.Runtime.PreviewOfTheNextVersi"]);
  assertEquals(ids, ["Contoso.ProductWithAnIdThatGoesOnAndOn.ToTheEndOfTheLine", "7zip.7zip"]);
  assertEquals(unknown.map(({ name }) => name), [
    "Microsoft .NET Runtime - 8.0.11 (x64) with an…",
  ]);
});

Deno.test("uncut() believes one package alone, of the same name and version", async () => {
  const two = listing(
    ["Contoso Tool", "Contoso.Tool", "1.0", "1.1", ""],
    ["Contoso Toolbox", "Contoso.Toolbox", "3.0", "", ""],
  );
  const asked = "--id Contoso.To";
  assertEquals((await lookUp([row({})], { [asked]: two })).ids, ["Contoso.Tool"]);
  const same = listing(
    ["Contoso Tool", "Contoso.Tool", "1.0", "1.1", ""],
    ["Contoso Tool", "Contoso.Tools", "1.0", "1.1", ""],
  );
  assertEquals((await lookUp([row({})], { [asked]: same })).ids, []);
  const other = listing(["Contoso Tool", "Fabrikam.Tool", "1.0", "1.1", ""]);
  assertEquals((await lookUp([row({})], { [asked]: other })).ids, []);
  const stillCut = listing(["Contoso Tool", "Contoso.Tool…", "1.0", "1.1", ""]);
  assertEquals((await lookUp([row({})], { [asked]: stillCut })).ids, []);
});

Deno.test("uncut() asks for the whole name where the id leads nowhere", async () => {
  const { ids, asked } = await lookUp([row({})], {
    "--name Contoso Tool --exact": listing(["Contoso Tool", "Contoso.Tool", "1.0", "1.1", ""]),
  });
  assertEquals([ids, asked.length], [["Contoso.Tool"], 2]);
});

Deno.test("uncut() completes versions, and gives no half one", async () => {
  const cut = row({ id: "Contoso.Tool", version: "1.0.123…", available: "1.1.0…" });
  const query = "--id Contoso.Tool --exact";
  const whole = listing(["Contoso Tool", "Contoso.Tool", "1.0.12345", "1.1.0.77", ""]);
  const { rows } = await lookUp([cut], { [query]: whole });
  assertEquals(rows.map(({ version, available }) => [version, available]), [[
    "1.0.12345",
    "1.1.0.77",
  ]]);
  const none = listing(["Contoso Tool", "Contoso.Tool", "1.0.12345", "", ""]);
  assertEquals((await lookUp([cut], { [query]: none })).rows, []);
});

Deno.test("uncut() never lets winget take an id for an option, and asks twenty times at most", async () => {
  const odd = await lookUp([row({ id: "--all…", name: "-x" }), row({ id: "…", name: "/y" })], {});
  assertEquals([odd.asked, odd.rows, odd.unknown.length], [[], [], 2]);
  const many = Array.from({ length: 30 }, (_, n) => row({ id: `Contoso.${n}…`, name: "cut…" }));
  const { asked, unknown } = await lookUp(many, {});
  assertEquals([asked.length, unknown.length], [20, 30]);
});

Deno.test("uncut() takes a name or a version that is cut in either answer for the same one", async () => {
  const asked = "--id Contoso.To";
  const found = async (cut: Partial<WingetUpgrade>, name: string, version: string) => {
    const answer = listing([name, "Contoso.Tool", version, "1.1", ""]);
    return (await lookUp([row(cut)], { [asked]: answer })).ids.length === 1;
  };
  assertEquals(await found({ name: "Contoso T…" }, "Contoso Tool", "1.0"), true);
  assertEquals(await found({}, "Contoso T…", "1.0"), true);
  assertEquals(await found({ name: "Contoso T…" }, "Contoso", "1.0"), false);
  assertEquals(await found({}, "Contoso Z…", "1.0"), false);
  assertEquals(await found({ version: "1.0.12…" }, "Contoso Tool", "1.0.123"), true);
  assertEquals(await found({ version: "1.0.123" }, "Contoso Tool", "1.0.12…"), true);
  assertEquals(await found({ version: "1.0.123" }, "Contoso Tool", "1.0.2…"), false);
});

Deno.test("uncut() completes a version only where one alone begins so", async () => {
  const query = "--id Contoso.Tool --exact";
  const id = "Contoso.Tool";
  const found = async (cut: Partial<WingetUpgrade>, ...listed: [string, string][]) => {
    const rows = listed.map((versions) => ["Contoso Tool", id, ...versions, ""]);
    const { rows: [told] } = await lookUp([row({ id, ...cut })], { [query]: listing(...rows) });
    return told && `${told.version} ${told.available}`;
  };
  assertEquals(await found({ version: "1.0.…" }, ["1.0.1", "1.1"]), "1.0.1 1.1");
  assertEquals(await found({ version: "1.0.…" }, ["1.0.1", "1.1"], ["1.0.1", "1.1"]), "1.0.1 1.1");
  assertEquals(await found({ version: "1.0.…" }, ["1.0.1", "1.1"], ["1.0.2", "1.1"]), undefined);
  assertEquals(await found({ version: "1.0.…" }, ["1.0.1", "1.1"], ["2.0", "1.1"]), "1.0.1 1.1");
  assertEquals(await found({ version: "1.0.…" }, ["1.0.1…", "1.1"]), undefined);
  assertEquals(await found({ available: "1.…" }, ["1.0", "1.1"], ["1.0", "1.2"]), undefined);
  assertEquals(await found({ available: "1.…" }, ["1.0", "1.1"], ["1.0", "2.2"]), "1.0 1.1");
  assertEquals(await found({ available: "1.…" }, ["1.0", "2.1"]), undefined);
});

Deno.test("uncut() asks no more once it knows, and leaves what is whole alone", async () => {
  const whole = row({ id: "Contoso.Whole" });
  const cut = row({ id: "Contoso.Tool", version: "1.…" });
  const query = "--id Contoso.Tool --exact";
  const { asked, rows, unknown } = await lookUp([whole, cut], {
    [query]: listing(["Contoso Tool", "Contoso.Tool", "1.5", "1.6", ""]),
  });
  assertEquals([asked, rows, unknown], [[query], [whole, { ...cut, version: "1.5" }], []]);
});
