import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import type { SignatureRefusal, SignatureVerdict } from "../../src/server/command_signature.ts";
import {
  applyAnnouncement,
  type KeyTransition,
  type KeyTrust,
  loadServerKeys,
  LOST_KEYS,
  NO_KEYS,
  NO_SERVER_KEYS,
  permitCommand,
  pinKey,
  removeServerKeys,
  saveServerKeys,
  type ServerKeys,
  trustedKeys,
  type UnsignedCommands,
} from "../../src/server/key_trust.ts";
import type { AnnouncedKey, SigningKey } from "../../src/server/signing_keys.ts";
import { FileError } from "../../src/system/files.ts";
import { FakeFiles } from "../fakes/files.ts";

const NAMES = ["a", "b", "c", "d"] as const;
type Name = (typeof NAMES)[number];

function key(name: Name): SigningKey {
  return { keyId: name.repeat(32), publicKey: name.repeat(64) };
}

/** An announcement of keys, of which the first is the primary one. */
function announce(trust: KeyTrust, ...names: readonly Name[]): KeyTransition {
  const keys = names.map((name, at): AnnouncedKey => ({ ...key(name), isPrimary: at === 0 }));
  return applyAnnouncement(trust, keys);
}

/** The names of the trusted keys, the pinned one first; in brackets if commands are refused. */
function describe(trust: KeyTrust): string {
  const names = trustedKeys(trust).map(({ keyId }) => keyId[0]).join("");
  return trust.refusedKeyIds.length > 0 ? `(${names})` : names;
}

function follow(...announcements: readonly Name[][]): KeyTrust {
  return announcements.reduce((trust, names) => announce(trust, ...names).trust, NO_KEYS);
}

const id = (name: Name) => key(name).keyId;

Deno.test("applyAnnouncement() pins the primary key of the first announcement", () => {
  const { trust, events } = applyAnnouncement(NO_KEYS, [
    { ...key("b"), isPrimary: false },
    { ...key("a"), isPrimary: true },
  ]);
  assertEquals(trust, {
    pinned: key("a"),
    source: "first_use",
    others: [key("b")],
    ownerKeyId: null,
    refusedKeyIds: [],
    isRatcheted: true,
  });
  assertEquals(events, [
    { kind: "key_pinned", keyId: id("a"), source: "first_use" },
    { kind: "key_announced", keyId: id("b") },
  ]);
  const withoutPrimary = applyAnnouncement(NO_KEYS, [{ ...key("c"), isPrimary: false }]);
  assertEquals(describe(withoutPrimary.trust), "c");
});

Deno.test("applyAnnouncement() follows a rotation, and drops a retired key", () => {
  const first = follow(["a"]);
  assertEquals(announce(first, "a"), { trust: first, events: [] });
  const both = announce(first, "b", "a");
  assertEquals(describe(both.trust), "ab");
  assertEquals(both.events, [{ kind: "key_announced", keyId: id("b") }]);
  const after = announce(both.trust, "b");
  assertEquals(describe(after.trust), "b");
  assertEquals([both.trust.source, after.trust.source], ["first_use", "announcement"]);
  assertEquals(after.events, [{ kind: "key_retired", keyId: id("a") }]);
  // The retired key is like any other now.
  assertEquals(describe(announce(after.trust, "a").trust), "(b)");
  assertEquals(describe(announce(after.trust, "a", "b").trust), "ba");
});

Deno.test("applyAnnouncement() refuses a changed key, says so once, and recovers by itself", () => {
  const swapped = announce(follow(["a"]), "b");
  assertEquals(describe(swapped.trust), "(a)");
  assertEquals(swapped.events, [{ kind: "key_changed", keyIds: [id("b")] }]);
  assertEquals(announce(swapped.trust, "b"), { trust: swapped.trust, events: [] });
  const more = announce(swapped.trust, "c", "b");
  assertEquals(more.events, [{ kind: "key_changed", keyIds: [id("c"), id("b")] }]);
  const restored = announce(more.trust, "a");
  assertEquals(describe(restored.trust), "a");
  assertEquals(restored.events, [{ kind: "key_restored" }]);
});

Deno.test("applyAnnouncement() takes no key for another with its id, and no empty list for a change", () => {
  const first = follow(["a"]);
  const disguised = { keyId: id("a"), publicKey: key("b").publicKey, isPrimary: true };
  assertEquals(describe(applyAnnouncement(first, [disguised]).trust), "(a)");
  assertEquals(applyAnnouncement(first, []), { trust: first, events: [] });
  assertEquals(applyAnnouncement(NO_KEYS, []), { trust: NO_KEYS, events: [] });
  const swapped = announce(first, "b").trust;
  assertEquals(applyAnnouncement(swapped, []), { trust: swapped, events: [] });
  assertEquals(describe(announce(first, "a", "a", "b", "b").trust), "ab");
});

