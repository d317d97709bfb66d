import { assert, assertEquals } from "@std/assert";
import { watchedFigures, watchedTable } from "../../tools/fleet/watched.ts";

Deno.test("watchedFigures() has watched agents back within 30 s, and the others as ever", () => {
  const rows = watchedFigures({ agents: 3_000, seed: 1 });
  assertEquals(rows.map(({ outage, polling }) => [outage, polling]), [
    ["kill of 300 s", "rapid"],
    ["kill of 300 s", "normal"],
    ["database outage of 100 s", "rapid"],
    ["database outage of 100 s", "normal"],
  ]);
  for (const { polling, touched, requests, backS } of rows) {
    assert(touched >= 30 && requests.max > 0);
    if (polling === "rapid") assert(backS.max <= 31 && requests.max <= 20, JSON.stringify(backS));
    else assert(backS.max > 60 && requests.max <= 7, JSON.stringify(backS));
  }
  const { rows: cells } = watchedTable(rows);
  assertEquals([cells.length, cells[0]?.slice(0, 3)], [4, ["kill of 300 s", "rapid", "30"]]);
});
