import { assertEquals } from "@std/assert";
import type { CommandHandler } from "../../src/buffer/journal.ts";
import { KeyRing } from "../../src/connection/key_ring.ts";
import type { Received } from "../../src/loop/command_intake.ts";
import { CommandVerification } from "../../src/loop/command_verification.ts";
import type { ReceivedCommand } from "../../src/received_command.ts";
import type { Answer } from "../../src/server/answer.ts";
import type { UnsignedCommands } from "../../src/server/key_trust.ts";
import type { AnnouncedKey } from "../../src/server/signing_keys.ts";
import { FakeLog } from "../fakes/log.ts";
import { AGENT_ID, type CommandToSign, SigningServer } from "../fakes/signing_server.ts";
import { FakeSystem } from "../fakes/system.ts";
import { NEVER } from "../fakes/world.ts";

const [A, B] = [new SigningServer(0), new SigningServer(1)];

const RUNS: CommandHandler = {
  repeatable: true,
  run: () => Promise.resolve({ events: [], rapidPollingMs: null }),
};
const REFUSES: CommandHandler = { repeatable: true, refusal: () => "no" };

function unsigned(id: string, type = "scan_apt"): ReceivedCommand {
  return { id, type, params: "{}", signed: null };
}

function only(...commands: readonly ReceivedCommand[]): Received {
  return { commands, rejected: [] };
}

/** A verification with a server of the given keys; no keys: one that does not sign. */
function setUp(
  { keys = [], rule = "read_only" }: {
    keys?: readonly SigningServer[];
    rule?: UnsignedCommands;
  } = {},
) {
  const system = new FakeSystem();
  const log = new FakeLog();
  const server = { keys, isDown: false, calls: 0 };
  const publicKeys = (): Promise<Answer<readonly AnnouncedKey[]>> => {
    server.calls += 1;
    if (server.isDown) return Promise.resolve({ kind: "limited", why: "429", retryAfterMs: null });
    const value = server.keys.map(({ key }, at) => ({ ...key, isPrimary: at === 0 }));
    return Promise.resolve(
      value.length === 0
        ? { kind: "refused", why: "HTTP 404", status: 404 }
        : { kind: "ok", value, rateLimit: null },
    );
  };
  const keyRing = new KeyRing({
    system,
    log,
    stateDirectory: "/state",
    client: { publicKeys },
    configuredKey: null,
  });
  const verification = new CommandVerification({
    system,
    log,
    agentId: AGENT_ID,
    keyRing,
    unsigned: rule,
    findHandler: (type) => type === "refused_anyway" ? REFUSES : RUNS,
  });
  const verify = (received: Received, serverAtMs?: number) =>
    verification.verify(received, {
      signal: NEVER,
      ...serverAtMs !== undefined && { serverAtMs },
    });
  /** A command that a server signed for this agent now, or `agoS` seconds ago. */
  const signed = (
    by: SigningServer,
    command: Partial<CommandToSign> = {},
    agoS = 0,
  ): ReceivedCommand => {
    const signedS = Math.floor(system.clock.nowMs() / 1_000) - agoS;
    const toSign = { id: "c1", type: "scan_apt", params: "{}", signedS, ...command };
    const { id, type, params, ...signature } = by.sign(toSign);
    return { id, type, params, signed: { ...signature, agentId: AGENT_ID, createdAt: null } };
  };
  const reasons = () => log.told("command refused").map(({ reason }) => reason);
  return { system, log, server, keyRing, verification, verify, signed, reasons };
}

Deno.test("verify() lets a server without keys run what only reads, as far as the owner allows", async () => {
  const types = ["scan_updates", "scan_apt", "enable_heartbeat", "disable_heartbeat"];
  const all = [...types, "collect_specs", "refused_anyway", "install_updates", "rescan_all"];
  const run = async (rule: UnsignedCommands) => {
    const { verify, server } = setUp({ rule });
    const { commands } = await verify(only(...all.map((type) => unsigned(type, type))));
    assertEquals(server.calls, 0);
    return commands.map(({ type }) => type);
  };
  assertEquals(await run("read_only"), [...types, "collect_specs", "refused_anyway"]);
  assertEquals(await run("never"), []);
  assertEquals(await run("all"), all);
});

