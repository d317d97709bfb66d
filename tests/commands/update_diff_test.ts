import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { ReportedList } from "../../src/commands/reported_snapshot.ts";
import {
  type DiffReport,
  diffUpdates,
  FULL_LIST_EVERY_MS,
  MOST_REMOVED,
  ROW_LENGTH,
} from "../../src/commands/update_diff.ts";
import { removedItem, type UpdateItem } from "../../src/server/update_item.ts";

const NOW = { nowMs: 1_000_000, wantsAll: false };

function item(name: string, version = "2", severity: UpdateItem["severity"] = "low"): UpdateItem {
  return { ...removedItem("apt", name, version), severity, metadata: { state: "upgradable" } };
}

function compare(
  items: readonly UpdateItem[],
  before: ReportedList | undefined,
  { isWhole = true, nowMs = NOW.nowMs, wantsAll = false } = {},
) {
  const diff = diffUpdates({ packageType: "apt", items, isWhole }, before, { nowMs, wantsAll });
  /** Those of one kind of report. */
  const of = (part: DiffReport["part"]) =>
    diff.reports.filter((report) => report.part === part).flatMap((report) => report.items);
  return { ...diff, of };
}

function report(...items: UpdateItem[]): ReportedList {
  return compare(items, undefined).reported;
}

const names = (items: readonly UpdateItem[]) => items.map(({ package_name }) => package_name);

Deno.test("diffUpdates() reports the whole list to a server that knows nothing", () => {
  const { isFull, of, removed, reported } = compare([item("a"), item("b")], undefined);
  assertEquals([isFull, names(of("list")), removed], [true, ["a", "b"], []]);
  assertEquals([reported.fullAtMs, Object.keys(reported.items)], [NOW.nowMs, ["a", "b"]]);
});

Deno.test("diffUpdates() repeats one row of an unchanged list, with its own timestamp", () => {
  const before = report(item("a"), item("b"));
  const { isFull, reports, removed, reported } = compare([item("b"), item("a")], before, {
    nowMs: NOW.nowMs + 5_000,
  });
  assertEquals([isFull, reports, removed], [
    false,
    [{ part: "unchanged", items: [item("b")], atMs: NOW.nowMs }],
    [],
  ]);
  assertEquals(reported, before);
});

Deno.test("diffUpdates() repeats the row whose approval matters least", () => {
  const held = { ...item("held"), metadata: { state: "held" } };
  const again = (items: readonly UpdateItem[], before: ReportedList) =>
    compare(items, before).of("unchanged");
  assertEquals(names(again([item("a"), held, item("b")], report(item("a"), held, item("b")))), [
    "held",
  ]);
  const removed =
    compare([item("a"), held], report(item("a"), held, item("gone"), item("later"))).reported;
  assertEquals(names(again([item("a"), held], removed)), ["later"]);
  assertEquals(again([item("a"), held], removed)[0]?.metadata["state"], "gone");
  assertEquals(names(again([], compare([], removed).reported)), ["held"], "the one that went last");
  assertEquals(compare([], undefined).reports, [], "there never was a row");
  const twice = [item("a", "1"), item("a", "2")];
  const [same] = again(twice, report(...twice));
  assertEquals(same?.available_version, "2", "the version that the server has");
});

Deno.test("diffUpdates() reports new packages, and those of which any field changed", () => {
  const before = report(item("a"), item("b"), item("c"));
  const { of, changed } = compare(
    [item("a", "3"), item("b"), item("c", "2", "critical"), item("d")],
    before,
  );
  assertEquals([names(of("changes")), changed], [["a", "c", "d"], 3]);
});

Deno.test("diffUpdates() reports a removed package once, behind the rows of its last report", () => {
  const before = report(item("a"), item("b", "7"));
  const { reports, removed, reported } = compare([item("a")], before, {
    nowMs: NOW.nowMs + 60_000,
  });
  assertEquals([removed, reports.map(({ part, atMs }) => [part, atMs])], [
    ["b"],
    [["removed", NOW.nowMs - 1_000]],
  ]);
  const [{ package_name, severity, available_version, metadata } = item("none")] =
    reports[0]?.items ?? [];
  assertEquals([package_name, severity, available_version, metadata["state"]], [
    "b",
    "low",
    "7",
    "gone",
  ]);
  assertEquals(reported.removed, { b: { version: "7", atMs: NOW.nowMs - 1_000 } });
  assertEquals(compare([item("a")], reported).of("removed"), []);
  const back = compare([item("a"), item("b", "8")], reported);
  assertEquals([names(back.of("changes")), back.reported.removed], [["b"], {}]);
});

Deno.test("diffUpdates() gives no removed row a future time, however the clock was set", () => {
  const before = report(item("a"), item("b"));
  const { reports } = compare([item("a")], before, { nowMs: NOW.nowMs - 500_000 });
  assertEquals(reports[0]?.atMs, NOW.nowMs - 501_000);
});

Deno.test("diffUpdates() holds a row for each package, but no endless one, and 200 removed packages", () => {
  const long = { ...item("long"), package_description: "x".repeat(ROW_LENGTH) };
  const { items } = report(item("a"), long);
  assertEquals([items["a"]?.row, items["long"]?.row], [item("a"), null]);
  const many = Array.from({ length: MOST_REMOVED + 1 }, (_, n) => item(`p${n}`));
  const { removed } = compare([], report(...many)).reported;
  assertEquals([Object.keys(removed).length, Object.keys(removed).at(-1), removed["p0"]], [
    MOST_REMOVED,
    `p${MOST_REMOVED}`,
    undefined,
  ]);
});

Deno.test("diffUpdates() reports nothing as removed where the list is not whole", () => {
  const before = report(item("a"), item("b"));
  const degraded = compare([item("a")], before, { isWhole: false });
  assertEquals([degraded.of("removed"), degraded.removed], [[], []]);
  assertEquals(names(compare([item("a")], degraded.reported).of("removed")), ["b"]);
});

Deno.test("diffUpdates() reports the whole list after a day and not before, and on request", () => {
  const before = report(item("a"));
  const after = (ms: number) => compare([item("a")], before, { nowMs: NOW.nowMs + ms }).isFull;
  assertEquals(after(FULL_LIST_EVERY_MS - 1), false);
  assertEquals(after(FULL_LIST_EVERY_MS), true);
  assertEquals(after(-FULL_LIST_EVERY_MS), true, "the clock was set back");
  assertEquals(compare([item("a")], before, { wantsAll: true }).isFull, true);
});

Deno.test("diffUpdates() reports two versions side by side together, under their one name", () => {
  const before = report(item("a", "1"), item("a", "2"));
  assertEquals(before.items["a"]?.version, "2", "the server keeps the last");
  assertEquals(compare([item("a", "1"), item("a", "2")], before).of("changes"), []);
  assertEquals(compare([item("a", "1"), item("a", "3")], before).of("changes").length, 2);
});

Deno.test("diffUpdates() leaves the server with the available updates, whatever came before", () => {
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
    let reported: ReportedList | undefined;
    let nowMs = 0;
    for (const { list, isWhole, wantsAll, hours } of scans) {
      nowMs += hours * 3_600_000;
      const items = list.map(({ name, version }) => item(name, version));
      const diff = compare(items, reported, { isWhole, wantsAll, nowMs });
      reported = diff.reported;
      // As long as there is any row, each scan moves "Last scan".
      assert(diff.reports.length > 0 || server.size === 0);
      for (const { part, items, atMs } of diff.reports) {
        for (const one of items) {
          const { package_name: name } = one;
          // No removed row, and no repeated one, moves up in the list.
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
