/** Mistakes put into a copy of the source on purpose, each of which the simulator must catch. */

/** A text to be replaced, which is in the file exactly once. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** One mistake. */
export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
}

/** The file's text with the mistake in it; throws where the text to be replaced is not there once. */
export function applyEdit(text: string, { file, from, to }: Edit): string {
  const parts = text.split(from);
  if (parts.length === 2) return parts.join(to);
  throw new Error(`Cannot make the mistake: ${file} has ${parts.length - 1} times "${from}"`);
}

function mutant(name: string, ...edits: [file: string, from: string, to: string][]): Mutant {
  return { name, edits: edits.map(([file, from, to]) => ({ file: `src/${file}`, from, to })) };
}

export const MUTANTS: readonly Mutant[] = [
  mutant("jitter lost at the cap", [
    "breaker/policies.ts",
    "const shortestMs = Math.min(policy.floorMs, longestMs / 2);",
    "const shortestMs = longestMs >= policy.capMs ? longestMs : policy.floorMs;",
  ]),
  mutant("jitter of the open breaker lost", [
    "breaker/policies.ts",
    "return longestMs / 2 + random() * (longestMs / 2);",
    "return longestMs + 0 * random();",
  ]),
  mutant("cap overshoot", [
    "breaker/policies.ts",
    "return Math.min(policy.capMs, policy.baseMs * 2 ** (failures - 1));",
    "return policy.baseMs * 2 ** Math.min(20, failures - 1);",
  ]),
  mutant("no generation check", [
    "breaker/breaker.ts",
    "if (permit.generation !== current.generation) return current;",
    "",
  ]),
  mutant("no probe deadline", [
    "breaker/breaker.ts",
    "if (breaker.probeUntilMs === null || step.nowMs < breaker.probeUntilMs) return breaker;",
    "if (breaker.probeUntilMs !== -1) return breaker;",
  ]),
  mutant("backoff never reset", [
    "connection/state.ts",
    "isForeign(answer) ? path : { failures: 0, notBeforeMs: -Infinity };",
    "{ failures: path.failures, notBeforeMs: -Infinity };",
  ]),
  mutant("attempts used up by an outage", [
    "delivery/sender.ts",
    '      case "failed":\n        this.#attribution.recordServerFailure();',
    '      case "failed":\n        return this.#attribute(event, { status: 400, why: answer.why }, answer);\n' +
    "        this.#attribution.recordServerFailure();",
  ]),
  mutant("delete before acknowledged", [
    "delivery/drain.ts",
    "inFlight.add(event, others, sender.send(event, others));",
    "this.#deps.buffer.acknowledge([event.id]);\n" +
    "        inFlight.add(event, others, sender.send(event, others));",
  ]),
  mutant("500 on one item poisons the batch", [
    "delivery/failure_attribution.ts",
    "const fault = this.failed(refusal, { ...at, isJudged: status !== null });",
    "const fault = this.failed(refusal, { ...at, isJudged: true });\n    this.clear();\n" +
    '    if (fault !== "its_own") return { outcome: { kind: "later" }, verdict: "neutral" };',
  ]),
  mutant("a command's log waits behind a bad item of its list", [
    "delivery/drain.ts",
    "this.#passOver(isSingleItem(event) ? { ...event, commandId: null } : event);",
    "this.#passOver(event);",
  ], [
    "delivery/failure_attribution.ts",
    "return { event: { ...key, commandId: null }, refusal: rest, alone };",
    "return { event: key, refusal: rest, alone };",
  ]),
  mutant("a bad item that is alone has as many attempts as a whole list", [
    "delivery/failure_attribution.ts",
    "const MAX_REFUSALS_ALONE = 3;",
    "const MAX_REFUSALS_ALONE = 1_000;",
  ]),
  mutant("a scan without changes moves no last scan", [
    "commands/update_diff.ts",
    "reports: reports.length > 0 ? reports : unchangedRow(current, reported),",
    "reports,",
  ]),
  mutant("no pause for a server that fails on every report", [
    "delivery/send_rate.ts",
    "return failedReports >= STALLED_REPORTS;",
    "return failedReports < 0;",
  ], [
    "breaker/policies.ts",
    "const REPORT_FAILURES = 3;",
    "const REPORT_FAILURES = 1_000_000;",
  ]),
  mutant("Retry-After ignored", [
    "server/answer.ts",
    "if (!(waitMs > 0)) return null;",
    "if (waitMs !== -1) return null;",
  ]),
  mutant(
    "rapid polling overrides backoff",
    [
      "loop/loop.ts",
      'return Math.max(0, dueInMs, connection.waitMs("check_in"));',
      'if (this.#rapidLeftMs() > 0 && connection.waitMs("check_in") > 5_000) connection.reset();\n' +
      '    return Math.max(0, dueInMs, connection.waitMs("check_in"));',
    ],
  ),
  mutant("a refused renewal is final", [
    "connection/session.ts",
    'return { kind: "unauthorized", why: `renewal refused: ${renewal.why}` };',
    'return { kind: "operator_required", why: `renewal refused: ${renewal.why}` };',
  ]),
  mutant("the first word of a deletion is believed", [
    "connection/state.ts",
    'return { doubt: { kind: "deleted", sinceMs, hasCheckedIn: false }, operatorAction };',
    'return { doubt: null, operatorAction: requireOperator("deleted", why, { step, sinceMs }) };',
  ]),
  mutant("health is asked after a 5xx", [
    "connection/connection.ts",
    "const hasAnswered = (outage?.status ?? 0) >= 500;",
    "const hasAnswered = (outage?.status ?? 0) < 0;",
  ]),
  mutant("rapid polling waits as long as normal polling", [
    "breaker/policies.ts",
    "rapid: policyOf(RAPID_CAP_MS)",
    "rapid: policyOf(Infinity)",
  ]),
  mutant("an answer cuts a heartbeat short", [
    "loop/schedule.ts",
    "return answeredMs > leftMs ? answeredMs : null;",
    "return leftMs < 0 ? null : answeredMs;",
  ]),
  mutant("command run before it is written down", [
    "loop/command_runner.ts",
    "await this.#persist(command, signal, () => journal.start(command.id));",
    "",
  ]),
  mutant("a refresh token is used that is not on disk", [
    "connection/token_rotation.ts",
    "this.#stored = storedTokensOf(isOwn ? found : this.#identity);",
    "this.#stored = storedTokensOf(this.#identity);",
  ]),
  mutant("a token that a late renewal made worthless is final", [
    "connection/rotation_rule.ts",
    "if (spare?.of !== token) return memory;",
    'if (spare?.of !== "none") return memory;',
  ]),
  mutant("a process does not know the predecessor of a token that it finds", [
    "connection/rotation_rule.ts",
    ': { current, kind: "doubtful", previous: token };',
    ': { current, kind: "unsent" };',
  ]),
  mutant("a new token is used while a request with its predecessor is on its way", [
    "connection/rotation_rule.ts",
    "if (memory.replaced === current || ports.nowMs() < memory.quietAtMs) {",
    "if (ports.nowMs() < -1) {",
  ]),
  mutant("a command that comes again runs again", [
    "buffer/journal.ts",
    "VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT (id) DO NOTHING`;",
    "VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT (id) DO UPDATE SET state = excluded.state`;",
  ]),
  mutant("no command is listed as received", [
    "buffer/journal.ts",
    "? database.all(RECEIPTS_DUE, MOST_RECEIPTS).map(({ id }) => String(id))",
    "? database.all(RECEIPTS_DUE, 0).map(({ id }) => String(id))",
  ]),
  mutant("a result that the server wrote itself is taken for the agent's", [
    "buffer/journal.ts",
    "export const ASKED_FOR_MS = 30 * 60_000 - 5 * 60_000;",
    "export const ASKED_FOR_MS = 24 * 3_600_000;",
  ]),
  mutant("a log that comes too late is a dead letter", [
    "server/protocol.ts",
    'const END_STATES = ["completed", "failed", "timed_out",',
    'const END_STATES = ["completed", "failed",',
  ]),
  mutant("a log is delivered although its command is open", [
    "delivery/sender.ts",
    "return answer.value.openBecause === undefined",
    'return answer.value.openBecause !== "never"',
  ]),
  mutant("a log has a word that leaves its command open", [
    "commands/scan_updates.ts",
    'result: isUsable ? "success" : "failed",',
    'result: isUsable ? "partial" : "failed",',
  ]),
  mutant("a list with gaps declares installed what it lacks", [
    "commands/scan_updates.ts",
    "isWhole: hasCompleteList(report)",
    "isWhole: true",
  ]),
  mutant("changes are said to be a whole list", [
    "commands/update_diff.ts",
    'part: isFull ? whole : "changes" as const,',
    "part: whole,",
  ]),
  mutant("a full window is not waited for", [
    "delivery/send_rate.ts",
    "return { ...window, answeredAtMs, limit, remaining, windowMs, resetAtMs };",
    "return { ...window, answeredAtMs, limit, remaining: remaining + 1, windowMs, resetAtMs };",
  ]),
  mutant("a host that was refused asks again in a day", [
    "connection/state.ts",
    ": Math.max(OPERATOR_WAIT_MS, intervalMs) * (1 + JITTER * random());",
    ": 24 * Math.max(OPERATOR_WAIT_MS, intervalMs) * (1 + JITTER * random());",
  ]),
  mutant("what a refused host has buffered is refused too", [
    "delivery/sender.ts",
    '      case "operator_required":\n      case "circuit_open":',
    '      case "operator_required":\n        return { outcome: { kind: "delivered", isLast: false }, ' +
    'verdict: "neutral" };\n      case "circuit_open":',
  ]),
  mutant("a key that nobody announced is believed", [
    "server/key_trust.ts",
    "if (!after.some((key) => includes(before, key))) return refuseKeys(trust, after);",
    "if (after.length === 0) return refuseKeys(trust, after);",
  ]),
  mutant("a retired key still counts", [
    "server/key_trust.ts",
    '      pinned: primary,\n      source: isPinned ? trust.source : "announcement",\n      others,',
    '      pinned: primary,\n      source: isPinned ? trust.source : "announcement",\n' +
    "      others: [...others, ...before.filter((key) => !includes(after, key))],",
  ]),
  mutant("a key that is announced is not accepted", [
    "server/key_trust.ts",
    '      source: isPinned ? trust.source : "announcement",\n      others,',
    '      source: isPinned ? trust.source : "announcement",\n      others: trust.others,',
  ]),
  mutant("a trusted key that is back goes unnoticed", [
    "server/key_trust.ts",
    "      others,\n      refusedKeyIds: [],\n    },\n    events: [\n      ...(trust.refused",
    "      others,\n      refusedKeyIds: trust.refusedKeyIds,\n    },\n    events: [\n      ...(trust.refused",
  ]),
  mutant("unsigned commands run although the server has shown a key", [
    "server/key_trust.ts",
    'if (reason !== "unsigned" || trust.isRatcheted) return',
    'if (reason !== "unsigned") return',
  ]),
  mutant("any signature with the id of a trusted key is valid", [
    "server/command_signature.ts",
    'if (!isValid) return refuse("bad_signature"',
    'if (!isValid && signedS < 0) return refuse("bad_signature"',
  ]),
  mutant("a signature is valid for every agent", [
    "server/command_signature.ts",
    'message: encode([agentId, command.id, command.type, paramsHash, signedS].join(":")),',
    'message: encode([agentId, command.id, command.type, paramsHash, signedS].join(":")),\n  }) ||\n' +
    "    await cryptography.verifyEd25519({\n    publicKey: Uint8Array.fromHex(key.publicKey),\n" +
    "    signature: Uint8Array.fromHex(signature),\n    message: encode(\n" +
    '      ["00000000-0000-4000-8000-000000000000", command.id, command.type, paramsHash, signedS]\n' +
    '        .join(":"),\n    ),',
  ]),
  mutant("an old signature counts", [
    "server/command_signature.ts",
    'if (ageMs > LONGEST_AGE_MS) return refuse("too_old"',
    'if (ageMs > 100 * LONGEST_AGE_MS) return refuse("too_old"',
  ]),
  mutant("a signature from the future counts", [
    "server/command_signature.ts",
    "if (ageMs < -LONGEST_LEAD_MS) {",
    "if (ageMs < -100 * LONGEST_LEAD_MS) {",
  ]),
  mutant("a refused command leaves no security event", [
    "loop/command_verification.ts",
    'log.warning("command refused", {',
    'log.debug("command refused", {',
  ]),
  mutant("an unknown key is not looked up", [
    "loop/command_verification.ts",
    "await keyRing.lookUp(context.signal);",
    "",
  ]),
];
