/**
 * The keys with which the server signs commands, as this agent keeps them: read from the state directory
 * and from what the owner of the host names, looked up at the server, and saved before anything is done
 * by them. Which keys are trusted is decided in `server/key_trust.ts`.
 */

import type { Log } from "../log.ts";
import type { LogMessage } from "../log_messages.ts";
import type { Answer } from "../server/answer.ts";
import { type Client, isRouteUnknown } from "../server/client.ts";
import {
  applyAnnouncement,
  type CommandRefusal,
  type KeyEvent,
  type KeyTransition,
  loadServerKeys,
  pinKey,
  saveServerKeys,
  type ServerKeys,
} from "../server/key_trust.ts";
import {
  type AnnouncedKey,
  confirmKeys,
  MOST_KEY_FILE_BYTES,
  parseKeyFile,
  parsePublicKey,
} from "../server/signing_keys.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";
import { readRootOwned } from "../trusted_path.ts";

/** Where RedFlag's installer writes the server's public key, on Linux. */
export const REDFLAG_KEY_FILE = "/etc/redflag/server/server_public_key";

/** Between two look-ups that nothing asks for. */
export const LOOK_UP_EVERY_MS = 6 * 3_600_000;

/** Between any two look-ups: a whole network shares 20 calls of public routes per minute. */
export const LEAST_BETWEEN_LOOK_UPS_MS = 5 * 60_000;

/** Limit of one request of a look-up, for which a check-in waits. */
const LOOK_UP_TIMEOUT_MS = 10_000;

/** What a key ring works with. */
export interface KeyRingDeps {
  readonly system: Pick<System, "clock" | "cryptography" | "files" | "machine">;
  readonly log: Log;
  readonly stateDirectory: string;
  readonly client: Pick<Client, "publicKeys">;
  /** `server.public_key` of the configuration; `null`: not set. */
  readonly configuredKey: string | null;
}

/** The keys of one server. Methods never reject because of the disk, the server or a key. */
export class KeyRing {
  readonly #deps: KeyRingDeps;
  #keys: ServerKeys | null = null;
  /** The keys that the file holds. */
  #saved: ServerKeys | null = null;
  /** Whether the log has already said that the disk refuses. */
  #isRefused = false;
  /** Monotonic instants of the last look-up, and of the last one that the server answered. */
  #lookedUpAtMs = -Infinity;
  #answeredAtMs = -Infinity;

  constructor(deps: KeyRingDeps) {
    this.#deps = deps;
  }

  /** The keys; `null` as long as the disk cannot be read, when no command may be run. */
  get keys(): ServerKeys | null {
    return this.#keys;
  }

  /** When the server last said which keys it has, or that it has none, on the monotonic clock. */
  get answeredAtMs(): number {
    return this.#answeredAtMs;
  }

