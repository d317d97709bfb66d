/**
 * A complete list closes what it lacks at a server that does so: never by a part of it, by an answer with
 * gaps, or after a later report has overtaken it.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { scanUpdates } from "../../src/commands/scan_updates.ts";
import type { Scanner } from "../../src/scanners/scanner.ts";
import type { Update } from "../../src/update.ts";
import { INTERVAL_MS } from "../fakes/breaker_numbers.ts";
import { scanDeps } from "../fakes/scanner_runner.ts";
import { inWorld, type World } from "../fakes/world.ts";

function update(name: string): Update {
  return {
    package: name,
    currentVersion: "1",
    availableVersion: "2",
    architecture: "amd64",
    source: null,
    state: "upgradable",
    severity: "low",
    severityReason: "",
    security: null,
    cves: [],
    advisories: [],
    sizeBytes: null,
    description: null,
    sourcePackage: null,
    reboot: null,
  };
}

/** What apt finds on the host of a world; each scan is a command. */
class Host {
  names: readonly string[] = [];
  gaps: readonly string[] = [];
  readonly #world: World;
  #scans = 0;

  constructor(world: World) {
    this.#world = world;
    const { system, log, buffer } = world;
    const apt: Scanner = {
      name: "apt",
      isAvailable: () => Promise.resolve(true),
      scan: () =>
        Promise.resolve({
          updates: this.names.map(update),
          gaps: this.gaps,
          metadataAgeS: null,
        }),
    };
    const deps = scanDeps({
      system,
      log,
      findScanners: () => Promise.resolve([apt]),
      closesAbsent: () => true,
      hasPending: (snapshotOf) => buffer.hasPending(snapshotOf),
    });
    world.handler = scanUpdates(deps, "apt");
  }

  async scan(names: string, waitMs = 2 * INTERVAL_MS): Promise<void> {
    this.names = names === "" ? [] : names.split(" ");
    this.#world.server.queue(`scan${this.#scans++}`, "install_updates");
    await this.#world.advance(waitMs);
  }
}

/** The body of a report of updates. */
interface UpdatesBody {
  readonly timestamp: string;
  readonly updates: readonly { readonly package_name: string }[];
  readonly ecosystem?: string;
  readonly scan_succeeded?: boolean;
}

function updatesOf({ server }: World): UpdatesBody[] {
  return server.reports.filter(({ report }) => report === "updates")
    .map(({ body }) => body as unknown as UpdatesBody);
}

/** The rows that wait at the server, and those that an older report closed although it was told later. */
function replay(reports: readonly UpdatesBody[]): { waiting: string[]; wronglyClosed: string[] } {
  const rows = new Map<string, string>();
  const wronglyClosed: string[] = [];
  for (const { timestamp, updates, ecosystem, scan_succeeded } of reports) {
    const names = new Set(updates.map(({ package_name }) => package_name));
    for (const name of names) rows.set(name, timestamp);
    if (ecosystem !== "apt" || scan_succeeded !== true) continue;
    for (const [name, toldAt] of rows) {
      if (names.has(name)) continue;
      if (toldAt > timestamp) wronglyClosed.push(name);
      rows.delete(name);
    }
  }
  return { waiting: [...rows.keys()].toSorted(), wronglyClosed };
}

const summary = (world: World) =>
  updatesOf(world).map(({ updates, scan_succeeded = false }) =>
    `${updates.map(({ package_name }) => package_name).toSorted().join(" ")}${
      scan_succeeded ? " +" : ""
    }`
  );

Deno.test("a server that closes rows gets changes as they come, and a complete list for a removal", () =>
  inWorld(async (world) => {
    const host = new Host(world);
    await host.scan("a b");
    await host.scan("a b c");
    await host.scan("a c");
    await host.scan("");
    host.gaps = ["lists are old"];
    await host.scan("d");
    assertEquals(summary(world), ["a b +", "c", "a c +", " +", "d"]);
    assertEquals(replay(updatesOf(world)), { waiting: ["d"], wronglyClosed: [] });
  }));

Deno.test("a complete list that is bisected closes nothing in any of its parts", () =>
  inWorld(async (world) => {
    const host = new Host(world);
    world.server.poison = { text: '"bad"', status: 500 };
    await host.scan("a b c bad", 6 * 3_600_000);
    assert(world.server.count("/updates") > 3);
    const sent = world.server.requests.filter(({ path }) => path.endsWith("/updates"));
    const closing = sent.filter(({ body }) => "scan_succeeded" in body || "ecosystem" in body);
    assertEquals(closing.map(({ body }) => (body["updates"] as unknown[]).length), [4]);
    assertEquals(replay(updatesOf(world)).waiting, ["a", "b", "c"]);
  }));

Deno.test("a complete list that was refused once closes nothing when it is sent again", () =>
  inWorld(async (world) => {
    const host = new Host(world);
    await host.scan("a b");
    world.server.poison = { text: '"updates"', status: 404 };
    await host.scan("b");
    world.server.poison = null;
    await world.advance(2 * 3_600_000);
    assertEquals(summary(world), ["a b +", "b"]);
  }));

Deno.test("a complete list that waited through an outage closes rows all the same", () =>
  inWorld(async (world) => {
    const host = new Host(world);
    await host.scan("a b");
    world.server.queue("last", "install_updates");
    host.names = ["b"];
    while (!world.log.told("scan done").some(({ updates }) => updates === 1)) {
      await world.advance(100);
      if (world.server.count("/commands") > 3) world.server.mood = { kind: "gone" };
    }
    world.server.mood = { kind: "gone" };
    await world.advance(3 * 3_600_000);
    world.server.mood = { kind: "well" };
    await world.advance(3_600_000);
    assertEquals(summary(world), ["a b +", "b +"]);
  }));

const names = fc.subarray(["a", "b", "c", "d"]).map((names) => names.join(" "));
const step = fc.record({
  names,
  hasGaps: fc.boolean(),
  fate: fc.constantFrom("well", "gone", "400", "404", "500", "500 on a"),
  minutes: fc.integer({ min: 1, max: 240 }),
});

Deno.test("whatever the server refuses, and when: no complete list closes what was reported after it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), (steps) =>
      inWorld(async (world) => {
        const { server } = world;
        const host = new Host(world);
        for (const { names, hasGaps, fate, minutes } of steps) {
          host.gaps = hasGaps ? ["lists are old"] : [];
          server.mood = fate === "gone" ? { kind: "gone" } : { kind: "well" };
          const text = fate.endsWith(" a") ? '"package_name":"a"' : '"updates"';
          server.poison = fate === "well" || fate === "gone"
            ? null
            : { text, status: Number(fate.slice(0, 3)) };
          await host.scan(names, minutes * 60_000);
        }
        assertEquals(replay(updatesOf(world)).wronglyClosed, []);
        server.mood = { kind: "well" };
        server.poison = null;
        host.gaps = [];
        await world.advance(3 * 3_600_000);
        await host.scan("a b");
        // In a day at most everything is as it is on the host.
        await world.advance(25 * 3_600_000);
        await host.scan("a b");
        assertEquals(replay(updatesOf(world)), { waiting: ["a", "b"], wronglyClosed: [] });
      })),
    { numRuns: 20 },
  );
});
