import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { MOST_PARAMS_BYTES } from "../../src/server/check_in_answer.ts";
import {
  LONGEST_AGE_MS,
  LONGEST_LEAD_MS,
  type SignatureVerdict,
  type SignedCommand,
  verifyCommand,
} from "../../src/server/command_signature.ts";
import { realCryptography } from "../../src/system/real/cryptography.ts";
import { AGENT_ID, type CommandToSign, SigningServer } from "../fakes/signing_server.ts";

const KEY = {
  keyId: "56475aa75463474c0285df5dbf2bcab7",
  publicKey: "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
};

/** The vectors of the protocol's description, made with Go 1.26 from the seed 00 to 1f. */
const VECTORS = [
  {
    type: "scan_apt",
    params: "{}",
    signedS: 1_780_000_000,
    signature: "25e5819b4ded963cd481fd54ac51b490ade54665ef0ab157bde94d9ce4c0ae54" +
      "a2275caaa52405a1bcb1b91f6b082befb21b928b7d62b443461a46b7ebf5c505",
  },
  {
    type: "scan_processes",
    params: "null",
    signedS: 1_780_000_000,
    signature: "671b93794143eece3c60d0f873ab19c8d5316915bd28d5733af8cc810d735c54" +
      "d3063848b076a04109aa3b3ac76b65dfc7c89f47ae12b4093dfd661ba866fb09",
  },
  {
    type: "enable_heartbeat",
    params: '{"duration_minutes":10}',
    signedS: 1_780_000_001,
    signature: "403b910adc5d1c566918119484fa59fb9980ec27901d02be808022bc7c774088" +
      "ce6e3cad0855103c015d55c4a8d22a9292b2d14b85848305699dc94ccaa7fc06",
  },
  {
    type: "dry_run_update",
    params: '{"available_version":"1:2.3~rc1+deb12u1","package_name":"libstdc++6",' +
      '"package_type":"apt","target_version":"1:2.3~rc1+deb12u1",' +
      '"update_id":"550e8400-e29b-41d4-a716-446655440099"}',
    signedS: 1_780_000_002,
    signature: "861d990e4d3b2c2eb5f58dd69e3b8bb2f832aac9bb13d24761274e843bb07ea5" +
      "1f829484055588b0e619a1cbd42caa8637f6d9c2bf77e584e20e50ff6c263a01",
  },
  {
    type: "reboot",
    params: String.raw`{"delay_minutes":1,"message":"a \u003c b \u0026 c \u003e d \u2028 ` +
      "\u00e9" + String.raw` \"q\" \\ /\t\u0007` + "\u007f \u{1f600}" +
      String.raw`","z":{"a":"x","b":[1.5,1e+21,1e-7,0.000001,-2,true,null]}}`,
    signedS: 1_780_000_003,
    signature: "652ac2f93759b17540d14839c833b6c43c16adf5f214cd48bd2a70a4ac899108" +
      "78f81edcaf873593d3617cbb1f2571a40e8d1f0fdc89a6fb760a41dd7f355905",
  },
].map(({ signedS, ...vector }, at) => ({
  ...vector,
  id: `550e8400-e29b-41d4-a716-44665544000${at + 1}`,
  keyId: KEY.keyId,
  signedAt: new Date(signedS * 1_000).toISOString(),
  signedS,
}));

const NOW_MS = 1_780_000_060_000;

function verify(
  command: SignedCommand,
  context: { nowMs?: number; agentId?: string; keys?: (typeof KEY)[] } = {},
): Promise<SignatureVerdict> {
  const defaults = { nowMs: NOW_MS, agentId: AGENT_ID, keys: [KEY] };
  return verifyCommand(realCryptography, command, { ...defaults, ...context });
}

/** `valid`, or the reason for a refusal. */
async function judge(...args: Parameters<typeof verify>): Promise<string> {
  const verdict = await verify(...args);
  return verdict.kind === "valid" ? "valid" : verdict.reason;
}

const toSign: CommandToSign = {
  id: VECTORS[0]!.id,
  type: "reboot",
  params: '{"delay_minutes":1}',
  signedS: NOW_MS / 1_000,
};

Deno.test("verifyCommand() accepts the protocol's vectors, and returns their parameters as signed", async () => {
  for (const vector of VECTORS) {
    const { keyId, params } = vector;
    assertEquals(await verify(vector), { kind: "valid", keyId, params }, vector.type);
    const server = new SigningServer();
    assertEquals(server.sign(vector).signature, vector.signature);
  }
});

