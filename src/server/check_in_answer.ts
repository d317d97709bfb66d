/**
 * Reads the answer to a check-in with separate limits for each command, so that one invalid command
 * does not affect the others. RedFlag 0.1.18 never repeats a command, so none is dropped silently:
 * each one with a usable id is accepted or rejected, and the others are counted. Later servers repeat
 * commands, even within one answer: one that is exactly the same is read once.
 */

import * as v from "valibot";
import { IDENTIFIER } from "../credentials.ts";
import {
  type Decoded,
  decodeJson,
  type JsonKind,
  type JsonLimits,
  JsonOutline,
  JsonOutlineError,
  type JsonRange,
  type JsonSpan,
  type JsonText,
} from "../json.ts";
import type { ReceivedCommand, RejectedCommand, SignedFields } from "../received_command.ts";
import { excerpt } from "./limits.ts";

/**
 * Longest answer, in UTF-8; a legitimate one has up to 100 KB. Measured on Deno 2.6.8 and 2.9.6 with
 * the V8 flags of the executable: the worst 4 MiB take up to 40 ms and 18 MiB of memory.
 */
export const LONGEST_CHECK_IN_BYTES = 4_194_304;

/**
 * Commands in one answer. RedFlag 0.1.18 sends up to 10; 0.2.9 up to 100, some of them twice. Further
 * ones are counted, not read. Storing or rejecting this many takes about 10 ms.
 */
export const MOST_COMMANDS = 200;

/** Ids in one list of confirmations; the agent asks for up to 50 results and 100 receipts. */
export const MOST_CONFIRMED = 1_000;

/** Length of each of a command's signed fields; a signature has 128 characters. */
export const MOST_SIGNED_LENGTH = 256;

/** Size of a command's parameters as JSON text, in UTF-8. */
export const MOST_PARAMS_BYTES = 65_536;

/** Members of the answer, or of one command; RedFlag sends up to ten. */
const MOST_MEMBERS = 100;

/** Length of an id or type as JSON text, with each character escaped. */
const LONGEST_WORD = 1_000;

/** Limits of `rapid_polling`. */
const WORDS_LIMITS: JsonLimits = { maxLength: LONGEST_WORD, maxDepth: 4, maxValues: 50 };

/** The type of a command. Log lines, terminal output and reports contain it as it is. */
const TYPE = /^[A-Za-z0-9_.:-]{1,100}$/;

/** The type in the report on a command whose own type is invalid. */
const NO_TYPE = "unreadable";

/** A signed field: printable ASCII, as are hexadecimal digits, identifiers and timestamps. */
const SIGNED = new RegExp(`^[\\x20-\\x7e]{0,${MOST_SIGNED_LENGTH}}$`);

/** An RFC 3339 timestamp, as Go formats it. */
export const INSTANT = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/;

const rapidPolling = v.object({
  enabled: v.boolean(),
  until: v.nullish(v.pipe(v.string(), v.regex(INSTANT)), null),
});

/** Items of an answer that the agent ignores. */
interface IgnoredPart {
  readonly part:
    | "commands"
    | "acknowledged_ids"
    | "receipt_confirmed_ids"
    | "confirmed_command_ids"
    | "rapid_polling";
  readonly count: number;
  /** The first of them as the server wrote it, truncated and escaped to printable ASCII. */
  readonly first: string;
  /** Why the agent ignores the first one. */
  readonly why: string;
}

/** The answer to a check-in. */
export interface CheckInAnswer {
  /** Ids are unique. */
  readonly commands: readonly ReceivedCommand[];
  /** Ids are unique, and none is in `commands`. */
  readonly rejected: readonly RejectedCommand[];
  /** `null` if absent. `until` is an RFC 3339 timestamp, at any distance. */
  readonly rapidPolling: v.InferOutput<typeof rapidPolling> | null;
  /** Commands whose result the server has. It may have others too. */
  readonly acknowledgedIds: readonly string[];
  /** Commands of which the server has noted by this check-in that the agent has them. */
  readonly receiptConfirmedIds: readonly string[];
  readonly ignored: readonly IgnoredPart[];
}

