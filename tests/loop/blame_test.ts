import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { StoredEvent } from "../../src/buffer/buffer.ts";
import type { Refusal } from "../../src/buffer/delivery.ts";
import { Blame, REFUSED_AGAIN_MS } from "../../src/loop/blame.ts";

/** A list that can be split. */
const TWO = '{"updates":[1,2]}';

function event(
  id: string,
  { kind = "updates", body = TWO }: Partial<StoredEvent> = {},
): StoredEvent {
  return {
    id,
    sequence: 1,
    place: 1,
    kind,
    commandId: null,
    snapshotOf: null,
    body,
    sizeBytes: 2,
    createdMs: 0,
    attempts: 0,
    state: "pending",
    lastError: null,
  };
}

function refusal(id: string, parts: Partial<StoredEvent> = {}): Refusal {
  return { event: event(id, parts), why: "HTTP 500", mayBeOneItem: true };
}

const at = { nowMs: 0, random: () => 0.5 };

Deno.test("broke() blames no event while nothing gets through", () => {
  const blame = new Blame();
  assertEquals(blame.broke(refusal("a"), at), "unknown");
  for (let count = 0; count < 20; count++) {
    assertEquals(blame.broke(refusal("a"), at), "still_unknown");
  }
});

Deno.test("broke() blames an event once another has got through since", () => {
  const blame = new Blame();
  assertEquals(blame.broke(refusal("a"), at), "unknown");
  blame.delivered(event("b"));
  assertEquals(blame.broke(refusal("a"), at), "its_own");
  assertEquals(blame.broke(refusal("a"), at), "still_unknown"); // Once for each proof.
});

Deno.test("delivered() blames the half that failed, once, whichever came first", () => {
  const first = new Blame();
  first.split("whole", ["a", "b"], true);
  assertEquals(first.broke(refusal("a"), at), "unknown");
  assertEquals(first.delivered(event("b"))?.id, "a");
  assertEquals(first.broke(refusal("a"), at), "its_own"); // Proven: the whole failed, the other did not.
  const second = new Blame();
  second.split("whole", ["a", "b"], true);
  assertEquals(second.delivered(event("a")), undefined);
  assertEquals(second.broke(refusal("b"), at), "its_own");
});

Deno.test("delivered() blames nobody where both halves got through", () => {
  const blame = new Blame();
  blame.split("whole", ["a", "b"], true);
  assertEquals([blame.delivered(event("a")), blame.delivered(event("b"))], [undefined, undefined]);
  assertEquals(blame.broke(refusal("c"), at), "unknown");
});

Deno.test("a refusal is tried again in a minute, a doubt in up to an hour", () => {
  const blame = new Blame();
  blame.refused(refusal("a"), 0);
  assertEquals([blame.notBeforeMs("a"), blame.nextMs(0)], [60_000, 60_000]);
  for (let count = 0; count < 9; count++) blame.broke(refusal("b"), { nowMs: 0, random: () => 1 });
  assertEquals(blame.notBeforeMs("b"), 3_600_000);
  assertEquals(blame.nextMs(60_000), 120_000); // Looks again in a minute all the same.
  blame.delivered(event("b"));
  assertEquals(blame.notBeforeMs("b"), -Infinity);
});

Deno.test("recovered() lets each doubt be tried once before its time, and that counts for nothing", () => {
  const blame = new Blame();
  for (let count = 0; count < 9; count++) blame.broke(refusal("a"), { nowMs: 0, random: () => 1 });
  blame.refused(refusal("b"), 0);
  blame.recovered();
  blame.delivered(event("c"));
  assertEquals([blame.notBeforeMs("a"), blame.notBeforeMs("b")], [-Infinity, 60_000]);
  assertEquals(blame.broke(refusal("a"), { nowMs: 1_000, random: () => 1 }), "unknown");
  assertEquals(blame.notBeforeMs("a"), 3_600_000);
  blame.recovered();
  // In its own time it counts, as it would have.
  assertEquals(blame.broke(refusal("a"), { nowMs: 3_600_000, random: () => 1 }), "its_own");
});