Deno.test("verifyCommand() accepts parameters in another order and spelling, and no others", async () => {
  const vector = VECTORS[4]!;
  const params = JSON.parse(vector.params);
  const reordered = JSON.stringify({ z: params.z, ...params }, null, 2).replace("1e+21", "1E21");
  assertEquals(await verify({ ...vector, params: reordered }), {
    kind: "valid",
    keyId: KEY.keyId,
    params: vector.params,
  });
  assertEquals(await judge({ ...VECTORS[0]!, params: "null" }), "bad_signature");
  assertEquals(await judge({ ...VECTORS[1]!, params: "{}" }), "bad_signature");
  const added = { ...params, subsystem: "apt" };
  assertEquals(await judge({ ...vector, params: JSON.stringify(added) }), "bad_signature");
  const reversed = { ...params, z: { ...params.z, b: params.z.b.toReversed() } };
  assertEquals(await judge({ ...vector, params: JSON.stringify(reversed) }), "bad_signature");
});

Deno.test("verifyCommand() refuses a command of which any signed part differs", async () => {
  const other = (text: string) => text.slice(0, -1) + (text.endsWith("0") ? "1" : "0");
  for (const vector of VECTORS) {
    const changed: [part: string, command: SignedCommand][] = [
      ["id", { ...vector, id: other(vector.id) }],
      ["type", { ...vector, type: `${vector.type}s` }],
      ["second", { ...vector, signedAt: new Date((vector.signedS + 1) * 1_000).toISOString() }],
      ["half", { ...vector, signature: VECTORS[0]!.signature.slice(0, 64) + "0".repeat(64) }],
      ["boundary", { ...vector, id: `${vector.id}:${vector.type}`, type: "" }],
    ];
    for (const [part, command] of changed) {
      assertEquals(await judge(command), "bad_signature", part);
    }
    assertEquals(await judge(vector, { agentId: other(AGENT_ID) }), "bad_signature");
  }
});

Deno.test("verifyCommand() refuses a signature or parameters with one bit changed", async () => {
  await fc.assert(fc.asyncProperty(
    fc.constantFrom(...VECTORS),
    fc.nat(511),
    fc.nat(),
    async (vector, bit, place) => {
      const bytes = Uint8Array.fromHex(vector.signature);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      assertEquals(await judge({ ...vector, signature: bytes.toHex() }), "bad_signature");
      const params = new TextEncoder().encode(vector.params);
      params[place % params.length]! ^= 1 << (bit & 7);
      const verdict = await judge({ ...vector, params: new TextDecoder().decode(params) });
      // A bit may be in the spelling alone: "E" for "e" in a number, or in a digit of an escape.
      const isSpelling = vector === VECTORS[4] && verdict === "valid";
      assert(isSpelling || verdict === "bad_signature" || verdict === "malformed", verdict);
    },
  ));
});

Deno.test("verifyCommand() refuses the forms without an agent or a time, and other keys", async () => {
  const server = new SigningServer();
  assertEquals(await judge(server.sign(toSign)), "valid");
  const { id, type, signedS } = toSign;
  const second = server.sign({
    ...toSign,
    message: ({ hash }) => `${id}:${type}:${hash}:${signedS}`,
  });
  const first = server.sign({ ...toSign, message: ({ hash }) => `${id}:${type}:${hash}` });
  assertEquals(await judge(second), "bad_signature");
  assertEquals(await judge(first), "bad_signature");
  assertEquals(await judge({ ...first, signedAt: null }), "malformed");
  const stranger = new SigningServer(1);
  const forged = stranger.sign(toSign);
  assertEquals(await judge(forged), "unknown_key");
  assertEquals(await judge({ ...forged, keyId: KEY.keyId }), "bad_signature");
  assertEquals(await judge(forged, { keys: [KEY, stranger.key] }), "valid");
  assertEquals(
    await judge({ ...forged, keyId: KEY.keyId }, { keys: [KEY, stranger.key] }),
    "bad_signature",
  );
  assertEquals(await judge(VECTORS[0]!, { keys: [] }), "unknown_key");
});

Deno.test("verifyCommand() reads no parameters for a key that is not trusted: that may be long work", async () => {
  assertEquals(await judge({ ...VECTORS[0]!, params: "{" }, { keys: [] }), "unknown_key");
});

