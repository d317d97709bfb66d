/** What `pennon doctor` found out: one finding per check. Pure. */

/** `skip`: a step that the check depends on has failed, or nothing here can be checked. */
export type FindingLevel = "ok" | "warn" | "fail" | "skip";

/** The result of one check. */
export interface Finding {
  /** A stable name of one or two words: `state directory`, `tls`. */
  readonly check: string;
  readonly level: FindingLevel;
  /** What was seen; for `skip`, why nothing was looked at. */
  readonly seen: string;
  /** What to do next; a command in it that can be run as it stands is in backquotes. `null`: nothing. */
  readonly next: string | null;
}

export function ok(check: string, seen: string): Finding {
  return { check, level: "ok", seen, next: null };
}

export function warn(check: string, seen: string, next: string): Finding {
  return { check, level: "warn", seen, next };
}

export function fail(check: string, seen: string, next: string): Finding {
  return { check, level: "fail", seen, next };
}

/** `because` completes "skipped because ...". */
export function skip(check: string, because: string): Finding {
  return { check, level: "skip", seen: `because ${because}`, next: null };
}

/** Whether `pennon doctor` exits with 1. */
export function hasFailed(findings: readonly Finding[]): boolean {
  return findings.some(({ level }) => level === "fail");
}

/**
 * Divides messages of this program, which may end in ". Next: ...", into what was seen and the first
 * advice; `otherwise`: the advice if none of them has any.
 */
export function adviceOf(
  messages: readonly string[],
  otherwise: string,
): Pick<Finding, "seen" | "next"> & { readonly next: string } {
  const divided = messages.map((message) => {
    const at = message.indexOf(". Next: ");
    if (at < 0) return { seen: message, next: undefined };
    return { seen: message.slice(0, at), next: message.slice(at + ". Next: ".length) };
  });
  const next = divided.find((one) => one.next !== undefined)?.next;
  return { seen: divided.map(({ seen }) => seen).join("; "), next: next ?? otherwise };
}
