import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import type { StoredEvent } from "../../src/buffer/buffer.ts";
import {
  FailureAttribution,
  REFUSED_AGAIN_MS,
  type ReportRefusal,
} from "../../src/delivery/failure_attribution.ts";
import { seededRandom } from "../fakes/system.ts";

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
    isSuperseded: false,
  };
}

function refusal(id: string, parts: Partial<StoredEvent> = {}): ReportRefusal {
  return { event: event(id, parts), why: "HTTP 500", mayBeOneItem: true };
}

const at = { nowMs: 0, random: () => 0.5 };

Deno.test("failed() attributes nothing to an event while nothing gets through", () => {
  const attribution = new FailureAttribution();
  assertEquals(attribution.failed(refusal("a"), at), "unknown");
  for (let count = 0; count < 20; count++) {
    assertEquals(attribution.failed(refusal("a"), at), "still_unknown");
  }
});

Deno.test("failed() attributes a failure to the event once another has got through since", () => {
  const attribution = new FailureAttribution();
  assertEquals(attribution.failed(refusal("a"), at), "unknown");
  attribution.delivered(event("b"));
  assertEquals(attribution.failed(refusal("a"), at), "its_own");
  assertEquals(attribution.failed(refusal("a"), at), "still_unknown"); // Once for each proof.
});

Deno.test("failed() attributes nothing at a server that fails by chance, whatever gets through", () => {
  const rows: [delivered: number, outages: number, fault: string][] = [
    [1, 0, "its_own"],
    [5, 1, "still_unknown"],
    [6, 1, "its_own"],
    [50, 10, "still_unknown"],
    [51, 10, "its_own"],
  ];
  for (const [delivered, outages, fault] of rows) {
    const attribution = new FailureAttribution();
    attribution.failed(refusal("a"), at);
    for (let count = 0; count < outages; count++) attribution.recordServerFailure();
    for (let count = 0; count < delivered; count++) attribution.delivered(event(`b${count}`));
    assertEquals(attribution.failed(refusal("a"), at), fault, `${delivered} of ${outages}`);
  }
});

Deno.test("a good event has few attempts counted at a server that fails on half of all calls", () => {
  fc.assert(fc.property(fc.integer(), (seed) => {
    const random = seededRandom(seed);
    const attribution = new FailureAttribution();
    let counted = 0;
    // The event is tried until it succeeds; other calls go on meanwhile.
    while (random() < 0.75) {
      for (let call = 0; call < 20; call++) {
        if (random() < 0.5) attribution.recordServerFailure();
        else attribution.delivered(event("b"));
      }
      if (attribution.failed(refusal("a"), at) === "its_own") counted += 1;
    }
    assert(counted <= 1, `${counted} attempts counted`);
  }));
});

Deno.test("delivered() attributes the failure to the half that failed, once, whichever came first", () => {
  const first = new FailureAttribution();
  first.bisected("whole", ["a", "b"], true);
  assertEquals(first.failed(refusal("a"), at), "unknown");
  assertEquals(first.delivered(event("b"))?.id, "a");
  assertEquals(first.failed(refusal("a"), at), "its_own"); // Proven: the whole failed, the other did not.
  const second = new FailureAttribution();
  second.bisected("whole", ["a", "b"], true);
  assertEquals(second.delivered(event("a")), undefined);
  assertEquals(second.failed(refusal("b"), at), "its_own");
});

Deno.test("delivered() attributes nothing where both halves got through", () => {
  const attribution = new FailureAttribution();
  attribution.bisected("whole", ["a", "b"], true);
  assertEquals([attribution.delivered(event("a")), attribution.delivered(event("b"))], [
    undefined,
    undefined,
  ]);
  assertEquals(attribution.failed(refusal("c"), at), "unknown");
});

Deno.test("a refused event is sent again in a minute, an unattributed one in up to an hour", () => {
  const attribution = new FailureAttribution();
  attribution.refused(refusal("a"), 0);
  assertEquals([attribution.notBeforeMs("a"), attribution.nextDueAtMs(0)], [60_000, 60_000]);
  for (let count = 0; count < 9; count++) {
    attribution.failed(refusal("b"), {
      nowMs: 0,
      random: () => 1,
    });
  }
  assertEquals(attribution.notBeforeMs("b"), 3_600_000);
  assertEquals(attribution.nextDueAtMs(60_000), 120_000); // Looks again in a minute all the same.
  attribution.delivered(event("b"));
  assertEquals(attribution.notBeforeMs("b"), -Infinity);
});

