/** The conditions of an agent that `status` and its relatives have to tell apart. */

import { LOST_KEYS, NO_KEYS, NO_SERVER_KEYS, saveServerKeys } from "../../src/server/key_trust.ts";
import {
  type Condition,
  CONDITION_STATE,
  ConditionHost,
  DEAD,
  HOUR,
  MIN,
  NOW,
  RUNNING,
  running,
  S,
} from "./condition_host.ts";
import { CONNECTION_CONDITIONS, outage } from "./conditions_of_connection.ts";

const TRIPPED_SCANNER = {
  generation: 1,
  failures: 3,
  trips: 1,
  reason: "apt-get ended with 100",
  since_at: new Date(NOW - HOUR).toISOString(),
};

/** All of them. */
export const CONDITIONS: readonly Condition[] = [
  ...CONNECTION_CONDITIONS,
  running("full disk", {
    health: "FAILED: the disk is full: No space left on device; 12 events are in memory alone",
    check: 2,
    code: "disk_full",
    ...RUNNING,
  }, async (host) => {
    await host.disk("full", "No space left on device", 12);
    await host.buffer(3);
  }),
  running("full disk from the start: an empty database", {
    health: "FAILED: the disk is full",
    check: 2,
    code: "disk_full",
    ...RUNNING,
  }, async (host) => {
    await host.disk("full", "No space left on device", 12);
    host.system.openDatabase(`${CONDITION_STATE}/buffer.sqlite`);
  }),
  running("read-only disk", {
    health: "FAILED: the disk is read-only or forbidden",
    check: 2,
    code: "disk_denied",
    ...RUNNING,
  }, (host) => host.system.files.fail("write to the disk", "denied")),
  running("read-only disk on which no agent can have its lock", {
    health: "FAILED: the disk is read-only or forbidden: Cannot write to the disk: denied",
    check: 2,
    code: "disk_denied",
    ...DEAD,
  }, (host) => {
    host.dies();
    host.system.files.fail("write to the disk", "denied");
  }),
  running("read-only disk from the start", {
    health: "FAILED: the disk refuses writes: the agent could not even write its state to it",
    check: 2,
    code: "disk_refused",
    ...RUNNING,
  }, (host) => void host.system.files.texts.delete(`${CONDITION_STATE}/disk.json`)),
  running("full disk, on which the agent could write no note", {
    health: "FAILED: the disk is full: the agent could not even write its state to it",
    check: 2,
    code: "disk_full",
    ...RUNNING,
  }, ({ system }) => {
    system.files.texts.delete(`${CONDITION_STATE}/disk.json`);
    system.machine = { ...system.machine, disk: () => ({ totalBytes: 1e9, freeBytes: 8_191 }) };
  }),
  running("disk errors", {
    health: "FAILED: the disk has errors: disk I/O error",
    check: 2,
    code: "disk_io",
    ...RUNNING,
  }, (host) => host.disk("io", "disk I/O error")),
  running("the directory belongs to another agent", {
    health: "FAILED: the state directory belongs to another agent",
    check: 2,
    code: "disk_held",
    ...RUNNING,
  }, (host) => host.disk("held", "process 99 already runs an agent")),
  running("damaged state file", {
    health: 'DEGRADED: "state.json" is damaged',
    check: 1,
    code: "file_damaged",
    nextInMs: null,
  }, (host) => host.file("state.json", '{"schema":')),
  running("dead agent with a damaged state file", {
    health: "FAILED: no agent runs",
    check: 2,
    code: "agent_not_running",
    nextInMs: null,
  }, (host) => {
    host.file("state.json", "{");
    host.dies();
  }),
  running("damaged buffer", {
    health: "DEGRADED: the buffer cannot be read",
    check: 1,
    code: "buffer_unreadable",
    ...RUNNING,
  }, async ({ system }) => {
    await ConditionHost.prototype.buffer.call({ system }, 1);
    system.files.fail("look for the buffer", "failed");
  }),
  running("damaged identity", {
    health: "FAILED: Cannot use the identity",
    check: 2,
    exit: 1,
    code: "identity_unusable",
    nextInMs: null,
    listed: "unknown",
  }, (host) => host.file("identity.json", "{")),
  running("dead agent", {
    health: "FAILED: no agent runs",
    check: 2,
    code: "agent_not_running",
    ...DEAD,
  }, (host) => host.dies()),
  running(
    "dead agent in an outage",
    { health: "FAILED: no agent runs", check: 2, code: "agent_not_running", ...DEAD },
    (host) => host.dies(),
    {},
    { outage: outage(10 * MIN) },
  ),
  running(
    "run --once an hour ago",
    { health: "OK", check: 0, code: null, ...DEAD },
    (host) => host.dies(),
    { isOnce: true, lastCheckInAtMs: NOW - HOUR },
  ),
  running(
    "run --once, of which the last cycle was refused",
    {
      health: "FAILED: operator action required: the server no longer accepts this agent",
      check: 2,
      code: "operator_action_forbidden",
      ...DEAD,
    },
    (host) => host.dies(),
    { isOnce: true },
    {
      operatorAction: {
        cause: "forbidden",
        why: "HTTP 403",
        sinceMs: NOW - HOUR,
        notBeforeMs: NOW,
      },
    },
  ),
  running(
    "run --once, of which the last cycle failed",
    {
      health: "DEGRADED: the server is not reachable: connection refused, since 03:13Z (10 s)",
      check: 1,
      code: "outage",
      ...DEAD,
    },
    (host) => host.dies(),
    { isOnce: true },
    { outage: outage(10 * S) },
  ),
  running(
    "run --once three days ago",
    { health: "FAILED: no agent runs", check: 2, code: "agent_not_running", ...DEAD },
    (host) => host.dies(),
    { isOnce: true, lastCheckInAtMs: NOW - 72 * HOUR },
  ),
  running("second agent refused", {
    health: "OK",
    check: 0,
    code: null,
    ...RUNNING,
  }),
  running(
    "clock went back two hours",
    {
      health: "DEGRADED: the clock of this host went back",
      check: 1,
      code: "clock_went_back",
      nextInMs: null,
      listed: "unknown",
    },
    () => {},
    { lastCheckInAtMs: NOW + 2 * HOUR, nextCheckInAtMs: NOW + 2 * HOUR + 5 * MIN },
  ),
  running(
    "clock jumped forward, or the agent hangs, half an hour",
    {
      health: "DEGRADED: the next attempt is overdue",
      check: 1,
      code: "overdue",
      nextInMs: -30 * MIN,
      listed: "now",
    },
    () => {},
    { lastCheckInAtMs: NOW - 35 * MIN, nextCheckInAtMs: NOW - 30 * MIN },
  ),
  running(
    "the agent hangs for two hours",
    {
      health: "FAILED: the next attempt is overdue",
      check: 2,
      code: "overdue",
      nextInMs: -120 * MIN,
      listed: "now",
    },
    () => {},
    { lastCheckInAtMs: NOW - 125 * MIN, nextCheckInAtMs: NOW - 120 * MIN },
  ),
  running("dead letters", {
    health: "DEGRADED: 2 dead letters wait for an operator",
    check: 1,
    code: "dead_letters",
    ...RUNNING,
  }, (host) => host.buffer(1, { deadLetters: 2 })),
  running("evictions", {
    health: "DEGRADED: the buffer was full and 6 events were evicted: they are lost",
    check: 1,
    code: "evictions",
    ...RUNNING,
  }, (host) => host.buffer(15, { maxEvents: 10, ageMs: HOUR / 2 })),
  running("buffer nearly full", {
    health: "DEGRADED: the buffer is nearly full: events will be lost",
    check: 1,
    code: "buffer_nearly_full",
    ...RUNNING,
  }, async (host) => {
    host.configuration("[buffer]\nmax_events = 100\n");
    await host.buffer(95);
  }),
  running("reports fail for two hours", {
    health: "DEGRADED: the server takes check-ins, but events still wait, since 01:13Z (2 h)",
    check: 1,
    code: "delivery_late",
    ...RUNNING,
  }, (host) => host.buffer(3, { ageMs: 2 * HOUR })),
  running("scanner breaker open", {
    health: "DEGRADED: apt is paused after 3 failed scans: apt-get ended with 100",
    check: 1,
    code: "scanner_paused",
    ...RUNNING,
  }, (host) =>
    host.scanner({
      ...TRIPPED_SCANNER,
      state: "open",
      until_at: new Date(NOW + 10 * MIN).toISOString(),
    }, { result: "failed", error: "apt-get ended with 100" })),
  running("scan failed", {
    health: "DEGRADED: the last scan of apt failed: no network",
    check: 1,
    code: "scan_failed",
    ...RUNNING,
  }, (host) => host.scanner(null, { result: "failed", error: "no network" })),
  running(
    "source out of date",
    {
      health:
        "DEGRADED: the list of apt is incomplete or out of date: lists of bookworm are 30 days",
      check: 1,
      code: "scan_degraded",
      ...RUNNING,
    },
    (host) =>
      host.scanner(null, { result: "degraded", warning: "lists of bookworm are 30 days old" }),
  ),
  running("no package manager", {
    health: "DEGRADED: no package manager found (looked for apt, dnf",
    check: 1,
    code: "no_package_manager",
    ...RUNNING,
  }, ({ system: { files } }) => {
    files.ofHost.delete("/usr/bin/apt-get");
    for (const path of ["/usr/bin/apt-get", "/usr/bin/dpkg-query"]) files.texts.delete(path);
  }),
  running("no scanner enabled", {
    health: "DEGRADED: no scanner is enabled: this host reports no updates",
    check: 1,
    code: "scanners_disabled",
    ...RUNNING,
  }, (host) => host.configuration("[scanners]\nenabled = []\n")),
  {
    name: "never registered",
    host: () => Promise.resolve(new ConditionHost()),
    health: "FAILED: this host is not registered",
    check: 2,
    exit: 3,
    code: "not_registered",
    nextInMs: null,
  },
  {
    name: "registered, never started",
    host: () => ConditionHost.registered(),
    health: "FAILED: the agent was registered and never started",
    check: 2,
    code: "never_started",
    nextInMs: null,
  },
  {
    name: "started 20 s ago",
    async host() {
      const host = await ConditionHost.registered();
      host.holder(NOW - 20 * S);
      await host.disk();
      return host;
    },
    health: "OK",
    check: 0,
    code: null,
    nextInMs: null,
  },
  {
    name: "running for half an hour, never checked in",
    async host() {
      const host = await ConditionHost.registered();
      host.holder(NOW - 30 * MIN);
      await host.disk();
      return host;
    },
    health: "DEGRADED: the agent runs and has not checked in yet, since 02:43Z (30 min)",
    check: 1,
    code: "never_checked_in",
    nextInMs: null,
  },
  running(
    "signatures refused: another key",
    {
      health: "FAILED: all commands refused: the server shows the key 0123456789abcdef",
      check: 2,
      code: "signatures_refused",
      ...RUNNING,
    },
    ({ system: { files } }) =>
      saveServerKeys(files, CONDITION_STATE, {
        ...NO_SERVER_KEYS,
        trust: {
          ...NO_KEYS,
          refusedKeyIds: ["0123456789abcdef0123456789abcdef"],
          isRatcheted: true,
        },
      }),
  ),
  running(
    "signatures refused: the key is lost",
    {
      health: "FAILED: all commands refused: the file with the server's key is lost",
      check: 2,
      code: "signatures_refused",
      ...RUNNING,
    },
    ({ system: { files } }) =>
      saveServerKeys(files, CONDITION_STATE, { ...NO_SERVER_KEYS, trust: LOST_KEYS }),
  ),
  running(
    "one command refused by its signature",
    {
      health: "DEGRADED: a command was refused for the signature, the last one scan_apt",
      check: 1,
      code: "commands_refused",
      ...RUNNING,
    },
    ({ system: { files } }) =>
      saveServerKeys(files, CONDITION_STATE, {
        ...NO_SERVER_KEYS,
        refusedCommands: 1,
        lastRefusal: {
          commandId: "c1",
          type: "scan_apt",
          reason: "bad_signature",
          why: "its signature is not valid",
          atMs: NOW - HOUR,
        },
      }),
  ),
];
