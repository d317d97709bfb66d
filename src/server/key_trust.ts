/**
 * Which signing keys of the server the agent trusts: pinned once, followed through announced rotations,
 * and never given up for unsigned commands again. Pure, but for the file that keeps it.
 */

import { replaceCommand } from "../advice.ts";
import * as v from "valibot";
import { JsonFile } from "../json_file.ts";
import type { Files } from "../system/files.ts";
import { joinNames } from "../wording.ts";
import type { SignatureRefusal, SignatureVerdict } from "./command_signature.ts";
import {
  type AnnouncedKey,
  keyIdSchema,
  type SigningKey,
  signingKeySchema,
} from "./signing_keys.ts";

/** How the agent came to trust the pinned key. */
export type KeySource = "first_use" | "configuration" | "key_file" | "announcement";

/** The keys of one server. It belongs to an enrolment: another server's begins with `NO_KEYS`. */
export interface KeyTrust {
  /** The key that the agent relies on; `null` before the server has shown one. */
  readonly pinned: SigningKey | null;
  /** `null` as long as nothing is pinned. */
  readonly source: KeySource | null;
  /** Further active keys, which the server announced together with a trusted one. */
  readonly others: readonly SigningKey[];
  /** The key that the owner of this host named last, even if it has been retired since. */
  readonly ownerKeyId: string | null;
  /** Ids of the keys that the server presents without any trusted one; empty if it presents one. */
  readonly refusedKeyIds: readonly string[];
  /** Whether the server has ever shown a key. Never `false` again: unsigned commands are over. */
  readonly isRatcheted: boolean;
}

/** What a transition did that the owner of the host should know: each is a security event. */
export type KeyEvent =
  | { readonly kind: "key_pinned"; readonly keyId: string; readonly source: KeySource }
  | { readonly kind: "key_announced"; readonly keyId: string }
  | { readonly kind: "key_retired"; readonly keyId: string }
  /** The server presents keys, and none that is trusted: commands are refused from now on. */
  | { readonly kind: "key_changed"; readonly keyIds: readonly string[] }
  /** The server presents a trusted key again. */
  | { readonly kind: "key_restored" };

/** The new state, and what happened. */
export interface KeyTransition {
  readonly trust: KeyTrust;
  readonly events: readonly KeyEvent[];
}

/** Before the server has shown a key. */
export const NO_KEYS: KeyTrust = {
  pinned: null,
  source: null,
  others: [],
  ownerKeyId: null,
  refusedKeyIds: [],
  isRatcheted: false,
};

/**
 * After the saved state was lost: which key was pinned is unknown, and whether there was one. No key of
 * the server is trusted until the owner names one or enrols anew.
 */
export const LOST_KEYS: KeyTrust = { ...NO_KEYS, isRatcheted: true };

/** The keys that a command may be signed with. */
export function trustedKeys({ pinned, others }: KeyTrust): readonly SigningKey[] {
  return pinned === null ? [] : [pinned, ...others];
}

/**
 * Pins the key that the owner of this host names. The key of a file counts while nothing is pinned. One
 * of the configuration replaces what is pinned, unless it is the one that the configuration named
 * before: then the server may have retired it meanwhile, with an announcement.
 */
export function pinKey(
  trust: KeyTrust,
  key: SigningKey,
  source: "configuration" | "key_file",
): KeyTransition {
  if (source === "key_file" && trust.pinned !== null) return { trust, events: [] };
  if (trust.ownerKeyId === key.keyId) return { trust, events: [] };
  const isTrusted = trustedKeys(trust).some(({ keyId }) => keyId === key.keyId);
  const others = isTrusted ? trustedKeys(trust).filter(({ keyId }) => keyId !== key.keyId) : [];
  return {
    trust: {
      pinned: pick(key),
      source,
      others,
      ownerKeyId: key.keyId,
      // The next announcement says whether the server has the key.
      refusedKeyIds: isTrusted ? trust.refusedKeyIds : [],
      isRatcheted: true,
    },
    events: [{ kind: "key_pinned", keyId: key.keyId, source }],
  };
}

/**
 * Applies an announcement: all active keys of the server, whose ids are confirmed. The first one ever
 * is believed. Later ones are if a trusted key is still among them: they replace the trusted keys, so
 * that a retired key no longer counts. Otherwise nothing is trusted anew, and commands are refused until
 * the server presents a trusted key. An empty announcement changes nothing.
 */