Deno.test("recovered() lets each postponed event be tried once ahead of time, which counts for nothing", () => {
  const attribution = new FailureAttribution();
  for (let count = 0; count < 9; count++) {
    attribution.failed(refusal("a"), {
      nowMs: 0,
      random: () => 1,
    });
  }
  attribution.refused(refusal("b"), 0);
  attribution.recovered();
  attribution.delivered(event("c"));
  assertEquals([attribution.notBeforeMs("a"), attribution.notBeforeMs("b")], [-Infinity, 60_000]);
  assertEquals(attribution.failed(refusal("a"), { nowMs: 1_000, random: () => 1 }), "unknown");
  assertEquals(attribution.notBeforeMs("a"), 3_600_000);
  attribution.recovered();
  // In its own time it counts, as it would have.
  assertEquals(attribution.failed(refusal("a"), { nowMs: 3_600_000, random: () => 1 }), "its_own");
});

Deno.test("halves go on waiting where the whole stopped, and one is attributed when others get through", () => {
  const attribution = new FailureAttribution();
  for (let count = 0; count < 9; count++) {
    attribution.failed(refusal("whole"), {
      nowMs: 0,
      random: () => 1,
    });
  }
  attribution.bisected("whole", ["a", "b"], false);
  assertEquals(attribution.notBeforeMs("a"), -Infinity);
  assertEquals(attribution.failed(refusal("a"), { nowMs: 0, random: () => 1 }), "still_unknown");
  assertEquals(attribution.notBeforeMs("a"), 3_600_000);
  attribution.delivered(event("c"));
  assertEquals(attribution.failed(refusal("b"), at), "its_own");
});

Deno.test("failed() allows no ever smaller parts while many events are postponed", () => {
  const attribution = new FailureAttribution();
  for (let count = 0; count < 8; count++) attribution.failed(refusal(`e${count}`), at);
  assertEquals(attribution.failed(refusal("e0"), at), "still_unknown", "eight in doubt");
  attribution.failed(refusal("e8"), at);
  assertEquals(attribution.failed(refusal("e0"), at), "unknown", "nine in doubt");
});

Deno.test("an unattributed event is sent again after a minute at least, and two at most the first time", () => {
  const waits = (random: () => number) => {
    const attribution = new FailureAttribution();
    attribution.failed(refusal("a"), { nowMs: 500, random });
    return attribution.notBeforeMs("a");
  };
  assertEquals([waits(() => 0), waits(() => 1)], [60_500, 120_500]);
});

Deno.test("delivered() attributes nothing to a half twice, nor to one that it was attributed to before", () => {
  const attribution = new FailureAttribution();
  attribution.bisected("whole", ["a", "b"], true);
  attribution.refused(refusal("a"), 0);
  assertEquals(attribution.delivered(event("b")), undefined, "its refusal was counted");
  assertEquals(attribution.delivered(event("b")), undefined);
});

Deno.test("nextDueAtMs() is the first instant to come, and in a minute at the latest", () => {
  const attribution = new FailureAttribution();
  assertEquals(attribution.nextDueAtMs(5_000), 65_000);
  attribution.refused(refusal("a"), 0);
  attribution.refused(refusal("b"), 10_000);
  assertEquals(
    [
      attribution.nextDueAtMs(59_999),
      attribution.nextDueAtMs(60_000),
      attribution.nextDueAtMs(70_000),
    ],
    [
      60_000,
      70_000,
      130_000,
    ],
  );
});

Deno.test("clear() forgets who waits, who is whose half, and what was proven", () => {
  const attribution = new FailureAttribution();
  attribution.refused(refusal("a"), 0);
  attribution.bisected("whole", ["b", "c"], true);
  attribution.bisected("other", ["d", "e"], true);
  attribution.delivered(event("d")); // Proves that the reason is in e.
  attribution.clear();
  assertEquals(attribution.notBeforeMs("a"), -Infinity);
  attribution.failed(refusal("b"), at);
  assertEquals(attribution.delivered(event("c")), undefined);
  assertEquals(attribution.failed(refusal("e"), at), "unknown");
});

Deno.test("bisected() with one part, or none, records no halves", () => {
  const attribution = new FailureAttribution();
  attribution.failed(refusal("whole"), at);
  attribution.bisected("whole", ["a"], false);
  assertEquals([attribution.notBeforeMs("whole"), attribution.notBeforeMs("a")], [
    -Infinity,
    -Infinity,
  ]);
  assertEquals(attribution.failed(refusal("a"), at), "unknown");
});

Deno.test("bisected() of an event that caused its failure lets its halves begin anew", () => {
  const attribution = new FailureAttribution();
  for (let count = 0; count < 9; count++) attribution.failed(refusal("whole"), at);
  attribution.bisected("whole", ["a", "b"], true);
  assertEquals(attribution.failed(refusal("a"), { nowMs: 0, random: () => 1 }), "unknown");
  assertEquals(attribution.notBeforeMs("a"), 120_000);
});