/** Reads a body; fails if it is not JSON, too long, or without a list of commands. */
export function readCheckIn(body: JsonText): Decoded<CheckInAnswer> {
  if (body.length > LONGEST_CHECK_IN_BYTES) return TOO_LONG;
  const outline = new JsonOutline(body);
  if (outline.sizeBytes > LONGEST_CHECK_IN_BYTES) return TOO_LONG;
  try {
    return new CheckInReader(outline).read();
  } catch (error) {
    if (error instanceof JsonOutlineError) return { ok: false, why: error.message };
    throw error;
  }
}

const TOO_LONG = {
  ok: false,
  why: `it has more than ${LONGEST_CHECK_IN_BYTES} bytes`,
} as const;

/** An item that the agent ignores. */
interface Unused extends JsonRange {
  readonly why: string;
}

/** The members of a command that are read. */
const COMMAND_MEMBERS = [
  "id",
  "type",
  "params",
  "signature",
  "key_id",
  "signed_at",
  "agent_id",
  "created_at",
] as const;

type CommandMember = typeof COMMAND_MEMBERS[number];

function isCommandMember(key: string | null): key is CommandMember {
  return COMMAND_MEMBERS.some((member) => member === key);
}

class CheckInReader {
  readonly #outline: JsonOutline;
  readonly #commands = new Map<string, ReceivedCommand>();
  readonly #rejected = new Map<string, RejectedCommand>();
  readonly #acknowledged = new Set<string>();
  readonly #receiptConfirmed = new Set<string>();
  readonly #ignored: IgnoredPart[] = [];
  #rapidPolling: CheckInAnswer["rapidPolling"] = null;
  #hasCommands = false;

  constructor(outline: JsonOutline) {
    this.#outline = outline;
  }

