import { assertEquals } from "@std/assert";
import { detectHostEvent, type HostSnapshot } from "../../../src/system/real/machine.ts";

function snapshot(
  changes: Partial<HostSnapshot> & { addresses?: HostSnapshot["addresses"] } = {},
): HostSnapshot {
  return { monotonicMs: 10_000, asleepMs: 0, addresses: [], ...changes };
}

function address(text: string) {
  return { family: "IPv4", address: text, mac: "" } as const;
}

Deno.test("detectHostEvent() detects nothing between two snapshots of a host that was awake", () => {
  assertEquals(detectHostEvent(snapshot(), snapshot({ monotonicMs: 20_000 }), 10_000), null);
  assertEquals(
    detectHostEvent(snapshot(), snapshot({ monotonicMs: 49_999, asleepMs: 9_999 }), 10_000),
    null,
  );
});

Deno.test("detectHostEvent() detects sleep where monotonic time stands still, and where it advances", () => {
  assertEquals(
    detectHostEvent(snapshot(), snapshot({ monotonicMs: 20_000, asleepMs: 10_000 }), 10_000),
    "woke",
  );
  assertEquals(detectHostEvent(snapshot(), snapshot({ monotonicMs: 50_000 }), 10_000), "woke");
});

Deno.test("detectHostEvent() detects a new address that leads outside", () => {
  const before = snapshot({ addresses: [address("127.0.0.1")] });
  const after = (text: string) =>
    snapshot({ monotonicMs: 20_000, addresses: [address("127.0.0.1"), address(text)] });
  assertEquals(detectHostEvent(before, after("192.0.2.7"), 10_000), "network_up");
  for (const text of ["169.254.3.4", "fe80::1", "::1", "127.0.1.1"]) {
    assertEquals(detectHostEvent(before, after(text), 10_000), null, text);
  }
  assertEquals(detectHostEvent(after("192.0.2.7"), after("192.0.2.7"), 0), null);
});
