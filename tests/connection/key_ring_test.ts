import { assertEquals } from "@std/assert";
import {
  KeyRing,
  LEAST_BETWEEN_LOOK_UPS_MS,
  LOOK_UP_EVERY_MS,
  REDFLAG_KEY_FILE,
} from "../../src/connection/key_ring.ts";
import type { Answer } from "../../src/server/answer.ts";
import { loadServerKeys, NO_SERVER_KEYS } from "../../src/server/key_trust.ts";
import type { AnnouncedKey } from "../../src/server/signing_keys.ts";
import { FakeLog } from "../fakes/log.ts";
import { SigningServer } from "../fakes/signing_server.ts";
import { FakeSystem } from "../fakes/system.ts";
import { NEVER } from "../fakes/world.ts";

type Keys = Answer<readonly AnnouncedKey[]>;

const [A, B] = [new SigningServer(0), new SigningServer(1)];

function announced(...servers: readonly SigningServer[]): Keys {
  const value = servers.map(({ key }, at) => ({ ...key, isPrimary: at === 0 }));
  return { kind: "ok", value, rateLimit: null };
}

const OLD_SERVER: Keys = {
  kind: "refused",
  why: "HTTP 404",
  status: 404,
  error: "route_unknown",
};
const NO_KEY: Keys = {
  kind: "failed",
  why: "HTTP 503: signing service not configured",
  status: 503,
  offline: false,
  retryAfterMs: null,
  isSaid: true,
};
const HTML: Keys = { ...NO_KEY, why: "HTTP 200, but not the answer promised", status: 200 };
const DOWN: Keys = { ...NO_KEY, why: "refused", status: null };
/** Of something in front of a server that is being started. */
const STARTING: Keys = { ...NO_KEY, why: "HTTP 503: no healthy upstream" };

/** A key ring, and a server that answers as it is set to. */
function setUp({ configuredKey = null }: { configuredKey?: string | null } = {}) {
  const system = new FakeSystem();
  const log = new FakeLog();
  const server = { answer: OLD_SERVER, calls: 0 };
  const publicKeys = () => {
    server.calls += 1;
    return Promise.resolve(server.answer);
  };
  const start = () =>
    new KeyRing({ system, log, stateDirectory: "/state", client: { publicKeys }, configuredKey });
  const saved = () => loadServerKeys(system.files, "/state");
  const events = () => log.events.map(({ fields }) => fields["security_event"]).filter(Boolean);
  return { system, log, server, start, saved, events };
}

Deno.test("lookUp() pins the first key that the server shows, and saves it", async () => {
  const { system, server, start, saved, events } = setUp();
  server.answer = announced(A, B);
  const ring = start();
  await ring.lookUp(NEVER);
  const keys = await saved();
  assertEquals(ring.keys, keys);
  assertEquals([keys.trust.pinned, keys.trust.others], [A.key, [B.key]]);
  const nowMs = system.clock.nowMs();
  assertEquals([keys.pinnedAtMs, keys.lookedUpAtMs], [nowMs, nowMs]);
  assertEquals(system.files.modes.get("/state/keys.json"), 0o600);
  assertEquals(events(), ["key_pinned", "key_announced"]);
});

Deno.test("lookUp() takes no key whose id is not its own", async () => {
  const { server, start, log } = setUp();
  const [key] = announced(A).kind === "ok" ? [A.key] : [];
  const value = [{ keyId: B.key.keyId, publicKey: key!.publicKey, isPrimary: true }];
  server.answer = { kind: "ok", value, rateLimit: null };
  const ring = start();
  await ring.lookUp(NEVER);
  assertEquals(ring.keys?.trust.pinned, null);
  assertEquals(log.told("server keys not used").length, 1);
});

Deno.test("lookUpIfDue() asks at once, and then every six hours, also after a restart", async () => {
  for (const answer of [announced(A), OLD_SERVER, NO_KEY, HTML]) {
    const { system, server, start } = setUp();
    server.answer = answer;
    await start().lookUpIfDue(NEVER);
    const restarted = start();
    await system.clock.advance(LOOK_UP_EVERY_MS - 1);
    await restarted.lookUpIfDue(NEVER);
    assertEquals(server.calls, 1, answer.kind);
    await system.clock.advance(1);
    await restarted.lookUpIfDue(NEVER);
    assertEquals(server.calls, 2, answer.kind);
  }
});

Deno.test("lookUp() asks at most once per five minutes, and changes nothing without an answer", async () => {
  for (const answer of [STARTING, { ...NO_KEY, why: "HTTP 503" }]) {
    const { server, start } = setUp();
    server.answer = answer;
    const ring = start();
    await ring.lookUp(NEVER);
    assertEquals(ring.answeredAtMs, -Infinity, answer.why);
  }
  const { system, server, start, saved } = setUp();
  server.answer = DOWN;
  const ring = start();
  await ring.lookUp(NEVER);
  assertEquals(ring.answeredAtMs, -Infinity);
  await system.clock.advance(LEAST_BETWEEN_LOOK_UPS_MS - 1);
  await ring.lookUp(NEVER);
  await ring.lookUpIfDue(NEVER);
  assertEquals([server.calls, await saved()], [1, NO_SERVER_KEYS]);
  await system.clock.advance(1);
  server.answer = OLD_SERVER;
  await ring.lookUp(NEVER);
  assertEquals([server.calls, ring.answeredAtMs], [2, system.clock.monotonicMs()]);
  assertEquals(ring.keys?.trust.isRatcheted, false);
});

