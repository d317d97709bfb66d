import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { EventKind } from "../../src/buffer/buffer.ts";
import { type Droppable, planRoom, urgencyBehind } from "../../src/buffer/rules.ts";

const limits = { maxEvents: 10, maxBytes: 1_000, maxAttempts: 1 };

function candidate(sequence: number, sizeBytes: number): Droppable {
  return { sequence, kind: "log", sizeBytes };
}

Deno.test("urgencyBehind() puts results first, unless their command has more to tell", () => {
  assertEquals(urgencyBehind("log", null), 2);
  assertEquals(urgencyBehind("log", 2), 2);
  assertEquals(urgencyBehind("log", 1), 1);
  assertEquals(urgencyBehind("system_info", 2), 0);
});

Deno.test("urgencyBehind() puts host facts last, lists behind results, and no result before another", () => {
  const of = (kind: EventKind) => urgencyBehind(kind, null);
  assert(of("system_info") < of("updates") && of("updates") < of("dependencies"));
  assertEquals(of("dependencies"), of("log"));
});

Deno.test("planRoom() drops nothing while there is room, to the last event and byte", () => {
  const plan = (events: number, sizeBytes: number) =>
    planRoom([candidate(1, 100)], { load: { events, sizeBytes }, limits }, 100)?.length;
  assertEquals(plan(9, 900), 0);
  assertEquals(plan(10, 900), 1);
  assertEquals(plan(9, 901), 1);
});

Deno.test("planRoom() drops in the given order, and no more than it takes", () => {
  const candidates = [candidate(1, 40), candidate(2, 40), candidate(3, 40)];
  const present = { load: { events: 5, sizeBytes: 1_000 }, limits };
  assertEquals(planRoom(candidates, present, 80)?.map(({ sequence }) => sequence), [1, 2]);
});

Deno.test("planRoom() drops nothing at all for what would not fit anyway", () => {
  const present = { load: { events: 10, sizeBytes: 1_000 }, limits };
  assertEquals(planRoom([candidate(1, 40)], present, 41), null);
  assertEquals(planRoom([], present, 1), null);
});

Deno.test("planRoom() makes room exactly when room can be made", () => {
  const kinds = fc.constantFrom<EventKind>("log", "updates");
  const candidates = fc.array(
    fc.record({ sequence: fc.nat(), kind: kinds, sizeBytes: fc.integer({ min: 1, max: 400 }) }),
    { maxLength: 10 },
  );
  fc.assert(fc.property(candidates, fc.nat(1_200), fc.nat(500), (all, extraBytes, sizeBytes) => {
    const load = {
      events: all.length,
      sizeBytes: extraBytes + all.reduce((sum, one) => sum + one.sizeBytes, 0),
    };
    const plan = planRoom(all, { load, limits }, sizeBytes);
    const left = (gone: number) =>
      all.slice(gone).reduce((sum, one) => sum + one.sizeBytes, extraBytes) + sizeBytes;
    if (plan === null) return void assert(left(all.length) > limits.maxBytes);
    assertEquals(plan, all.slice(0, plan.length));
    assert(left(plan.length) <= limits.maxBytes && all.length - plan.length < limits.maxEvents);
    const oneLess = plan.length - 1;
    if (plan.length === 0) return;
    assert(left(oneLess) > limits.maxBytes || all.length - oneLess >= limits.maxEvents);
  }));
});
