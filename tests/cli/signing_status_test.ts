import { assertEquals } from "@std/assert";
import { describeSigning, signingAsJson } from "../../src/cli/signing_status.ts";
import {
  type KeyTrust,
  LOST_KEYS,
  NO_KEYS,
  NO_SERVER_KEYS,
  type ServerKeys,
} from "../../src/server/key_trust.ts";

const NOW_MS = Date.UTC(2026, 10, 30);
const A = { keyId: "a".repeat(32), publicKey: "a".repeat(64) };
const B = { keyId: "b".repeat(32), publicKey: "b".repeat(64) };
const PINNED: KeyTrust = { ...NO_KEYS, pinned: A, source: "first_use", isRatcheted: true };

function lines(keys: Partial<ServerKeys>, unsigned: "never" | "read_only" = "read_only"): string[] {
  return describeSigning({ ...NO_SERVER_KEYS, ...keys }, unsigned, NOW_MS)
    .map(([title, text]) => `${title}: ${text}`);
}

Deno.test("describeSigning() says what runs before the server has shown a key", () => {
  assertEquals(lines({}), [
    "Server key: none shown; commands that only read run without a signature",
  ]);
  assertEquals(lines({}, "never"), [
    "Server key: none shown; no command runs without a signature",
  ]);
});

Deno.test("describeSigning() names the pinned key, its source, its age and the other keys", () => {
  assertEquals(lines({ trust: { ...PINNED, others: [B] }, pinnedAtMs: NOW_MS - 7_200_000 }), [
    `Server key: ${A.keyId}`,
    ": pinned as the first that the server showed, 2 h ago",
    `: and ${B.keyId}`,
  ]);
  const source = (source: KeyTrust["source"]) => lines({ trust: { ...PINNED, source } })[1];
  assertEquals(source("configuration"), ": pinned from server.public_key");
  assertEquals(source("key_file"), ": pinned from RedFlag's key file");
  assertEquals(source("announcement"), ": pinned as announced by the server");
});

Deno.test("signingAsJson() says that all commands are refused", () => {
  const changed = { ...PINNED, refusedKeyIds: [B.keyId] };
  assertEquals(lines({ trust: changed })[0], `Server key: ${A.keyId}`);
  assertEquals(lines({ trust: LOST_KEYS }), ["Server key: lost; no command runs"]);
  const isRefused = (trust: KeyTrust) =>
    signingAsJson({ ...NO_SERVER_KEYS, trust }, "read_only").commands_refused;
  assertEquals([changed, LOST_KEYS, PINNED, NO_KEYS].map(isRefused), [true, true, false, false]);
});

Deno.test("describeSigning() and signingAsJson() have the refused commands and the last of them", () => {
  const lastRefusal = {
    commandId: "c1",
    type: "scan_apt",
    reason: "bad_signature",
    why: "its signature is not valid",
    atMs: NOW_MS - 60_000,
  };
  const keys = { ...NO_SERVER_KEYS, trust: PINNED, refusedCommands: 3, lastRefusal };
  assertEquals(
    lines(keys).at(-1),
    "Refused: 3 commands; the last one, scan_apt, 60 s ago: its signature is not valid",
  );
  assertEquals(signingAsJson({ ...keys, pinnedAtMs: NOW_MS, lookedUpAtMs: NOW_MS }, "read_only"), {
    key_id: A.keyId,
    public_key: A.publicKey,
    source: "first_use",
    pinned_at: "2026-11-30T00:00:00.000Z",
    other_key_ids: [],
    untrusted_key_ids: [],
    looked_up_at: "2026-11-30T00:00:00.000Z",
    unsigned_commands: "never",
    commands_refused: false,
    refused_commands: 3,
    last_refusal: {
      command_id: "c1",
      type: "scan_apt",
      reason: "bad_signature",
      why: "its signature is not valid",
      at: "2026-11-29T23:59:00.000Z",
    },
  });
});
