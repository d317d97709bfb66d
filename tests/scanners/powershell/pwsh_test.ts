import { assertEquals, assertRejects } from "@std/assert";
import { pwshFolder, runPwsh } from "../../../src/scanners/powershell/pwsh.ts";
import { ScanError, type ScanErrorReason } from "../../../src/scanners/scanner.ts";
import {
  CommandError,
  type CommandErrorReason,
  type RunOptions,
} from "../../../src/system/process.ts";
import { succeeded } from "../fixture.ts";
import { WingetHost } from "../winget/host.ts";

const LIMITS = { timeoutMs: 1_000 };

Deno.test("runPwsh() runs PowerShell 7 by its full path, and reads its envelope", async () => {
  const host = new WingetHost();
  host.answer = () => succeeded(`noise\r\n<<<BEGIN>>>\r\n${btoa('{"a":1}')}\r\n<<<END>>>\r\n`);
  assertEquals(await runPwsh(host, "$answer = @{a=1}", LIMITS), { a: 1 });
  const [program, thread] = host.asked[0] ?? [];
  assertEquals([program, thread], ["C:\\Program Files\\PowerShell\\7\\pwsh.exe", "-MTA"]);
});

Deno.test("runPwsh() tells a PowerShell that is not there from one that fails", async () => {
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

Deno.test("runPwsh() bounds what PowerShell 7 may take and print, and hands the signal on", async () => {
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

Deno.test("runPwsh() hides no mistake of ours, and tells what PowerShell 7 may not", async () => {
  const host = new WingetHost();
  host.answer = () => new TypeError("oops");
  await assertRejects(() => runPwsh(host, "", LIMITS), TypeError, "oops");
  host.answer = () => succeeded(`<<<BEGIN>>>${btoa('{"constrained":true}')}<<<END>>>`);
  const { reason } = await assertRejects(() => runPwsh(host, "", LIMITS), ScanError);
  assertEquals(reason, "not_available");
});

Deno.test("pwshFolder() is where a 64-bit program's programs are", () => {
  const host = new WingetHost();
  assertEquals(pwshFolder(host), "C:\\Program Files\\PowerShell");
  host.environment.set("ProgramFiles", "D:\\Programs");
  assertEquals(pwshFolder(host), "D:\\Programs\\PowerShell");
  host.environment.set("ProgramW6432", "E:\\Programs");
  assertEquals(pwshFolder(host), "E:\\Programs\\PowerShell");
  host.environment.clear();
  assertEquals(pwshFolder(host), "C:\\Program Files\\PowerShell");
});
