/** Who this agent is to its server: id and tokens, in one file that only its user can read. */

import * as v from "valibot";
import { replaceCommand } from "./advice.ts";
import { agentIdSchema, tokenSchema } from "./credentials.ts";
import { JsonFile } from "./json_file.ts";
import { Secrets } from "./redact.ts";
import type { System } from "./system/system.ts";
import { isRefused, trustProblems } from "./trusted_path.ts";

/** An enrolled agent. */
export interface Identity {
  readonly agentId: string;
  /** The only server that the tokens ever go to; without a trailing slash. */
  readonly serverUrl: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  /** Whether the refresh token was never sent; see `connection/rotation_rule.ts`. @default false */
  readonly isRefreshTokenUnsent?: boolean;
  /** The predecessor of a refresh token that was never sent, and that a late request may replace. */
  readonly previousRefreshToken?: string;
  /** The interval between check-ins from the server's registration answer; `null`: it had none. */
  readonly intervalMs: number | null;
}

/** Whether two addresses lead to one server: case of the host and a default port do not matter. */
export function isSameServer(one: string, other: string): boolean {
  return new URL(one).href === new URL(other).href;
}

/** The tokens of an identity. */
export function secretsOf(identity: Identity): Secrets {
  return new Secrets(tokensOf(identity));
}

/** Every token of an identity. */
export function tokensOf({ accessToken, refreshToken, previousRefreshToken }: Identity): string[] {
  const previous = previousRefreshToken === undefined ? [] : [previousRefreshToken];
  return [accessToken, refreshToken, ...previous];
}

/** An identity that cannot be used; the message says what to do. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
}

/** Longest address of a server, in characters. */
const LONGEST_URL = 2_048;

// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\s\u0000-\u001f\u007f-\u009f]/;

/** The address of a server, without its trailing slashes. */
export const serverUrlSchema = v.pipe(
  v.string(),
  // The URL parser ignores these characters, so such an address could be used but not shown.
  v.check((text) => !UNPRINTABLE.test(text), "contains white space or a control character"),
  v.check((text) => text.length <= LONGEST_URL, "is too long"),
  v.check(
    (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
    "is no web address",
  ),
  v.transform((text) => text.replace(/\/+$/, "")),
);

const KEYS = {
  agentId: "agent_id",
  serverUrl: "server_url",
  accessToken: "access_token",
  refreshToken: "refresh_token",
  isRefreshTokenUnsent: "refresh_token_unsent",
  previousRefreshToken: "previous_refresh_token",
  intervalMs: "interval_ms",
};

/** The file with the identity. */
export const IDENTITY_FILE = new JsonFile<Identity>({
  name: "identity.json",
  what: "the identity",
  schema: "pennon.identity/2",
  value: v.object({
    agentId: agentIdSchema,
    serverUrl: serverUrlSchema,
    accessToken: tokenSchema,
    refreshToken: tokenSchema,
    isRefreshTokenUnsent: v.exactOptional(v.boolean()),
    previousRefreshToken: v.exactOptional(tokenSchema),
    intervalMs: v.nullable(v.pipe(v.number(), v.minValue(1_000), v.maxValue(86_400_000))),
  }),
  keys: KEYS,
  earlier: { schema: "pennon.identity/1", keys: KEYS },
});

/**
 * Reads the identity in the state directory; `undefined` if this host is not enrolled. Throws
 * `IdentityError` if the file is unreadable, or open to other users, and `FileError`.
 */
export async function loadIdentity(
  { files, machine }: Pick<System, "files" | "machine">,
  stateDirectory: string,
): Promise<Identity | undefined> {
  const path = IDENTITY_FILE.pathIn(stateDirectory);
  const found = await files.readTextAndFacts("read the identity", path);
  if (found === undefined) return undefined;
  const question = { userId: machine.userId(), use: "identity" } as const;
  const itself = { steps: [{ path, ...found.facts }], isWhole: true };
  const [problem] = trustProblems(itself, question).filter(isRefused);
  if (problem) {
    throw new IdentityError(
      `Cannot use the identity: other users may have read it: ${problem.text}; if any of them did, ` +
        `stop the agent, then run \`${replaceCommand()}\``,
    );
  }
  const read = IDENTITY_FILE.decode(found.text);
  if (read.ok) return read.value;
  throw new IdentityError(
    `Cannot use the identity: "${path}" is corrupt. ` +
      `Next: stop the agent, then run \`${replaceCommand()}\``,
  );
}

/**
 * Saves an identity, readable only for its user from the first byte on. Throws `FileError`, or
 * `IdentityError` for an identity that `loadIdentity` would refuse; the file is unchanged then.
 */
export async function saveIdentity(
  { files }: Pick<System, "files">,
  stateDirectory: string,
  identity: Identity,
): Promise<void> {
  const readable = IDENTITY_FILE.decode(IDENTITY_FILE.encode(identity));
  if (!readable.ok) throw new IdentityError(`Cannot save the identity: ${readable.why}`);
  await IDENTITY_FILE.write(files, stateDirectory, identity);
}
