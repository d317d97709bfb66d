/** A hostile server, or someone in between: what it sends is refused, and the rest of the agent works. */

import { assert, assertEquals } from "@std/assert";
import { LEAST_BETWEEN_LOOK_UPS_MS, LOOK_UP_EVERY_MS } from "../../src/connection/key_ring.ts";
import { type CommandToSign, SigningServer } from "../fakes/signing_server.ts";
import { INTERVAL_MS } from "../fakes/breaker_numbers.ts";
import { AGENT_ID, inWorld, type World } from "../fakes/world.ts";

const [OWN, OTHER] = [new SigningServer(0), new SigningServer(1)];

/** What `GET /public-keys` says of them; the first is the primary one. */
function keysOf(...servers: readonly SigningServer[]): unknown[] {
  return servers.map(({ key }, at) => ({
    key_id: key.keyId,
    public_key: key.publicKey,
    is_primary: at === 0,
    version: 1,
    algorithm: "ed25519",
  }));
}

/** A command as the server delivers it. */
interface Sent {
  readonly id: string;
  readonly type: string;
  readonly params: unknown;
  readonly [field: string]: unknown;
}

/** A command that was signed `agoS` seconds ago, for this agent. */
function signed(
  world: World,
  id: string,
  { by = OWN, agoS = 0, ...changed }: Partial<CommandToSign> & {
    by?: SigningServer;
    agoS?: number;
  } = {},
): Sent {
  const signedS = Math.floor(world.system.clock.nowMs() / 1_000) - agoS;
  const { params, signature, keyId, signedAt, type } = by.sign({
    id,
    type: "install_updates",
    params: "{}",
    signedS,
    agentId: AGENT_ID,
    ...changed,
  });
  const parsed = JSON.parse(params);
  return { id, type, params: parsed, signature, key_id: keyId, signed_at: signedAt };
}

/** An agent that has pinned the server's own key. */
function inSignedWorld(story: (world: World) => Promise<void>): Promise<void> {
  return inWorld(async (world) => {
    world.server.publicKeys = keysOf(OWN);
    await world.advance(LOOK_UP_EVERY_MS + INTERVAL_MS);
    assertEquals(world.log.told("server key pinned").length, 1);
    await story(world);
    // Whatever it was sent, the agent checks in, and runs what is really signed.
    const before = world.checkIns();
    world.server.publicKeys = keysOf(OWN);
    await world.advance(LOOK_UP_EVERY_MS);
    world.server.send(signed(world, "last"));
    await world.advance(INTERVAL_MS * 2);
    assert(world.checkIns() >= before + 2);
    assertEquals(world.ran.filter((id) => id === "last"), ["last"]);
  });
}

/** Sends a command, and returns the reason of the security event that comes of it. */
async function refusalOf(world: World, command: Sent): Promise<unknown> {
  const before = world.log.told("command refused").length;
  world.server.send(command);
  await world.advance(INTERVAL_MS * 2);
  const events = world.log.told("command refused").slice(before);
  assertEquals(events.map(({ id }) => id), [command.id]);
  assertEquals(events[0]?.["security_event"], "command_refused");
  assertEquals(world.ran.includes(command.id), false);
  const logs = world.reports.filter(({ body }) => body["command_id"] === command.id);
  assertEquals(logs.length, 1); // One report, as failed.
  return events[0]?.["reason"];
}

Deno.test("a command with a wrong signature, or none, is refused", () =>
  inSignedWorld(async (world) => {
    const good = signed(world, "c1");
    const text = String(good["signature"]);
    const flipped = `${text[0] === "0" ? "1" : "0"}${text.slice(1)}`;
    assertEquals(await refusalOf(world, { ...good, signature: flipped }), "bad_signature");
    assertEquals(await refusalOf(world, { ...good, id: "c2", signature: "" }), "unsigned");
    assertEquals(
      await refusalOf(world, { id: "c3", type: "install_updates", params: {} }),
      "unsigned",
    );
    assertEquals(await refusalOf(world, { ...good, id: "c4", signature: "00" }), "malformed");
    assertEquals(await refusalOf(world, { ...good, id: "c5", signed_at: null }), "malformed");
  }));

Deno.test("a command under a stolen id, type or agent is refused", () =>
  inSignedWorld(async (world) => {
    const good = signed(world, "c1");
    assertEquals(await refusalOf(world, { ...good, id: "c2" }), "bad_signature");
    assertEquals(await refusalOf(world, { ...good, id: "c3", type: "reboot" }), "bad_signature");
    const others = signed(world, "c4", { agentId: "7c0f4e2a-9b31-4d55-8a6e-1f2c3d4e5f60" });
    assertEquals(await refusalOf(world, others), "bad_signature");
    const named = { ...others, id: "c5", agent_id: "7c0f4e2a-9b31-4d55-8a6e-1f2c3d4e5f60" };
    assertEquals(await refusalOf(world, named), "other_agent");
  }));

