/** The `config.json` of RedFlag's own agent: reads the identity in it, and writes one. */

import * as v from "valibot";
import { pennonCommand } from "../advice.ts";
import { agentIdSchema, tokenSchema } from "../credentials.ts";
import { type Identity, IdentityError, serverUrlSchema } from "../identity.ts";
import { decodeJson } from "../json.ts";

/** What is read of it: these keys mean the same in each version of the file, 0.1.18 to 0.2.9. */
const redflag = v.object({
  server_url: serverUrlSchema,
  agent_id: agentIdSchema,
  token: tokenSchema,
  refresh_token: tokenSchema,
  check_in_interval: v.fallback(
    v.nullish(v.pipe(v.number(), v.minValue(10), v.maxValue(86_400))),
    null,
  ),
  tls: v.fallback(v.nullish(v.object({ insecure_skip_verify: v.nullish(v.boolean()) })), null),
});

/** Written by RedFlag's installer, and by its agent before a registration: Go's zero values. */
const unregistered = v.union([
  v.looseObject({ agent_id: v.picklist(["", "00000000-0000-0000-0000-000000000000"]) }),
  v.looseObject({ refresh_token: v.literal("") }),
]);

/**
 * Reads the identity in a RedFlag agent's configuration. PowerShell 5.1, with which RedFlag's installer
 * writes it on Windows, begins it with a byte order mark. Throws `IdentityError` with what is missing.
 */
export function readRedflagConfig(text: string): Identity {
  const json = text.startsWith("\ufeff") ? text.slice(1) : text;
  const read = decodeJson(redflag, json);
  if (!read.ok) {
    const fact = decodeJson(unregistered, json).ok
      ? "that agent was never registered. Next: register this host with a registration token, " +
        pennonCommand("register", "--server", "URL", "--token", "-")
      : `in the other agent's configuration, ${read.why}`;
    throw new IdentityError(`Cannot take over: ${fact}`);
  }
  const { tls, check_in_interval } = read.value;
  if (tls?.insecure_skip_verify) {
    throw new IdentityError(
      "Cannot take over: the other agent does not verify its server's certificate, and Pennon " +
        "always does. Next: set tls.ca_file, take insecure_skip_verify out of that file, try again",
    );
  }
  return {
    agentId: read.value.agent_id,
    serverUrl: read.value.server_url,
    accessToken: read.value.token,
    refreshToken: read.value.refresh_token,
    intervalMs: check_in_interval ? check_in_interval * 1_000 : null,
  };
}

/** What RedFlag's agent accepts, in seconds; it takes any other for its default. */
const INTERVAL_S = { least: 30, most: 3_600, usual: 300 };

/**
 * The text of a configuration with which RedFlag's agent goes on as this one. It fills in what is
 * missing. The version is a text in it, and a number would make that agent drop the whole file
 * (RedFlag 0.2.9.3, `config.go`: `Version string`).
 */
export function writeRedflagConfig(identity: Identity): string {
  const intervalS = Math.round((identity.intervalMs ?? INTERVAL_S.usual * 1_000) / 1_000);
  const config = {
    version: "5",
    server_url: identity.serverUrl,
    agent_id: identity.agentId,
    token: identity.accessToken,
    // Of a token that a late request may have replaced, the predecessor: it leads to a good one.
    refresh_token: identity.previousRefreshToken ?? identity.refreshToken,
    check_in_interval: Math.min(Math.max(intervalS, INTERVAL_S.least), INTERVAL_S.most),
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
