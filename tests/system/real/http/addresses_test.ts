import { assertEquals, assertRejects } from "@std/assert";
import { connectAny } from "../../../../src/system/real/http/addresses.ts";
import { settle } from "../../../fakes/clock.ts";
import { FakeSystem } from "../../../fakes/system.ts";

/** What connecting to an address leads to, after so long. */
type Fate = "accepts" | "refuses" | "has no route" | "is silent" | `accepts after ${number} s`;

/** A name whose addresses have these fates, in their order; the name itself leads to the first. */
function host(...fates: readonly Fate[]) {
  const { clock } = new FakeSystem();
  const tried: string[] = [];
  const open = new Set<string>();
  const fateOf = (hostname: string) =>
    hostname === "server.test" ? fates[0] : fates[Number(hostname.slice("192.0.2.".length))];
  let lookups = 0;
  const connect = async ({ hostname }: { hostname: string }) => {
    const address = hostname === "server.test" ? "192.0.2.0" : hostname;
    tried.push(address);
    const fate = fateOf(hostname);
    if (fate === "is silent") await new Promise(() => {});
    const [, seconds = "0"] = /after (\d+) s/.exec(fate ?? "") ?? [];
    if (seconds !== "0") await clock.sleep(Number(seconds) * 1_000, new AbortController().signal);
    if (fate === "refuses") throw new Error(`${address}: connection refused`);
    if (fate === "has no route") {
      throw new Error(`${address}: Network is unreachable (os error 101)`);
    }
    open.add(address);
    return { address, close: () => void open.delete(address) };
  };
  const lookup = () => {
    lookups += 1;
    return Promise.resolve(fates.map((_, number) => `192.0.2.${number}`));
  };
  const dial = (hostname = "server.test") =>
    connectAny({ hostname, port: 443 }, { connect, lookup, clock });
  return { clock, tried, open, dial, lookups: () => lookups };
}

Deno.test("connectAny() tries one address after the other until one accepts", async () => {
  const rows: [fates: Fate[], tried: number, lookups: number][] = [
    [["accepts", "accepts"], 1, 0],
    [["refuses", "accepts"], 2, 1],
    [["refuses", "refuses", "accepts", "accepts"], 3, 1],
  ];
  for (const [fates, count, lookups] of rows) {
    const made = host(...fates);
    const { address } = await made.dial();
    assertEquals(made.tried, Array.from({ length: count }, (_, n) => `192.0.2.${n}`));
    assertEquals([address, made.lookups()], [`192.0.2.${count - 1}`, lookups]);
  }
});

Deno.test("connectAny() waits 2 s for a silent address, and closes the connection that loses", async () => {
  const made = host("accepts after 5 s", "is silent", "accepts");
  const dialled = made.dial();
  for (const [tried, ms] of [[1, 1_999], [2, 1], [2, 1_999], [3, 1]] as const) {
    await made.clock.advance(ms);
    await settle();
    assertEquals(made.tried.length, tried);
  }
  assertEquals((await dialled).address, "192.0.2.2");
  await made.clock.advance(10_000);
  await settle();
  assertEquals([...made.open], ["192.0.2.2"]);
});

Deno.test("connectAny() fails as its first address does, and asks for others only of a name that has them", async () => {
  const refused = host("refuses", "refuses");
  await assertRejects(() => refused.dial(), Error, "192.0.2.0: connection refused");
  assertEquals(refused.tried.length, 2);
  const single = host("refuses");
  await assertRejects(() => single.dial(), Error, "192.0.2.0: connection refused");
  assertEquals(single.tried.length, 1);
  for (const address of ["192.0.2.0", "2001:db8::1"]) {
    const literal = host("refuses", "accepts");
    if (address.includes(":")) await literal.dial(address);
    else await assertRejects(() => literal.dial(address));
    assertEquals([literal.tried, literal.lookups()], [[address], 0]);
  }
});

Deno.test("connectAny() says that there is no route only where none of the addresses has one", async () => {
  const rows: [fates: Fate[], says: string][] = [
    [["has no route", "refuses"], "192.0.2.1: connection refused"],
    [["has no route", "has no route", "refuses"], "192.0.2.2: connection refused"],
    [["refuses", "has no route"], "192.0.2.0: connection refused"],
    [["has no route", "refuses", "has no route"], "192.0.2.1: connection refused"],
    [["has no route"], "192.0.2.0: Network is unreachable"],
  ];
  for (const [fates, says] of rows) {
    await assertRejects(() => host(...fates).dial(), Error, says, fates.join());
  }
  await assertRejects(() => host("has no route", "has no route").dial(), Error, "unreachable");
});

Deno.test("connectAny() does not ask a name service once more that knew no such name", async () => {
  const { clock } = new FakeSystem();
  let lookups = 0;
  const unknown = new Error("failed to lookup address information: Name or service not known");
  await assertRejects(() =>
    connectAny<{ close(): void }>({ hostname: "nowhere.invalid", port: 1 }, {
      connect: () => Promise.reject(unknown),
      lookup: () => Promise.resolve([`${lookups += 1}`]),
      clock,
    })
  );
  assertEquals(lookups, 0);
});
