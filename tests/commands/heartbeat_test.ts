import { assertEquals, assertThrows } from "@std/assert";
import { disableHeartbeat, enableHeartbeat } from "../../src/commands/heartbeat.ts";

function run(params: Record<string, unknown>) {
  const command = { id: "c1", type: "enable_heartbeat", params };
  return enableHeartbeat.run(command, {
    signal: new AbortController().signal,
    appendEarly: () => {},
  });
}

Deno.test('enable_heartbeat polls for the requested minutes, 10 by default, 60 at most and for "permanent"', async () => {
  const longest = (asked: number) => `, the longest allowed (duration_minutes is ${asked})`;
  const rows: [asked: unknown, minutes: number, note: string][] = [
    [undefined, 10, ""],
    [null, 10, ""],
    [1, 1, ""],
    [0.5, 0.5, ""],
    [60, 60, ""],
    [61, 60, longest(61)],
    // "Permanent" at the dashboard, and a duration that the API left out.
    [-1, 60, longest(-1)],
    [0, 60, longest(0)],
  ];
  for (const [duration_minutes, minutes, note] of rows) {
    const { rapidPollingMs, events } = await run({ duration_minutes });
    assertEquals(rapidPollingMs, minutes * 60_000);
    assertEquals(JSON.parse(events[0]?.body ?? ""), {
      command_id: "c1",
      action: "enable_heartbeat",
      result: "success",
      stdout: `rapid polling for ${minutes} min${note}`,
      stderr: "",
      exit_code: 0,
      duration_seconds: 0,
    });
  }
});

Deno.test("enable_heartbeat refuses what is no number of minutes", () => {
  for (const duration_minutes of ["5", NaN, Infinity, {}, []]) {
    assertThrows(() => run({ duration_minutes }), Error, "Cannot enable rapid polling");
  }
});

Deno.test("disable_heartbeat ends rapid polling", async () => {
  const command = { id: "c1", type: "disable_heartbeat", params: {} };
  const outcome = await disableHeartbeat.run(command, {
    signal: new AbortController().signal,
    appendEarly: () => {},
  });
  assertEquals(outcome.rapidPollingMs, 0);
  const { result, stdout, duration_seconds } = JSON.parse(outcome.events[0]?.body ?? "");
  assertEquals([result, stdout, duration_seconds], ["success", "rapid polling off", 0]);
});

Deno.test("enable_heartbeat quotes a hundred characters of what it was sent at most", () => {
  const enable = () => run({ duration_minutes: "x".repeat(500) });
  const { message } = assertThrows(enable, Error, "Cannot enable rapid polling");
  assertEquals(
    message.length,
    `Cannot enable rapid polling: duration_minutes is , not a number`.length + 100,
  );
});
