import { assertEquals } from "@std/assert";
import { realCryptography } from "../../../src/system/real/cryptography.ts";

const bytes = (hex: string) => Uint8Array.fromHex(hex);

Deno.test("sha256() is the function of FIPS 180-4", async () => {
  const rows = [
    ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["616263", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  ] as const;
  for (const [input, digest] of rows) {
    assertEquals((await realCryptography.sha256(bytes(input))).toHex(), digest);
  }
});

/** RFC 8032, section 7.1, tests 1 to 3. */
const RFC_8032 = [
  {
    publicKey: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    message: "",
    signature: "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155" +
      "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  },
  {
    publicKey: "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    message: "72",
    signature: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  },
  {
    publicKey: "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    message: "af82",
    signature: "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac" +
      "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  },
];

Deno.test("verifyEd25519() accepts the signatures of RFC 8032, each for its own message and key alone", async () => {
  for (const [i, row] of RFC_8032.entries()) {
    for (const [j, other] of RFC_8032.entries()) {
      const isValid = (question: Record<"publicKey" | "message" | "signature", string>) =>
        realCryptography.verifyEd25519({
          publicKey: bytes(question.publicKey),
          message: bytes(question.message),
          signature: bytes(question.signature),
        });
      assertEquals(await isValid({ ...row, message: other.message }), i === j);
      assertEquals(await isValid({ ...row, publicKey: other.publicKey }), i === j);
      assertEquals(await isValid({ ...row, signature: other.signature }), i === j);
    }
  }
});

Deno.test("verifyEd25519() answers false for what is no key or no signature", async () => {
  const [row] = RFC_8032;
  const publicKey = bytes(row!.publicKey);
  const signature = bytes(row!.signature);
  const message = bytes("");
  const isValid = (changed: Partial<Record<"publicKey" | "signature", Uint8Array<ArrayBuffer>>>) =>
    realCryptography.verifyEd25519({ publicKey, signature, message, ...changed });
  assertEquals(await isValid({}), true);
  for (const length of [0, 31, 33, 64]) {
    assertEquals(await isValid({ publicKey: new Uint8Array(length) }), false, `key ${length}`);
  }
  for (const length of [0, 63, 65, 128]) {
    assertEquals(await isValid({ signature: new Uint8Array(length) }), false, `sig ${length}`);
  }
  // No point of the curve has this y coordinate.
  assertEquals(await isValid({ publicKey: new Uint8Array(32).fill(2) }), false);
  assertEquals(await isValid({ signature: outOfRange(signature) }), false);
});

/** The same signature with the order of the group added to its second half (RFC 8032, 5.1.7). */
function outOfRange(signature: Uint8Array): Uint8Array<ArrayBuffer> {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const changed = new Uint8Array(signature);
  let sum = order;
  for (const [at, byte] of signature.subarray(32).entries()) sum += BigInt(byte) << BigInt(8 * at);
  for (let at = 32; at < 64; at++) {
    changed[at] = Number(sum & 0xffn);
    sum >>= 8n;
  }
  return changed;
}
