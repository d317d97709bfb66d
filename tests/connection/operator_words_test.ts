import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describeOperatorAction } from "../../src/connection/operator_words.ts";
import type { OperatorCause } from "../../src/connection/state.ts";
import { REFUSAL_CAUSES } from "../../src/server/refusal.ts";

const FACTS = {
  agentId: "7c0f4e2a-9b31-4d55-8a6e-1f2c3d4e5f60",
  machineId: "3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9",
  version: "1.0.0",
  minimumVersion: "2.0.0",
  recordedVersion: "0.1.0",
};

const CAUSES: readonly OperatorCause[] = ["token", "deleted", "forbidden", ...REFUSAL_CAUSES];

Deno.test("describeOperatorAction() says of each cause what happened, why, and what to do", () => {
  const seen = new Set<string>();
  for (const cause of CAUSES) {
    for (const facts of [{}, FACTS]) {
      const { what, because, remedy } = describeOperatorAction(cause, facts);
      for (const text of [what, because, remedy]) {
        assert(text.length > 20 && !text.endsWith("."), `${cause}: ${text}`);
        assert(!/undefined|null/.test(text), `${cause}: ${text}`);
      }
      seen.add(remedy);
    }
  }
  assert(seen.size >= CAUSES.length);
});

Deno.test("describeOperatorAction() names the request that binds an agent again", () => {
  for (const cause of ["machine_not_bound", "machine_mismatch"] as const) {
    const { remedy } = describeOperatorAction(cause, FACTS);
    assertStringIncludes(
      remedy,
      `POST /api/v1/admin/agents/${FACTS.agentId}/rebind-machine-id with ` +
        `{"new_machine_id":"${FACTS.machineId}"}`,
    );
    assertStringIncludes(remedy, "pennon register --replace");
  }
});

Deno.test("describeOperatorAction() names the versions of a 426 that differ", () => {
  const { because, remedy } = describeOperatorAction("version_too_old", FACTS);
  assertEquals(
    because,
    "its minimum is 2.0.0; this Pennon reports 1.0.0, and the server has 0.1.0 on record",
  );
  assertStringIncludes(remedy, "2.0.0 or later");
  const same = describeOperatorAction("version_too_old", { ...FACTS, recordedVersion: "1.0.0" });
  assertEquals(same.because, "its minimum is 2.0.0; this Pennon reports 1.0.0");
});

Deno.test("describeOperatorAction() names the agent that has this machine's id", () => {
  const { because } = describeOperatorAction("already_registered", {
    existingAgentId: "a1",
    existingHostName: "web1",
    existingLastSeen: "yesterday",
    remediation: "delete it",
  });
  assertEquals(
    because,
    'the server has its machine id on record for agent a1 ("web1"), last seen yesterday; ' +
      "the server says: delete it",
  );
});