Deno.test("verify() looks the key up on the first signed command, and runs what was signed", async () => {
  const { verify, signed, server, keyRing } = setUp({ keys: [A] });
  const command = signed(A, { params: '{"b":[1.0],"a":"<"}' });
  const { commands, rejected } = await verify(only(command));
  assertEquals(commands, [{ ...command, params: '{"a":"\\u003c","b":[1]}' }]);
  assertEquals([rejected, server.calls, keyRing.keys?.trust.pinned], [[], 1, A.key]);
});

Deno.test("verify() runs a command without parameters with none", async () => {
  const { verify, signed } = setUp({ keys: [A] });
  const { commands } = await verify(only(signed(A, { params: "null" })));
  assertEquals(commands.map(({ params }) => params), ["{}"]);
});

Deno.test("verify() passes what was rejected before, and adds what it refuses", async () => {
  const { verify } = setUp({ rule: "never" });
  const before = { id: "r", type: "unreadable", why: "its type is missing" };
  assertEquals(await verify({ commands: [unsigned("c")], rejected: [before] }), {
    commands: [],
    rejected: [before, { id: "c", type: "scan_apt", why: "it has no signature" }],
  });
  assertEquals(await verify({ commands: [], rejected: [before] }), {
    commands: [],
    rejected: [before],
  });
});

Deno.test("verify() runs nothing unsigned once the server has shown a key, even if it shows none any more", async () => {
  const { system, verify, keyRing, server, reasons } = setUp({ keys: [A], rule: "all" });
  await keyRing.lookUp(NEVER);
  server.keys = [];
  await system.clock.advance(3_600_000);
  await keyRing.lookUp(NEVER);
  assertEquals((await verify(only(unsigned("c1")))).commands, []);
  assertEquals(reasons(), ["unsigned"]);
});

Deno.test("verify() names the clock of the host where it is the cause", async () => {
  const { system, verify, signed, keyRing } = setUp({ keys: [A] });
  await keyRing.lookUp(NEVER);
  const nowMs = system.clock.nowMs();
  const why = async (agoS: number, serverAtMs?: number) => {
    const { rejected } = await verify(only(signed(A, {}, agoS)), serverAtMs);
    return rejected[0]?.why;
  };
  const hour = 3_600;
  assertEquals(await why(5 * hour), "its signature is too old");
  assertEquals(await why(5 * hour, nowMs - 4 * 60_000), "its signature is too old");
  assertEquals(
    await why(5 * hour, nowMs - 5 * hour * 1_000),
    "its signature is too old, because the clock of this host is 300 min ahead of the server's",
  );
  assertEquals(await why(-400), "its signature is from the future");
  assertEquals(
    await why(-400, nowMs + 400_000),
    "its signature is from the future, because the clock of this host is 7 min behind the server's",
  );
  assertEquals(await why(4 * hour), undefined);
  assertEquals(await why(-300), undefined);
});

Deno.test("verify() puts a command off while the server does not say its keys, and judges it later", async () => {
  const { system, verify, signed, keyRing, server, log } = setUp({ keys: [A] });
  await keyRing.lookUp(NEVER);
  server.isDown = true;
  server.keys = [A, B];
  const command = signed(B);
  await system.clock.advance(60_000);
  assertEquals(await verify(only(command)), only());
  assertEquals([server.calls, log.told("command refused")], [1, []]);
  await system.clock.advance(300_000);
  assertEquals(await verify(only(command)), only());
  assertEquals(server.calls, 2);
  server.isDown = false;
  await system.clock.advance(300_000);
  assertEquals((await verify(only())).commands, [command]);
  assertEquals(await verify(only()), only());
});

Deno.test("verify() refuses a command whose key the server does not have, and asks once per five minutes", async () => {
  const { system, verify, signed, server, reasons } = setUp({ keys: [A] });
  await verify(only(signed(B, { id: "c1" })));
  await system.clock.advance(60_000);
  await verify(only(signed(B, { id: "c2" })));
  assertEquals([reasons(), server.calls], [["unknown_key"], 1]);
  await system.clock.advance(300_000);
  await verify(only());
  assertEquals([reasons(), server.calls], [["unknown_key", "unknown_key"], 2]);
});

