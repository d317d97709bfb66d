import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  BEGIN,
  encodeCommand,
  END,
  frameScript,
  parseEnvelope,
  powershellPath,
  pwshDirectory,
  runPowershell,
  runPwsh,
} from "../../../src/scanners/powershell/powershell.ts";
import { ScanError, type ScanErrorReason } from "../../../src/scanners/scanner.ts";
import {
  CommandError,
  type CommandErrorReason,
  type RunOptions,
  type RunResult,
} from "../../../src/system/process.ts";
import { succeeded } from "../fixture.ts";
import { WingetHost } from "../winget/host.ts";
import { asRead, base64, envelope, PowershellHost, scriptOf, utf16 } from "./stub.ts";
import { anyString } from "../../fakes/texts.ts";

const OPTIONS = { timeoutMs: 60_000 };

function refused(stdout: string): ScanError {
  const error = assertThrows(() => parseEnvelope(stdout), ScanError);
  assertInstanceOf(error, ScanError);
  return error;
}

const UNREADABLE: readonly [string, string, ScanErrorReason][] = [
  ["nothing", "", "permanent"],
  ["a prompt and no answer", "Windows PowerShell\r\nPS C:\\>", "permanent"],
  ["only the end", "<<<END>>>", "permanent"],
  ["the end before the beginning", "<<<END>>>e30=<<<BEGIN>>>", "transient"],
  ["an answer that was cut off", envelope("{}").slice(0, -5), "transient"],
  ["no base64", "<<<BEGIN>>>n\u00f6<<<END>>>", "permanent"],
  ["truncated base64", "<<<BEGIN>>>e30=e<<<END>>>", "permanent"],
  ["an empty answer", "<<<BEGIN>>><<<END>>>", "permanent"],
  ["half an answer", "<<<BEGIN>>>eyJh<<<END>>>", "permanent"],
  ["no UTF-8", `<<<BEGIN>>>${btoa('"\xe4"')}<<<END>>>`, "permanent"],
  ["no JSON", envelope("undefined"), "permanent"],
  ["two answers", envelope("1") + envelope("2"), "permanent"],
  ["the same answer twice", envelope("1") + envelope("1"), "permanent"],
];

for (const [name, stdout, reason] of UNREADABLE) {
  Deno.test(`parseEnvelope() rejects ${name}`, () => {
    assertEquals(refused(stdout).reason, reason);
  });
}

const READABLE: readonly [string, string][] = [
  ["alone", envelope('{"a":["\u00e4\u65e5"]}')],
  ["with CRLF", envelope('{"a":["\u00e4\u65e5"]}').replaceAll("\n", "\r\n")],
  ["without line ends", envelope('{"a":["\u00e4\u65e5"]}').replaceAll("\n", "")],
  ["after a byte order mark", `\ufeff${envelope('{"a":["\u00e4\u65e5"]}')}`],
  ["in UTF-16", asRead(utf16(envelope('{"a":["\u00e4\u65e5"]}')))],
  ["after CLIXML", `#< CLIXML\r\n<Objs Version="1.1.0.1"/>\r\n${envelope('{"a":["ä日"]}')}`],
  ["broken at 20 columns", envelope('{"a":["ä日"]}').replace(/.{20}/g, "$&\r\n")],
  ["with a mark of its own", envelope('\ufeff{"a":["ä日"]}')],
];

for (const [name, stdout] of READABLE) {
  Deno.test(`parseEnvelope() reads an answer ${name}`, () => {
    assertEquals(parseEnvelope(stdout), { a: ["ä日"] });
  });
}

Deno.test("parseEnvelope() reads an answer among German words in an OEM code page", () => {
  // "für" in code page 850 is not UTF-8.
  const german = Uint8Array.from([0x66, 0x81, 0x72, 0x0d, 0x0a]);
  const bytes = [...german, ...new TextEncoder().encode(envelope("[1]")), ...german];
  assertEquals(parseEnvelope(asRead(Uint8Array.from(bytes))), [1]);
});