Deno.test("a command in one of RedFlag's earlier signed forms is refused", () =>
  inSignedWorld(async (world) => {
    const signedS = Math.floor(world.system.clock.nowMs() / 1_000);
    const v2 = signed(world, "c1", {
      message: ({ hash }) => `c1:install_updates:${hash}:${signedS}`,
    });
    assertEquals(await refusalOf(world, v2), "bad_signature");
    const v1 = signed(world, "c2", { message: ({ hash }) => `c2:install_updates:${hash}` });
    assertEquals(await refusalOf(world, { ...v1, signed_at: null }), "malformed");
  }));

Deno.test("a command that is replayed runs once: in one answer, minutes and hours later", () =>
  inSignedWorld(async (world) => {
    const command = signed(world, "c1");
    world.server.send(command, command);
    await world.advance(INTERVAL_MS);
    world.server.send(command);
    await world.advance(3 * 3_600_000);
    world.server.send(command);
    await world.advance(INTERVAL_MS * 2);
    assertEquals(world.ran, ["c1"]);
    // Another command under an id that was run is refused, and reported by nothing but the log.
    const reports = world.reports.filter(({ body }) => body["command_id"] === "c1").length;
    world.server.send({ ...command, type: "reboot" });
    await world.advance(INTERVAL_MS * 2);
    const after = world.reports.filter(({ body }) => body["command_id"] === "c1").length;
    assertEquals([world.ran, after], [["c1"], reports]);
    assertEquals(world.log.told("command refused").map(({ reason }) => reason), ["bad_signature"]);
  }));

Deno.test("a command from the past or the future is refused, and the clock is named where it is the cause", () =>
  inSignedWorld(async (world) => {
    assertEquals(await refusalOf(world, signed(world, "c1", { agoS: 15_000 })), "too_old");
    const early = signed(world, "c2", { agoS: -3_600 });
    assertEquals(await refusalOf(world, early), "from_the_future");
    world.server.dateAheadMs = 3_600_000;
    assertEquals(
      await refusalOf(world, signed(world, "c3", { agoS: -3_600 })),
      "from_the_future",
    );
    const why = String(world.log.told("command refused").at(-1)?.["why"]);
    assert(why.endsWith("the clock of this host is 60 min behind the server's"), why);
  }));

Deno.test("params in another order run, and other params, or {} for null, do not", () =>
  inSignedWorld(async (world) => {
    const params = '{"subsystem":"apt","note":"a < b & c"}';
    const reordered = signed(world, "c1", { params });
    world.server.send({ ...reordered, params: { note: "a < b & c", subsystem: "apt" } });
    world.server.send(signed(world, "c2", { params: "null" }));
    await world.advance(INTERVAL_MS * 2);
    assertEquals(world.ran, ["c1", "c2"]);
    const empty = signed(world, "c3", { params: "null" });
    assertEquals(await refusalOf(world, { ...empty, params: {} }), "bad_signature");
    const more = signed(world, "c4", { params });
    const changed = { ...more, params: { subsystem: "dnf", note: "a < b & c" } };
    assertEquals(await refusalOf(world, changed), "bad_signature");
  }));

Deno.test("a swapped key is not trusted: all commands are refused until the server shows the pinned one", () =>
  inSignedWorld(async (world) => {
    world.server.publicKeys = keysOf(OTHER);
    // Its command names the new key, so the keys are looked up, and the pinned one is not among them.
    const forged = signed(world, "c1", { by: OTHER });
    await world.advance(LEAST_BETWEEN_LOOK_UPS_MS);
    assertEquals(await refusalOf(world, forged), "key_changed");
    assertEquals(world.log.told("server shows an unknown key: commands are refused").length, 1);
    assertEquals(await refusalOf(world, signed(world, "c2")), "key_changed");
    // Reporting goes on; and the agent recovers by itself.
    world.server.publicKeys = keysOf(OWN);
    world.server.send(signed(world, "c3"));
    await world.advance(LEAST_BETWEEN_LOOK_UPS_MS + INTERVAL_MS * 2);
    world.server.send(signed(world, "c4"));
    await world.advance(INTERVAL_MS * 2);
    assert(world.ran.includes("c4"));
    assertEquals(world.log.told("server shows a trusted key again").length, 1);
  }));

Deno.test("a key that the server announces beside the pinned one is followed, as a security event", () =>
  inSignedWorld(async (world) => {
    world.server.publicKeys = keysOf(OTHER, OWN);
    world.server.send(signed(world, "c1", { by: OTHER }), signed(world, "c2"));
    await world.advance(INTERVAL_MS * 2);
    assertEquals(world.ran.toSorted(), ["c1", "c2"]);
    const accepted = world.log.told("server key accepted: a trusted one announces it");
    assertEquals(accepted.map(({ key }) => key), [OTHER.key.keyId]);
  }));

Deno.test("a server that hides its keys again runs no unsigned command", () =>
  inSignedWorld(async (world) => {
    world.server.publicKeys = null;
    await world.advance(LOOK_UP_EVERY_MS + INTERVAL_MS);
    assertEquals(
      await refusalOf(world, { id: "c1", type: "install_updates", params: {} }),
      "unsigned",
    );
  }));
