/** Text from outside that would steer, hide or reorder: it comes in nowhere, and goes out nowhere. */

import { assert, assertEquals } from "@std/assert";
import { registerBody, systemInfoEvent } from "../../src/agent/host_report.ts";
import type { StoredEvent } from "../../src/buffer/buffer.ts";
import {
  eventAsJson,
  eventAsText,
  eventsAsJson,
  eventsAsTable,
} from "../../src/cli/events_command.ts";
import { scanAsCsv, scanAsJson, scanAsText } from "../../src/cli/scan_command.ts";
import { assessHealth } from "../../src/agent/health.ts";
import { statusAsJson } from "../../src/cli/status_command.ts";
import { statusAsCheck, statusAsText } from "../../src/cli/status_text.ts";
import { failureEvent } from "../../src/commands/command_log.ts";
import { hostFacts } from "../../src/host/host.ts";
import { applyAnswer } from "../../src/connection/state.ts";
import { NEW_STATE } from "../../src/loop/state.ts";
import { connectionPolicy } from "../../src/breaker/policies.ts";
import { readAnswer, readFailure } from "../../src/server/answer.ts";
import { NO_SERVER_KEYS } from "../../src/server/key_trust.ts";
import { encodeUpdate } from "../../src/server/update_item.ts";
import { hasControls } from "../../src/strip_controls.ts";
import { HttpError } from "../../src/system/http.ts";
import { tool } from "../cli/scan_reports.ts";
import { FakeSystem } from "../fakes/system.ts";
import { response } from "../fakes/response.ts";
import fc from "fast-check";
import { anyString } from "../fakes/texts.ts";

/** One of each kind of what must not get through, among what must. */
const STEERING =
  "a\0\x1b[2J\r\n\x7f\x9b\u00ad\u061c\u200b\u200d\u200f\u2028\u2029\u202e\u2066\ufeff\ufff9\u{e0041}\ud800b";

const hostile = fc.oneof(
  fc.constant(STEERING),
  anyString({ minLength: 1 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1 })
    .map((units) => String.fromCharCode(...units)),
);

/** Every text in a value, names of fields too. */
function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [name, ...textsIn(inner)]);
}

function isSafe(value: unknown, kept: "" | "\n" | "\n\t" = ""): void {
  for (const text of textsIn(value)) assert(!hasControls(text, kept), JSON.stringify(text));
}

Deno.test("what a server says enters without what could steer, and shortened", () => {
  fc.assert(
    fc.property(hostile, fc.constantFrom(400, 401, 403, 404, 429, 500, 503), (text, status) => {
      const headers = { location: text, "retry-after": text, date: text };
      const body = JSON.stringify({ error: text.repeat(300) });
      const answer = readAnswer(
        response(status, body, headers),
        () => ({ ok: false, why: "it is another" }),
        0,
      );
      isSafe(answer);
      for (const words of textsIn(answer)) assert(words.length <= 210);
    }),
  );
});

Deno.test("why there was no answer enters without what could steer, and shortened", () => {
  for (const text of [STEERING, "x".repeat(70_000), STEERING.repeat(3_000)]) {
    const answer = readFailure(new HttpError(`Cannot reach: ${text}`, { reason: "malformed" }));
    isSafe(answer);
    assert("why" in answer && answer.why.length <= 500);
  }
});

Deno.test("what is saved of an outage holds nothing that could steer", () => {
  const why = STEERING.repeat(100);
  const policy = {
    backoff: { baseMs: 1, capMs: 1, floorMs: 0 },
    breaker: connectionPolicy({
      consecutiveFailures: 1,
      windowFailures: 1,
      windowSize: 1,
      minOpenMs: 1,
      maxOpenMs: 1,
      probeTimeoutMs: 1,
    }, { baseMs: 1, capMs: 1, floorMs: 0 }),
    intervalMs: 1,
  };
  const permit = { generation: 0, probe: false };
  for (const status of [500, 403]) {
    const body = JSON.stringify({ error: why });
    const answer = readAnswer(
      response(status, body),
      () => ({ ok: false, why: "it is another" }),
      0,
    );
    const step = { path: "check_in", permit, nowMs: 0, random: () => 0, policy } as const;
    const state = applyAnswer(NEW_STATE.connection, answer, step);
    assert(JSON.stringify(state).includes("[2J"), "the words are there");
    isSafe(state);
  }
});