Deno.test("parseEnvelope() returns any JSON value among any other output", () => {
  const noise = anyString().filter((text) => !text.includes("<<<"));
  fc.assert(fc.property(fc.json(), noise, noise, (json, before, after) => {
    assertEquals(parseEnvelope(before + envelope(json) + after), JSON.parse(json));
  }));
});

Deno.test("parseEnvelope() rejects an answer truncated at any byte", () => {
  fc.assert(fc.property(fc.json(), fc.double({ min: 0, max: 1, noNaN: true }), (json, share) => {
    const bytes = new TextEncoder().encode(envelope(json).trimEnd());
    const cut = asRead(bytes.slice(0, Math.floor(share * (bytes.length - 1))));
    refused(cut);
  }));
});

Deno.test("parseEnvelope() throws only ScanError", () => {
  const part = fc.oneof(
    fc.constantFrom("<<<BEGIN>>>", "<<<END>>>", "<<<", "\0", "\r\n", "e30=", base64("[")),
    anyString(),
  );
  fc.assert(fc.property(fc.array(part), (parts) => {
    try {
      parseEnvelope(parts.join(""));
    } catch (error) {
      assertInstanceOf(error, ScanError);
    }
  }));
});

Deno.test("parseEnvelope() takes linear time for a line of 10 MB", () => {
  // A search that restarts at each character would take hours.
  for (const unit of ["<<<BEGIN>>", "<<<BEGIN>>>", "a ", "\0", "="]) {
    refused(`<<<BEGIN>>>${unit.repeat(10_000_000 / unit.length)}<<<END>>>`);
  }
});

Deno.test("runPowershell() runs the system's PowerShell with the framed script", async () => {
  const host = new PowershellHost(succeeded(envelope('{"a":[1]}')));
  assertEquals(await runPowershell(host, "$answer=@{a=@(1)}", OPTIONS), { a: [1] });
  const [asked] = host.asked;
  assert(asked);
  const program = "C:\\WINDOWS\\System32\\WindowsPowerShell\\v1.0\\powershell.exe";
  assertEquals(asked.argv.slice(0, -1), [
    program,
    "-NoLogo",
    "-NoProfile",
    "-NonInteractive",
    "-ExecutionPolicy",
    "Bypass",
    "-OutputFormat",
    "Text",
    "-EncodedCommand",
  ]);
  assertEquals(scriptOf(asked), frameScript("$answer=@{a=@(1)}"));
  assertEquals(asked.options, { timeoutMs: 60_000, maxOutputBytes: 33_554_432 });
});

Deno.test("runPowershell() passes the signal on", async () => {
  const host = new PowershellHost(succeeded(envelope("1")));
  const { signal } = new AbortController();
  await runPowershell(host, "", { ...OPTIONS, signal });
  assertEquals(host.asked[0]?.options.signal, signal);
});

Deno.test("runPowershell() runs scripts up to the longest command line, and rejects longer ones", async () => {
  const longest: number[] = [];
  // A script grows the line by four characters at once: the name of a directory makes it reach the limit.
  for (const directory of ["W", "Wi", "Win", "Wind"]) {
    const host = new PowershellHost(succeeded(envelope("1")));
    host.environment.set("SystemRoot", `C:\\${directory}`);
    const fits = (length: number) => runPowershell(host, "#".repeat(length), OPTIONS);
    const lengths = { good: 0, bad: 20_000 };
    while (lengths.bad - lengths.good > 1) {
      const length = Math.floor((lengths.good + lengths.bad) / 2);
      const isSent = await fits(length).then(() => true, () => false);
      lengths[isSent ? "good" : "bad"] = length;
    }
    const error = await assertRejects(() => fits(lengths.bad), ScanError);
    assertEquals(error.reason, "permanent");
    await fits(lengths.good);
    const argv = host.asked.at(-1)?.argv ?? [];
    longest.push(`${argv.map((word) => `"${word}"`).join(" ")}\0`.length);
  }
  assertEquals(Math.max(...longest), 32_766);
});

