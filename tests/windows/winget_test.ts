import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { ScanError, type ScanErrorReason } from "../../src/scanners/scanner.ts";
import { wingetScanner } from "../../src/scanners/winget.ts";
import { realSystem } from "../../src/system/real.ts";
import { crlf, enveloped, fixtureBytes, hostTest } from "./windows_host.ts";
import { scanWith } from "../fakes/scan_with.ts";

const scanner = wingetScanner();

/** What any winget answers to `--version` and of its sources; the rest of a play follows. */
const PLAY = "[--version]\nstdout = version\n[source export]\nstdout = sources\n";
const VERSION = { version: "v1.29.240\r\n", sources: table("sources_default.txt") };

function table(name: string): string {
  return crlf(new TextDecoder().decode(fixtureBytes(`winget/${name}`)));
}

async function scan(signal?: AbortSignal) {
  const system = realSystem();
  assertEquals(await scanner.isAvailable(system), true);
  return await scanWith(scanner, system, signal ? { signal } : {});
}

async function packages(): Promise<string[]> {
  const { updates } = await scan();
  return updates.map(({ package: id, currentVersion, availableVersion }) =>
    `${id} ${currentVersion} ${availableVersion}`
  );
}

async function refused(reason: ScanErrorReason, signal?: AbortSignal): Promise<string> {
  const end = await scan(signal).catch((error) => error);
  assertInstanceOf(end, ScanError);
  assertEquals([end.reason, end.message], [reason, end.message]);
  return end.message;
}

hostTest(
  "winget: reads the table of the user's own, and asks for no installation",
  async (host) => {
    const winget = await host.winget(`${PLAY}[]\nstdout = out`, {
      ...VERSION,
      out: table("new_four_columns.txt"),
    });
    const found = await packages();
    assertEquals(found.length, 2);
    assert(found.some((line) => line.includes("24.08")));
    const runs = await winget.runs();
    assertEquals(runs.map(({ argv }) => argv[1]), ["--version", "upgrade", "pin", "source"]);
    assert(runs[1]?.argv.includes("--disable-interactivity"));
    assert(!runs[1]?.argv.includes("--all"));
  },
);

for (const language of ["de", "ja", "ko", "ru"]) {
  hostTest(`winget: reads UTF-8 in ${language}, in pieces of seven bytes`, async (host) => {
    await host.winget(`${PLAY}[]\nstdout = out\nchunk = 7\npause_ms = 1`, {
      ...VERSION,
      out: table(`language_${language}.txt`),
    });
    const { updates } = await scan();
    assert(updates.length >= 5);
    assert(updates.some(({ description }) => description?.includes("腾讯QQ")));
  });
}

hostTest("winget: reads past spinners and bars of an older one", async (host) => {
  await host.winget(`${PLAY}[]\nstdout = out`, {
    version: "v1.6.3482\r\n",
    out: fixtureBytes("winget/old_progress.txt"),
  });
  assertEquals((await packages()).length, 2);
});

hostTest("winget: an old one that refuses options is asked with fewer", async (host) => {
  const play = `${PLAY}[--disable-interactivity]\nexit = 0x8A150002\n[]\nstdout = out`;
  const winget = await host.winget(play, { ...VERSION, out: table("new_four_columns.txt") });
  assertEquals((await packages()).length, 2);
  // Its version, the list twice, and its sources.
  assertEquals((await winget.runs()).length, 4);
});

hostTest(
  "winget: a code that says there is nothing is an empty list, others are none",
  async (host) => {
    const files = { ...VERSION, out: table("new_nothing.txt") };
    const winget = await host.winget(`${PLAY}[]\nstdout = out\nexit = 0x8A150014`, files);
    assertEquals(await packages(), []);
    const rows: [exit: string, reason: ScanErrorReason][] = [
      ["0x8A15003A", "not_available"],
      ["0x8A15006D", "transient"],
      ["0x8A15000F", "permanent"],
      ["0x80072EE7", "transient"],
      ["0xC0000135", "not_available"],
    ];
    for (const [exit, reason] of rows) {
      await winget.play(`${PLAY}[]\nexit = ${exit}`);
      assertStringIncludes((await refused(reason)).toLowerCase(), exit.toLowerCase());
    }
  },
);

