/** Mistakes put into a copy of the source on purpose; resilience.md, section 6. Each must be caught. */

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
    "loop/backoff.ts",
    "const shortestMs = Math.min(policy.floorMs, longestMs / 2);",
    "const shortestMs = longestMs >= policy.capMs ? longestMs : policy.floorMs;",
  ]),
  mutant("jitter of the open breaker lost", [
    "breaker/connection.ts",
    "return longestMs / 2 + random() * (longestMs / 2);",
    "return longestMs + 0 * random();",
  ]),
  mutant("cap overshoot", [
    "loop/backoff.ts",
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
    "loop/transition.ts",
    'return { failures: 0, notBeforeMs: -Infinity };\n    case "failed"',
    'return { failures: path.failures, notBeforeMs: -Infinity };\n    case "failed"',
  ]),
  mutant("attempts used up by an outage", [
    "loop/delivering.ts",
    '      case "failed":\n        this.#blame.trouble();',
    '      case "failed":\n        return this.#refused(event, { status: 400, why: answer.why });\n' +
    "        this.#blame.trouble();",
  ]),
  mutant("delete before acknowledged", [
    "buffer/delivery.ts",
    "} else flights.launch(event, this.#courier.send(event));",
    "} else {\n" +
    "        this.#buffer.acknowledge([event.id]);\n" +
    "        flights.launch(event, this.#courier.send(event));\n" +
    "      }",
  ]),
  mutant("500 on one item poisons the batch", [
    "loop/delivering.ts",
    "const fault = this.#blame.broke(refusal, { nowMs, random });",
    "const fault = this.#blame.broke(refusal, { nowMs, random });\n    this.#blame.clear();\n" +
    '    if (fault !== "its_own") return { kind: "later" };',
  ]),
  mutant("a command's log waits behind a bad item of its list", [
    "buffer/delivery.ts",
    "this.#passOver(isSingleItem(event) ? { ...event, commandId: null } : event);",
    "this.#passOver(event);",
  ], [
    "loop/blame.ts",
    "return { event: { id, commandId: null, place }, refusal: rest, alone };",
    "return { event: { id, commandId, place }, refusal: rest, alone };",
  ]),
  mutant("a bad item that is alone has as many attempts as a whole list", [
    "loop/blame.ts",
    "const MOST_ALONE = 3;",
    "const MOST_ALONE = 1_000;",
  ]),
  mutant("a scan without changes moves no last scan", [
    "commands/update_diff.ts",
    "reports: reports.length > 0 ? reports : unchangedRow(current, reported),",
    "reports,",
  ]),
  mutant("no rest for a server that breaks over every report", [
    "loop/reception.ts",
    "return inVain >= IN_A_ROW;",
    "return inVain < 0;",
  ], [
    "loop/delivering.ts",
    "const instants = [this.#notBeforeMs, this.#idleUntilMs, this.#reception.notBeforeMs];",
    "const instants = [this.#notBeforeMs, this.#idleUntilMs];",
  ]),
  mutant("Retry-After ignored", [
    "server/retry_after.ts",
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
    "loop/session.ts",
    'return { kind: "unauthorized", why: `renewal refused: ${renewal.why}` };',
    'return { kind: "needs_person", why: `renewal refused: ${renewal.why}` };',
  ]),
  mutant("the first word of a deletion is believed", [
    "loop/doubt.ts",
    'return { doubt: { kind: "deleted", sinceMs, hasCheckedIn: false }, needsPerson };',
    'return { doubt: null, needsPerson: called("deleted", why, { step, sinceMs }) };',
  ]),
  mutant("health is asked after a 5xx", [
    "loop/connection.ts",
    "const hasAnswered = (outage?.status ?? 0) >= 500;",
    "const hasAnswered = (outage?.status ?? 0) < 0;",
  ]),
  mutant("rapid polling waits as long as normal polling", [
    "loop/transition.ts",
    "rapid: policyOf(RAPID_CAP_MS)",
    "rapid: policyOf(Infinity)",
  ]),
  mutant("an answer cuts a heartbeat short", [
    "loop/rapid.ts",
    "return toldMs > leftMs ? toldMs : null;",
    "return leftMs < 0 ? null : toldMs;",
  ]),
  mutant("command run before it is written down", [
    "loop/worker.ts",
    "await this.#persist(command, signal, () => journal.start(command.id));",
    "",
  ]),
];