Deno.test("verifyCommand() distinguishes what is unsigned from what is malformed", async () => {
  const [vector] = VECTORS;
  const { signature, signedAt } = vector!;
  const rows: [changed: Partial<SignedCommand>, reason: string][] = [
    [{ signature: null }, "unsigned"],
    [{ signature: "" }, "unsigned"],
    [{ signature: "", keyId: null, signedAt: null, params: "{" }, "unsigned"],
    [{ signature: signature.slice(2) }, "malformed"],
    [{ signature: `${signature}00` }, "malformed"],
    [{ signature: `${signature}\n` }, "malformed"],
    [{ signature: signature.toUpperCase() }, "malformed"],
    [{ signature: `0x${signature.slice(2)}` }, "malformed"],
    [{ keyId: null }, "malformed"],
    [{ keyId: "" }, "malformed"],
    [{ keyId: KEY.keyId.toUpperCase() }, "unknown_key"],
    [{ signedAt: null }, "malformed"],
    [{ signedAt: "" }, "malformed"],
    [{ signedAt: "1780000000" }, "malformed"],
    [{ signedAt: signedAt.replace("T", " ") }, "malformed"],
    [{ signedAt: signedAt.replace("Z", "") }, "malformed"],
    [{ signedAt: "2026-05-28T20:26:60Z" }, "malformed"],
    [{ signedAt: "2026-13-28T20:26:40Z" }, "malformed"],
    [{ signedAt: "0001-01-01T00:00:00Z" }, "bad_signature"],
    [{ params: "" }, "malformed"],
    [{ params: "{" }, "malformed"],
    [{ params: '{"a":1e999}' }, "malformed"],
    [{ params: `${"[".repeat(40)}${"]".repeat(40)}` }, "malformed"],
    [{ params: `{}${" ".repeat(MOST_PARAMS_BYTES - 2)}` }, "valid"],
    [{ params: `{}${" ".repeat(MOST_PARAMS_BYTES - 1)}` }, "malformed"],
  ];
  for (const [changed, reason] of rows) {
    assertEquals(
      await judge({ ...vector!, ...changed }),
      reason,
      JSON.stringify(changed).slice(0, 99),
    );
  }
});

Deno.test("verifyCommand() rounds the time down, whatever its fraction and its zone", async () => {
  const [vector] = VECTORS;
  const rows: [signedAt: string, reason: string][] = [
    ["2026-05-28T20:26:40Z", "valid"],
    ["2026-05-28T20:26:40.000000001Z", "valid"],
    ["2026-05-28T20:26:40.999999999Z", "valid"],
    ["2026-05-28T22:26:40.5+02:00", "valid"],
    ["2026-05-28T10:56:40-09:30", "valid"],
    ["2026-05-28T20:26:41Z", "bad_signature"],
    ["2026-05-28T20:26:39.999999Z", "bad_signature"],
    ["2026-05-28T20:26:40+02:00", "bad_signature"],
  ];
  for (const [signedAt, reason] of rows) {
    assertEquals(await judge({ ...vector!, signedAt }), reason, signedAt);
  }
});

Deno.test("verifyCommand() accepts a signature up to 4 h old and up to 5 min ahead, and says its age", async () => {
  assertEquals([LONGEST_AGE_MS, LONGEST_LEAD_MS], [14_400_000, 300_000]);
  const command = VECTORS[0]!;
  const signedMs = command.signedS * 1_000;
  const at = (ageMs: number) => verify(command, { nowMs: signedMs + ageMs });
  for (const ageMs of [-LONGEST_LEAD_MS, -1, 0, 1, LONGEST_AGE_MS]) {
    assertEquals((await at(ageMs)).kind, "valid", String(ageMs));
  }
  const rows = [
    [LONGEST_AGE_MS + 1, "too_old", "its signature is too old"],
    [-LONGEST_LEAD_MS - 1, "from_the_future", "its signature is from the future"],
  ] as const;
  for (const [ageMs, reason, why] of rows) {
    assertEquals(await at(ageMs), { kind: "refused", reason, why, ageMs });
    // A forged command says nothing about this host's clock.
    const forged = { ...command, type: "reboot" };
    assertEquals(await judge(forged, { nowMs: signedMs + ageMs }), "bad_signature");
  }
});
