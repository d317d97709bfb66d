/**
 * The machine against a model of it: random interleavings of calls, late results, waits and
 * restarts. The model knows no generations; it knows which calls were let through in the present
 * state, and nothing but those may count.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  admit,
  advance,
  type Breaker,
  type BreakerPolicy,
  NEW_BREAKER,
  type Permit,
  settle,
  type Verdict,
} from "../../src/breaker/breaker.ts";
import { restoreBreaker, saveBreaker } from "../../src/breaker/saved.ts";
import { breaker, breakerRules } from "../fakes/breaker_numbers.ts";

const MAX_OPEN_MS = breaker.maxOpenMs;

const policy: BreakerPolicy = {
  ...breakerRules,
  openMs: ({ trips }, random) => Math.min(MAX_OPEN_MS, 60_000 * trips) * (0.5 + random() / 2),
};

/** A call that was let through; the object itself tells which state let it. */
interface Call {
  readonly permit: Permit;
  readonly during: Model;
}

/** One stay in one state. */
type Model =
  | { readonly state: "closed"; readonly results: boolean[] }
  | { readonly state: "open"; readonly untilMs: number }
  | { readonly state: "half_open"; probe: { readonly untilMs: number } | null };

type Action =
  | { readonly kind: "ask" }
  | { readonly kind: "settle"; readonly which: number; readonly verdict: Verdict }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "wait_until_due"; readonly offMs: number }
  | { readonly kind: "restart" };

/** Each choice is one number with a table: a hundred thousand runs make some millions of them. */
const settlements = Array.from(
  { length: 8 },
  (_, which) =>
    (["failure", "failure", "failure", "success", "neutral"] as const).map((verdict) =>
      ({ kind: "settle", which, verdict }) as const
    ),
).flat();

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: "ask" as const }) },
  { weight: 6, arbitrary: fc.constantFrom(...settlements) },
  { weight: 1, arbitrary: fc.nat(200_000).map((ms) => ({ kind: "wait" as const, ms })) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...[-1, 0, 1].map((offMs) => ({ kind: "wait_until_due" as const, offMs })),
    ),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
);

/** The machine and its model, side by side. */
class Pair {
  breaker: Breaker = NEW_BREAKER;
  model: Model = { state: "closed", results: [] };
  calls: Call[] = [];
  nowMs = 0;

  constructor(private readonly draw: number) {}

  run(step: Action): void {
    switch (step.kind) {
      case "ask":
        return this.#ask();
      case "settle":
        return this.#settle(step.which, step.verdict);
      case "wait":
        return this.#wait(step.ms);
      case "wait_until_due":
        return this.#wait(Math.max(0, this.#dueMs() - this.nowMs + step.offMs));
      case "restart":
        return this.#restart();
    }
  }

  get #step() {
    return { nowMs: this.nowMs, policy, random: () => this.draw };
  }

  #ask(): void {
    this.#letTimePass();
    const admission = admit(this.breaker, this.#step);
    this.breaker = admission.breaker;
    const { model } = this;
    const mayCall = model.state === "closed" ||
      model.state === "half_open" && model.probe === null;
    assertEquals(admission.admitted, mayCall, `asked in ${model.state}`);
    if (!admission.admitted) {
      // As a value, and neither too early nor too late.
      return assertEquals(admission.retryInMs, this.#dueMs() - this.nowMs);
    }
    assertEquals(admission.permit.probe, model.state === "half_open");
    if (model.state === "half_open") {
      model.probe = { untilMs: this.nowMs + policy.probeTimeoutMs };
    }
    this.calls.push({ permit: admission.permit, during: model });
  }

  #settle(which: number, verdict: Verdict): void {
    const [call] = this.calls.splice(which % Math.max(1, this.calls.length), 1);
    if (!call) return;
    this.#letTimePass();
    this.breaker = settle(this.breaker, { permit: call.permit, verdict, reason: "" }, this.#step);
    const { model } = this;
    if (call.during !== model || verdict === "neutral" && model.state === "closed") return;
    if (model.state === "closed") {
      model.results.push(verdict === "failure");
      const lastFailed = (count: number) => model.results.slice(-count).filter(Boolean).length;
      if (lastFailed(5) === 5 || lastFailed(10) >= 5) this.#opened();
    } else if (model.state === "half_open") {
      model.probe = null;
      if (verdict === "failure") this.#opened();
      if (verdict === "success") this.model = { state: "closed", results: [] };
    }
  }

  #wait(ms: number): void {
    this.nowMs += ms;
    // Sometimes somebody looks, sometimes nobody does.
    if (ms % 2 === 0) {
      this.#letTimePass();
      this.breaker = advance(this.breaker, this.#step);
    }
  }

  /** The process is killed: its calls are gone, its clock begins anew. */
  #restart(): void {
    this.#letTimePass();
    this.breaker = advance(this.breaker, this.#step);
    const epochMs = 1_800_000_000_000;
    const clocks = { nowMs: epochMs, monotonicMs: Math.round(this.nowMs) };
    this.nowMs = clocks.monotonicMs;
    this.breaker = restoreBreaker(saveBreaker(this.breaker, clocks), clocks, MAX_OPEN_MS);
    this.calls = [];
    if (this.model.state === "half_open") this.model.probe = null;
    if (this.breaker.state === "open") {
      assert(this.model.state === "open");
      assert(Math.abs(this.breaker.untilMs - this.model.untilMs) <= 1);
      this.model = { state: "open", untilMs: this.breaker.untilMs };
    }
  }

  #letTimePass(): void {
    const { model } = this;
    if (model.state === "half_open" && model.probe && this.nowMs >= model.probe.untilMs) {
      this.breaker = advance(this.breaker, this.#step);
      this.#opened();
    } else if (model.state === "open" && this.nowMs >= model.untilMs) {
      this.model = { state: "half_open", probe: null };
    }
  }

  /** How long is the policy's business; that it is within the bounds is checked here. */
  #opened(): void {
    assert(this.breaker.state === "open", "should have opened");
    const openMs = this.breaker.untilMs - this.nowMs;
    assert(openMs >= 30_000 && openMs <= MAX_OPEN_MS, `${openMs} ms open`);
    this.model = { state: "open", untilMs: this.breaker.untilMs };
  }

  #dueMs(): number {
    const { model } = this;
    if (model.state === "open") return model.untilMs;
    return model.state === "half_open" ? model.probe?.untilMs ?? this.nowMs : this.nowMs;
  }
}

Deno.test("100,000 interleavings: the breaker does what its model does, and nothing else", () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(
      fc.array(action, { minLength: 10, maxLength: 60, size: "max" }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (actions, draw) => {
        const pair = new Pair(draw);
        for (const step of actions) {
          const before = pair.breaker;
          pair.run(step);
          const after = advance(pair.breaker, { nowMs: pair.nowMs, policy, random: () => draw });
          if (step.kind !== "wait" && step.kind !== "wait_until_due") {
            assertEquals(pair.breaker.state, pair.model.state, step.kind);
          }
          assert(after.generation >= before.generation);
          const way = `${before.state} > ${pair.breaker.state}`;
          seen.set(way, (seen.get(way) ?? 0) + 1);
        }
      },
    ),
    { numRuns: 100_000 },
  );
  const lawful = ["closed > open", "open > half_open", "half_open > open", "half_open > closed"];
  for (const way of lawful) assert((seen.get(way) ?? 0) > 1_000, `${way}: ${seen.get(way)}`);
});
