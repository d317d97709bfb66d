import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { applyPolicy, isEnabledByServer } from "../../src/config/server_policy.ts";
import type { ServerPolicy } from "../../src/server/policy.ts";
import { backoff } from "../fakes/breaker_numbers.ts";

const config = { backoff };

const policyOf = (more: Partial<ServerPolicy>): ServerPolicy => ({
  jitterMaxMs: null,
  backoffBaseMs: null,
  backoffMaxMs: null,
  subsystems: {},
  ...more,
});

const apply = (more: Partial<ServerPolicy>, ...set: string[]) =>
  applyPolicy(config, policyOf(more), (path) => set.includes(path));

Deno.test("applyPolicy() changes nothing without a policy, or with an empty one", () => {
  const same = { ...config, jitterMaxMs: null, overrides: [] };
  assertEquals(applyPolicy(config, null, () => false), same);
  assertEquals(apply({}), same);
});

Deno.test("applyPolicy() takes the server's waits within the agent's own limits", () => {
  const cases: [base: number, cap: number, expected: [number, number]][] = [
    [10_000, 300_000, [10_000, 300_000]],
    [10_000, 60_000, [10_000, 60_000]],
    // Not over the configured cap: no server makes the agent sleep for hours.
    [10_000, 86_400_000, [10_000, 300_000]],
    // Nor so low that a fleet would hammer.
    [0, 0, [1_000, 10_000]],
    [999, 9_999, [1_000, 10_000]],
    [1_001, 10_001, [1_001, 10_001]],
    // A first wait over the longest is the longest.
    [86_400_000, 20_000, [20_000, 20_000]],
  ];
  for (const [backoffBaseMs, backoffMaxMs, [baseMs, capMs]] of cases) {
    const { backoff } = apply({ backoffBaseMs, backoffMaxMs });
    assertEquals(backoff, { baseMs, capMs, floorMs: 500 });
  }
});

Deno.test("applyPolicy() leaves what the owner has set, and names what it changes", () => {
  const asked = { backoffBaseMs: 10_000, backoffMaxMs: 60_000, jitterMaxMs: 3_000 };
  const { backoff, overrides, jitterMaxMs } = apply(asked);
  assertEquals([backoff.baseMs, backoff.capMs, jitterMaxMs], [10_000, 60_000, 3_000]);
  assertEquals(overrides, [
    { path: "backoff.base", valueMs: 10_000 },
    { path: "backoff.cap", valueMs: 60_000 },
  ]);
  assertEquals(apply(asked, "backoff.cap").backoff, { ...config.backoff, baseMs: 10_000 });
  assertEquals(apply(asked, "backoff.base").backoff, { ...config.backoff, capMs: 60_000 });
  assertEquals(apply(asked, "backoff.base", "backoff.cap").overrides, []);
  assertEquals(apply({ backoffBaseMs: 5_000, backoffMaxMs: 300_000 }).overrides, []);
});

Deno.test("applyPolicy() never lets a server raise the cap, or lower it below 10 s", () => {
  const ms = fc.option(fc.double({ min: 0, max: 86_400_000, noNaN: true }));
  fc.assert(fc.property(ms, ms, (backoffBaseMs, backoffMaxMs) => {
    const { baseMs, capMs, floorMs } = apply({ backoffBaseMs, backoffMaxMs }).backoff;
    assert(capMs <= 300_000 && capMs >= 10_000);
    assert(baseMs <= capMs && baseMs >= 1_000);
    assertEquals(floorMs, 500);
  }));
});

Deno.test("isEnabledByServer() is false only for what the server has switched off, by its own name", () => {
  const off = { enabled: false, intervalMinutes: null, autoRun: false };
  const policy = policyOf({ subsystems: { windows: off, apt: { ...off, enabled: true } } });
  const enabled = ["apt", "dnf", "winupdate", "winget"]
    .filter((name) => isEnabledByServer(policy, name));
  assertEquals(enabled, ["apt", "dnf", "winget"]);
  assert(isEnabledByServer(null, "winupdate"));
});
