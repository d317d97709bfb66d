/**
 * Which refresh token a renewal sends, and what is on disk before and after it. RedFlag 0.2 answers with
 * a successor each time. A token that is spent leads to another successor as long as its successor was
 * not used; if it was, the server revokes all tokens of the agent. A request that had no answer may be
 * handled later, and then replaces the successor that the agent has. Decision 0030 has the table of
 * cases, and why no rule wins all of them.
 */

/** The refresh token that is on disk, and what became of it. */
export type StoredTokens =
  /** It may have been sent. */
  | { readonly current: string; readonly kind: "sent" }
  /** It was never sent, and no request with its predecessor is on its way. */
  | { readonly current: string; readonly kind: "unsent" }
  /** It was never sent, and a request with its predecessor may replace it, or may have done so. */
  | { readonly current: string; readonly kind: "doubtful"; readonly previous: string };

/** What one process knows besides. */
export interface RotationMemory {
  /** The predecessor of `of`, which was refused each time that it was sent. */
  readonly spare: { readonly token: string; readonly of: string } | null;
  /**
   * A token that is on disk, and that this process has replaced with a request with its predecessor, as the
   * disk refused to take the predecessor away.
   */
  readonly replaced: string | null;
  /** A successor of `of` that the disk refused; it may be saved until the next renewal sends something. */
  readonly unsaved: { readonly tokens: StoredTokens; readonly of: string } | null;
  /** Until when a request that had no answer may be on its way to the server, on the monotonic clock. */
  readonly quietAtMs: number;
}

/** What became of one renewal. */
export type Sent =
  /** The server has spent the token; a server of 0.1 answers with the same one. */
  | { readonly kind: "renewed"; readonly successor: string }
  /** The server does not accept the token, and has not spent it. */
  | { readonly kind: "refused" }
  /** The server may have spent the token, or may do so later. */
  | { readonly kind: "unanswered" }
  /** The server has not spent the token, and says nothing of it. */
  | { readonly kind: "neutral" };

/** The disk and the server. */
export interface RotationPorts {
  nowMs(): number;
  read(): Promise<StoredTokens>;
  /** Returns whether a restart finds these tokens, and a power cut leaves them. */
  write(tokens: StoredTokens): Promise<boolean>;
  send(refreshToken: string): Promise<Sent>;
}

/**
 * For so long a server, or what is in front of it, may hold a request that had no answer before it
 * handles it: a quarter of an access token's life. The next renewal in time comes later.
 */
export const LONGEST_DELAY_MS = 6 * 3_600_000;

/**
 * What a process knows that has just read `stored`; `storedForMs`: for how long the current token has
 * been on disk. An earlier process may have sent a token until the moment before.
 */
export function rememberNothing(
  stored: StoredTokens,
  { nowMs, storedForMs }: { nowMs: number; storedForMs: number },
): RotationMemory {
  const delayMs = {
    sent: LONGEST_DELAY_MS,
    unsent: 0,
    doubtful: Math.min(LONGEST_DELAY_MS, Math.max(0, LONGEST_DELAY_MS - storedForMs)),
  }[stored.kind];
  return { spare: null, replaced: null, unsaved: null, quietAtMs: nowMs + delayMs };
}

/**
 * Saves a successor that the disk refused: a restart then finds it, as if the disk had taken it at once. Nothing
 * was sent since, and the disk still has the token that it came from.
 */
export async function saveUnsaved(
  { read, write }: Pick<RotationPorts, "read" | "write">,
  memory: RotationMemory,
): Promise<RotationMemory> {
  if (memory.unsaved === null) return memory;
  const { tokens, of } = memory.unsaved;
  const stored = await read();
  const known = [stored.current, stored.kind === "doubtful" ? stored.previous : null];
  const isSame = known.includes(of) || known.includes(tokens.current);
  return isSame && !await write(tokens) ? memory : { ...memory, unsaved: null };
}

/** Renews once, and once more with the predecessor of a new token that turns out to be void. */
export async function renewTokens(
  ports: RotationPorts,
  before: RotationMemory,
): Promise<RotationMemory> {
  const memory = { ...await saveUnsaved(ports, before), unsaved: null };
  const stored = await ports.read();
  const { current } = stored;
  if (stored.kind !== "doubtful") {
    // Where the disk refuses, the token is sent all the same: it leads to a good one in any case.
    await ports.write({ current, kind: "sent" });
    return await send(ports, memory, current);
  }
  const { previous } = stored;
  // The current token was never used: its predecessor leads to another one, whatever is on its way.
  if (memory.replaced === current || ports.nowMs() < memory.quietAtMs) {
    await ports.write({ current: previous, kind: "sent" });
    return await send(ports, memory, previous);
  }
  if (await beginToUse(ports, current)) {
    return await send(ports, { ...memory, spare: { token: previous, of: current } }, current);
  }
  return await send(ports, { ...memory, replaced: current }, previous);
}

/** Takes the predecessor off the disk; returns whether a restart would not find it. */
async function beginToUse(ports: RotationPorts, current: string): Promise<boolean> {
  if (await ports.write({ current, kind: "sent" })) return true;
  // It may have been renamed into place, and not synced.
  const found = await ports.read();
  return found.current === current && found.kind === "sent";
}

async function send(
  ports: RotationPorts,
  memory: RotationMemory,
  token: string,
): Promise<RotationMemory> {
  const sent = await ports.send(token);
  switch (sent.kind) {
    case "renewed": {
      const current = sent.successor;
      const isSame = current === token;
      const isQuiet = ports.nowMs() >= memory.quietAtMs;
      const tokens: StoredTokens = isSame
        ? { current, kind: "sent" }
        : isQuiet
        ? { current, kind: "unsent" }
        : { current, kind: "doubtful", previous: token };
      // Where the disk refuses it until the next renewal, the token on disk leads to another one.
      const unsaved = await ports.write(tokens) ? null : { tokens, of: token };
      return { ...memory, spare: isSame ? null : { token, of: current }, unsaved };
    }
    case "unanswered":
      return { ...memory, spare: null, quietAtMs: ports.nowMs() + LONGEST_DELAY_MS };
    case "neutral":
      return memory;
    case "refused": {
      const { spare } = memory;
      if (spare?.of !== token) return memory;
      // Its predecessor was used once more, which the server takes as long as this one was not used.
      if (!await ports.write({ current: spare.token, kind: "sent" })) return memory;
      return await send(ports, { ...memory, spare: null }, spare.token);
    }
  }
}