Deno.test("postponedBeyond() names what waits longer than an instant, without its body", () => {
  const attribution = new FailureAttribution();
  const told = refusal("a");
  attribution.refused({ ...told, event: { ...told.event, commandId: "c", place: 7 } }, 1_000);
  assertEquals(attribution.postponedBeyond(1_000), [{ id: "a", commandId: "c", place: 7 }]);
  assertEquals(attribution.postponedBeyond(1_000 + REFUSED_AGAIN_MS), []);
  attribution.forget("a");
  assertEquals(attribution.postponedBeyond(-Infinity), []);
});

Deno.test("delivered() attributes nothing to a half that has not been sent itself", () => {
  const attribution = new FailureAttribution();
  attribution.failed(refusal("whole"), at);
  attribution.bisected("whole", ["a", "b"], false);
  assertEquals(attribution.delivered(event("b")), undefined);
});

const ONE = '{"updates":[1]}';
const single = (id: string, place = 1) => {
  const told = refusal(id, { body: ONE });
  return { ...told, event: { ...told.event, commandId: "c", sequence: 100 + place, place } };
};
const part = (place: number) => ({ ...event("part"), commandId: "c", sequence: 50, place });

Deno.test("isFinal() is true at the third refusal of a single item whose neighbours got through", () => {
  for (const refuse of ["broke", "refused"] as const) {
    const attribution = new FailureAttribution();
    const once = (id: string) =>
      refuse === "broke" ? attribution.failed(single(id), at) : attribution.refused(single(id), 0);
    attribution.delivered(part(1));
    for (const [id, expected] of [["a", false], ["a", false], ["a", true], ["b", false]] as const) {
      once(id);
      assertEquals(attribution.isFinal(id), expected, `${refuse} ${id}`);
    }
    attribution.recordServerFailure();
    assertEquals(attribution.isFinal("a"), false, "the server was in trouble meanwhile");
    once("a");
    assertEquals(attribution.isFinal("a"), false, "and it counts anew");
  }
});

Deno.test("isFinal() needs a neighbour: neither other lists before, nor what is no list, will do", () => {
  const attribution = new FailureAttribution();
  attribution.delivered(part(2));
  attribution.delivered({ ...event("whole"), place: 1, sequence: 1 });
  for (let count = 0; count < 5; count++) attribution.failed(single("a"), at);
  attribution.delivered(event("log", { kind: "log" }));
  assertEquals(attribution.isFinal("a"), false);
  attribution.delivered(event("another list"));
  assertEquals(attribution.isFinal("a"), true, "a list since its first refusal");
  assertEquals(attribution.isFinal("unknown"), false);
});

Deno.test("postponedBeyond() has nothing wait for a single item", () => {
  const attribution = new FailureAttribution();
  attribution.refused(single("a"), 0);
  assertEquals(attribution.postponedBeyond(0), [{ id: "a", commandId: null, place: 1 }]);
});

Deno.test("failed() attributes a failure to a part whose list has others that got through, but no long row of them", () => {
  const attribution = new FailureAttribution();
  const other = (id: string) => {
    const told = refusal(id);
    return { ...told, event: { ...told.event, commandId: "c", sequence: 60, place: 1 } };
  };
  attribution.delivered(part(1));
  assertEquals(["a", "b", "c", "d"].map((id) => attribution.failed(other(id), at)), [
    "its_own",
    "its_own",
    "unknown",
    "unknown",
  ]);
  attribution.delivered(event("log", { kind: "log" }));
  assertEquals(attribution.failed(other("e"), at), "unknown", "the server was in trouble since");
});

Deno.test("isFinal() is true of nothing but a single item, refused three times in a row beside a neighbour", () => {
  type Step = "single" | "list" | "trouble" | "part" | "log";
  const steps = fc.array(fc.constantFrom<Step>("single", "list", "trouble", "part", "log"), {
    maxLength: 30,
  });
  fc.assert(fc.property(steps, (taken) => {
    const attribution = new FailureAttribution();
    /** Since the last trouble: refusals of the item, and whether a part of its list got through. */
    let refusals = 0;
    let hasNeighbour = false;
    const trouble = () => [refusals, hasNeighbour] = [0, false];
    for (const step of taken) {
      if (step === "single") {
        attribution.failed(single("a"), at);
        refusals += 1;
      } else if (step === "part") {
        attribution.delivered(part(1));
        hasNeighbour = true;
      } else if (step === "log") attribution.delivered(event("log", { kind: "log" }));
      else if (step === "trouble") {
        attribution.recordServerFailure();
        trouble();
      } else if (attribution.failed(refusal("other", { kind: "log" }), at) !== "its_own") trouble();
      if (attribution.isFinal("a")) assert(refusals >= 3 && hasNeighbour, taken.join(" "));
      else assert(refusals < 3 || !hasNeighbour, taken.join(" "));
    }
  }));
});