Deno.test("halves go on waiting where the whole stopped, and one is blamed when others get through", () => {
  const blame = new Blame();
  for (let count = 0; count < 9; count++) {
    blame.broke(refusal("whole"), {
      nowMs: 0,
      random: () => 1,
    });
  }
  blame.split("whole", ["a", "b"], false);
  assertEquals(blame.notBeforeMs("a"), -Infinity);
  assertEquals(blame.broke(refusal("a"), { nowMs: 0, random: () => 1 }), "still_unknown");
  assertEquals(blame.notBeforeMs("a"), 3_600_000);
  blame.delivered(event("c"));
  assertEquals(blame.broke(refusal("b"), at), "its_own");
});

Deno.test("broke() asks about ever smaller parts no more where many events are in doubt", () => {
  const blame = new Blame();
  for (let count = 0; count < 8; count++) blame.broke(refusal(`e${count}`), at);
  assertEquals(blame.broke(refusal("e0"), at), "still_unknown", "eight in doubt");
  blame.broke(refusal("e8"), at);
  assertEquals(blame.broke(refusal("e0"), at), "unknown", "nine in doubt");
});

Deno.test("a doubt is tried again after a minute at least, and two at most the first time", () => {
  const waits = (random: () => number) => {
    const blame = new Blame();
    blame.broke(refusal("a"), { nowMs: 500, random });
    return blame.notBeforeMs("a");
  };
  assertEquals([waits(() => 0), waits(() => 1)], [60_500, 120_500]);
});

Deno.test("delivered() blames no half a second time, nor one that was blamed before", () => {
  const blame = new Blame();
  blame.split("whole", ["a", "b"], true);
  blame.refused(refusal("a"), 0);
  assertEquals(blame.delivered(event("b")), undefined, "its refusal was counted");
  assertEquals(blame.delivered(event("b")), undefined);
});

Deno.test("nextMs() is the first instant to come, and in a minute at the latest", () => {
  const blame = new Blame();
  assertEquals(blame.nextMs(5_000), 65_000);
  blame.refused(refusal("a"), 0);
  blame.refused(refusal("b"), 10_000);
  assertEquals([blame.nextMs(59_999), blame.nextMs(60_000), blame.nextMs(70_000)], [
    60_000,
    70_000,
    130_000,
  ]);
});

Deno.test("clear() forgets who waits, who is whose half, and what was proven", () => {
  const blame = new Blame();
  blame.refused(refusal("a"), 0);
  blame.split("whole", ["b", "c"], true);
  blame.split("other", ["d", "e"], true);
  blame.delivered(event("d")); // Proves that the reason is in e.
  blame.clear();
  assertEquals(blame.notBeforeMs("a"), -Infinity);
  blame.broke(refusal("b"), at);
  assertEquals(blame.delivered(event("c")), undefined);
  assertEquals(blame.broke(refusal("e"), at), "unknown");
});

Deno.test("split() that left one part, or none, makes no halves", () => {
  const blame = new Blame();
  blame.broke(refusal("whole"), at);
  blame.split("whole", ["a"], false);
  assertEquals([blame.notBeforeMs("whole"), blame.notBeforeMs("a")], [-Infinity, -Infinity]);
  assertEquals(blame.broke(refusal("a"), at), "unknown");
});

Deno.test("split() of an event that was to blame lets its halves begin anew", () => {
  const blame = new Blame();
  for (let count = 0; count < 9; count++) blame.broke(refusal("whole"), at);
  blame.split("whole", ["a", "b"], true);
  assertEquals(blame.broke(refusal("a"), { nowMs: 0, random: () => 1 }), "unknown");
  assertEquals(blame.notBeforeMs("a"), 120_000);
});

Deno.test("putOffBeyond() names what waits longer than an instant, without its body", () => {
  const blame = new Blame();
  const told = refusal("a");
  blame.refused({ ...told, event: { ...told.event, commandId: "c", place: 7 } }, 1_000);
  assertEquals(blame.putOffBeyond(1_000), [{ id: "a", commandId: "c", place: 7 }]);
  assertEquals(blame.putOffBeyond(1_000 + REFUSED_AGAIN_MS), []);
  blame.forget("a");
  assertEquals(blame.putOffBeyond(-Infinity), []);
});

