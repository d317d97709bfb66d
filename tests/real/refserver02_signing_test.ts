import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { createHash, createPublicKey, verify } from "node:crypto";
import fc from "fast-check";
import { closureHash, tokenText } from "../../tools/refserver/age02/capability_tokens.ts";
import { keyPairOf, signText } from "../../tools/refserver/age02/ed25519.ts";
import { goJson } from "../../tools/refserver/age02/go_json.ts";
import { signedText } from "../../tools/refserver/age02/signing.ts";
import { enrol02, get, MINUTE_MS, SEED, with02 } from "./refserver02_agent.ts";

const PUBLIC_KEY = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
const KEY_ID = "56475aa75463474c0285df5dbf2bcab7";
const AGENT_ID = "7c0f4e2a-9b31-4d55-8a6e-1f2c3d4e5f60";

const REBOOT = {
  z: { b: [1.5, 1e21, 1e-7, 0.000001, -2, true, null], a: "x" },
  message: 'a < b & c > d \u2028 é "q" \\ /\t\u0007\u007f 😀',
  delay_minutes: 1,
};

const REBOOT_JSON = '{"delay_minutes":1,"message":"a \\u003c b \\u0026 c \\u003e d \\u2028 é ' +
  '\\"q\\" \\\\ /\\t\\u0007\u007f 😀","z":{"a":"x","b":[1.5,1e+21,1e-7,0.000001,-2,true,null]}}';

/** Type, params, their JSON as Go writes it, instant, SHA-256 of the JSON, signature. */
const VECTORS = [
  [
    "scan_apt",
    {},
    "{}",
    1780000000,
    "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    "25e5819b4ded963cd481fd54ac51b490ade54665ef0ab157bde94d9ce4c0ae54a2275caaa52405a1bcb1b91f6b082befb21b928b7d62b443461a46b7ebf5c505",
  ],
  [
    "scan_processes",
    null,
    "null",
    1780000000,
    "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b",
    "671b93794143eece3c60d0f873ab19c8d5316915bd28d5733af8cc810d735c54d3063848b076a04109aa3b3ac76b65dfc7c89f47ae12b4093dfd661ba866fb09",
  ],
  [
    "enable_heartbeat",
    { duration_minutes: 10 },
    '{"duration_minutes":10}',
    1780000001,
    "4e5fe4b20955d6d85e287eb533cf6c482b3ea92d936f1ed6469a997102ef4059",
    "403b910adc5d1c566918119484fa59fb9980ec27901d02be808022bc7c774088ce6e3cad0855103c015d55c4a8d22a9292b2d14b85848305699dc94ccaa7fc06",
  ],
  [
    "dry_run_update",
    {
      update_id: "550e8400-e29b-41d4-a716-446655440099",
      package_name: "libstdc++6",
      package_type: "apt",
      available_version: "1:2.3~rc1+deb12u1",
      target_version: "1:2.3~rc1+deb12u1",
    },
    '{"available_version":"1:2.3~rc1+deb12u1","package_name":"libstdc++6","package_type":"apt",' +
    '"target_version":"1:2.3~rc1+deb12u1","update_id":"550e8400-e29b-41d4-a716-446655440099"}',
    1780000002,
    "36dcad51ab68a6e8dd401a3c7d56d3badc02c5d0d49e7d8bd2eb8ae7e662561d",
    "861d990e4d3b2c2eb5f58dd69e3b8bb2f832aac9bb13d24761274e843bb07ea51f829484055588b0e619a1cbd42caa8637f6d9c2bf77e584e20e50ff6c263a01",
  ],
  [
    "reboot",
    REBOOT,
    REBOOT_JSON,
    1780000003,
    "37258022e10d5bce77dc8833dc739d06cc83ce3a9b17dbecf2f353e4a0f6f001",
    "652ac2f93759b17540d14839c833b6c43c16adf5f214cd48bd2a70a4ac89910878f81edcaf873593d3617cbb1f2571a40e8d1f0fdc89a6fb760a41dd7f355905",
  ],
] as const;

interface Item {
  readonly id: string;
  readonly type: string;
  readonly params: unknown;
  readonly signature: string;
  readonly key_id: string;
  readonly signed_at: string;
  readonly agent_id: string;
}

/** Checks a signature without the code that made it. */
function isSigned(item: Item, publicKey: string, agentId = item.agent_id): boolean {
  const spki = Buffer.from(`302a300506032b6570032100${publicKey}`, "hex");
  const key = createPublicKey({ key: spki, format: "der", type: "spki" });
  const hash = createHash("sha256").update(goJson(item.params)).digest("hex");
  const second = Math.floor(Date.parse(item.signed_at) / 1_000);
  const text = `${agentId}:${item.id}:${item.type}:${hash}:${second}`;
  return verify(null, Buffer.from(text), key, Buffer.from(item.signature, "hex"));
}