function ended(code: number, stdout: string, stderr = ""): RunResult {
  return { code, stdout, stderr, truncated: false };
}

function refusal(reason: CommandError["reason"], fact: string): CommandError {
  return new CommandError(`Cannot run "C:\\x.exe": ${fact}`, { reason });
}

const BLOCKED_IN_GERMAN = [
  "In Zeile:1 Zeichen:1",
  "+ $ErrorActionPreference='Stop'",
  "+ ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~",
  "Dieses Skript enthält schädliche Daten",
  "    + CategoryInfo          : ParserError: (:) [], ParentContainsErrorRecordException",
  "    + FullyQualifiedErrorId : ScriptContainedMaliciousContent",
  "",
].join("\r\n");

const FAILURES: readonly [string, RunResult | Error, ScanErrorReason, string][] = [
  [
    "there is none",
    refusal("not_found", "no such program"),
    "not_available",
    "Cannot run PowerShell: no such program",
  ],
  [
    "it takes too long",
    refusal("timeout", "no end within 60000 ms"),
    "transient",
    "Cannot run PowerShell: no end within 60000 ms",
  ],
  [
    "it is not ours to run",
    refusal("denied", "access is denied"),
    "permanent",
    "Cannot run PowerShell: access is denied",
  ],
  [
    "a policy forbids it",
    refusal("failed", "blocked by group policy (os error 1260)"),
    "not_available",
    "Cannot run PowerShell: blocked by group policy (os error 1260)",
  ],
  [
    "it does not start, whatever is the matter",
    refusal("failed", "bad image (os error 193)"),
    "transient",
    "Cannot run PowerShell: bad image (os error 193)",
  ],
  [
    "it ends with the largest code of its own",
    ended(0xffff, ""),
    "permanent",
    "Cannot ask PowerShell: exit 65535",
  ],
  [
    "it ends with a larger code",
    ended(0x10000, ""),
    "transient",
    "Cannot ask PowerShell: exit 0x10000",
  ],
  [
    "a virus scanner says on its usual stream that it refuses the script",
    ended(1, BLOCKED_IN_GERMAN),
    "permanent",
    "Cannot ask PowerShell: exit 1: Dieses Skript enthält schädliche Daten. Next: have the " +
    "antivirus program allow Pennon's scripts",
  ],
  [
    "it fails after half an answer, which is no complaint",
    ended(1, asRead(utf16("noise\r\n<<<BEGIN>>>\r\nhalf"))),
    "permanent",
    "Cannot ask PowerShell: exit 1",
  ],
  [
    "it prints words without an answer and ends well",
    ended(0, "Hello\r\n"),
    "permanent",
    "Cannot read PowerShell's answer: it printed none. Next: look in the antivirus program's " +
    "log whether it stopped powershell.exe",
  ],
  [
    "it prints too much",
    { ...ended(0, envelope("1")), truncated: true },
    "permanent",
    "Cannot ask PowerShell: the answer is too long",
  ],
  [
    "an antivirus program stops it",
    ended(1, "", "At line:1 char:1\r\nThis script contains malicious content\r\n"),
    "permanent",
    "Cannot ask PowerShell: exit 1: This script contains malicious content",
  ],
  [
    "an antivirus program stops it, and it says so in full and ends well",
    ended(0, "", BLOCKED_IN_GERMAN),
    "permanent",
    "Cannot ask PowerShell: it ended well without an answer: Dieses Skript enthält schädliche " +
    "Daten. Next: have the antivirus program allow Pennon's scripts",
  ],
  [
    "it says why on its other stream",
    ended(1, "This program is blocked by group policy.\r\n"),
    "permanent",
    "Cannot ask PowerShell: exit 1: This program is blocked by group policy.",
  ],
  [
    "its session ends",
    ended(0x40010004, ""),
    "transient",
    "Cannot ask PowerShell: exit 0x40010004",
  ],
  ["it crashes", ended(-1073741502, ""), "transient", "Cannot ask PowerShell: exit 0xc0000142"],
  [
    "it crashes within its answer",
    ended(-1073741819, envelope("1").slice(0, -8)),
    "transient",
    "Cannot ask PowerShell: exit 0xc0000005",
  ],
  [
    "it ends well and says nothing",
    ended(0, ""),
    "permanent",
    "Cannot read PowerShell's answer: it printed none. Next: look in the antivirus program's " +
    "log whether it stopped powershell.exe",
  ],
  [
    "only constrained language is allowed",
    ended(0, envelope('{"constrained":true}')),
    "not_available",
    "Cannot ask PowerShell: an application control policy holds it to ConstrainedLanguage mode. " +
    "Next: have the policy (WDAC, AppLocker) allow Pennon's scripts",
  ],
];

