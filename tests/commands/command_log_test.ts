import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { failureEvent, logEvent } from "../../src/commands/command_log.ts";
import { assertStorable } from "../fakes/storable.ts";
import { anyText } from "../fakes/texts.ts";

const command = { id: "c1", type: "scan_updates", params: {} };

Deno.test("logEvent() uses the server's field names", () => {
  const event = logEvent(command, { result: "success", stdout: "done", durationMs: 1_499 });
  assertEquals([event.kind, event.commandId, event.snapshotOf], ["log", "c1", null]);
  assertEquals(JSON.parse(event.body), {
    command_id: "c1",
    action: "scan_updates",
    result: "success",
    stdout: "done",
    stderr: "",
    exit_code: 0,
    duration_seconds: 1, // An integer: the server refuses fractions.
  });
});

Deno.test("logEvent() marks a text that it cut, at the limit and not before", () => {
  const longest = "x".repeat(65_536);
  const told = (stdout: string) =>
    JSON.parse(logEvent(command, { result: "success", stdout, durationMs: 0 }).body).stdout;
  assertEquals(told(longest), longest);
  assertEquals(told(`${longest}y`), `${longest}\n(cut)`);
  assertEquals(told("a\u0000b"), "ab");
});

Deno.test("logEvent() says of both streams what there was, in whole seconds", () => {
  const { body } = logEvent({ ...command, type: "x".repeat(51) }, {
    result: "failed",
    stderr: "broken",
    durationMs: 1_500,
  });
  const { action, stdout, stderr, exit_code, duration_seconds } = JSON.parse(body);
  assertEquals([action, stdout, stderr], ["x".repeat(50), "", "broken"]);
  assertEquals([exit_code, duration_seconds], [1, 2]);
});

Deno.test("failureEvent() fails the command, with the reason", () => {
  const body = JSON.parse(failureEvent(command, "no room", 0).body);
  assertEquals([body.result, body.exit_code, body.stderr], ["failed", 1, "no room"]);
});

Deno.test("logEvent() sends an action of 50 characters, and cuts one more", () => {
  for (const [given, sent] of [[50, 50], [51, 50]] as const) {
    const { body } = failureEvent({ ...command, type: "x".repeat(given) }, "", 0);
    assertEquals(JSON.parse(body).action.length, sent);
  }
});

Deno.test("logEvent() sends no log that the server cannot store, whatever was said", () => {
  fc.assert(
    fc.property(anyText(200), anyText(70_000), anyText(70_000), (type, stdout, stderr) => {
      const result = { result: "failed", stdout, stderr, durationMs: 1.5 } as const;
      const { body } = logEvent({ ...command, type }, result);
      assertStorable(body);
      const told = JSON.parse(body);
      for (const text of [told.stdout, told.stderr]) {
        assert([...text].length <= 65_536 + "\n(cut)".length);
      }
      assert(Number.isInteger(told.duration_seconds));
    }),
    { numRuns: 40 },
  );
});
