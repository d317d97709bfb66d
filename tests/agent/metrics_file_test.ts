import { assert, assertEquals, assertRejects } from "@std/assert";
import { MetricsFile } from "../../src/agent/metrics_file.ts";
import type { WriteOptions } from "../../src/system/files.ts";
import { FileError } from "../../src/system/files.ts";
import type { Metric } from "../../src/telemetry/metric.ts";
import { FakeLog } from "../fakes/log.ts";
import { FakeSystem } from "../fakes/system.ts";

const PATH = "/metrics/pennon.prom";

function setUp() {
  const system = new FakeSystem();
  const log = new FakeLog();
  const writes: { atMs: number; path: string; options: WriteOptions }[] = [];
  const startMs = system.clock.monotonicMs();
  const write = system.files.writeText.bind(system.files);
  system.files.writeText = async (purpose, path, text, options) => {
    await write(purpose, path, text, options);
    writes.push({ atMs: system.clock.monotonicMs() - startMs, path, options });
  };
  system.files.texts.set("/metrics/other.prom", "");
  system.files.texts.set("/state/state.json", "");
  let value = 0;
  const state = { collect: (): Promise<Metric[]> => Promise.resolve([]) };
  state.collect = () =>
    Promise.resolve([{
      name: "pennon_a",
      type: "gauge",
      unit: "1",
      help: "A",
      samples: [{ labels: {}, value: ++value }],
    }]);
  const stop = new AbortController();
  const file = new MetricsFile({
    system,
    log,
    path: PATH,
    sources: ["/state/state.json", "/state/missing.json"],
    collect: () => state.collect(),
  });
  const touch = () => system.files.modifiedMs.set("/state/state.json", system.clock.nowMs());
  return { system, log, writes, stop, state, touch, running: file.run(stop.signal) };
}

Deno.test("MetricsFile writes at the start, and every two minutes if nothing changes", async () => {
  const { system, writes, stop, running } = setUp();
  await system.clock.advance(0);
  assertEquals(writes.map(({ atMs }) => atMs), [0]);
  await system.clock.advance(250_000);
  assertEquals(writes.map(({ atMs }) => atMs), [0, 120_000, 240_000]);
  stop.abort();
  await running;
  const text = system.files.texts.get(PATH);
  assertEquals(text, "# HELP pennon_a A\n# TYPE pennon_a gauge\npennon_a 4\n");
});

Deno.test("MetricsFile writes for everyone to read, with a temporary file of a known name", async () => {
  const { system, writes, stop, running } = setUp();
  await system.clock.advance(0);
  stop.abort();
  await running;
  const options = { mode: 0o644, durability: "none", temporaryPath: `${PATH}.tmp` };
  assertEquals(writes[0]?.options as unknown, options);
  assertEquals(writes[0]?.path, PATH);
});

Deno.test("MetricsFile writes within 15 s of a change of the state, and no more often", async () => {
  const { system, writes, stop, running, touch } = setUp();
  await system.clock.advance(0);
  for (let second = 0; second < 60; second += 5) {
    touch();
    await system.clock.advance(5_000);
  }
  assertEquals(writes.map(({ atMs }) => atMs), [0, 15_000, 30_000, 45_000, 60_000]);
  stop.abort();
  await running;
});

Deno.test("MetricsFile logs once that a disk refuses, and once that it no longer does", async () => {
  const { system, log, writes, stop, running } = setUp();
  system.files.fail("write the metrics", "full");
  await system.clock.advance(400_000);
  assertEquals(log.events.map(({ message }) => message), ["metrics not written"]);
  system.files.heal("write the metrics");
  await system.clock.advance(250_000);
  assertEquals(log.told("metrics written again"), [{ file: PATH }]);
  assertEquals(log.events.length, 2);
  assert(writes.length >= 2);
  stop.abort();
  await running;
});

Deno.test("MetricsFile goes on if the state cannot be read", async () => {
  const { system, log, stop, state, running } = setUp();
  state.collect = () => Promise.reject(new FileError("Cannot read it", { reason: "denied" }));
  await system.clock.advance(0);
  assertEquals(log.told("metrics not written"), [{ why: "Cannot read it" }]);
  stop.abort();
  await running;
});

Deno.test("MetricsFile does not write as root where another user could replace the file", async () => {
  const { system, log, writes, stop, running } = setUp();
  system.machine.userId = () => 0;
  system.files.owners.set("/metrics", 999);
  await system.clock.advance(0);
  assertEquals(writes, []);
  const [{ why } = { why: "" }] = log.told("metrics not written");
  assert(String(why).startsWith("Cannot trust metrics.textfile:"), String(why));
  stop.abort();
  await running;
});

Deno.test("MetricsFile hides no mistake of the program", async () => {
  const { state, running } = setUp();
  state.collect = () => Promise.reject(new TypeError("oops"));
  await assertRejects(() => running, TypeError, "oops");
});
