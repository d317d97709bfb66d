import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import * as v from "valibot";
import { dropNotice, NOTICE_BYTES } from "../../src/buffer/drop_notice.ts";
import { OVERHEAD_BYTES } from "../../src/buffer/sqlite_buffer.ts";
import type { LogBody } from "../../src/server/protocol.ts";
import { LIMITS } from "../../src/server/limits.ts";
import { LogSchema } from "../../tools/refserver/bodies.ts";

const NONE = { system_info: 0, updates: 0, dependencies: 0, log: 0 };

Deno.test("dropNotice() is a log of no command that the server takes, and says what and since when", () => {
  const { kind, commandId, body } = dropNotice(
    { ...NONE, system_info: 3, updates: 12 },
    Date.UTC(2026, 0, 2),
  );
  assertEquals([kind, commandId], ["log", null]);
  const log: LogBody = v.parse(LogSchema, JSON.parse(body)) as LogBody;
  assertEquals([log.command_id, log.result], ["", "failed"]);
  assert(log.action.length <= LIMITS.logAction);
  assertEquals(
    log.stderr,
    "Events dropped because the agent's buffer was full: 3 system_info, 12 updates, " +
      "since 2026-01-02T00:00:00.000Z",
  );
});

Deno.test("dropNotice() never takes more room than is kept for it", () => {
  const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  fc.assert(fc.property(
    fc.record({ system_info: count, updates: count, dependencies: count, log: count }),
    fc.oneof(fc.integer(), fc.constantFrom(-1, Number.MAX_SAFE_INTEGER)),
    (dropped, sinceMs) => {
      const { body } = dropNotice(dropped, sinceMs);
      assert(new TextEncoder().encode(body).length + OVERHEAD_BYTES <= NOTICE_BYTES);
    },
  ));
});

Deno.test("dropNotice() tells a date, whatever a sick disk has made of the instant", () => {
  const dropped = { system_info: 0, updates: 0, dependencies: 0, log: 1 };
  const since = (ms: number) => JSON.parse(JSON.parse(dropNotice(dropped, ms).body).stdout).since;
  assertEquals([since(NaN), since(-5), since(0), since(1e18)], [
    "1970-01-01T00:00:00.000Z",
    "1970-01-01T00:00:00.000Z",
    "1970-01-01T00:00:00.000Z",
    "+275760-09-13T00:00:00.000Z",
  ]);
});