hostTest("winget: silence is no list, not even with success", async (host) => {
  const winget = await host.winget(`${PLAY}[]\nexit = 0`, VERSION);
  await refused("not_available");
  await winget.play("exit = 0");
  await refused("not_available");
});

hostTest("winget: an ordinary pin is one, by winget's own list of pins", async (host) => {
  await host.winget(`${PLAY}[pin list]\nstdout = pins\n[]\nstdout = out`, {
    ...VERSION,
    out: table("new_four_columns.txt"),
    pins: "x 7zip.7zip 23.01 winget Pinning\r\n",
  });
  const { updates } = await scan();
  assertEquals(updates.map(({ state }) => state), ["pinned", "upgradable"]);
});

hostTest("winget: SYSTEM's is the highest version in the packages' folder", async (host) => {
  const folder = (version: string) =>
    `${host.variables["ProgramFiles"]}\\WindowsApps\\` +
    `Microsoft.DesktopAppInstaller_${version}_x64__8wekyb3d8bbwe`;
  const files = { ...VERSION, out: table("new_four_columns.txt") };
  const old = await host.winget(`${PLAY}[]\nexit = 1`, files, folder("1.9.1551.0"));
  await host.winget(`${PLAY}[]\nstdout = out`, files, folder("1.22.11261.0"));
  const { updates, scope } = await scan();
  assertEquals([updates.length, await old.runs()], [2, []]);
  assertStringIncludes(scope ?? "", "SYSTEM");
}, { profile: "Windows\\System32\\config\\systemprofile" });

hostTest("winget: its PowerShell module is asked where winget has no list", async (host) => {
  const winget = await host.winget(`${PLAY}[]\nexit = 0x8A150045`, VERSION);
  const modules = `${host.variables["ProgramFiles"]}\\WindowsPowerShell\\Modules`;
  await Deno.mkdir(`${modules}\\Microsoft.WinGet.Client\\1.9.2`, { recursive: true });
  await host.powershell("[Get-WinGetPackage]\nstdout = out\n[]\nexit = 1", {
    out: enveloped("winget/module_one.json"),
  });
  assertEquals(await packages(), ["Microsoft.PowerShell 7.4.5.0 7.4.6.0"]);
  assertEquals((await scan()).result, "degraded");
  assertEquals((await winget.runs()).length, 4);
});

hostTest("winget: one that hangs ends when it is told to", async (host) => {
  const winget = await host.winget(
    `${PLAY}[]\nhold = child\nhold_file = held\nhang = 60000`,
    VERSION,
  );
  const stop = new AbortController();
  const scanning = refused("transient", stop.signal);
  for (let waitedMs = 0; waitedMs < 20_000 && !await winget.isHeld("held"); waitedMs += 50) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  stop.abort();
  await scanning;
  assertEquals(await winget.isHeld("held"), false);
});

hostTest("pennon scan --json tells what both scanners of Windows have", async (host) => {
  await host.powershell("[Microsoft.Update.Session]\nstdout = out", {
    out: enveloped("winupdate/two.json"),
  });
  await host.winget(`${PLAY}[]\nstdout = out`, { ...VERSION, out: table("language_ja.txt") });
  const { code, out } = await host.pennon(["scan", "--json"]);
  const { scanners } = JSON.parse(out);
  const found = Object.fromEntries(
    scanners.map(({ name, result, updates }: { name: string; result: string; updates: [] }) => [
      name,
      [result, updates.length],
    ]),
  );
  assertEquals([code, found["winupdate"], found["winget"]], [0, ["ok", 2], ["ok", 6]]);
});