Deno.test("what a host calls itself enters without what could steer", async () => {
  const system = new FakeSystem();
  system.machine = {
    ...system.machine,
    hostName: () => STEERING,
    kernelRelease: () => STEERING,
    cpus: () => [{ model: STEERING, busyMs: 0, totalMs: 1 }],
  };
  system.files.texts.set("/etc/os-release", `PRETTY_NAME="Debian ${STEERING}"\n`);
  const df = "/dev/sda1 ex\u200bt4 100 50 50 50% /a\x1b[2J\u202eb\n";
  system.runCommand = () => Promise.resolve({ code: 0, stdout: df, stderr: "", truncated: false });
  const facts = await hostFacts(system);
  assertEquals(facts.disks.map(({ mount, fileSystem }) => [mount, fileSystem]), [[
    "/a[2Jb",
    "ext4",
  ]]);
  assertEquals(facts.hostName, "a[2Jb");
  isSafe(facts);
  isSafe(registerBody(facts, {
    agentVersion: "1",
    nowMs: 0,
    machineId: "m",
    device: { type: "vm", model: facts.cpuModel, distro: facts.osVersion },
    scanners: [],
  }));
  isSafe(
    JSON.parse(
      systemInfoEvent(facts, 0, {
        reboot: { isRequired: true, reason: "a kernel" },
        device: { type: "vm", model: facts.kernel, distro: facts.kernel },
      }).body,
    ),
  );
});

Deno.test("what is sent of updates and results holds nothing that could steer", () => {
  const update = { ...tool, package: STEERING, description: STEERING, source: STEERING };
  const { metadata: _, ...item } = encodeUpdate(update, "apt", "x86_64");
  isSafe(item, "\n\t");
  const command = { id: "c", type: STEERING, params: {} };
  isSafe(JSON.parse(failureEvent(command, STEERING, 0).body), "\n\t");
});

Deno.test("no output of a command holds what could steer, whatever was kept or found", async () => {
  await fc.assert(fc.asyncProperty(hostile, async (text) => {
    const event: StoredEvent = {
      id: text,
      kind: "log",
      commandId: text,
      snapshotOf: text,
      sequence: 1,
      place: 1,
      createdMs: 0,
      state: "pending",
      attempts: 0,
      sizeBytes: 1,
      isSuperseded: false,
      lastError: text,
      body: JSON.stringify({ [text]: text }),
    };
    const update = {
      ...tool,
      package: text,
      currentVersion: text,
      availableVersion: text,
      source: text,
      cves: [text],
      description: text,
    };
    const report = {
      name: "apt",
      result: "degraded",
      durationMs: 1,
      error: null,
      warnings: [text],
      metadataAgeS: null,
      sources: [{
        name: text,
        url: text,
        result: "old",
        why: text,
        metadataAgeS: null,
        expiresAtMs: null,
        marksSecurity: null,
      }],
      reboot: { isRequired: true, reason: text },
      updates: [update],
    } as const;
    const status = {
      nowMs: 0,
      identity: {
        agentId: text,
        serverUrl: text,
        tokenEndsAtMs: null,
        savedAtMs: null,
        intervalMs: 1,
      },
      identityError: text,
      configuredUrl: null,
      last: { leftBehind: null, signOfLife: null, logLine: null, bootMs: null },
      holder: null,
      state: null,
      buffer: null,
      commands: null,
      signing: {
        keys: {
          ...NO_SERVER_KEYS,
          lastRefusal: { commandId: text, type: text, reason: text, why: text, atMs: 0 },
        },
        unsigned: "read_only" as const,
      },
      disk: { note: null, refusal: text, isFull: true, bufferError: text },
      scanners: { enabled: [text], available: [text] },
      damaged: [{ file: text, why: text }],
      hasDrawnMachineId: true,
      limits: { maxEvents: 1, maxBytes: 1, maxAttempts: 1 },
      scannerBreakers: {},
      scans: {
        [text]: {
          at_ms: 0,
          result: "failed" as const,
          updates: 0,
          security: 0,
          duration_ms: 0,
          error: text,
        },
      },
    };
    for (
      const shown of [
        eventAsText(event, 0),
        eventsAsTable([event], 0, 80),
        await scanAsText([report], { width: 80, machine: "x86_64" }),
        scanAsCsv([report]),
        statusAsText(status, assessHealth(status), {
          width: 80,
          isVerbose: true,
          paint: (_, shown) => shown,
          given: { values: { config: text } },
        }),
        statusAsCheck(status, assessHealth(status)),
      ]
    ) isSafe(shown, "\n");
    for (
      const json of [
        eventAsJson(event),
        eventsAsJson([event], 1),
        scanAsJson({ reports: [report], names: ["apt"], host: text, startedMs: 0 }),
        statusAsJson(status),
      ]
    ) {
      isSafe(json, "\n");
      // Programs get what there is, unharmed.
      const known = JSON.parse(JSON.stringify(text));
      assert(textsIn(JSON.parse(json)).includes(known), json);
    }
  }));
});
