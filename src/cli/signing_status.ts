/** What `pennon status` and `config show` say of the keys with which the server signs commands. */

import {
  describeKeyFault,
  type KeySource,
  type ServerKeys,
  type UnsignedCommands,
} from "../server/key_trust.ts";
import { isoInstant } from "./terminal_text.ts";
import { describeDuration } from "../wording.ts";

const SOURCES: Readonly<Record<KeySource, string>> = {
  first_use: "as the first that the server showed",
  configuration: "from server.public_key",
  key_file: "from RedFlag's key file",
  announcement: "as announced by the server",
};

/** The field `signing` of `pennon.status/1`. */
export function signingAsJson(keys: ServerKeys, unsigned: UnsignedCommands) {
  const { trust, lastRefusal } = keys;
  return {
    key_id: trust.pinned?.keyId ?? null,
    public_key: trust.pinned?.publicKey ?? null,
    source: trust.source,
    pinned_at: isoInstant(keys.pinnedAtMs),
    other_key_ids: trust.others.map(({ keyId }) => keyId),
    untrusted_key_ids: trust.refusedKeyIds,
    looked_up_at: isoInstant(keys.lookedUpAtMs),
    unsigned_commands: trust.isRatcheted ? "never" : unsigned,
    commands_refused: describeKeyFault(trust) !== null,
    refused_commands: keys.refusedCommands,
    last_refusal: lastRefusal && {
      command_id: lastRefusal.commandId,
      type: lastRefusal.type,
      reason: lastRefusal.reason,
      why: lastRefusal.why,
      at: isoInstant(lastRefusal.atMs),
    },
  };
}

/** A setting as `config show` prints it. */
interface Shown {
  readonly path: string;
  readonly value: string;
  readonly from: string;
}

/** Shows what is in effect where the server's keys decide it, and not a default. */
export function withServerKeys(settings: readonly Shown[], { trust }: ServerKeys): Shown[] {
  const { pinned, source, isRatcheted } = trust;
  return settings.map((setting) => {
    if (setting.path === "server.public_key" && setting.value === "" && pinned && source) {
      return { ...setting, value: pinned.publicKey, from: `pinned ${SOURCES[source]}` };
    }
    return setting.path === "commands.unsigned" && isRatcheted
      ? { ...setting, value: "never", from: "the server has shown a key" }
      : setting;
  });
}

/**
 * Lines of the text: title and text; an empty title continues the line above. That all commands are
 * refused is a matter of health.
 */
export function describeSigning(
  keys: ServerKeys,
  unsigned: UnsignedCommands,
  nowMs: number,
): (readonly [title: string, text: string])[] {
  const { trust, pinnedAtMs, refusedCommands, lastRefusal } = keys;
  const { pinned, source, others } = trust;
  const lines: [string, string][] = [];
  if (pinned !== null && source !== null) {
    const since = pinnedAtMs === null ? "" : `, ${describeDuration(nowMs - pinnedAtMs)} ago`;
    lines.push(["Server key", pinned.keyId], ["", `pinned ${SOURCES[source]}${since}`]);
    if (others.length > 0) lines.push(["", `and ${others.map(({ keyId }) => keyId).join(", ")}`]);
  } else if (trust.isRatcheted) lines.push(["Server key", "lost; no command runs"]);
  else {
    const consequence = unsigned === "never"
      ? "no command runs without a signature"
      : "commands that only read run without a signature";
    lines.push(["Server key", `none shown; ${consequence}`]);
  }
  if (lastRefusal === null) return lines;
  const ago = describeDuration(nowMs - lastRefusal.atMs);
  const { type, why } = lastRefusal;
  return [
    ...lines,
    ["Refused", `${refusedCommands} commands; the last one, ${type}, ${ago} ago: ${why}`],
  ];
}
