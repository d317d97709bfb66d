import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import * as v from "valibot";
import { readPolicy, serverPolicy } from "../../src/server/policy.ts";

const read = (answer: unknown) => readPolicy(JSON.stringify(answer));

const NOTHING = { jitterMaxMs: null, backoffBaseMs: null, backoffMaxMs: null, subsystems: {} };

Deno.test("readPolicy() reads what RedFlag 0.2 answers", () => {
  const answer = {
    subsystems: { apt: { enabled: true, interval_minutes: 15, auto_run: true } },
    polling: { jitter_max_seconds: 30, backoff_base_seconds: 10, backoff_max_seconds: 300 },
    command_signing: { stale_key_max_age_hours: 168 },
    version: 1_780_000_000,
  };
  assertEquals(read(answer), {
    ok: true,
    value: {
      jitterMaxMs: 30_000,
      backoffBaseMs: 10_000,
      backoffMaxMs: 300_000,
      subsystems: { apt: { enabled: true, intervalMinutes: 15, autoRun: true } },
    },
  });
});

Deno.test("readPolicy() takes no other object for a policy", () => {
  for (const answer of [{}, { version: 1 }, [], null, 1, "polling", { message: "stored" }]) {
    assertEquals(read(answer).ok, false, JSON.stringify(answer));
  }
  assertEquals(readPolicy("<html>polling</html>").ok, false);
});

Deno.test("readPolicy() ignores a value that makes no sense, and no other", () => {
  assertEquals(read({ polling: null, subsystems: null }), { ok: true, value: NOTHING });
  assertEquals(read({ polling: 7, subsystems: [1] }), { ok: true, value: NOTHING });
  const polling = {
    jitter_max_seconds: -1,
    backoff_base_seconds: "10",
    backoff_max_seconds: 1e9,
  };
  assertEquals(read({ polling }), { ok: true, value: { ...NOTHING, backoffMaxMs: 86_400_000 } });
  const subsystems = {
    apt: { enabled: true },
    dnf: { enabled: "yes" },
    "A B": { enabled: true },
    winget: { enabled: false, interval_minutes: 1e9, auto_run: 1 },
  };
  assertEquals(read({ subsystems }), {
    ok: true,
    value: {
      ...NOTHING,
      subsystems: {
        apt: { enabled: true, intervalMinutes: null, autoRun: false },
        winget: { enabled: false, intervalMinutes: 10_080, autoRun: false },
      },
    },
  });
});

Deno.test("readPolicy() keeps 50 subsystems at most", () => {
  const named = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`s${at}`, { enabled: true }]));
  for (const [sent, kept] of [[50, 50], [51, 50]] as const) {
    const answer = read({ subsystems: named(sent) });
    assert(answer.ok);
    assertEquals(Object.keys(answer.value.subsystems).length, kept);
  }
});

Deno.test("readPolicy() returns only what the state file takes, whatever it is sent", () => {
  const value = fc.oneof(fc.jsonValue(), fc.double({ noNaN: true, noDefaultInfinity: true }));
  const part = fc.record({
    jitter_max_seconds: value,
    backoff_base_seconds: value,
    backoff_max_seconds: value,
  }, { requiredKeys: [] });
  const subsystem = fc.record({ enabled: fc.boolean(), interval_minutes: value, auto_run: value });
  const answer = fc.record({
    polling: fc.oneof(part, fc.jsonValue()),
    subsystems: fc.oneof(fc.dictionary(fc.string(), subsystem), fc.jsonValue()),
  });
  fc.assert(fc.property(answer, (sent) => {
    const policy = read(sent);
    assert(policy.ok, JSON.stringify(sent));
    assertEquals(v.parse(serverPolicy, policy.value), policy.value);
  }));
});