for (const [name, answer, reason, message] of FAILURES) {
  Deno.test(`runPowershell() fails when ${name}`, async () => {
    const host = new PowershellHost(answer);
    const error = await assertRejects(() => runPowershell(host, "", OPTIONS), ScanError);
    assertEquals([error.reason, error.message], [reason, message]);
  });
}

Deno.test("runPowershell() does not mistake another value for constrained language mode", async () => {
  for (const value of [[], { constrained: false }, { constrained: "true" }, { a: 1 }]) {
    const host = new PowershellHost(succeeded(envelope(JSON.stringify(value))));
    assertEquals(await runPowershell(host, "", OPTIONS), value);
  }
});

Deno.test("runPowershell() does not hide a programming error behind a failed run", async () => {
  const host = new PowershellHost(new TypeError("oops"));
  await assertRejects(() => runPowershell(host, "", OPTIONS), TypeError, "oops");
});

Deno.test("runPowershell() accepts a complete answer with any exit code", async () => {
  const host = new PowershellHost(ended(1, envelope("null")));
  assertEquals(await runPowershell(host, "", OPTIONS), null);
});

Deno.test("powershellPath() reads the Windows directory from the environment, and rejects other paths", () => {
  const host = new PowershellHost();
  for (const value of ["Windows", "C:/Windows"]) {
    host.environment.set("SystemRoot", value);
    const { reason, message } = assertThrows(() => powershellPath(host), ScanError);
    const fact = `SystemRoot is "${value}", which is not a directory on a drive`;
    assertEquals([reason, message], ["permanent", `Cannot run PowerShell: ${fact}`]);
  }
  host.environment.delete("SystemRoot");
  const usual = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe";
  assertEquals(powershellPath(host), usual);
});

Deno.test("encodeCommand() writes base64 of UTF-16LE", () => {
  assertEquals(encodeCommand(""), "");
  assertEquals(encodeCommand("dir"), "ZABpAHIA");
  fc.assert(fc.property(anyString(), (script) => {
    const bytes = Uint8Array.from(atob(encodeCommand(script)), (byte) => byte.charCodeAt(0));
    assertEquals(new TextDecoder("utf-16le", { ignoreBOM: true }).decode(bytes), script);
  }));
});

Deno.test("frameScript() contains the script, and is ASCII", () => {
  const framed = frameScript("$answer=1");
  assert(framed.includes("\n$answer=1\n"));
  assert(/^[\n -~]*$/.test(framed));
});

Deno.test("frameScript() is not an answer when it is echoed", () => {
  const framed = frameScript("");
  assert(!framed.includes(BEGIN) && !framed.includes(END));
});

Deno.test("frameScript() writes both markers in two pieces", () => {
  const pieces = frameScript("").matchAll(/'([^']+)'\+'([^']+)'/g);
  assertEquals([...pieces].map(([, one, other]) => `${one}${other}`), [BEGIN, END, BEGIN, END]);
});