  read(): Decoded<CheckInAnswer> {
    const outline = this.#outline;
    if (outline.peek() !== "an object") return { ok: false, why: "it is not a JSON object" };
    const surplus = outline.members(MOST_MEMBERS, (key) => {
      if (key === "commands") this.#readCommands();
      else if (key === "acknowledged_ids") this.#readIds(key, this.#acknowledged);
      // RedFlag sends one list under both names.
      else if (key === "receipt_confirmed_ids" || key === "confirmed_command_ids") {
        this.#readIds(key, this.#receiptConfirmed);
      } else if (key === "rapid_polling") this.#readRapidPolling();
    });
    outline.end();
    if (surplus !== null) return { ok: false, why: `it has more than ${MOST_MEMBERS} members` };
    if (!this.#hasCommands) return { ok: false, why: "it has no list of commands" };
    for (const id of this.#commands.keys()) this.#rejected.delete(id);
    return {
      ok: true,
      value: {
        commands: [...this.#commands.values()],
        rejected: [...this.#rejected.values()],
        rapidPolling: this.#rapidPolling,
        acknowledgedIds: [...this.#acknowledged],
        receiptConfirmedIds: [...this.#receiptConfirmed],
        ignored: this.#ignored,
      },
    };
  }

  #readCommands(): void {
    const kind = this.#outline.peek();
    // RedFlag's Go server sends null for an empty list.
    this.#hasCommands ||= kind === "null" || kind === "an array";
    this.#readList("commands", MOST_COMMANDS, () => this.#readCommand());
  }

  #readCommand(): Unused | null {
    const outline = this.#outline;
    const start = outline.at;
    if (outline.peek() !== "an object") return isNot("an object", outline.skip());
    const found: { [key in CommandMember]?: JsonSpan } = {};
    const surplus = outline.members(MOST_MEMBERS, (key) => {
      if (isCommandMember(key)) found[key] = outline.skip();
    });
    if (found.id === undefined) return { start, end: outline.at, why: "it has no id" };
    const id = this.#word(found.id, IDENTIFIER);
    if (!id.ok) return { ...found.id, why: `its id ${id.why}` };
    const type = this.#word(found.type, TYPE);
    const params = this.#params(found.params);
    const earlier = this.#commands.get(id.value);
    if (earlier !== undefined) {
      const isSame = type.ok && params.ok && type.value === earlier.type &&
        params.value === earlier.params &&
        JSON.stringify(this.#signed(found)) === JSON.stringify(earlier.signed);
      return isSame ? null : { ...found.id, why: "another command in this answer has its id" };
    }
    if (!type.ok) this.#reject(id.value, NO_TYPE, `its type ${type.why}`);
    else if (!params.ok) this.#reject(id.value, type.value, `its params ${params.why}`);
    else if (surplus !== null) {
      this.#reject(id.value, type.value, `it has more than ${MOST_MEMBERS} members`);
    } else {
      const signed = this.#signed(found);
      const command = { id: id.value, type: type.value, params: params.value, signed };
      this.#commands.set(id.value, command);
    }
    return null;
  }

  #reject(id: string, type: string, why: string): void {
    if (!this.#rejected.has(id)) this.#rejected.set(id, { id, type, why });
  }

  /** A string that matches `shape`, or why it does not, completing "its type ...". */
  #word(span: JsonSpan | undefined, shape: RegExp): Decoded<string> {
    if (span === undefined) return { ok: false, why: "is missing" };
    if (span.kind !== "a string") return { ok: false, why: `is ${span.kind}, not a string` };
    if (span.end - span.start > LONGEST_WORD) return { ok: false, why: "is too long" };
    const word = this.#outline.wordOf(span, LONGEST_WORD);
    return word !== null && shape.test(word)
      ? { ok: true, value: word }
      : { ok: false, why: `is ${excerpt(this.#outline.slice(span))}` };
  }

  /** The fields of the signature; `null` if there is none of them. */
  #signed(found: { readonly [key in CommandMember]?: JsonSpan }): SignedFields | null {
    const read = (span: JsonSpan | undefined) => {
      if (span === undefined || span.kind === "null") return null;
      const word = this.#word(span, SIGNED);
      return word.ok ? word.value : "";
    };
    const signed = {
      signature: read(found.signature),
      keyId: read(found.key_id),
      signedAt: read(found.signed_at),
      agentId: read(found.agent_id),
      createdAt: read(found.created_at),
    };
    return Object.values(signed).some((value) => value !== null) ? signed : null;
  }

  /** The text of the parameters. RedFlag sends `null` for a command without parameters. */
  #params(span: JsonSpan | undefined): Decoded<string> {
    if (span === undefined || span.kind === "null") return { ok: true, value: "null" };
    if (span.kind !== "an object") return { ok: false, why: `are ${span.kind}, not an object` };
    const sizeBytes = span.end - span.start;
    if (sizeBytes > MOST_PARAMS_BYTES) {
      return { ok: false, why: `take ${sizeBytes} bytes, more than ${MOST_PARAMS_BYTES}` };
    }
    const value = this.#outline.text(span);
    return value === null ? { ok: false, why: "are not UTF-8" } : { ok: true, value };
  }

  #readIds(part: IgnoredPart["part"], ids: Set<string>): void {
    this.#readList(part, MOST_CONFIRMED, () => {
      const span = this.#outline.skip();
      const id = this.#word(span, IDENTIFIER);
      if (!id.ok) return { ...span, why: `it ${id.why}` };
      ids.add(id.value);
      return null;
    });
  }

  #readRapidPolling(): void {
    const span = this.#outline.skip();
    if (span.kind === "null") return;
    const read = decodeJson(
      rapidPolling,
      this.#outline.slice(span, LONGEST_WORD + 1),
      WORDS_LIMITS,
    );
    if (read.ok) this.#rapidPolling = read.value;
    else this.#ignore("rapid_polling", 1, { ...span, why: read.why });
  }

  /** Reads the first `most` items of an array, and counts the ignored ones. */
  #readList(part: IgnoredPart["part"], most: number, readItem: () => Unused | null): void {
    const outline = this.#outline;
    const kind = outline.peek();
    if (kind !== "an array") {
      const unused = isNot("an array", outline.skip());
      if (kind !== "null") this.#ignore(part, 1, unused);
      return;
    }
    const unused: Unused[] = [];
    const surplus = outline.items(most, () => {
      const item = readItem();
      if (item !== null) unused.push(item);
    });
    const [first] = unused;
    if (first !== undefined) this.#ignore(part, unused.length, first);
    if (surplus !== null) {
      this.#ignore(part, surplus.count, { ...surplus, why: `more than ${most} in one answer` });
    }
  }

  #ignore(part: IgnoredPart["part"], count: number, first: Unused): void {
    this.#ignored.push({
      part,
      count,
      first: excerpt(this.#outline.slice(first, LONGEST_WORD)),
      why: first.why,
    });
  }
}

function isNot(wanted: JsonKind, span: JsonSpan): Unused {
  return { ...span, why: `it is ${span.kind}, not ${wanted}` };
}