Deno.test("trap 29: the signature is over JSON as Go writes it", () => {
  assertEquals(keyPairOf(SEED), { seed: SEED, publicKey: PUBLIC_KEY, keyId: KEY_ID });
  for (const [n, [type, params, json, second, sha256, signature]] of VECTORS.entries()) {
    assertEquals(goJson(params), json);
    assertEquals(createHash("sha256").update(json).digest("hex"), sha256);
    const id = `550e8400-e29b-41d4-a716-44665544000${n + 1}`;
    const signedAtMs = second * 1_000 + 999;
    const text = signedText({ id, agentId: AGENT_ID, type, params, signedAtMs });
    assertEquals(
      text,
      `${AGENT_ID}:${id}:${type}:${sha256}:${second}`,
      "trap 30: seconds, floored",
    );
    assertEquals(signText(SEED, text), signature);
  }
});

Deno.test("capability tokens and nonces are signed as in RedFlag", () => {
  const acl = { name: "acl", version: "2.3.1-3", sha256: "1".repeat(64) };
  const zlib = { name: "zlib1g", version: "1:1.2.13.dfsg-1", sha256: "2".repeat(64) };
  const hash = closureHash([zlib, acl, acl]);
  assertEquals(hash, "1641841bfd27935c23a76f18fd294c64d17f785a6587234aafd6f73449080fcb");
  const token = {
    agent_id: AGENT_ID,
    token_id: "550e8400-e29b-41d4-a716-4466554400aa",
    operation: "upgrade" as const,
    package_type: "apt",
    expires_at: 1780003600,
  };
  assertEquals(
    signText(SEED, tokenText(token, hash)),
    "bc6c3c589508d7e715d55d0fe558dd4d97eff4b82e4bb54e72a67e4d5b3e6c7b3e3704d81905ded419f099cd5e9c77b331ea627d4232ba3d62ec4c93b514090b",
  );
  assertEquals(
    signText(SEED, "550e8400-e29b-41d4-a716-4466554400bb:1780000000"),
    "c19e30a834d75ebd1fdce431e0fb9d4cc8f1ad7cbcacc194533f7ab46d4b85ee1591dc46a588696cfd7bc24097d2c32b9990762a1cd290d7ba200f5137af6a04",
  );
});

Deno.test("goJson() writes what JSON.parse() reads back, whatever the order of keys", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const text = goJson(value);
    assertEquals(goJson(JSON.parse(text)), text);
    assert(!/[<>&\u2028\u2029]/.test(text));
  }));
  assertEquals(goJson({ "\u{1f600}": 1, "\uffff": 2, a: undefined }), '{"\uffff":2,"\u{1f600}":1}');
  assertEquals(goJson([-0, "\b\f\n\r\t\u0001\ud800"]), '[-0,"\\b\\f\\n\\r\\t\\u0001\ufffd"]');
  for (const value of [NaN, Infinity, undefined, () => 0]) {
    assertThrows(() => goJson(value), TypeError, "Cannot write JSON");
  }
});

Deno.test("commands come signed by the primary key, for the agent, with a fraction in the instant", async () => {
  await with02({}, async (server, clock) => {
    clock.setNow(clock.nowMs() + 123);
    const agent = await enrol02(server);
    const params = { message: "a<b & c", z: 1, a: { d: 1, c: 2 } };
    server.queueCommand({ type: "reboot", params });
    server.queueCommand({ type: "scan_processes", params: null });
    const answer = await agent.checkIn();
    for (const item of answer.json.commands as Item[]) {
      assertEquals([item.agent_id, item.key_id], [agent.id, KEY_ID]);
      assert(/\.123Z$/.test(item.signed_at));
      assert(isSigned(item, PUBLIC_KEY));
    }
    assert(
      answer.text.includes('"params":{"a":{"c":2,"d":1},"message":"a\\u003cb \\u0026 c","z":1}'),
    );
  });
});

Deno.test("trap 29: a proxy that writes the JSON anew changes order and escapes, not the value", async () => {
  await with02({ settings: { plainJson: true } }, async (server) => {
    const agent = await enrol02(server);
    server.queueCommand({ type: "reboot", params: { z: 1, message: "a<b & c" } });
    const answer = await agent.checkIn();
    assert(answer.text.includes('"params":{"z":1,"message":"a<b & c"}'));
    assert(isSigned(answer.json.commands[0], PUBLIC_KEY));
  });
});