Deno.test("applyAnnouncement() trusts no key after the state was lost, until the owner names one", () => {
  const { trust, events } = announce(LOST_KEYS, "a");
  assertEquals(describe(trust), "()");
  assertEquals(events, [{ kind: "key_changed", keyIds: [id("a")] }]);
  const pinned = pinKey(trust, key("a"), "configuration").trust;
  assertEquals(describe(announce(pinned, "a").trust), "a");
});

Deno.test("pinKey() pins the key of a file only where none is pinned", () => {
  const { trust, events } = pinKey(NO_KEYS, key("a"), "key_file");
  assertEquals([describe(trust), trust.source, trust.isRatcheted], ["a", "key_file", true]);
  assertEquals(events, [{ kind: "key_pinned", keyId: id("a"), source: "key_file" }]);
  const first = follow(["b"]);
  assertEquals(pinKey(first, key("a"), "key_file"), { trust: first, events: [] });
});

Deno.test("pinKey() lets the configuration replace what is pinned, once", () => {
  const first = follow(["a"], ["a", "b"]);
  const same = pinKey(first, key("a"), "configuration").trust;
  assertEquals([describe(same), same.source], ["ab", "configuration"]);
  const rotated = pinKey(first, key("b"), "configuration").trust;
  assertEquals(describe(rotated), "ba");
  const replaced = pinKey(first, key("c"), "configuration").trust;
  assertEquals(describe(replaced), "c");
  assertEquals(describe(announce(replaced, "a", "b").trust), "(c)");
  // The server has retired the configured key since: naming it still changes nothing.
  const retired = announce(announce(rotated, "b", "d").trust, "d").trust;
  assertEquals(describe(retired), "d");
  assertEquals(pinKey(retired, key("b"), "configuration"), { trust: retired, events: [] });
  assertEquals(describe(pinKey(retired, key("a"), "configuration").trust), "a");
});

Deno.test("pinKey() ends a refusal if the owner names the new key, and not otherwise", () => {
  const swapped = announce(follow(["a"]), "b").trust;
  assertEquals(describe(pinKey(swapped, key("b"), "configuration").trust), "b");
  assertEquals(describe(pinKey(swapped, key("a"), "configuration").trust), "(a)");
});

const lists = fc.array(fc.constantFrom(...NAMES), { maxLength: 4 });
const histories = fc.array(lists, { maxLength: 30 });

Deno.test("no announcements lead from one key to another without one that contains a trusted key", () => {
  fc.assert(fc.property(histories, (history) => {
    let trust = NO_KEYS;
    for (const names of history) {
      const before = trustedKeys(trust);
      trust = announce(trust, ...names).trust;
      const after = trustedKeys(trust);
      const isNew = after.some(({ keyId }) => !before.some((known) => known.keyId === keyId));
      const ids = names.map(id);
      const isContinued = before.some(({ keyId }) => ids.includes(keyId));
      if (before.length > 0 && isNew) assert(isContinued);
      // Whatever is trusted now was trusted before, or is active.
      assert(
        after.every(({ keyId }) =>
          ids.includes(keyId) || before.some((known) => known.keyId === keyId)
        ),
      );
      // Commands are refused exactly as long as the last keys were strangers.
      if (names.length > 0 && before.length > 0) {
        assertEquals(trust.refusedKeyIds.length > 0, !isContinued);
      }
    }
  }));
});

Deno.test("without a common announcement the first key stays, whatever else is announced", () => {
  const others = fc.array(fc.array(fc.constantFrom("b", "c", "d"), { maxLength: 3 }));
  fc.assert(fc.property(others, (history) => {
    const trust = history.reduce(
      (trust, names) => announce(trust, ...names as Name[]).trust,
      follow(["a"]),
    );
    assertEquals(trustedKeys(trust), [key("a")]);
  }));
});

const verdicts: readonly SignatureVerdict[] = [
  { kind: "valid", keyId: id("a"), params: "{}" },
  ...([
    "unsigned",
    "malformed",
    "unknown_key",
    "bad_signature",
    "too_old",
    "from_the_future",
  ] satisfies SignatureRefusal[]).map((reason) =>
    ({ kind: "refused", reason, why: "", ageMs: null }) as const
  ),
];

const POLICIES = (["never", "read_only", "all"] satisfies UnsignedCommands[]).flatMap((unsigned) =>
  [true, false].map((isReadOnly) => ({ unsigned, isReadOnly }))
);

Deno.test("permitCommand() runs unsigned commands only before a key was shown, as the owner allows", () => {
  const unsigned = verdicts[1]!;
  const permitted = POLICIES.filter((policy) => permitCommand(NO_KEYS, unsigned, policy).isAllowed);
  assertEquals(permitted, [
    { unsigned: "read_only", isReadOnly: true },
    { unsigned: "all", isReadOnly: true },
    { unsigned: "all", isReadOnly: false },
  ]);
  const readOnly = { unsigned: "read_only", isReadOnly: true } as const;
  assertEquals(permitCommand(NO_KEYS, unsigned, readOnly), { isAllowed: true });
  const refused = { isAllowed: false, reason: "unsigned" } as const;
  assertEquals(permitCommand(NO_KEYS, unsigned, { ...readOnly, isReadOnly: false }), refused);
  assertEquals(permitCommand(LOST_KEYS, unsigned, readOnly), refused);
  for (const policy of POLICIES) {
    for (const verdict of verdicts.slice(2)) {
      const reason = verdict.kind === "refused" && verdict.reason;
      assertEquals<unknown>(permitCommand(NO_KEYS, verdict, policy), { isAllowed: false, reason });
    }
  }
});

