/** Who this agent is to its server: id and tokens, kept in one file that only its user can read. */

import * as v from "valibot";
import type { System } from "./system/system.ts";
import { isRefused, trustProblems } from "./trusted_path.ts";

/** An enrolled agent. */
export interface Identity {
  readonly agentId: string;
  /** The only server that the tokens ever go to; without a trailing slash. */
  readonly serverUrl: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  /** Between check-ins, as the server said at registration; `null`: it did not. */
  readonly intervalMs: number | null;
  readonly registeredMs: number;
}

/** An identity that cannot be used; the message says what to do. */
export class IdentityError extends Error {
  override readonly name = "IdentityError";
}

const SCHEMA = "pennon.identity/1";
const FILE = "identity.json";

const token = v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,8192}$/, "not a token"));
const serverUrl = v.pipe(
  v.string(),
  v.check(
    (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
    "no web address",
  ),
  v.transform((text) => text.replace(/\/+$/, "")),
);
const agentId = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/, "not an id"));

const stored = v.object({
  schema: v.literal(SCHEMA),
  agent_id: agentId,
  server_url: serverUrl,
  access_token: token,
  refresh_token: token,
  interval_ms: v.nullable(v.pipe(v.number(), v.minValue(1_000), v.maxValue(86_400_000))),
  registered_ms: v.number(),
});

type Parts = Pick<System, "files">;

/**
 * The identity in the state folder, `undefined` if this host is not enrolled. Throws
 * `IdentityError` if the file is damaged, or open to other users.
 */
export async function loadIdentity(
  { files, machine }: Parts & Pick<System, "machine">,
  stateDirectory: string,
): Promise<Identity | undefined> {
  const path = `${stateDirectory}/${FILE}`;
  const found = await files.readTextAndFacts("read the identity", path);
  if (found === undefined) return undefined;
  const question = { userId: machine.userId(), use: "identity" } as const;
  const itself = { steps: [{ path, ...found.facts }], isWhole: true };
  const [problem] = trustProblems(itself, question).filter(isRefused);
  if (problem) {
    throw new IdentityError(
      `Cannot use the identity: other users may have read it: ${problem.text}, and register anew ` +
        `with "--replace" if anybody did`,
    );
  }
  const read = v.safeParse(stored, parseJson(found.text));
  if (!read.success) {
    throw new IdentityError(
      `Cannot use the identity: "${path}" is damaged. Next: pennon register --replace`,
    );
  }
  const { agent_id, server_url, access_token, refresh_token, interval_ms, registered_ms } =
    read.output;
  return {
    agentId: agent_id,
    serverUrl: server_url,
    accessToken: access_token,
    refreshToken: refresh_token,
    intervalMs: interval_ms,
    registeredMs: registered_ms,
  };
}

/** Keeps an identity, readable for its user alone from the first byte on. Throws `FileError`. */
export async function saveIdentity(
  { files }: Parts,
  stateDirectory: string,
  identity: Identity,
): Promise<void> {
  const text = JSON.stringify(
    {
      schema: SCHEMA,
      agent_id: identity.agentId,
      server_url: identity.serverUrl,
      access_token: identity.accessToken,
      refresh_token: identity.refreshToken,
      interval_ms: identity.intervalMs,
      registered_ms: identity.registeredMs,
    } satisfies v.InferInput<typeof stored>,
    null,
    2,
  );
  const path = `${stateDirectory}/${FILE}`;
  await files.writeText("save the identity", path, `${text}\n`, { mode: 0o600 });
}

/** Removes the identity; no error if there is none. */
export async function forgetIdentity({ files }: Parts, stateDirectory: string): Promise<void> {
  await files.remove("forget the identity", `${stateDirectory}/${FILE}`);
}

/** What is taken over from RedFlag's own agent, out of its `config.json`. */
const redflag = v.object({
  server_url: serverUrl,
  agent_id: agentId,
  token,
  refresh_token: token,
  check_in_interval: v.fallback(
    v.nullish(v.pipe(v.number(), v.minValue(10), v.maxValue(86_400))),
    null,
  ),
  tls: v.fallback(v.nullish(v.object({ insecure_skip_verify: v.nullish(v.boolean()) })), null),
});

/** The identity in a RedFlag agent's configuration; throws `IdentityError` saying what is missing. */
export function adoptIdentity(text: string, nowMs: number): Identity {
  const read = v.safeParse(redflag, parseJson(text));
  if (!read.success) {
    const fields = [...new Set(read.issues.map((issue) => v.getDotPath(issue) ?? "all of it"))];
    throw new IdentityError(
      `Cannot take over: in the other agent's configuration, ${fields.join(", ")} cannot be used`,
    );
  }
  const { tls, check_in_interval } = read.output;
  if (tls?.insecure_skip_verify) {
    throw new IdentityError(
      "Cannot take over: the other agent does not verify its server's certificate, and Pennon " +
        "always does. Next: set tls.ca_file, take insecure_skip_verify out of that file, try again",
    );
  }
  return {
    agentId: read.output.agent_id,
    serverUrl: read.output.server_url,
    accessToken: read.output.token,
    refreshToken: read.output.refresh_token,
    intervalMs: check_in_interval ? check_in_interval * 1_000 : null,
    registeredMs: nowMs,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // No JSON: no schema fits it.
  }
}