  /** Reads the keys, unless it has. Returns whether they are known and those trusted are on disk. */
  async open(): Promise<boolean> {
    if (this.#keys === null) await this.#load();
    return this.#keys !== null && await this.save();
  }

  /** Writes the keys, unless the file holds them. Returns whether it holds the trusted ones. */
  async save(): Promise<boolean> {
    const { system: { files }, stateDirectory, log } = this.#deps;
    const keys = this.#keys;
    if (keys === null) return false;
    if (keys === this.#saved) return true;
    try {
      await saveServerKeys(files, stateDirectory, keys);
      this.#saved = keys;
      if (this.#isRefused) log.info("server keys saved again");
      this.#isRefused = false;
      return true;
    } catch (error) {
      this.#logRefused("server keys not saved", error);
      return keys.trust === this.#saved?.trust;
    }
  }

  /** The state directory is a new one: the file is written again. */
  async saveAgain(): Promise<void> {
    this.#saved = null;
    if (this.#keys !== null) await this.save();
  }

  /** Looks the keys up if nothing asked for it for a long time. */
  async lookUpIfDue(signal: AbortSignal): Promise<void> {
    if (!await this.open()) return;
    const lookedUpAtMs = this.#keys?.lookedUpAtMs ?? -Infinity;
    const sinceMs = this.#deps.system.clock.nowMs() - lookedUpAtMs;
    // Negative: the clock was set back.
    if (sinceMs < 0 || sinceMs >= LOOK_UP_EVERY_MS) await this.lookUp(signal);
  }

  /** Asks the server for its keys, unless it was asked a moment ago. */
  async lookUp(signal: AbortSignal): Promise<void> {
    const { system: { clock }, client, log } = this.#deps;
    if (clock.monotonicMs() - this.#lookedUpAtMs < LEAST_BETWEEN_LOOK_UPS_MS) return;
    if (!await this.open()) return;
    this.#lookedUpAtMs = clock.monotonicMs();
    const answer = await client.publicKeys({ signal, timeoutMs: LOOK_UP_TIMEOUT_MS });
    if (!isAnswered(answer)) {
      const why = "why" in answer ? answer.why : "stopped";
      log.debug("server keys not looked up", { why });
      return;
    }
    if (answer.kind === "ok") await this.#applyAnnounced(answer.value);
    this.#answeredAtMs = clock.monotonicMs();
    if (this.#keys) this.#keys = { ...this.#keys, lookedUpAtMs: clock.nowMs() };
    await this.save();
  }

  /** Counts commands that are not run because of their signature; `last` is one of them. */
  async recordRefusals(commands: number, last: CommandRefusal): Promise<void> {
    if (this.#keys === null) return;
    const refusedCommands = this.#keys.refusedCommands + commands;
    this.#keys = { ...this.#keys, refusedCommands, lastRefusal: last };
    await this.save();
  }

  async #load(): Promise<void> {
    const { system, stateDirectory, log, configuredKey } = this.#deps;
    try {
      this.#saved = await loadServerKeys(system.files, stateDirectory, (why) => {
        log.error("server keys lost: commands are refused", { security_event: "keys_lost", why });
      });
      this.#keys = this.#saved;
      this.#isRefused = false;
    } catch (error) {
      return this.#logRefused("server keys cannot be read: no command is run", error);
    }
    if (configuredKey !== null) {
      const key = await parsePublicKey(system.cryptography, configuredKey);
      if (key.ok) this.#apply(pinKey(this.#keys.trust, key.value, "configuration"));
    } else if (!this.#keys.trust.isRatcheted) await this.#applyKeyFile(this.#keys);
  }

  /** The key of a file that others than root could have written is not used. */
  async #applyKeyFile({ trust }: ServerKeys): Promise<void> {
    const { system, log } = this.#deps;
    const file = { name: "RedFlag's key file", path: REDFLAG_KEY_FILE };
    try {
      const bytes = await readRootOwned(system, { ...file, maxBytes: MOST_KEY_FILE_BYTES });
      if (bytes === undefined) return;
      const key = await parseKeyFile(system.cryptography, bytes);
      if (key.ok) this.#apply(pinKey(trust, key.value, "key_file"));
      else log.warning("key file not used", { path: file.path, why: `the key ${key.why}` });
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      log.debug("key file not used", { path: file.path, why: error.message });
    }
  }

  async #applyAnnounced(announced: readonly AnnouncedKey[]): Promise<void> {
    const { system, log } = this.#deps;
    const confirmed = await confirmKeys(system.cryptography, announced);
    if (!confirmed.ok) {
      log.warning("server keys not used", { why: `the keys ${confirmed.why}` });
    } else if (this.#keys) {
      this.#apply(applyAnnouncement(this.#keys.trust, confirmed.value));
    }
  }

  #apply({ trust, events }: KeyTransition): void {
    const keys = this.#keys;
    if (keys === null || trust === keys.trust) return;
    const isSamePin = trust.pinned?.keyId === keys.trust.pinned?.keyId;
    const nowMs = this.#deps.system.clock.nowMs();
    const pinnedAtMs = isSamePin ? keys.pinnedAtMs : trust.pinned && nowMs;
    // An announcement that says what is known makes a new object: it is not written again.
    const isSame = JSON.stringify(trust) === JSON.stringify(keys.trust);
    if (!isSame) this.#keys = { ...keys, trust, pinnedAtMs };
    for (const event of events) logKeyEvent(this.#deps.log, event);
  }

  #logRefused(message: LogMessage, error: unknown): void {
    if (!(error instanceof FileError)) throw error;
    if (!this.#isRefused) this.#deps.log.error(message, { why: error.message });
    this.#isRefused = true;
  }
}

/** The word of RedFlag 0.2 (`handlers/system.go`) where it signs nothing, with 503. */
const SIGNS_NOTHING = "signing service not configured";

/**
 * Whether the server has said which keys it has, or that it has none: RedFlag 0.1 has no such route, a later
 * one signs nothing, and the dashboard's page comes for an unknown address. No other 503 says so: commands
 * wait for an answer, and would be refused for good.
 */
function isAnswered(answer: Answer<unknown>): boolean {
  if (answer.kind === "failed") {
    return answer.status === 200 || answer.isSaid === true && answer.why.includes(SIGNS_NOTHING);
  }
  return answer.kind === "ok" || isRouteUnknown(answer);
}

/** Each is a security event; `security_event` is a stable word for it. */
function logKeyEvent(log: Log, event: KeyEvent): void {
  const security_event = event.kind;
  switch (event.kind) {
    case "key_pinned":
      return log.info("server key pinned", {
        security_event,
        key: event.keyId,
        source: event.source,
      });
    case "key_announced":
      return log.warning("server key accepted: a trusted one announces it", {
        security_event,
        key: event.keyId,
      });
    case "key_retired":
      return log.warning("server key retired", { security_event, key: event.keyId });
    case "key_changed":
      return log.error("server shows an unknown key: commands are refused", {
        security_event,
        keys: event.keyIds.join(" "),
      });
    case "key_restored":
      return log.warning("server shows a trusted key again", { security_event });
  }
}