Deno.test("verify() gives a command up after half an hour without an answer about the keys", async () => {
  const { system, verify, signed, server, reasons } = setUp({ keys: [A] });
  server.isDown = true;
  await verify(only(signed(A)));
  await system.clock.advance(30 * 60_000 - 1);
  await verify(only());
  assertEquals(reasons(), []);
  await system.clock.advance(1);
  await verify(only());
  assertEquals(reasons(), ["unknown_key"]);
});

Deno.test("verify() puts everything off while the disk cannot be read, and end() logs what is lost", async () => {
  const { system, verify, verification, log } = setUp();
  system.files.fail("read the server's keys", "failed");
  assertEquals(await verify(only(unsigned("c1"), unsigned("c2"))), only());
  system.files.heal("read the server's keys");
  assertEquals((await verify(only(unsigned("c3")))).commands.map(({ id }) => id).sort(), [
    "c1",
    "c2",
    "c3",
  ]);
  verification.end();
  assertEquals(log.told("commands not judged: the server's keys are not known"), []);
  const other = setUp();
  other.system.files.fail("read the server's keys", "failed");
  await other.verify(only(unsigned("c1"), unsigned("c2")));
  other.verification.end();
  const lost = other.log.told("commands not judged: the server's keys are not known");
  assertEquals(lost, [{ commands: "c1 c2" }]);
});

Deno.test("verify() runs nothing before the pinned key is on disk", async () => {
  const { system, verify, signed } = setUp({ keys: [A] });
  system.files.fail("save the server's keys", "full");
  const command = signed(A);
  assertEquals(await verify(only(command)), only());
  system.files.heal("save the server's keys");
  assertEquals((await verify(only())).commands, [command]);
});

Deno.test("verify() judges what was put off before what is new, and drops the newest of too many", async () => {
  const { system, verify } = setUp();
  system.files.fail("read the server's keys", "failed");
  const sent = (name: string, count: number) =>
    Array.from({ length: count }, (_, at) => unsigned(`${name}${at}`));
  await verify(only(unsigned("first"), unsigned("second")));
  await verify(only(...sent("flood", 200)));
  system.files.heal("read the server's keys");
  // One that is repeated keeps its place.
  const { commands } = await verify(only(unsigned("last"), unsigned("second")));
  const expected = ["first", "second", ...sent("flood", 198).map(({ id }) => id), "last"];
  assertEquals(commands.map(({ id }) => id), expected);
});

Deno.test("verify() keeps 200 commands that it cannot judge, and logs that it drops others", async () => {
  const { system, verify, log } = setUp();
  system.files.fail("read the server's keys", "failed");
  for (const set of ["a", "b"]) {
    const ids = Array.from({ length: 150 }, (_, at) => unsigned(`${set}${at}`));
    await verify(only(...ids));
  }
  const lost = log.told("commands lost: too many wait for a key");
  assertEquals(lost, [{ commands: 100 }]);
  system.files.heal("read the server's keys");
  assertEquals((await verify(only())).commands.length, 200);
});

Deno.test("verify() logs and counts each refused id once, and ten of one answer by name", async () => {
  const { verify, log, keyRing } = setUp({ rule: "never" });
  const commands = Array.from({ length: 12 }, (_, at) => unsigned(`c${at}`));
  await verify(only(...commands));
  await verify(only(...commands));
  assertEquals(log.told("command refused").length, 10);
  assertEquals(log.told("command refused")[0], {
    security_event: "command_refused",
    reason: "unsigned",
    command: "scan_apt",
    id: "c0",
    why: "it has no signature",
  });
  const more = { security_event: "command_refused", commands: 2 };
  assertEquals(log.told("further commands refused"), [more]);
  assertEquals(keyRing.keys?.refusedCommands, 12);
  assertEquals(keyRing.keys?.lastRefusal?.commandId, "c11");
});