Deno.test("frameScript() contains an answer for constrained language mode", () => {
  const [, ready = ""] = /\n'([A-Za-z0-9+/=]+)'\n/.exec(frameScript("")) ?? [];
  assertEquals(parseEnvelope(`${BEGIN}${ready}${END}`), { constrained: true });
});

const LIMITS = { timeoutMs: 1_000 };

Deno.test("runPwsh() runs PowerShell 7 by its full path, and reads its envelope", async () => {
  const host = new WingetHost();
  host.answer = () => succeeded(`noise\r\n<<<BEGIN>>>\r\n${btoa('{"a":1}')}\r\n<<<END>>>\r\n`);
  assertEquals(await runPwsh(host, "$answer = @{a=1}", LIMITS), { a: 1 });
  const [program, thread] = host.asked[0] ?? [];
  assertEquals([program, thread], ["C:\\Program Files\\PowerShell\\7\\pwsh.exe", "-MTA"]);
});

Deno.test("runPwsh() distinguishes a missing PowerShell from one that fails", async () => {
  const host = new WingetHost();
  const reasons: [CommandErrorReason, ScanErrorReason][] = [
    ["not_found", "not_available"],
    ["timeout", "transient"],
    ["failed", "transient"],
  ];
  for (const [reason, expected] of reasons) {
    host.answer = () => new CommandError("Cannot run", { reason });
    const error = await assertRejects(() => runPwsh(host, "", LIMITS), ScanError);
    assertEquals(error.reason, expected);
  }
  host.answer = () => succeeded("");
  await assertRejects(() => runPwsh(host, "", LIMITS), ScanError);
  const stderr = "Line |\r\n   1 |  foo\r\n     | Blocked by policy.\r\n";
  for (const code of [0, 1]) {
    host.answer = () => ({ code, stdout: "", stderr, truncated: false });
    const { message } = await assertRejects(() => runPwsh(host, "", LIMITS), ScanError);
    assertEquals([message.includes("PowerShell 7"), message.includes("Blocked by policy.")], [
      true,
      true,
    ]);
  }
});

Deno.test("runPwsh() limits time and output, and passes the signal on", async () => {
  const host = new WingetHost();
  const given: RunOptions[] = [];
  host.answer = (_, __, options) => {
    given.push(options);
    return succeeded(`<<<BEGIN>>>${btoa("1")}<<<END>>>`);
  };
  const { signal } = new AbortController();
  await runPwsh(host, "", LIMITS);
  await runPwsh(host, "", { ...LIMITS, signal });
  const bounds = { timeoutMs: 1_000, maxOutputBytes: 33_554_432 };
  assertEquals(given, [bounds, { ...bounds, signal }]);
});

Deno.test("runPwsh() does not hide a programming error, and reports constrained language mode", async () => {
  const host = new WingetHost();
  host.answer = () => new TypeError("oops");
  await assertRejects(() => runPwsh(host, "", LIMITS), TypeError, "oops");
  host.answer = () => succeeded(`<<<BEGIN>>>${btoa('{"constrained":true}')}<<<END>>>`);
  const { reason } = await assertRejects(() => runPwsh(host, "", LIMITS), ScanError);
  assertEquals(reason, "not_available");
});

Deno.test("pwshDirectory() is in the directory of 64-bit programs", () => {
  const host = new WingetHost();
  assertEquals(pwshDirectory(host), "C:\\Program Files\\PowerShell");
  host.environment.set("ProgramFiles", "D:\\Programs");
  assertEquals(pwshDirectory(host), "D:\\Programs\\PowerShell");
  host.environment.set("ProgramW6432", "E:\\Programs");
  assertEquals(pwshDirectory(host), "E:\\Programs\\PowerShell");
  host.environment.clear();
  assertEquals(pwshDirectory(host), "C:\\Program Files\\PowerShell");
});
