import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { ReportedList } from "../../src/commands/reported_snapshot.ts";
import {
  type DiffReport,
  diffUpdates,
  FULL_LIST_EVERY_MS,
  MOST_COMPLETE,
  MOST_COMPLETE_BYTES,
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
  { isWhole = true, nowMs = NOW.nowMs, wantsAll = false, ...more }: {
    isWhole?: boolean;
    nowMs?: number;
    wantsAll?: boolean;
    closesAbsent?: boolean;
    isListPending?: boolean;
    packageType?: "apt" | "dnf" | "winget" | "windows_update";
  } = {},
) {
  const { packageType = "apt", ...server } = more;
  const options = { nowMs, wantsAll, ...server };
  const diff = diffUpdates({ packageType, items, isWhole }, before, options);
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
  assertEquals([isFull, names(of("complete")), removed], [true, ["a", "b"], []]);
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

const LISTED = fc.record({
  name: fc.constantFrom("a", "b", "c", "d"),
  version: fc.constantFrom("1", "2"),
});

/** Any scan of a host, and how long after the one before it. */
const SCAN = {
  list: fc.uniqueArray(LISTED, { selector: ({ name }) => name }),
  isWhole: fc.boolean(),
  wantsAll: fc.boolean(),
  hours: fc.integer({ min: -30, max: 30 }),
};

Deno.test("diffUpdates() leaves the server with the available updates, whatever came before", () => {
  const scan = fc.record(SCAN);
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
          if (part === "removed" || part === "unchanged") {
            assert(atMs <= (times.get(name) ?? -Infinity));
          }
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

const closing = { closesAbsent: true } as const;
const parts = ({ reports }: { reports: readonly DiffReport[] }) => reports.map(({ part }) => part);

Deno.test("diffUpdates() reports a removal by a complete list to a server that closes rows, by a row to another", () => {
  const before = report(item("a"), item("b"));
  const closed = compare([item("a")], before, closing);
  assertEquals(parts(closed), ["complete"]);
  assertEquals([names(closed.of("complete")), closed.removed], [["a"], ["b"]]);
  assertEquals([closed.reported.removed, closed.reported.closesAbsent], [{}, true]);
  const told = compare([item("a")], before);
  assertEquals([parts(told), names(told.of("removed"))], [["removed"], ["b"]]);
  assertEquals("closesAbsent" in told.reported, false);
});

Deno.test("diffUpdates() closes the last update by an empty complete list, and needs no other then", () => {
  const before = compare([item("a")], undefined, closing).reported;
  const emptied = compare([], before, closing);
  assertEquals(emptied.reports, [{ part: "complete", items: [], atMs: NOW.nowMs }]);
  assertEquals(compare([], emptied.reported, closing).reports, []);
  assertEquals(compare([], report(item("a"))).of("complete"), []);
});

Deno.test("diffUpdates() repeats a row of the server's where a list with gaps has none", () => {
  const before = report(item("a"));
  const { reports } = compare([], before, { isWhole: false, nowMs: NOW.nowMs + 5_000 });
  assertEquals(reports, [{ part: "unchanged", items: [item("a")], atMs: NOW.nowMs }]);
});

Deno.test("diffUpdates() reports no change by a complete list, and no removal by a list with gaps", () => {
  const before = compare([item("a"), item("b")], undefined, closing).reported;
  assertEquals(parts(compare([item("a", "3"), item("b")], before, closing)), ["changes"]);
  assertEquals(parts(compare([item("a", "3")], before, { ...closing, isWhole: false })), [
    "changes",
  ]);
  const daily = { ...closing, isWhole: false, wantsAll: true };
  assertEquals(parts(compare([item("a")], before, daily)), ["list"]);
});

Deno.test("diffUpdates() closes nothing of winget and Windows Update, which no server can", () => {
  for (const packageType of ["winget", "windows_update"] as const) {
    const options = { ...closing, packageType };
    const first = compare([item("a"), item("b")], undefined, options);
    assertEquals([parts(first), first.reported.closesAbsent], [["list"], undefined]);
    assertEquals(parts(compare([item("a")], first.reported, options)), ["removed"]);
  }
  assertEquals(parts(compare([item("a")], undefined, { packageType: "dnf" })), ["complete"]);
});

Deno.test("diffUpdates() sends a list that is too large for one request in parts, and closes nothing", () => {
  const many = (count: number) => Array.from({ length: count }, (_, n) => item(`p${n}`));
  assertEquals(parts(compare(many(MOST_COMPLETE), undefined)), ["complete"]);
  assertEquals(parts(compare(many(MOST_COMPLETE + 1), undefined)), ["list"]);
  const size = JSON.stringify([{ ...item("a"), package_description: "" }]).length;
  const long = (bytes: number) => ({ ...item("a"), package_description: "x".repeat(bytes - size) });
  assertEquals(parts(compare([long(MOST_COMPLETE_BYTES)], undefined)), ["complete"]);
  assertEquals(parts(compare([long(MOST_COMPLETE_BYTES + 1)], undefined)), ["list"]);
  const before = compare(many(MOST_COMPLETE + 2), undefined, closing).reported;
  assertEquals(parts(compare(many(MOST_COMPLETE + 1), before, closing)), ["removed"]);
});

Deno.test("diffUpdates() has an upgraded server close the rows that it was told of before", () => {
  const before = compare([item("a")], report(item("a"), item("b"))).reported;
  assertEquals(Object.keys(before.removed), ["b"]);
  const upgraded = compare([item("a")], before, closing);
  assertEquals([parts(upgraded), upgraded.reported.removed], [["complete"], {}]);
  // From then on no row of a removed update is sent again.
  assertEquals(names(compare([item("a")], upgraded.reported, closing).of("unchanged")), ["a"]);
});

Deno.test("diffUpdates() supersedes a list that waits, as soon as there are changes", () => {
  const before = report(item("a"));
  const pending = { isListPending: true };
  assertEquals(parts(compare([item("a"), item("b")], before, pending)), ["complete"]);
  assertEquals(parts(compare([item("b")], before, { ...pending, isWhole: false })), ["list"]);
  assertEquals(parts(compare([item("a")], before, pending)), ["unchanged"]);
});

Deno.test("diffUpdates() leaves a server that closes rows with the available updates, known as such or not", () => {
  const scan = fc.record({ ...SCAN, isKnown: fc.boolean() });
  fc.assert(fc.property(fc.array(scan, { maxLength: 12 }), (scans) => {
    const pending = new Map<string, UpdateItem>();
    let reported: ReportedList | undefined;
    let nowMs = 0;
    for (const { list, isWhole, wantsAll, hours, isKnown } of scans) {
      nowMs += hours * 3_600_000;
      const items = list.map(({ name, version }) => item(name, version));
      const options = { isWhole, wantsAll, nowMs, closesAbsent: isKnown };
      const diff = compare(items, reported, options);
      reported = diff.reported;
      for (const { part, items } of diff.reports) {
        for (const one of items) pending.set(one.package_name, one);
        if (part !== "complete") continue;
        const present = new Set(names(items));
        for (const name of [...pending.keys()]) if (!present.has(name)) pending.delete(name);
      }
      for (const one of items) assertEquals(pending.get(one.package_name), one);
      if (!isWhole) continue;
      const waiting = [...pending.values()].filter(({ metadata }) =>
        isKnown || metadata["state"] !== "gone"
      );
      assertEquals(new Set(names(waiting)), new Set(names(items)));
    }
  }));
});
