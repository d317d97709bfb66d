/**
 * Mutations that no test can or should notice, each with the reason. `docs/testing.md` shows them to
 * people; a test sees to it that each of them is still possible.
 */

import type { Operator } from "./mutation.ts";

/** One mutation that may survive. */
export interface Accepted {
  readonly file: string;
  readonly operator: Operator;
  /** The line, or lines, before and after, as the report shows them. */
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

export const ACCEPTED: readonly Accepted[] = [
  {
    file: "src/delivery/send_rate.ts",
    operator: "logical",
    before: "return { ...window, throttledUntilMs: nowMs + (retryAfterMs ?? 0) + ROUNDING_MS };",
    after: "return { ...window, throttledUntilMs: nowMs + ((retryAfterMs)) + ROUNDING_MS };",
    reason: "In a sum null counts as 0; only its type needs the number",
  },
  {
    file: "src/cli/terminal_text.ts",
    operator: "ternary",
    before: "return `${unit === 0 ? amount : Number(amount.toFixed(1))} ${UNITS[unit]}`;",
    after: "return `${(Number(amount.toFixed(1)))} ${UNITS[unit]}`;",
    reason: "Bytes come whole: there is nothing to be rounded",
  },
  {
    file: "src/cli/command_setup.ts",
    operator: "number",
    before: "entry[1] !== undefined",
    after: "entry[0] !== undefined",
    reason: "A flag that is undefined is passed over once more where flags are read",
  },
  {
    file: "src/cli/table.ts",
    operator: "number",
    before: "if ((spare[widest] ?? -1) < 0) break;",
    after: "if ((spare[widest] ?? -1) < 1) break;",
    reason: "What may still be cut is wider than the narrowest column, and so wider than one",
  },
  {
    file: "src/config.ts",
    operator: "ternary",
    before: "const written = file === null ? new Map() : await readWritten(file, text, problems);",
    after: "const written = (await readWritten(file, text, problems));",
    reason: "The text of no file is empty and holds nothing; only loading a parser is spared",
  },
  {
    file: "src/delivery/sender.ts",
    operator: "logical",
    before: "if (deadlineSignal.aborted || !connection.isHealthy) return 0;",
    after: "if ((deadlineSignal.aborted)) return 0;",
    reason: "The connection rejects a call that may not be made as well",
  },
  {
    file: "src/delivery/sender.ts",
    operator: "number",
    before: "const isComplete = sent >= size || sent > 0 && isStalled(this.#slowStart);",
    after: "const isComplete = sent >= size || sent > 1 && isStalled(this.#slowStart);",
    reason: "If nothing gets through a portion is one event, which its size already ends",
  },
  {
    file: "src/delivery/sender.ts",
    operator: "logical",
    before:
      "if (hasFailed && drained.sent === 0) drained = await this.#drain(deadlineSignal, nowMs);",
    after: "if ((drained.sent === 0)) drained = await this.#drain(deadlineSignal, nowMs);",
    reason: "With a closed breaker the second drain repeats the first, which sent nothing",
  },
  {
    file: "src/delivery/report_fault.ts",
    operator: "logical",
    before: 'if (answer.kind !== "failed" || answer.status !== 500) return answer;',
    after: "if ((answer.status !== 500)) return answer;",
    reason: "A status of 500 makes an answer that failed, and none of another kind",
  },
  {
    file: "src/loop/loop.ts",
    operator: "boundary",
    before: "if (clock.monotonicMs() - lastAtMs < SYSTEM_INFO_EVERY_MS) return;",
    after: "if ((clock.monotonicMs() - lastAtMs <= SYSTEM_INFO_EVERY_MS)) return;",
    reason: "Nobody is promised the very millisecond of an hour",
  },
  {
    file: "src/breaker/breaker.ts",
    operator: "number",
    before: "const open_for_s = seconds(transition.openForMs ?? 0);",
    after: "const open_for_s = seconds(transition.openForMs ?? 1);",
    reason: "A transition to open has a time; only its type allows for none",
  },
  {
    file: "src/breaker/breaker.ts",
    operator: "logical",
    before: "const open_for_s = seconds(transition.openForMs ?? 0);",
    after: "const open_for_s = seconds((transition.openForMs));",
    reason: "A transition to open has a time; only its type allows for none",
  },
  {
    file: "src/breaker/policies.ts",
    operator: "number",
    before: "windowFailures: 0,",
    after: "windowFailures: 1,",
    reason: "Nothing is counted in a window that holds nothing",
  },
  {
    file: "src/wording.ts",
    operator: "number",
    before: "for (let i = 1; i <= Math.min(a.length, 200); i++) {",
    after: "for (let i = 0; i <= Math.min(a.length, 200); i++) {",
    reason: "The row before the first character is what the loop begins with",
  },
  {
    file: "src/config/kinds.ts",
    operator: "logical",
    before: 'const factor = units[unit ?? ""];',
    after: "const factor = units[(unit)];",
    reason: "No unit has either name",
  },
  {
    file: "src/config/kinds.ts",
    operator: "number",
    before: "const least = parse(from) ?? 0;",
    after: "const least = parse(from) ?? 1;",
    reason: "The bounds are written in settings.ts, where a test reads every one of them",
  },
  {
    file: "src/config/kinds.ts",
    operator: "logical",
    before: "const least = parse(from) ?? 0;",
    after: "const least = (parse(from));",
    reason: "The bounds are written in settings.ts, where a test reads every one of them",
  },
  {
    file: "src/host/host.ts",
    operator: "number",
    before: "cpus.reduce((total, cpu) => total + cpu[key], 0);",
    after: "cpus.reduce((total, cpu) => total + cpu[key], 1);",
    reason: "Only differences of such sums are used, and there the one cancels out",
  },
  {
    file: "src/host/storage.ts",
    operator: "regular expression",
    before:
      "const fields = /^(\\S+)\\s+(\\S+)\\s+(\\d+)\\s+(\\d+)\\s+(\\d+)\\s+(?:\\d+%|-)\\s+(\\/.*)$/.exec(line);",
    after:
      "const fields = /^(\\S+)\\s+(\\S+)\\s+(\\d+)\\s+(\\d+)\\s+(\\d+)\\s+(?:\\d+%|-)\\s+(\\/.*)/.exec(line);",
    reason: "`.*` goes to the end of the line, with the anchor and without",
  },
  {
    file: "src/loop/loop.ts",
    operator: "number",
    before: "const wasOn = this.#rapidLeftMs() > 0;",
    after: "const wasOn = this.#rapidLeftMs() > 1;",
    reason: "Nobody is promised the last millisecond of rapid polling",
  },
  {
    file: "src/scanners/apt/lists.ts",
    operator: "ternary",
    before: "absent: paths.length === 0 ? [] : [...filledLists(read.text, paths)],",
    after: "absent: ([...filledLists(read.text, paths)]),",
    reason: "Where no list is looked for none is found; only time is saved",
  },
  {
    file: "src/scanners/apt/lists.ts",
    operator: "condition forced",
    before: "if (!known.has(file)) known.set(file, releaseOf(sourceOfFile(addresses, file)));",
    after: "if (true) known.set(file, releaseOf(sourceOfFile(addresses, file)));",
    reason: "What is looked up once more is the same; only time is saved",
  },
  {
    file: "src/scanners/apt/packages.ts",
    operator: "condition forced",
    before: "if (a === b) return 0;",
    after: "if (false) return 0;",
    reason: "What is the same letter by letter compares as the same; only time is saved",
  },
  {
    file: "src/scanners/dnf/configuration.ts",
    operator: "logical",
    before: 'const cost = settings.get(repository)?.get("cost") ?? "";',
    after: 'const cost = (settings.get(repository)?.get("cost"));',
    reason: "A regular expression takes undefined for a word, which is no number",
  },
  {
    file: "src/scanners/powershell/powershell.ts",
    operator: "regular expression",
    before: 'const fact = cause.message.replace(/^Cannot run "[^"]*": /, "");',
    after: 'const fact = cause.message.replace(/Cannot run "[^"]*": /, "");',
    reason: "The message begins with this text, and only its first occurrence would be removed",
  },
  {
    file: "src/scanners/winget/layout.ts",
    operator: "boundary",
    before: 'while (end > 0 && line[end - 1] === "\\r") end--;',
    after: 'while ((end >= 0) && line[end - 1] === "\\r") end--;',
    reason: "No character precedes the first one of a line",
  },
  {
    file: "src/scanners/winupdate/failure.ts",
    operator: "regular expression",
    before: 'return hresult.replace(/^0x/i, "").toUpperCase();',
    after: 'return hresult.replace(/0x/i, "").toUpperCase();',
    reason: "Anything but a code is rejected before: its first 0x is at its beginning",
  },
  {
    file: "src/system/real/machine.ts",
    operator: "statement removed",
    before: "before = after;",
    after: ";",
    reason: "Looks are 10 s apart; `detectHostEvent`, which decides, is tested by itself",
  },
  {
    file: "src/system/real/http/answer.ts",
    operator: "number",
    before: "#status = 0;",
    after: "#status = 1;",
    reason: "A status is set before anything asks for more than whether it is 200 or above",
  },
  {
    file: "src/system/real/http/http.ts",
    operator: "ternary",
    before: "const caCerts = ca === undefined ? [] : [ca];",
    after: "const caCerts = ([ca]);",
    reason: "Deno passes over a certificate that is undefined",
  },
  {
    file: "src/system/real/process.ts",
    operator: "regular expression",
    before:
      'const isAbsolute = isWindows ? /^[A-Za-z]:[\\\\/]/.test(program) : program.startsWith("/");',
    after:
      'const isAbsolute = isWindows ? /[A-Za-z]:[\\\\/]/.test(program) : program.startsWith("/");',
    reason: "The other branch is Linux' alone: the tests under Wine run it, the mutations do not",
  },
  {
    file: "src/system/real/process.ts",
    operator: "await dropped",
    before:
      'const { success } = await new Deno.Command("/bin/kill", { args: [`-${signal.slice("SIG".length)}`, "--", `-${groupId}`], ...SILENT, }).output();',
    after:
      'const { success } = (new Deno.Command("/bin/kill", { args: [`-${signal.slice("SIG".length)}`, "--", `-${groupId}`], ...SILENT, }).output());',
    reason: "The signal is sent all the same, and reaches the child a second time",
  },
  {
    file: "src/trusted_path.ts",
    operator: "logical",
    before: 'if (mode === null || kind === "link") return []; // A link has no mode of its own.',
    after: 'if ((kind === "link")) return []; // A link has no mode of its own.',
    reason: "A mode of null has no bit set, and so none in excess",
  },
  {
    file: "src/strip_controls.ts",
    operator: "boundary",
    before: "if (code >= 0x20 && code < 0x7f) continue;",
    after: "if ((code > 0x20) && code < 0x7f) continue;",
    reason: "A blank is looked up as well, and is found to be safe",
  },
  {
    file: "src/loop/check_in.ts",
    operator: "number",
    before: "const fields = { commands, next_in_s: Math.round((dueInMs ?? 0) / 1_000) };",
    after: "const fields = { commands, next_in_s: Math.round((dueInMs ?? 1) / 1_000) };",
    reason: "Either is rounded to 0 s",
  },
  {
    file: "src/scanners/winget/layout.ts",
    operator: "logical",
    before: 'const [, id = "", , available = "", source = "winget"] = cut(row, starts) ?? [];',
    after: 'const [, id = "", , available = "", source = "winget"] = (cut(row, starts));',
    reason: "Columns begin only where every row can be cut",
  },
  {
    file: "src/system/real/http/http.ts",
    operator: "statement removed",
    before: "clearTimeout(this.#timer);",
    after: ";",
    reason:
      "The timer finds nothing that has waited long enough and does nothing; no process goes on for it",
  },
  {
    file: "src/scanners/dnf/rpm.ts",
    operator: "condition forced",
    before: "if (a === b) return 0; // The usual case in two lists of the same packages.",
    after: "if (false) return 0; // The usual case in two lists of the same packages.",
    reason: "It only spares the work: two parts that are alike compare as alike",
  },
  {
    file: "src/system/real/files.ts",
    operator: "arithmetic",
    before: "(await file.handle.write(bytes, written, bytes.length - written, null)).bytesWritten;",
    after:
      "(await file.handle.write(bytes, written, (bytes.length + written), null)).bytesWritten;",
    reason: "The system takes so short a text whole, and a write in parts cannot be brought about",
  },
  {
    file: "src/system/real/files.ts",
    operator: "number",
    before: 'if (at < 0) return { directory: ".", name: path };',
    after: 'if (at < 1) return { directory: ".", name: path };',
    reason: "Only a file in / itself would show it, and tests write none there",
  },
  {
    file: "src/system/real/http/answer.ts",
    operator: "number",
    before: "#bytes = new Uint8Array(0);",
    after: "#bytes = new Uint8Array(1);",
    reason: "The first bytes make it grow to 4 KiB or more in either case",
  },
  {
    file: "src/system/real/supervisor.ts",
    operator: "condition forced",
    before: 'if (listeners.size === 1) report({ kind: "listens", listens: true });',
    after: 'if (true) report({ kind: "listens", listens: true });',
    reason: "The supervisor sets the same word again",
  },
  {
    file: "src/system/real/http/parser.ts",
    operator: "number",
    before:
      "const fact = new TextDecoder().decode(text.subarray(0, Math.max(0, text.indexOf(0))));",
    after: "const fact = new TextDecoder().decode(text.subarray(0, Math.max(1, text.indexOf(0))));",
    reason: "The parser gives every error that is met a reason",
  },
  {
    file: "src/system/real/files.ts",
    operator: "tag",
    before: 'return number === "19" ? "denied" : "failed";',
    after: 'return number === "19" ? "failed" : "failed";',
    reason:
      "Only Windows answers with these numbers, and only where a disk is full or write-protected",
  },
  {
    file: "src/system/real/regular_file.ts",
    operator: "logical",
    before:
      "const handle = await open(path, flags | (constants.O_NONBLOCK ?? 0)).catch((error) => {",
    after: "const handle = await open(path, flags | ((constants.O_NONBLOCK))).catch((error) => {",
    reason: "The operator takes undefined for 0, and it is undefined on Windows alone",
  },
  {
    file: "src/system/real/files.ts",
    operator: "negation dropped",
    before: "if (!isWindows || waitedMs >= MAX_RETRY_MS || !isInUse(error)) throw error;",
    after: "if (!isWindows || waitedMs >= MAX_RETRY_MS || (isInUse(error))) throw error;",
    reason: "Linux never gets past the first condition: only Windows waits",
  },
  {
    file: "src/system/real/files.ts",
    operator: "equality negated",
    before: 'if (number === "39" || number === "112" || number === "1295") return "full";',
    after: 'if (number === "39" || number === "112" || (number !== "1295")) return "full";',
    reason:
      "Only Windows answers with these numbers, and only where a disk is full or write-protected",
  },
  {
    file: "src/system/real/process.ts",
    operator: "await dropped",
    before: "await killTree(run.child.pid);",
    after: "(killTree(run.child.pid));",
    reason: "It is called on Windows alone: the tests under Wine run it, the mutations do not",
  },
  {
    file: "src/system/real/clock.ts",
    operator: "number",
    before: "return 0;",
    after: "return 1;",
    reason: "Only differences of such times are used, and there the one cancels out",
  },
  {
    file: "src/scanners/programs.ts",
    operator: "ternary",
    before: 'const all = text.split(isPlain ? "\\n" : /\\r\\n|\\n|\\r/);',
    after: "const all = text.split((/\\r\\n|\\n|\\r/));",
    reason: "A text without other line ends is split the same, in more time",
  },
  {
    file: "src/scanners/programs.ts",
    operator: "ternary",
    before: 'const lines = isPlain ? short : short.map((line) => stripControls(line, "\\t"));',
    after: 'const lines = (short.map((line) => stripControls(line, "\\t")));',
    reason: "A line without control characters stays the same, in more time",
  },
  {
    file: "src/scanners/winget/layout.ts",
    operator: "number",
    before:
      ".filter((at, index) => index === 0 || rows.every((row) => cut(row, [0, at]) !== undefined));",
    after:
      ".filter((at, index) => index === 0 || rows.every((row) => cut(row, [1, at]) !== undefined));",
    reason: "The start of the first column does not matter: it contains all text before the second",
  },
  {
    file: "src/buffer/eviction.ts",
    operator: "logical",
    before: "const { kind, body } = evictionNotice(evicted, firstEvictionMs ?? createdMs);",
    after: "const { kind, body } = evictionNotice(evicted, (firstEvictionMs));",
    reason:
      "The statement before it has set the instant where there was none; only its type allows for none",
  },
  {
    file: "src/json.ts",
    operator: "number",
    before: "const BLANK = 6;",
    after: "const BLANK = 7;",
    reason: "Tokens are only compared with one another, and no other one is 7",
  },
  {
    file: "src/system/real/files.ts",
    operator: "await dropped",
    before: "await file.handle.close();",
    after: "(file.handle.close());",
    reason: "Deno has closed the file when the call returns; its promise only says so",
  },
  {
    file: "src/system/real/http/answer.ts",
    operator: "statement removed",
    before: "this.#inflating.catch(() => {}); // `write` or `end` reports it.",
    after: "; // `write` or `end` reports it.",
    reason:
      "Each write waits for it before it can fail, and giving up before the first one makes nothing fail",
  },
  {
    file: "src/system/real/http/http.ts",
    operator: "boundary",
    before: "const left = waiting.filter(({ untilMs }) => untilMs > nowMs);",
    after: "const left = waiting.filter(({ untilMs }) => (untilMs >= nowMs));",
    reason: "What is due at this very instant is closed by a timer of no time, at once after it",
  },
  {
    file: "src/system/real/http/http.ts",
    operator: "statement removed",
    before: "this.#idle.set(key, left);",
    after: ";",
    reason:
      "A connection that is closed ends the read that watches it, and that takes it off the list",
  },
];
