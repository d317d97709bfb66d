/** The tokens the reference server gives out: signed access tokens, random refresh tokens. */

import { createHash } from "node:crypto";
import { jwtVerify, SignJWT } from "jose";

/** What a request's `Authorization` header is worth. */
export type Authorization =
  | { readonly ok: true; readonly agentId: string }
  | { readonly ok: false; readonly error: string };

/** 256 random bits in hex: a refresh token, or a signing key. */
export function randomToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What is stored of a refresh token. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Access tokens: HS256 JWTs that carry `agent_id`, `iat` and `exp`. */
export class AccessTokens {
  readonly #lifeS: number;
  readonly #issuer: string | undefined;
  #key: Uint8Array;

  /** @param options `issuer`: written into tokens, and asked of them @default none */
  constructor(key: string, options: { lifeS: number; issuer?: string }) {
    this.#issuer = options.issuer;
    this.#key = new TextEncoder().encode(key);
    this.#lifeS = options.lifeS;
  }

  /** Signs and checks with another key from now on: all tokens until now are worthless. */
  useKey(key: string): void {
    this.#key = new TextEncoder().encode(key);
  }

  /** A new token for an agent. */
  issue(agentId: string, nowMs: number): Promise<string> {
    const nowS = Math.floor(nowMs / 1_000);
    const claims = { agent_id: agentId, ...this.#issuer && { iss: this.#issuer } };
    return new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setIssuedAt(nowS)
      .setExpirationTime(nowS + this.#lifeS)
      .sign(this.#key);
  }

  /** Checks an `Authorization` header in the steps, and with the words, of the real server. */
  async check(header: string | undefined, nowMs: number): Promise<Authorization> {
    if (!header) return { ok: false, error: "missing authorization header" };
    const token = bearerToken(header);
    if (token === undefined) return { ok: false, error: "invalid authorization format" };
    try {
      const { payload } = await jwtVerify(token, this.#key, {
        algorithms: ["HS256"],
        currentDate: new Date(nowMs),
      });
      if (this.#issuer !== undefined && payload.iss !== this.#issuer) {
        return { ok: false, error: "invalid token type" };
      }
      const agentId = payload["agent_id"];
      if (typeof agentId === "string") return { ok: true, agentId };
      return { ok: false, error: "invalid token claims" };
    } catch {
      return { ok: false, error: "invalid token" };
    }
  }
}

/** The token of a `Bearer` header, `undefined` if it is none. */
export function bearerToken(header: string | undefined): string | undefined {
  return header?.startsWith("Bearer ") ? header.slice("Bearer ".length) : undefined;
}