Deno.test("permitCommand() refuses every command, valid or not, while the key is changed", () => {
  const swapped = announce(follow(["a"]), "b").trust;
  for (const verdict of verdicts) {
    for (const policy of POLICIES) {
      const permission = permitCommand(swapped, verdict, policy);
      assertEquals(permission, { isAllowed: false, reason: "key_changed" });
    }
  }
});

Deno.test("the ratchet never goes back: after a key only valid signatures count", () => {
  const pins = fc.record({
    name: fc.constantFrom(...NAMES),
    source: fc.constantFrom("configuration" as const, "key_file" as const),
  });
  const start = fc.constantFrom(NO_KEYS, LOST_KEYS);
  fc.assert(fc.property(start, fc.array(fc.oneof(lists, pins)), (start, steps) => {
    let trust = start;
    for (const step of steps) {
      const isShown = !Array.isArray(step) || step.length > 0;
      const wasRatcheted = trust.isRatcheted;
      trust = Array.isArray(step)
        ? announce(trust, ...step).trust
        : pinKey(trust, key(step.name), step.source).trust;
      assertEquals(trust.isRatcheted, wasRatcheted || isShown);
      for (const policy of POLICIES) {
        for (const verdict of verdicts) {
          const { isAllowed } = permitCommand(trust, verdict, policy);
          if (trust.isRatcheted && isAllowed) assertEquals(verdict.kind, "valid");
        }
      }
    }
  }));
});

/** What is saved of such a trust, an hour after the key was pinned. */
function saved(trust: KeyTrust): ServerKeys {
  return {
    trust,
    pinnedAtMs: trust.pinned && 1_780_000_000_000,
    lookedUpAtMs: 1_780_003_600_000,
    refusedCommands: 2,
    lastRefusal: {
      commandId: "550e8400-e29b-41d4-a716-446655440001",
      type: "scan_apt",
      reason: "bad_signature",
      why: "its signature is not valid",
      atMs: 1_780_003_600_000,
    },
  };
}

Deno.test("loadServerKeys() returns what saveServerKeys() saved, readable for the agent alone", async () => {
  const files = new FakeFiles();
  const faults: string[] = [];
  const load = () => loadServerKeys(files, "/state", (why) => faults.push(why));
  assertEquals(await load(), NO_SERVER_KEYS);
  const swapped = announce(follow(["a"], ["a", "b"]), "c").trust;
  const owned = pinKey(follow(["a"]), key("b"), "configuration").trust;
  for (const trust of [NO_KEYS, LOST_KEYS, swapped, owned, follow(["a"], ["a", "b"])]) {
    const keys = saved(trust);
    await saveServerKeys(files, "/state", keys);
    assertEquals(await load(), keys);
  }
  assertEquals(files.modes.get("/state/keys.json"), 0o600);
  assertEquals(faults, []);
  await removeServerKeys(files, "/state");
  assertEquals(await load(), NO_SERVER_KEYS);
});

Deno.test("saveServerKeys() and removeServerKeys() fail where the disk does", async () => {
  const files = new FakeFiles();
  files.fail("save the server's keys", "full");
  files.fail("remove the server's keys", "denied");
  await assertRejects(() => saveServerKeys(files, "/state", NO_SERVER_KEYS), FileError);
  await assertRejects(() => removeServerKeys(files, "/state"), FileError);
});

Deno.test("loadServerKeys() keeps the ratchet where the file is damaged", async () => {
  const files = new FakeFiles();
  await saveServerKeys(files, "/state", saved(follow(["a"])));
  const text = files.texts.get("/state/keys.json") ?? "";
  for (
    const damaged of [
      "",
      text.slice(0, 40),
      text.replace("pennon.keys/1", "pennon.keys/2"),
      text.replace('"ratcheted":true', '"ratcheted":false'),
      text.replace('"first_use"', "null"),
      text.replaceAll("aa", "xx"),
      text.replace(/"pinned":\{[^}]*\}/, '"pinned":null'),
    ]
  ) {
    assert(damaged !== text);
    files.texts.set("/state/keys.json", damaged);
    const faults: string[] = [];
    assertEquals(
      await loadServerKeys(files, "/state", (why) => faults.push(why)),
      { ...NO_SERVER_KEYS, trust: LOST_KEYS },
      damaged,
    );
    assertEquals(faults.length, 1);
  }
});
