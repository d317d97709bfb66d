import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { ScanError, type ScanErrorReason } from "../../src/scanners/scanner.ts";
import { winupdateScanner } from "../../src/scanners/winupdate.ts";
import { realSystem } from "../../src/system/real.ts";
import { envelope } from "../scanners/powershell/stub.ts";
import { enveloped, fixtureBytes, hostTest } from "./windows_host.ts";
import { scanWith } from "../fakes/scan_with.ts";

const scanner = winupdateScanner();

async function scan(signal?: AbortSignal) {
  const system = realSystem();
  assertEquals(await scanner.isAvailable(system), true);
  return await scanWith(scanner, system, signal ? { signal } : {});
}

async function refused(reason: ScanErrorReason, signal?: AbortSignal): Promise<string> {
  const end = await scan(signal).catch((error) => error);
  assertInstanceOf(end, ScanError);
  assertEquals([end.reason, end.message], [reason, end.message]);
  return end.message;
}

hostTest("winupdate: asks Windows PowerShell once, by a script", async (host) => {
  const powershell = await host.powershell("stdout = out", {
    out: enveloped("winupdate/two.json"),
  });
  const { updates, warnings } = await scan();
  assertEquals(updates.map(({ advisories }) => advisories), [["KB5070001"], ["KB2267602"]]);
  assertEquals(warnings, []);
  const [run, ...more] = await powershell.runs();
  assertEquals(more, []);
  assertEquals(run?.argv[0], powershell.path);
  assertEquals(run?.argv.at(-2), "-EncodedCommand");
  // The stand-in reads the script as PowerShell would, and finds this in it.
  await powershell.play(
    "[New-Object -ComObject Microsoft.Update.Session]\nstdout = out\n[]\nexit = 1",
  );
  assertEquals((await scan()).updates.length, 2);
});

for (const name of ["lf", "utf16", "bom", "clixml", "cp850", "narrow"]) {
  hostTest(`winupdate: reads bytes printed as in ${name}, also in pieces`, async (host) => {
    const files = { out: fixtureBytes(`winupdate/stdout_${name}.txt`) };
    await host.powershell("stdout = out\nchunk = 37\npause_ms = 1", files);
    const { updates } = await scan();
    assertEquals(updates.length, 1);
    assertEquals(updates[0]?.package, "KB2267602");
    const title = "Security Intelligence-Update für Microsoft";
    assertStringIncludes(updates[0]?.description ?? "", title);
  });
}

hostTest("winupdate: takes a list of one that PowerShell made an object of", async (host) => {
  await host.powershell("stdout = out", { out: enveloped("winupdate/one_object.json") });
  assertEquals((await scan()).updates.length, 1);
});

hostTest("winupdate: an empty list is believed of a search, and not of silence", async (host) => {
  const powershell = await host.powershell("stdout = out", {
    out: enveloped("winupdate/none.json"),
  });
  assertEquals((await scan()).updates, []);
  await powershell.play("exit = 0");
  assertStringIncludes(await refused("permanent"), "it printed none");
});

hostTest("winupdate: what was cut off, or came twice, is no list", async (host) => {
  const powershell = await host.powershell("stdout = out");
  for (const [name, reason] of [["cut", "transient"], ["twice", "permanent"]] as const) {
    await powershell.play("stdout = out", { out: fixtureBytes(`winupdate/stdout_${name}.txt`) });
    await refused(reason);
  }
});

hostTest("winupdate: a crash in the middle is told with Windows' code", async (host) => {
  const half = envelope("{}").slice(0, 14);
  await host.powershell("stdout = out\nstderr = err\ncrash = 1", { out: half, err: "kaputt" });
  assertStringIncludes(await refused("transient"), "0xc0000005");
});

hostTest("winupdate: a service that is disabled is not available", async (host) => {
  await host.powershell("stdout = out", { out: enveloped("winupdate/error_disabled.json") });
  await refused("not_available");
});

hostTest("winupdate: one that hangs ends when it is told to, with its children", async (host) => {
  const powershell = await host.powershell("hold = child\nhold_file = held\nhang = 60000");
  const stop = new AbortController();
  const scanning = refused("transient", stop.signal);
  for (let waitedMs = 0; waitedMs < 20_000 && !await powershell.isHeld("held"); waitedMs += 50) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const startMs = performance.now();
  stop.abort();
  await scanning;
  const tookMs = performance.now() - startMs;
  assert(tookMs < 10_000, `took ${tookMs} ms`);
  assertEquals(await powershell.isHeld("held"), false);
});

hostTest("winupdate: a Windows without PowerShell has no such scanner's answer", async () => {
  assertStringIncludes(await refused("not_available"), "PowerShell");
});