Deno.test("delivered() blames no half that has not been sent itself", () => {
  const blame = new Blame();
  blame.broke(refusal("whole"), at);
  blame.split("whole", ["a", "b"], false);
  assertEquals(blame.delivered(event("b")), undefined);
});

const ONE = '{"updates":[1]}';
const single = (id: string, place = 1) => {
  const told = refusal(id, { body: ONE });
  return { ...told, event: { ...told.event, commandId: "c", sequence: 100 + place, place } };
};
const part = (place: number) => ({ ...event("part"), commandId: "c", sequence: 50, place });

Deno.test("isFinal() is true at the third refusal of a single item whose neighbours got through", () => {
  for (const refuse of ["broke", "refused"] as const) {
    const blame = new Blame();
    const once = (id: string) =>
      refuse === "broke" ? blame.broke(single(id), at) : blame.refused(single(id), 0);
    blame.delivered(part(1));
    for (const [id, expected] of [["a", false], ["a", false], ["a", true], ["b", false]] as const) {
      once(id);
      assertEquals(blame.isFinal(id), expected, `${refuse} ${id}`);
    }
    blame.trouble();
    assertEquals(blame.isFinal("a"), false, "the server was in trouble meanwhile");
    once("a");
    assertEquals(blame.isFinal("a"), false, "and it counts anew");
  }
});

Deno.test("isFinal() needs a neighbour: neither other lists before, nor what is no list, will do", () => {
  const blame = new Blame();
  blame.delivered(part(2));
  blame.delivered({ ...event("whole"), place: 1, sequence: 1 });
  for (let count = 0; count < 5; count++) blame.broke(single("a"), at);
  blame.delivered(event("log", { kind: "log" }));
  assertEquals(blame.isFinal("a"), false);
  blame.delivered(event("another list"));
  assertEquals(blame.isFinal("a"), true, "a list since its first refusal");
  assertEquals(blame.isFinal("unknown"), false);
});

Deno.test("putOffBeyond() has nothing wait for a single item", () => {
  const blame = new Blame();
  blame.refused(single("a"), 0);
  assertEquals(blame.putOffBeyond(0), [{ id: "a", commandId: null, place: 1 }]);
});

Deno.test("broke() blames a part whose list has others that got through, but no long row of them", () => {
  const blame = new Blame();
  const other = (id: string) => {
    const told = refusal(id);
    return { ...told, event: { ...told.event, commandId: "c", sequence: 60, place: 1 } };
  };
  blame.delivered(part(1));
  assertEquals(["a", "b", "c", "d"].map((id) => blame.broke(other(id), at)), [
    "its_own",
    "its_own",
    "unknown",
    "unknown",
  ]);
  blame.delivered(event("log", { kind: "log" }));
  assertEquals(blame.broke(other("e"), at), "unknown", "the server was in trouble since");
});

Deno.test("isFinal() is true of nothing but a single item, refused three times in a row beside a neighbour", () => {
  type Step = "single" | "list" | "trouble" | "part" | "log";
  const steps = fc.array(fc.constantFrom<Step>("single", "list", "trouble", "part", "log"), {
    maxLength: 30,
  });
  fc.assert(fc.property(steps, (taken) => {
    const blame = new Blame();
    /** Since the last trouble: refusals of the item, and whether a part of its list got through. */
    let refusals = 0;
    let hasNeighbour = false;
    const trouble = () => [refusals, hasNeighbour] = [0, false];
    for (const step of taken) {
      if (step === "single") {
        blame.broke(single("a"), at);
        refusals += 1;
      } else if (step === "part") {
        blame.delivered(part(1));
        hasNeighbour = true;
      } else if (step === "log") blame.delivered(event("log", { kind: "log" }));
      else if (step === "trouble") {
        blame.trouble();
        trouble();
      } else if (blame.broke(refusal("other", { kind: "log" }), at) !== "its_own") trouble();
      if (blame.isFinal("a")) assert(refusals >= 3 && hasNeighbour, taken.join(" "));
      else assert(refusals < 3 || !hasNeighbour, taken.join(" "));
    }
  }));
});
