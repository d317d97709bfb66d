/** When an access token ends: read off the token itself, which needs no key. */

import * as v from "valibot";
import { decodeJson } from "../json.ts";

/** A token's life as it states it, in ms since the epoch. */
export interface TokenLife {
  readonly startMs: number;
  readonly endMs: number;
}

/** What the server gives a token, where the token does not say when it began. */
const USUAL_LIFE_MS = 24 * 3_600_000;

/** The last instant that a `Date` can hold (ECMA-262, time values), in seconds. */
const LAST_INSTANT_S = 8.64e12;

const instant = v.pipe(v.number(), v.minValue(0), v.maxValue(LAST_INSTANT_S));

const claims = v.object({ exp: instant, iat: v.fallback(v.nullish(instant, null), null) });

/** Reads `iat` and `exp` (RFC 7519, section 4.1); `null` if it is no JWT, or `exp` is no valid date. */
export function readTokenLife(accessToken: string): TokenLife | null {
  const payload = decodePayload(accessToken);
  const read = payload === null ? null : decodeJson(claims, payload);
  // Without an end, the token is renewed when the server answers 401.
  if (!read?.ok) return null;
  const { iat, exp } = read.value;
  const endMs = exp * 1_000;
  const startMs = iat !== null && iat < exp ? iat * 1_000 : endMs - USUAL_LIFE_MS;
  return { startMs, endMs };
}

/** The JSON text in the middle of a JWT in its compact form (RFC 7519, section 3). */
function decodePayload(token: string): string | null {
  const [, payload, signature, ...rest] = token.split(".");
  if (payload === undefined || signature === undefined || rest.length > 0) return null;
  try {
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    return new TextDecoder().decode(Uint8Array.from(binary, (byte) => byte.charCodeAt(0)));
  } catch {
    return null; // It is not base64.
  }
}
