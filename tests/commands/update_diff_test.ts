import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  findNews,
  FULL_LIST_EVERY_MS,
  MOST_GONE,
  type NewsReport,
  ROW_LENGTH,
  type ToldList,
} from "../../src/commands/update_diff.ts";
import { goneItem, type UpdateItem } from "../../src/server/update_item.ts";

const NOW = { nowMs: 1_000_000, wantsAll: false };

function item(name: string, version = "2", severity: UpdateItem["severity"] = "low"): UpdateItem {
  return { ...goneItem("apt", name, version), severity, metadata: { state: "upgradable" } };
}

function compare(
  items: readonly UpdateItem[],
  told: ToldList | undefined,
  { isWhole = true, nowMs = NOW.nowMs, wantsAll = false } = {},
) {
  const news = findNews({ packageType: "apt", items, isWhole }, told, { nowMs, wantsAll });
  /** Those of one kind of report. */
  const of = (part: NewsReport["part"]) =>
    news.reports.filter((report) => report.part === part).flatMap((report) => report.items);
  return { ...news, of };
}

function tell(...items: UpdateItem[]): ToldList {
  return compare(items, undefined).told;
}

const names = (items: readonly UpdateItem[]) => items.map(({ package_name }) => package_name);

Deno.test("findNews() tells a server that knows nothing the whole list", () => {
  const { isFull, of, gone, told } = compare([item("a"), item("b")], undefined);
  assertEquals([isFull, names(of("list")), gone], [true, ["a", "b"], []]);
  assertEquals([told.fullAtMs, Object.keys(told.items)], [NOW.nowMs, ["a", "b"]]);
});

Deno.test("findNews() tells one row again of a list that is the same, with its own timestamp", () => {
  const told = tell(item("a"), item("b"));
  const { isFull, reports, gone, told: now } = compare([item("b"), item("a")], told, {
    nowMs: NOW.nowMs + 5_000,
  });
  assertEquals([isFull, reports, gone], [
    false,
    [{ part: "unchanged", items: [item("b")], atMs: NOW.nowMs }],
    [],
  ]);
  assertEquals(now, told);
});

Deno.test("findNews() tells that row again whose approval nobody would miss", () => {
  const held = { ...item("held"), metadata: { state: "held" } };
  const again = (items: readonly UpdateItem[], told: ToldList) =>
    compare(items, told).of("unchanged");
  assertEquals(names(again([item("a"), held, item("b")], tell(item("a"), held, item("b")))), [
    "held",
  ]);
  const gone = compare([item("a"), held], tell(item("a"), held, item("gone"), item("later"))).told;
  assertEquals(names(again([item("a"), held], gone)), ["later"]);
  assertEquals(again([item("a"), held], gone)[0]?.metadata["state"], "gone");
  assertEquals(names(again([], compare([], gone).told)), ["held"], "the one that went last");
  assertEquals(compare([], undefined).reports, [], "there never was a row");
  const twice = [item("a", "1"), item("a", "2")];
  const [same] = again(twice, tell(...twice));
  assertEquals(same?.available_version, "2", "the version that the server has");
});

Deno.test("findNews() tells what is new, and what is the same package in other words", () => {
  const told = tell(item("a"), item("b"), item("c"));
  const { of, changed } = compare(
    [item("a", "3"), item("b"), item("c", "2", "critical"), item("d")],
    told,
  );
  assertEquals([names(of("changes")), changed], [["a", "c", "d"], 3]);
});

Deno.test("findNews() tells once that a package waits no more, behind the rows of its last report", () => {
  const before = tell(item("a"), item("b", "7"));
  const { reports, gone, told } = compare([item("a")], before, { nowMs: NOW.nowMs + 60_000 });
  assertEquals([gone, reports.map(({ part, atMs }) => [part, atMs])], [
    ["b"],
    [["gone", NOW.nowMs - 1_000]],
  ]);
  const [{ package_name, severity, available_version, metadata } = item("none")] =
    reports[0]?.items ?? [];
  assertEquals([package_name, severity, available_version, metadata["state"]], [
    "b",
    "low",
    "7",
    "gone",
  ]);
  assertEquals(told.gone, { b: ["7", NOW.nowMs - 1_000] });
  assertEquals(compare([item("a")], told).of("gone"), []);
  const back = compare([item("a"), item("b", "8")], told);
  assertEquals([names(back.of("changes")), back.told.gone], [["b"], {}]);
});

