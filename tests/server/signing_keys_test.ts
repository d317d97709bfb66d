import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  confirmKeys,
  MOST_KEY_FILE_BYTES,
  parseKeyFile,
  parsePublicKey,
  readPublicKey,
  readPublicKeys,
} from "../../src/server/signing_keys.ts";
import { realCryptography } from "../../src/system/real/cryptography.ts";

/** The key of the protocol's test vectors. */
const KEY = {
  keyId: "56475aa75463474c0285df5dbf2bcab7",
  publicKey: "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
};

const one = {
  public_key: KEY.publicKey,
  fingerprint: KEY.keyId,
  algorithm: "ed25519",
  key_size: 32,
  key_id: KEY.keyId,
  version: 1,
};

const listed = {
  key_id: KEY.keyId,
  public_key: KEY.publicKey,
  is_primary: true,
  version: 1,
  algorithm: "ed25519",
};

const utf8 = (text: string) => new TextEncoder().encode(text);

Deno.test("readPublicKey() reads the primary key, and refuses what is none", () => {
  const read = (body: unknown) => readPublicKey(JSON.stringify(body));
  assertEquals(read(one), { ok: true, value: { ...KEY, isPrimary: true } });
  assertEquals(readPublicKey(utf8(JSON.stringify(one))).ok, true);
  const upper = { ...one, public_key: KEY.publicKey.toUpperCase() };
  assertEquals(read(upper), { ok: true, value: { ...KEY, isPrimary: true } });
  const rows: [body: unknown, why: string][] = [
    [null, "all of it cannot be used"],
    [[one], "key_id cannot be used, public_key cannot be used, algorithm cannot be used"],
    [{ ...one, public_key: KEY.publicKey.slice(1) }, "public_key cannot be used"],
    [{ ...one, public_key: `${KEY.publicKey}\n` }, "public_key cannot be used"],
    [{ ...one, public_key: KEY.publicKey.replace("0", "g") }, "public_key cannot be used"],
    [{ ...one, key_id: KEY.keyId.slice(16) }, "key_id cannot be used"],
    [{ ...one, key_id: "" }, "key_id cannot be used"],
    [{ ...one, algorithm: "rsa" }, "algorithm cannot be used"],
    [
      { error: "no signing key", hint: "" },
      "key_id cannot be used, public_key cannot be used, algorithm cannot be used",
    ],
  ];
  for (const [body, why] of rows) {
    assertEquals(read(body), { ok: false, why }, JSON.stringify(body));
  }
});

Deno.test("readPublicKeys() reads the active keys, leaves out other algorithms, and refuses the rest", () => {
  const read = (body: unknown) => readPublicKeys(JSON.stringify(body));
  const second = { ...listed, public_key: "ab".repeat(32), is_primary: false };
  assertEquals(read([]), { ok: true, value: [] });
  assertEquals(read([listed, { algorithm: "rsa", public_key: 7 }, second]), {
    ok: true,
    value: [
      { ...KEY, isPrimary: true },
      { keyId: KEY.keyId, publicKey: "ab".repeat(32), isPrimary: false },
    ],
  });
  assertEquals(read(Array(20).fill(listed)).ok, true);
  for (
    const body of [
      null,
      {},
      { keys: [listed] },
      [null],
      ["key"],
      [listed, { ...listed, public_key: "" }],
      [{ ...listed, is_primary: 1 }],
      [{ ...listed, algorithm: undefined, key_id: null }],
      Array(21).fill(listed),
    ]
  ) assertEquals(read(body).ok, false, JSON.stringify(body));
  assertEquals(readPublicKeys(`[${" ".repeat(65_536)}]`).ok, false);
});

Deno.test("parsePublicKey() computes the id of a key", async () => {
  const parse = (text: string) => parsePublicKey(realCryptography, text);
  assertEquals(await parse(KEY.publicKey), { ok: true, value: KEY });
  assertEquals(await parse(KEY.publicKey.toUpperCase()), { ok: true, value: KEY });
  for (const text of ["", KEY.keyId, ` ${KEY.publicKey}`, `${KEY.publicKey}00`, "x".repeat(64)]) {
    assertEquals(await parse(text), { ok: false, why: "is not 64 hex digits" }, text);
  }
});

Deno.test("parseKeyFile() reads the agent's 32 bytes and the installer's 64 digits", async () => {
  const parse = (bytes: Uint8Array) => parseKeyFile(realCryptography, bytes);
  const known = { ok: true, value: KEY } as const;
  assertEquals(await parse(Uint8Array.fromHex(KEY.publicKey)), known);
  for (const around of ["", "\n", "\r\n", " \n"]) {
    assertEquals(await parse(utf8(KEY.publicKey + around)), known, JSON.stringify(around));
    assertEquals(await parse(utf8(`\ufeff${KEY.publicKey}${around}`)), known);
  }
  const longest = KEY.publicKey.padEnd(MOST_KEY_FILE_BYTES);
  assertEquals(await parse(utf8(longest)), known);
  const none = { ok: false, why: "is neither 32 bytes nor 64 hex digits" } as const;
  for (
    const bytes of [
      new Uint8Array(),
      new Uint8Array(31),
      new Uint8Array(33),
      new Uint8Array(64),
      utf8("x".repeat(64)),
      utf8(KEY.publicKey.slice(1)),
      utf8(`${KEY.publicKey} ${KEY.publicKey.slice(0, 1)}`),
      utf8(`${longest} `),
    ]
  ) assertEquals(await parse(bytes), none, bytes.toHex());
});

Deno.test("parseKeyFile() reads the same key in both forms, whatever its bytes are", async () => {
  const keys = fc.uint8Array({ minLength: 32, maxLength: 32 });
  await fc.assert(fc.asyncProperty(keys, async (key) => {
    const bytes = new Uint8Array(key);
    const raw = await parseKeyFile(realCryptography, bytes);
    assertEquals(raw, await parseKeyFile(realCryptography, utf8(`${bytes.toHex()}\n`)));
    assertEquals(raw.ok && raw.value.publicKey, bytes.toHex());
  }));
});

Deno.test("confirmKeys() refuses a key under the id of another", async () => {
  const confirm = (...keys: { keyId: string; publicKey: string; isPrimary: boolean }[]) =>
    confirmKeys(realCryptography, keys);
  const good = { ...KEY, isPrimary: true };
  assertEquals(await confirm(), { ok: true, value: [] });
  assertEquals(await confirm(good), { ok: true, value: [good] });
  const wrong = { keyId: "0".repeat(32), publicKey: KEY.publicKey, isPrimary: false };
  assertEquals(await confirm(good, wrong), {
    ok: false,
    why: `include one with the id ${wrong.keyId}, which should be ${KEY.keyId}`,
  });
});