Deno.test("lookUp() refuses another key, keeps the pinned one, and follows an announcement", async () => {
  const { system, server, start, events } = setUp();
  const ring = start();
  for (const answer of [announced(A), announced(B), announced(B, A), announced(B)]) {
    server.answer = answer;
    await ring.lookUp(NEVER);
    await system.clock.advance(LEAST_BETWEEN_LOOK_UPS_MS);
  }
  assertEquals(events(), [
    "key_pinned",
    "key_changed",
    "key_restored",
    "key_announced",
    "key_retired",
  ]);
  assertEquals([ring.keys?.trust.pinned, ring.keys?.trust.source], [B.key, "announcement"]);
});

Deno.test("open() pins the key of the configuration before anything is looked up", async () => {
  const { server, start, saved } = setUp({ configuredKey: A.key.publicKey });
  const ring = start();
  assertEquals(await ring.open(), true);
  assertEquals((await saved()).trust.pinned, A.key);
  server.answer = announced(B);
  await ring.lookUp(NEVER);
  assertEquals(ring.keys?.trust.refusedKeyIds, [B.key.keyId]);
});

Deno.test("open() takes the key file of RedFlag's installer only if none but root can write it", async () => {
  const rows: [change: (system: FakeSystem) => void, isPinned: boolean][] = [
    [() => {}, true],
    [({ files }) => files.owners.set(REDFLAG_KEY_FILE, 1_000), false],
    [({ files }) => files.owners.set("/etc/redflag", 1_000), false],
    [({ files }) => files.modes.set(REDFLAG_KEY_FILE, 0o666), false],
    [({ files }) => files.texts.set(REDFLAG_KEY_FILE, "no key"), false],
    [({ files }) => files.texts.delete(REDFLAG_KEY_FILE), false],
    [({ files }) => files.fail("read RedFlag's key file", "denied"), false],
    [({ machine }) => machine.userId = () => null, false],
  ];
  for (const [change, isPinned] of rows) {
    const { system, start } = setUp();
    system.files.texts.set(REDFLAG_KEY_FILE, `${A.key.publicKey}\n`);
    system.files.modes.set(REDFLAG_KEY_FILE, 0o644);
    change(system);
    const ring = start();
    await ring.open();
    assertEquals(ring.keys?.trust.source, isPinned ? "key_file" : null, change.toString());
  }
});

Deno.test("open() fails while the disk cannot be read, and works later", async () => {
  const { system, server, start, log } = setUp();
  server.answer = announced(A);
  await start().lookUp(NEVER);
  const ring = start();
  system.files.fail("read the server's keys", "failed");
  assertEquals([await ring.open(), await ring.open(), ring.keys], [false, false, null]);
  await ring.lookUpIfDue(NEVER);
  assertEquals(server.calls, 1);
  assertEquals(log.told("server keys cannot be read: no command is run").length, 1);
  system.files.heal("read the server's keys");
  assertEquals([await ring.open(), ring.keys?.trust.pinned], [true, A.key]);
  system.files.fail("save the server's keys", "full");
  await ring.saveAgain();
  assertEquals(log.told("server keys not saved").length, 1);
  system.files.heal("save the server's keys");
  await ring.open();
  assertEquals(log.told("server keys saved again").length, 1);
});

Deno.test("open() is false until a new pin is on disk; a refusal may be lost", async () => {
  const { system, server, start, saved } = setUp();
  const ring = start();
  system.files.fail("save the server's keys", "full");
  assertEquals(await ring.open(), true);
  server.answer = announced(A);
  await ring.lookUp(NEVER);
  assertEquals([await ring.open(), (await saved()).trust.pinned], [false, null]);
  system.files.heal("save the server's keys");
  assertEquals([await ring.open(), (await saved()).trust.pinned], [true, A.key]);
  system.files.fail("save the server's keys", "full");
  const refusal = { commandId: "c", type: "scan_apt", reason: "unsigned", why: "it has none" };
  await ring.recordRefusals(2, { ...refusal, atMs: 0 });
  assertEquals([await ring.open(), ring.keys?.refusedCommands], [true, 2]);
});

Deno.test("open() of a damaged file trusts no key, and never runs unsigned commands again", async () => {
  const { system, server, start, events } = setUp();
  server.answer = announced(A);
  await start().lookUp(NEVER);
  system.files.texts.set("/state/keys.json", "{");
  const ring = start();
  assertEquals(await ring.open(), true);
  assertEquals([ring.keys?.trust.pinned, ring.keys?.trust.isRatcheted], [null, true]);
  await ring.lookUp(NEVER);
  assertEquals(ring.keys?.trust.refusedKeyIds, [A.key.keyId]);
  assertEquals(events(), ["key_pinned", "keys_lost", "key_changed"]);
});

Deno.test("saveAgain() writes the keys into a new state directory", async () => {
  const { system, server, start, saved } = setUp();
  server.answer = announced(A);
  const ring = start();
  await ring.lookUp(NEVER);
  system.files.texts.delete("/state/keys.json");
  await ring.saveAgain();
  assertEquals((await saved()).trust.pinned, A.key);
});
