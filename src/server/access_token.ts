/** When an access token ends: read off the token itself, which needs no key. */

import { decodeJwt } from "jose";

/** A token's life as it states it, in ms since the epoch. */
export interface TokenLife {
  readonly startMs: number;
  readonly endMs: number;
}

/** What the server gives a token, where the token does not say when it began. */
const USUAL_LIFE_MS = 24 * 3_600_000;

/** Reads `iat` and `exp` (RFC 7519, section 4.1); `null` if it is no JWT or never ends. */
export function readTokenLife(accessToken: string): TokenLife | null {
  try {
    const { iat, exp } = decodeJwt(accessToken);
    if (typeof exp !== "number" || !Number.isFinite(exp)) return null;
    const endMs = exp * 1_000;
    const startMs = typeof iat === "number" && iat < exp ? iat * 1_000 : endMs - USUAL_LIFE_MS;
    return { startMs, endMs };
  } catch {
    return null; // Not a JWT: the server will say 401 when it is no longer good.
  }
}
