import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { findNews, FULL_LIST_EVERY_MS, type ToldList } from "../../src/commands/news.ts";
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
  return findNews({ packageType: "apt", items, isWhole }, told, { nowMs, wantsAll });
}

function tell(...items: UpdateItem[]): ToldList {
  return compare(items, undefined).told;
}

const names = (items: readonly UpdateItem[]) => items.map(({ package_name }) => package_name);

Deno.test("findNews() tells a server that knows nothing the whole list", () => {
  const { isFull, items, gone, told } = compare([item("a"), item("b")], undefined);
  assertEquals([isFull, names(items), gone], [true, ["a", "b"], []]);
  assertEquals([told.fullAtMs, Object.keys(told.items)], [NOW.nowMs, ["a", "b"]]);
});

Deno.test("findNews() has nothing to tell of a list that is the same", () => {
  const { isFull, items, gone } = compare([item("b"), item("a")], tell(item("a"), item("b")));
  assertEquals([isFull, items, gone], [false, [], []]);
});

Deno.test("findNews() tells what is new, and what is the same package in other words", () => {
  const told = tell(item("a"), item("b"), item("c"));
  const { items } = compare(
    [item("a", "3"), item("b"), item("c", "2", "critical"), item("d")],
    told,
  );
  assertEquals(names(items), ["a", "c", "d"]);
});

Deno.test("findNews() tells once that a package waits no more, by an item that presses nobody", () => {
  const { items, gone, told } = compare([item("a")], tell(item("a"), item("b", "7")));
  assertEquals([gone, names(items)], [["b"], ["b"]]);
  const [{ severity, available_version, metadata } = item("none")] = items;
  assertEquals([severity, available_version, metadata["state"]], ["low", "7", "gone"]);
  assertEquals(compare([item("a")], told).items, []);
});

Deno.test("findNews() takes nothing for gone where the list is not whole", () => {
  const told = tell(item("a"), item("b"));
  const degraded = compare([item("a")], told, { isWhole: false });
  assertEquals([degraded.items, degraded.gone], [[], []]);
  assertEquals(names(compare([item("a")], degraded.told).items), ["b"]);
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
  assertEquals(compare([item("a", "1"), item("a", "2")], told).items, []);
  assertEquals(compare([item("a", "1"), item("a", "3")], told).items.length, 2);
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
    let told: ToldList | undefined;
    let nowMs = 0;
    for (const { list, isWhole, wantsAll, hours } of scans) {
      nowMs += hours * 3_600_000;
      const items = list.map(({ name, version }) => item(name, version));
      const news = compare(items, told, { isWhole, wantsAll, nowMs });
      told = news.told;
      for (const one of news.items) server.set(one.package_name, one);
      for (const one of items) assertEquals(server.get(one.package_name), one);
      if (!isWhole) continue;
      const waiting = [...server.values()].filter(({ metadata }) => metadata["state"] !== "gone");
      assert(
        waiting.every((one) => items.some((other) => other.package_name === one.package_name)),
      );
    }
  }));
});
