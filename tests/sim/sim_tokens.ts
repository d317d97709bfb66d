/** The tokens of the server in the simulator: one access token at 0.1, families of refresh tokens at 0.2. */

import type { Age } from "./sim_commands.ts";

const ACCESS_LIFE_MS = 24 * 3_600_000;
const REFRESH_LIFE_MS = 90 * 86_400_000;

/** A refresh token of 0.2. All of one agent are one family here. */
interface RefreshToken {
  readonly expiresMs: number;
  isSpent: boolean;
  isRevoked: boolean;
  successor: string | null;
}

/** The refresh token that the agent begins with. */
export const FIRST_REFRESH_TOKEN = "refresh-token-1";

/** What becomes of a renewal at 0.2. */
export type Rotation =
  | { readonly kind: "rotated"; readonly refreshToken: string }
  | { readonly kind: "invalid" | "expired" | "reuse" };

/** The tokens of one agent. */
export class SimTokens {
  readonly #nowMs: () => number;
  #number = 1;
  #lifeStartMs = 0;
  /** As last made: asked for with each request. */
  #access: [number: number, startMs: number, text: string] = [0, 0, ""];
  /** Until when each access token is good; at 0.2 all of them are. */
  readonly #accessUntilMs = new Map<string, number>();
  readonly #refresh = new Map<string, RefreshToken>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** The access token of the moment. */
  access(): string {
    const [number, startMs, text] = this.#access;
    if (number === this.#number && startMs === this.#lifeStartMs) return text;
    const startS = Math.floor(this.#lifeStartMs / 1_000);
    const payload = { n: this.#number, iat: startS, exp: startS + ACCESS_LIFE_MS / 1_000 };
    const made = `${encode({ alg: "HS256" })}.${encode(payload)}.c2lnbmF0dXJl`;
    this.#access = [this.#number, this.#lifeStartMs, made];
    this.#accessUntilMs.set(made, this.#lifeStartMs + ACCESS_LIFE_MS);
    return made;
  }

  /** Begins the tokens' lives now; called once, at registration. */
  begin(): string {
    this.#lifeStartMs = this.#nowMs();
    this.#mint(FIRST_REFRESH_TOKEN);
    return this.access();
  }

  /** From now on only a renewed access token is good. */
  revokeAccess(): void {
    this.#number += 1;
    this.#accessUntilMs.clear();
  }

  isGood(token: string | undefined, age: Age): boolean {
    const nowMs = this.#nowMs();
    if (age === "0.2") return nowMs < (this.#accessUntilMs.get(token ?? "") ?? -Infinity);
    return token === this.access() && nowMs < this.#lifeStartMs + ACCESS_LIFE_MS;
  }

  /** A new access token; at 0.1 the one before it is good no more. */
  renewAccess(): string {
    this.#number += 1;
    this.#lifeStartMs = this.#nowMs();
    return this.access();
  }

  /** Why a refresh token is not taken, whoever shows it; `null`: it is. */
  refusalOf(token: string): "invalid" | "expired" | null {
    const shown = this.#refresh.get(token);
    if (shown === undefined || shown.isRevoked) return "invalid";
    return shown.expiresMs < this.#nowMs() ? "expired" : null;
  }

  /** Spends a refresh token; a spent one whose successor was never used only gets another successor. */
  rotate(token: string): Rotation {
    const refusal = this.refusalOf(token);
    if (refusal !== null) return { kind: refusal };
    const shown = this.#refresh.get(token)!;
    if (shown.isSpent) {
      const successor = this.#refresh.get(shown.successor ?? "");
      if (successor === undefined || successor.isSpent || successor.isRevoked) {
        for (const known of this.#refresh.values()) known.isRevoked = true;
        return { kind: "reuse" };
      }
      successor.isRevoked = true;
    }
    const refreshToken = `refresh-token-${this.#refresh.size + 1}`;
    this.#mint(refreshToken);
    shown.isSpent = true;
    shown.successor = refreshToken;
    return { kind: "rotated", refreshToken };
  }

  #mint(token: string): void {
    const expiresMs = this.#nowMs() + REFRESH_LIFE_MS;
    this.#refresh.set(token, { expiresMs, isSpent: false, isRevoked: false, successor: null });
  }
}

function encode(value: unknown): string {
  return btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