export function applyAnnouncement(
  trust: KeyTrust,
  announced: readonly AnnouncedKey[],
): KeyTransition {
  const [primary, ...others] = orderKeys(announced, trust.pinned);
  if (primary === undefined) return { trust, events: [] };
  const before = trustedKeys(trust);
  if (before.length === 0 && !trust.isRatcheted) {
    return {
      trust: { ...NO_KEYS, pinned: primary, source: "first_use", others, isRatcheted: true },
      events: [
        { kind: "key_pinned", keyId: primary.keyId, source: "first_use" },
        ...others.map(({ keyId }): KeyEvent => ({ kind: "key_announced", keyId })),
      ],
    };
  }
  const after = [primary, ...others];
  if (!after.some((key) => includes(before, key))) return refuseKeys(trust, after);
  const isPinned = primary.keyId === trust.pinned?.keyId;
  return {
    trust: {
      ...trust,
      pinned: primary,
      source: isPinned ? trust.source : "announcement",
      others,
      refusedKeyIds: [],
    },
    events: [
      ...(trust.refusedKeyIds.length > 0 ? [{ kind: "key_restored" } as const] : []),
      ...after.filter((key) => !includes(before, key))
        .map(({ keyId }): KeyEvent => ({ kind: "key_announced", keyId })),
      ...before.filter((key) => !includes(after, key))
        .map(({ keyId }): KeyEvent => ({ kind: "key_retired", keyId })),
    ],
  };
}

function refuseKeys(trust: KeyTrust, keys: readonly SigningKey[]): KeyTransition {
  const keyIds = keys.map(({ keyId }) => keyId);
  const isKnown = keyIds.every((keyId) => trust.refusedKeyIds.includes(keyId));
  return {
    trust: { ...trust, refusedKeyIds: keyIds, isRatcheted: true },
    events: isKnown ? [] : [{ kind: "key_changed", keyIds }],
  };
}

/** Each key once: the pinned one first, or else the primary one. */
function orderKeys(
  announced: readonly AnnouncedKey[],
  pinned: SigningKey | null,
): readonly SigningKey[] {
  const first = announced.find(({ keyId }) => keyId === pinned?.keyId) ??
    announced.find(({ isPrimary }) => isPrimary) ?? announced[0];
  const ordered = first === undefined ? [] : [first, ...announced];
  return [...new Map(ordered.map((key) => [key.keyId, pick(key)])).values()];
}

function pick({ keyId, publicKey }: SigningKey): SigningKey {
  return { keyId, publicKey };
}

function includes(keys: readonly SigningKey[], wanted: SigningKey): boolean {
  return keys.some((key) => key.keyId === wanted.keyId && key.publicKey === wanted.publicKey);
}

/** What the owner of the host can do about a key that is not trusted. */
const KEY_ADVICE = "if its new key is right, name it in server.public_key and restart the agent. " +
  `Or: stop the agent, then register again: \`${replaceCommand()}\``;

/** Why every command is refused, and what to do; `null`: they are not. */
export function describeKeyFault(
  { pinned, refusedKeyIds, isRatcheted }: KeyTrust,
): { readonly words: string; readonly next: string } | null {
  const next = KEY_ADVICE;
  if (refusedKeyIds.length > 0) {
    const keys = joinNames(refusedKeyIds, 3);
    const words = `all commands refused: the server shows the key ${keys}, which is not trusted`;
    return { words, next };
  }
  if (pinned !== null || !isRatcheted) return null;
  return { words: "all commands refused: the file with the server's key is lost", next };
}

/** What the owner allows without a signature, as long as the server has never shown a key. */
export type UnsignedCommands = "never" | "read_only" | "all";

/** Whether a command may be run; `key_changed`: see `applyAnnouncement()`. */
export type CommandPermission =
  | { readonly isAllowed: true }
  | { readonly isAllowed: false; readonly reason: SignatureRefusal | "key_changed" };

/**
 * Decides whether a command may be run. Once the server has shown a key, only valid signatures count;
 * before that, only commands without any signature are run, as far as the owner allows. A signed
 * command that cannot be verified yet is refused: its key has to be fetched first.
 */
