import { assertEquals } from "@std/assert";
import type { StoredEvent } from "../../src/buffer/buffer.ts";
import type { Refusal } from "../../src/buffer/delivery.ts";
import { Blame } from "../../src/loop/blame.ts";

function refusal(id: string): Refusal {
  const event: StoredEvent = {
    id,
    sequence: 1,
    place: 1,
    kind: "updates",
    commandId: null,
    snapshotOf: null,
    body: "{}",
    sizeBytes: 2,
    createdMs: 0,
    attempts: 0,
    state: "pending",
    lastError: null,
  };
  return { event, why: "HTTP 500", mayBeOneItem: true };
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
  blame.delivered("b");
  assertEquals(blame.broke(refusal("a"), at), "its_own");
  assertEquals(blame.broke(refusal("a"), at), "still_unknown"); // Once for each proof.
});

Deno.test("delivered() blames the half that failed, once, whichever came first", () => {
  const first = new Blame();
  first.split("whole", ["a", "b"], true);
  assertEquals(first.broke(refusal("a"), at), "unknown");
  assertEquals(first.delivered("b")?.event.id, "a");
  assertEquals(first.broke(refusal("a"), at), "its_own"); // Proven: the whole failed, the other did not.
  const second = new Blame();
  second.split("whole", ["a", "b"], true);
  assertEquals(second.delivered("a"), undefined);
  assertEquals(second.broke(refusal("b"), at), "its_own");
});

Deno.test("delivered() blames nobody where both halves got through", () => {
  const blame = new Blame();
  blame.split("whole", ["a", "b"], true);
  assertEquals([blame.delivered("a"), blame.delivered("b")], [undefined, undefined]);
  assertEquals(blame.broke(refusal("c"), at), "unknown");
});

Deno.test("a refusal is tried again in a minute, a doubt in up to an hour", () => {
  const blame = new Blame();
  blame.refused(refusal("a"), 0);
  assertEquals([blame.notBeforeMs("a"), blame.nextMs(0)], [60_000, 60_000]);
  for (let count = 0; count < 9; count++) blame.broke(refusal("b"), { nowMs: 0, random: () => 1 });
  assertEquals(blame.notBeforeMs("b"), 3_600_000);
  assertEquals(blame.nextMs(60_000), 120_000); // Looks again in a minute all the same.
  blame.delivered("b");
  assertEquals(blame.notBeforeMs("b"), -Infinity);
});

Deno.test("recovered() lets each doubt be tried once before its time, and that counts for nothing", () => {
  const blame = new Blame();
  for (let count = 0; count < 9; count++) blame.broke(refusal("a"), { nowMs: 0, random: () => 1 });
  blame.refused(refusal("b"), 0);
  blame.recovered();
  blame.delivered("c");
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
  blame.delivered("c");
  assertEquals(blame.broke(refusal("b"), at), "its_own");
});
