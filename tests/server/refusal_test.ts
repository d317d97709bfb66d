import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { FACT_LIMIT, readRefusal } from "../../src/server/refusal.ts";
import { anyText } from "../fakes/texts.ts";

const TOO_OLD = {
  error: "agent version too old - upgrade required for security",
  current_version: "0.1.20",
  minimum_version: "0.1.26",
  upgrade_instructions: "Please upgrade to the latest agent version and re-register",
};

const EXISTING = {
  error: "machine ID already registered to another agent",
  existing_agent_id: "7c0f4e2a-9b31-4d55-8a6e-1f2c3d4e5f60",
  existing_hostname: "web1",
  existing_last_seen: "2026-11-29T10:00:00Z",
  remediation: "Delete the old agent first",
};

function read(status: number, body: unknown) {
  return readRefusal(status, typeof body === "string" ? body : JSON.stringify(body));
}

Deno.test("readRefusal() knows each refusal of RedFlag 0.2.9 by its status and its words", () => {
  const rows: [status: number, error: string, cause: string][] = [
    [403, "missing machine ID header - agent version too old or tampered", "machine_id_missing"],
    [403, "missing machine ID header", "machine_id_missing"],
    [403, "agent not bound to machine - re-registration required", "machine_not_bound"],
    [403, "machine ID mismatch - config file copied to different machine", "machine_mismatch"],
    [
      403,
      "machine ID mismatch - refresh token presented from a different machine",
      "machine_mismatch",
    ],
    [426, "agent version too old - upgrade required for security", "version_too_old"],
    [409, "machine ID already registered to another agent", "already_registered"],
    // The beginning counts, whatever its case is.
    [403, "  Machine id mismatch", "machine_mismatch"],
  ];
  for (const [status, error, cause] of rows) {
    const refusal = read(status, { error, hint: "h", security_note: "s" });
    assertEquals(refusal, { cause, facts: {} } as typeof refusal, error);
  }
});

Deno.test("readRefusal() takes the facts of a 426 and of a 409", () => {
  assertEquals(read(426, TOO_OLD), {
    cause: "version_too_old",
    facts: { minimumVersion: "0.1.26", recordedVersion: "0.1.20" },
  });
  assertEquals(read(409, EXISTING), {
    cause: "already_registered",
    facts: {
      existingAgentId: "7c0f4e2a-9b31-4d55-8a6e-1f2c3d4e5f60",
      existingHostName: "web1",
      existingLastSeen: "2026-11-29T10:00:00Z",
      remediation: "Delete the old agent first",
    },
  });
});

Deno.test("readRefusal() leaves out a fact of another type, and cuts a long one", () => {
  const odd = { ...TOO_OLD, current_version: 7, minimum_version: `9.${"9".repeat(5_000)}` };
  const facts = read(426, odd)?.facts ?? {};
  assertEquals(Object.keys(facts), ["minimumVersion"]);
  assertEquals(facts.minimumVersion?.length, FACT_LIMIT);
});

Deno.test("readRefusal() knows nothing of a proxy's answers, nor of other requests'", () => {
  const rows: [status: number, body: unknown][] = [
    [403, "<html>Forbidden</html>"],
    [403, ""],
    [403, { error: "forbidden" }],
    [403, { error: "token not bound to this agent" }],
    [403, { error: ["machine ID mismatch"] }],
    [403, [{ error: "machine ID mismatch" }]],
    [403, { message: "machine ID mismatch" }],
    [403, { error: `machine ID mismatch${"x".repeat(20_000)}` }],
    [426, "Upgrade Required"],
    [426, { error: "Upgrade Required" }],
    [409, { error: "duplicate log submission", current_status: "completed" }],
    // The words with another status are something else.
    [400, { error: "machine ID mismatch" }],
    [401, { error: "agent not bound to machine" }],
    [403, { error: "agent version too old" }],
    [426, { error: "machine ID mismatch" }],
  ];
  for (const [status, body] of rows) assertEquals(read(status, body), null, JSON.stringify(body));
});

Deno.test("readRefusal() takes only short facts, whatever the body says", () => {
  const body = fc.dictionary(
    fc.constantFrom(...Object.keys(EXISTING), ...Object.keys(TOO_OLD)),
    fc.oneof(anyText(300), fc.string({ maxLength: 2_000 }), fc.jsonValue()),
  );
  fc.assert(fc.property(fc.constantFrom(403, 409, 426), body, (status, fields) => {
    for (const { error } of [fields, TOO_OLD, EXISTING]) {
      const refusal = read(status, { ...fields, error });
      for (const text of Object.values(refusal?.facts ?? {})) {
        if (typeof text !== "string" || text === "" || text.length > FACT_LIMIT) return false;
        // deno-lint-ignore no-control-regex
        if (/[\u0000-\u001f\u007f-\u009f]/.test(text)) return false;
      }
    }
    return true;
  }));
});
