import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ScanError } from "../../../src/scanners/scanner.ts";
import {
  askWingetModule,
  parseWingetModule,
  WINGET_SCRIPT,
} from "../../../src/scanners/winget/module.ts";
import { readFixture, succeeded } from "../fixture.ts";
import { WingetHost } from "./host.ts";
import { FileError } from "../../../src/system/files.ts";
import { hasControls } from "../../../src/strip_controls.ts";
import { anyString } from "../../fakes/texts.ts";

function read(name: string) {
  return parseWingetModule(JSON.parse(readFixture("winget", name)));
}

Deno.test("parseWingetModule() rejects missing, invalid and incomplete answers", () => {
  const update = { name: "a", id: "a.b", installed: "1", available: "2", source: "winget" };
  const junk = [
    undefined,
    null,
    [],
    {},
    "",
    7,
    { packages: 3 },
    { packages: 3, updates: null },
    { packages: 3, updates: {} },
    { packages: -1, updates: [] },
    { packages: 1.5, updates: [] },
    { packages: 3, updates: Array(5_001).fill(update) },
    { packages: "3", updates: [] },
    { updates: [] },
    { packages: 3, updates: [{ ...update, id: "" }] },
    { packages: 3, updates: [{ ...update, id: "two words" }] },
    { packages: 3, updates: [{ ...update, available: "" }] },
    { packages: 3, updates: [{ ...update, name: "x".repeat(1_001) }] },
  ];
  for (const answer of junk) {
    const error = assertThrows(() => parseWingetModule(answer), ScanError);
    assert(error.message.startsWith("Cannot read Microsoft.WinGet.Client's answer: "));
  }
});

Deno.test("parseWingetModule() reads two updates, one outside a list, and none", () => {
  const powershell = {
    name: "PowerShell 7-x64",
    id: "Microsoft.PowerShell",
    version: "7.4.5.0",
    available: "7.4.6.0",
    source: "winget",
    state: "upgradable",
  } as const;
  assertEquals(read("module_one.json"), { packages: 57, updates: [powershell] });
  assertEquals(read("module_none.json"), { packages: 57, updates: [] });
  assertEquals(parseWingetModule({ packages: 0, updates: [] }), { packages: 0, updates: [] });
  const long = { name: "x".repeat(1_000), id: "a.b", installed: "1", available: "2" };
  assertEquals(
    parseWingetModule({ packages: 1, updates: Array(5_000).fill(long) }).updates.length,
    5_000,
  );
  const { updates } = read("module_two.json");
  assertEquals(updates.map(({ id, version }) => `${id} ${version}`), [
    "Microsoft.PowerShell 7.4.5.0",
    "Microsoft.WindowsTerminal Unknown",
  ]);
  assertEquals(updates[1]?.name, "Windows ターミナル");
});

Deno.test("parseWingetModule() quotes the error message of the module", () => {
  const error = assertThrows(() => read("module_error.json"), ScanError);
  assertEquals(
    error.message,
    "Cannot ask Microsoft.WinGet.Client: This cmdlet is not supported in Windows PowerShell. " +
      "(0x80131515)",
  );
});

Deno.test("parseWingetModule() throws only ScanError, and returns no control character", () => {
  const text = anyString({ maxLength: 20 });
  const update = fc.record({
    name: text,
    id: text,
    installed: text,
    available: text,
    source: fc.option(text),
  });
  const answer = fc.oneof(
    fc.anything(),
    fc.record({ packages: fc.nat(), updates: fc.oneof(fc.array(update), update) }),
  );
  fc.assert(fc.property(answer, (value) => {
    try {
      const { updates } = parseWingetModule(value);
      for (const { name, id, version, available, source } of updates) {
        assert(!hasControls([name, id, version, available, source].join()));
        assert(/^\S+$/.test(id) && available !== "");
      }
    } catch (error) {
      assert(error instanceof ScanError, String(error));
    }
  }));
});

Deno.test("the script is ASCII, installs nothing and compares no versions", () => {
  assert(/^[\n\x20-\x7e]+$/.test(WINGET_SCRIPT));
  assert(!/Install-|Update-|Repair-|Set-|-gt|-lt/.test(WINGET_SCRIPT));
});

const LIMITS = { timeoutMs: 1_000 };
const ANNA = { description: 'the user "anna"', isService: false };

Deno.test("askWingetModule() runs nothing without a module, or if no directory can be read", async () => {
  const host = new WingetHost();
  host.answer = () => succeeded("");
  const empty = "C:\\Program Files\\WindowsPowerShell\\Modules\\Other\\1.0\\x.psd1";
  host.files.texts.set(empty, "");
  assertEquals(await askWingetModule(host, ANNA, LIMITS), null);
  host.files.list = () => Promise.reject(new FileError("denied", { reason: "denied" }));
  assertEquals(await askWingetModule(host, ANNA, LIMITS), null);
  assertEquals(host.asked, []);
});

Deno.test("askWingetModule() searches the programs directory, and the profile if there is one", async () => {
  const looked = async (variables: Record<string, string>) => {
    const host = new WingetHost();
    host.environment.clear();
    for (const [name, value] of Object.entries(variables)) host.environment.set(name, value);
    const directories: string[] = [];
    host.files.list = (_, directory) => {
      directories.push(directory.replace("\\Microsoft.WinGet.Client", ""));
      return Promise.resolve([]);
    };
    await askWingetModule(host, ANNA, LIMITS);
    return directories;
  };
  assertEquals(await looked({}), [
    "C:\\Program Files\\WindowsPowerShell\\Modules",
    "C:\\Program Files\\PowerShell\\Modules",
    "C:\\Program Files\\PowerShell\\7\\Modules",
  ]);
  assertEquals(await looked({ ProgramFiles: "E:\\Programs", USERPROFILE: "C:\\Users\\anna" }), [
    "E:\\Programs\\WindowsPowerShell\\Modules",
    "C:\\Users\\anna\\Documents\\WindowsPowerShell\\Modules",
    "E:\\Programs\\PowerShell\\Modules",
    "E:\\Programs\\PowerShell\\7\\Modules",
    "C:\\Users\\anna\\Documents\\PowerShell\\Modules",
  ]);
});

Deno.test("parseWingetModule() quotes at most 300 characters of the error message", () => {
  const message = (length: number) =>
    assertThrows(
      () => parseWingetModule({ error: { message: "x".repeat(length) } }),
      ScanError,
    ).message;
  assertEquals(message(300), `Cannot ask Microsoft.WinGet.Client: ${"x".repeat(300)}`);
  assertEquals(message(301), `Cannot ask Microsoft.WinGet.Client: ${"x".repeat(295)}(cut)`);
});

Deno.test("parseWingetModule() has no source if the module returns none", () => {
  const update = { name: "a", id: "a.b", installed: "1", available: "2" };
  for (const source of [undefined, null, ""]) {
    const { updates } = parseWingetModule({ packages: 1, updates: [{ ...update, source }] });
    assertEquals(updates.map((one) => one.source), [null]);
  }
});