Deno.test("findNews() gives no row that went a time to come, however the clock was set", () => {
  const before = tell(item("a"), item("b"));
  const { reports } = compare([item("a")], before, { nowMs: NOW.nowMs - 500_000 });
  assertEquals(reports[0]?.atMs, NOW.nowMs - 501_000);
});

Deno.test("findNews() keeps a row for each package, but no endless one, and 200 of those that went", () => {
  const long = { ...item("long"), package_description: "x".repeat(ROW_LENGTH) };
  const { items } = tell(item("a"), long);
  assertEquals([items["a"]?.[3], items["long"]?.[3]], [item("a"), null]);
  const many = Array.from({ length: MOST_GONE + 1 }, (_, n) => item(`p${n}`));
  const { gone } = compare([], tell(...many)).told;
  assertEquals([Object.keys(gone).length, Object.keys(gone).at(-1), gone["p0"]], [
    MOST_GONE,
    `p${MOST_GONE}`,
    undefined,
  ]);
});

Deno.test("findNews() takes nothing for gone where the list is not whole", () => {
  const told = tell(item("a"), item("b"));
  const degraded = compare([item("a")], told, { isWhole: false });
  assertEquals([degraded.of("gone"), degraded.gone], [[], []]);
  assertEquals(names(compare([item("a")], degraded.told).of("gone")), ["b"]);
});

Deno.test("findNews() tells the whole list after a day and not before, and when asked to", () => {
  const told = tell(item("a"));
  const after = (ms: number) => compare([item("a")], told, { nowMs: NOW.nowMs + ms }).isFull;
  assertEquals(after(FULL_LIST_EVERY_MS - 1), false);
  assertEquals(after(FULL_LIST_EVERY_MS), true);
  assertEquals(after(-FULL_LIST_EVERY_MS), true, "the clock was set back");
  assertEquals(compare([item("a")], told, { wantsAll: true }).isFull, true);
});

Deno.test("findNews() tells two versions side by side together, under their one name", () => {
  const told = tell(item("a", "1"), item("a", "2"));
  assertEquals(told.items["a"]?.[0], "2", "the server keeps the last");
  assertEquals(compare([item("a", "1"), item("a", "2")], told).of("changes"), []);
  assertEquals(compare([item("a", "1"), item("a", "3")], told).of("changes").length, 2);
});

Deno.test("findNews() leaves the server with what waits, whatever came before", () => {
  const name = fc.constantFrom("a", "b", "c", "d");
  const list = fc.uniqueArray(fc.record({ name, version: fc.constantFrom("1", "2") }), {
    selector: (entry) => entry.name,
  });
  const scan = fc.record({
    list,
    isWhole: fc.boolean(),
    wantsAll: fc.boolean(),
    hours: fc.integer({ min: -30, max: 30 }),
  });
  fc.assert(fc.property(fc.array(scan, { maxLength: 12 }), (scans) => {
    const server = new Map<string, UpdateItem>();
    /** By which the dashboard orders its list. */
    const times = new Map<string, number>();
    let told: ToldList | undefined;
    let nowMs = 0;
    for (const { list, isWhole, wantsAll, hours } of scans) {
      nowMs += hours * 3_600_000;
      const items = list.map(({ name, version }) => item(name, version));
      const news = compare(items, told, { isWhole, wantsAll, nowMs });
      told = news.told;
      // As long as there is any row, each scan moves "Last scan".
      assert(news.reports.length > 0 || server.size === 0);
      for (const { part, items, atMs } of news.reports) {
        for (const one of items) {
          const { package_name: name } = one;
          // No row that went, and none that is only told again, climbs in the list.
          if (part !== "list" && part !== "changes") assert(atMs <= (times.get(name) ?? -Infinity));
          if (part === "unchanged") assertEquals(one, server.get(name));
          server.set(name, one);
          times.set(name, atMs);
        }
      }
      for (const one of items) assertEquals(server.get(one.package_name), one);
      if (!isWhole) continue;
      const waiting = [...server.values()].filter(({ metadata }) => metadata["state"] !== "gone");
      assert(
        waiting.every((one) => items.some((other) => other.package_name === one.package_name)),
      );
    }
  }));
});