export function permitCommand(
  trust: KeyTrust,
  verdict: SignatureVerdict,
  { unsigned, isReadOnly }: { unsigned: UnsignedCommands; isReadOnly: boolean },
): CommandPermission {
  if (trust.refusedKeyIds.length > 0) return { isAllowed: false, reason: "key_changed" };
  if (verdict.kind === "valid") return { isAllowed: true };
  const { reason } = verdict;
  if (reason !== "unsigned" || trust.isRatcheted) return { isAllowed: false, reason };
  const isAllowed = unsigned === "all" || (unsigned === "read_only" && isReadOnly);
  return isAllowed ? { isAllowed } : { isAllowed, reason };
}

/** The last command that was not run because of its signature. */
export interface CommandRefusal {
  readonly commandId: string;
  readonly type: string;
  /** A stable word. */
  readonly reason: string;
  /** Completes "not run: ...". */
  readonly why: string;
  readonly atMs: number;
}

/** The keys of one server, with what `status` shows of them. Instants are since the Unix epoch. */
export interface ServerKeys {
  readonly trust: KeyTrust;
  /** When the pinned key was pinned; `null` as long as nothing is. */
  readonly pinnedAtMs: number | null;
  /** When the server last said which keys it has, or that it has none; `null`: never. */
  readonly lookedUpAtMs: number | null;
  /** Commands that were not run because of their signature. */
  readonly refusedCommands: number;
  readonly lastRefusal: CommandRefusal | null;
}

/** Before anything is known of a server. */
export const NO_SERVER_KEYS: ServerKeys = {
  trust: NO_KEYS,
  pinnedAtMs: null,
  lookedUpAtMs: null,
  refusedCommands: 0,
  lastRefusal: null,
};

const trust: v.GenericSchema<unknown, KeyTrust> = v.pipe(
  v.object({
    pinned: v.nullable(signingKeySchema),
    source: v.nullable(v.picklist(["first_use", "configuration", "key_file", "announcement"])),
    others: v.array(signingKeySchema),
    ownerKeyId: v.nullable(keyIdSchema),
    refusedKeyIds: v.array(keyIdSchema),
    isRatcheted: v.boolean(),
  }),
  v.check(({ pinned, source, others, isRatcheted }) =>
    pinned === null ? source === null && others.length === 0 : source !== null && isRatcheted
  ),
);

const FILE = new JsonFile<ServerKeys>({
  name: "keys.json",
  what: "the server's keys",
  schema: "pennon.keys/1",
  value: v.object({
    trust,
    pinnedAtMs: v.nullable(v.number()),
    lookedUpAtMs: v.nullable(v.number()),
    refusedCommands: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
    lastRefusal: v.nullable(v.object({
      commandId: v.string(),
      type: v.string(),
      reason: v.string(),
      why: v.string(),
      atMs: v.number(),
    })),
  }),
  keys: {
    keyId: "key_id",
    publicKey: "public_key",
    ownerKeyId: "owner_key_id",
    refusedKeyIds: "refused_key_ids",
    isRatcheted: "ratcheted",
    pinnedAtMs: "pinned_at",
    lookedUpAtMs: "looked_up_at",
    refusedCommands: "refused_commands",
    lastRefusal: "last_refusal",
    commandId: "command_id",
    atMs: "refused_at",
  },
});

/**
 * Reads what `saveServerKeys()` saved: `NO_SERVER_KEYS` if there is no file, and none but `LOST_KEYS`,
 * after `onUnreadable` was called with the reason, if it is damaged. Throws `FileError`.
 */
export async function loadServerKeys(
  files: Files,
  stateDirectory: string,
  onUnreadable: (why: string) => void = () => {},
): Promise<ServerKeys> {
  let isLost = false;
  const saved = await FILE.read(files, stateDirectory, (why) => {
    isLost = true;
    onUnreadable(why);
  });
  return saved ?? (isLost ? { ...NO_SERVER_KEYS, trust: LOST_KEYS } : NO_SERVER_KEYS);
}

/** Saves the state, to be done before any command is run by it. Throws `FileError`. */
export async function saveServerKeys(
  files: Files,
  stateDirectory: string,
  keys: ServerKeys,
): Promise<void> {
  await FILE.write(files, stateDirectory, keys);
}

/** Removes what is saved, with the enrolment that it belongs to. Throws `FileError`. */
export async function removeServerKeys(files: Files, stateDirectory: string): Promise<void> {
  await FILE.remove(files, stateDirectory);
}