Deno.test("trap 30: a command that is delivered again is as old as its signature", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    server.queueCommand({ type: "scan_apt" });
    const [first] = (await agent.checkIn()).json.commands;
    server.advance(200 * MINUTE_MS - 1);
    server.operator().replay(first.id);
    const [again] = (await agent.checkIn()).json.commands;
    assertEquals([again.id, again.signature, again.signed_at], [
      first.id,
      first.signature,
      first.signed_at,
    ]);
  });
});

Deno.test("keys: one primary, old ones active until they are retired", async () => {
  await with02({ limits: { public: 0 } }, async (server) => {
    const one = { key_id: KEY_ID, public_key: PUBLIC_KEY, algorithm: "ed25519" };
    assertEquals((await get(server, "/api/v1/public-key")).json, {
      ...one,
      fingerprint: KEY_ID,
      key_size: 32,
      version: 1,
    });
    const { keyId, publicKey } = server.operator().rotateKey();
    const two = { key_id: keyId, public_key: publicKey, algorithm: "ed25519" };
    const list = async () => (await get(server, "/api/v1/public-keys")).json;
    assertEquals(await list(), [
      { ...two, is_primary: true, version: 2 },
      { ...one, is_primary: false, version: 1 },
    ]);
    assertEquals((await get(server, "/api/v1/public-key")).json.key_id, keyId);
    assertThrows(() => server.operator().retireKey(keyId), Error, "the primary one");
    server.operator().retireKey(KEY_ID);
    assertEquals((await list()).length, 1);
    const impostor = server.operator().rotateKey({ retireOld: true });
    assertEquals((await list()).map((key: { key_id: string }) => key.key_id), [impostor.keyId]);
    await server.setFault({ mode: "database_down" });
    assertEquals((await list()).length, 1);
    await server.setFault({ mode: "none" });
    server.operator().set({ signing: false });
    const none = await get(server, "/api/v1/public-key");
    assertEquals([none.status, none.json], [503, {
      error: "signing service not configured",
      hint: "Set REDFLAG_SIGNING_PRIVATE_KEY environment variable",
    }]);
    assertEquals((await get(server, "/api/v1/public-keys")).status, 503);
    assertEquals("seed" in server.state().age02!.keys[0]!, false);
  });
});

Deno.test("hostile commands are signed as they are told", async () => {
  await with02({}, async (server) => {
    const agent = await enrol02(server);
    server.operator().rotateKey();
    server.operator().retireKey(KEY_ID);
    const { publicKey, keyId } = server.operator().rotateKey();
    const modes = [
      ["good", true],
      ["none", false],
      ["wrong", false],
      ["other_key", false],
      ["unknown_key", false],
      ["retired_key", false],
      ["other_agent", true],
      ["relabelled", false],
      ["other_params", false],
      ["other_type", false],
      ["other_id", false],
      ["v2", false],
      ["v1", false],
    ] as const;
    const ids = modes.map(([sign]) => server.queueCommand({ type: `x_${sign}`, sign }));
    const [good] = ids;
    server.queueCommand({ type: "x_copy", signatureOf: good! });
    server.queueCommand({ type: "x_old", signedAtOffsetS: -14_401 });
    const { commands } = (await agent.checkIn()).json as { commands: Item[] };
    const of = (name: string) => commands.find(({ type }) => type === `x_${name}`)!;
    for (const [name, isValid] of modes) {
      if (name === "none" || name === "v1") continue;
      assertEquals(isSigned(of(name), publicKey), isValid, name);
    }
    assertEquals(["signature" in of("none"), "signed_at" in of("none")], [false, false]);
    assertEquals(["signature" in of("v1"), "signed_at" in of("v1")], [true, false]);
    assertEquals(of("other_key").key_id, keyId);
    assertEquals(of("retired_key").key_id === keyId, false);
    assertEquals([of("other_agent").agent_id === agent.id, of("relabelled").agent_id], [
      false,
      agent.id,
    ]);
    assertEquals([of("copy").signature, isSigned(of("copy"), publicKey)], [
      of("good").signature,
      false,
    ]);
    assert(isSigned(of("old"), publicKey));
    const age = Date.parse(of("good").signed_at) - Date.parse(of("old").signed_at);
    assertEquals(age, 14_401_000);
  });
});

Deno.test("trap 31: the server tells its time in the header Date alone", async () => {
  await with02({}, async (server, clock) => {
    const agent = await enrol02(server);
    server.advance(10 * MINUTE_MS);
    const answer = await agent.checkIn();
    assertEquals(
      answer.headers.get("date"),
      new Date(clock.nowMs() + 11 * MINUTE_MS).toUTCString(),
    );
    assertEquals(Object.keys(answer.json), ["commands"]);
  });
});
