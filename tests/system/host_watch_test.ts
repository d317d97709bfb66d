import { assertEquals } from "@std/assert";
import { hostHint, type HostLook } from "../../src/system/host_watch.ts";

function look(changes: Partial<HostLook> & { addresses?: HostLook["addresses"] } = {}): HostLook {
  return { monotonicMs: 10_000, asleepMs: 0, addresses: [], ...changes };
}

function address(text: string) {
  return { interfaceName: "eth0", family: "IPv4", address: text, mac: "" } as const;
}

Deno.test("hostHint() tells nothing of two looks at a host that was awake", () => {
  assertEquals(hostHint(look(), look({ monotonicMs: 20_000 }), 10_000), null);
  assertEquals(hostHint(look(), look({ monotonicMs: 49_999, asleepMs: 9_999 }), 10_000), null);
});

Deno.test("hostHint() sees sleep where monotonic time stands still, and where it goes on", () => {
  assertEquals(hostHint(look(), look({ monotonicMs: 20_000, asleepMs: 10_000 }), 10_000), "woke");
  assertEquals(hostHint(look(), look({ monotonicMs: 50_000 }), 10_000), "woke");
});

Deno.test("hostHint() sees an address that leads outside, and is new", () => {
  const before = look({ addresses: [address("127.0.0.1")] });
  const after = (text: string) =>
    look({ monotonicMs: 20_000, addresses: [address("127.0.0.1"), address(text)] });
  assertEquals(hostHint(before, after("192.0.2.7"), 10_000), "network_up");
  for (const text of ["169.254.3.4", "fe80::1", "::1", "127.0.1.1"]) {
    assertEquals(hostHint(before, after(text), 10_000), null, text);
  }
  assertEquals(hostHint(after("192.0.2.7"), after("192.0.2.7"), 0), null);
});
