import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { runScan } from "../../../src/scanners/run_scans.ts";
import { parseWinupdate } from "../../../src/scanners/winupdate/search.ts";
import {
  isNewer,
  packageNameOf,
  versionInTitle,
} from "../../../src/scanners/winupdate/identity.ts";
import { describeUpdates } from "../../../src/scanners/winupdate/updates.ts";
import { winupdateScanner } from "../../../src/scanners/winupdate.ts";
import { succeeded } from "../fixture.ts";
import { envelope, PowershellHost } from "../powershell/stub.ts";

type Fields = Record<string, unknown>;

const DEFINITIONS = [{ id: "e0789628-ce08-4437-be74-2495b842f43b" }];
const SECURITY = [{ id: "0fa1201d-4330-4fa8-8ae9-b877473b6441" }];
const DRIVERS = [{ id: "ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0" }];

let ids = 0;

/** An update with its own id: a new version has another id. */
function item(fields: Fields): Fields {
  const id = (ids++).toString(16).padStart(8, "0");
  return { id: `${id}-1111-2222-3333-444455556666`, revision: 1, title: "", ...fields };
}

function names(...items: Fields[]): string[] {
  const answer = parseWinupdate({ resultCode: 2, updates: items });
  return describeUpdates(answer).map((update) => update.package);
}

const definitions = (title: string, fields: Fields = {}) =>
  item({ title, kb: ["2267602"], categories: DEFINITIONS, ...fields });

const cumulative = (title: string, fields: Fields = {}) =>
  item({ title, kb: ["5070001"], categories: SECURITY, ...fields });

const driver = (title: string, fields: Fields = {}) =>
  item({
    title,
    type: 2,
    categories: DRIVERS,
    driver: WIFI,
    ...fields,
  });

const BARE = { provider: "", class: "", model: "", hardwareId: "" };

const WIFI = {
  provider: "Intel",
  class: "Net",
  model: "Intel(R) Wi-Fi 6 AX201",
  hardwareId: "PCI\\VEN_8086&DEV_A0F0",
};

/** The driver of one device, in any words. */
const wifi = (words: Fields) =>
  driver("Intel - Net - 23.30.0.6", { driver: { ...WIFI, ...words } });

const firmware = (model: string, hardwareId = "UEFI\\RES_{1}") =>
  driver(model, { driver: { provider: "HP", class: "Firmware", model, hardwareId } });

const edge = (channel: string, build: string, fields: Fields = {}) =>
  item({
    title:
      `Microsoft Edge-${channel} Channel Version ${build.split(".")[0]} update for x64 based ` +
      `Editions (Build ${build})`,
    ...fields,
  });

/** The updates of a host on two days: another version, another language, other updates. */
const TWO_DAYS: readonly [what: string, name: string, days: (() => Fields)[]][] = [
  ["definitions", "KB2267602", [
    () =>
      definitions(
        "Security Intelligence Update for Microsoft Defender Antivirus - KB2267602 " +
          "(Version 1.459.491.0) - Current Channel (Broad)",
      ),
    () =>
      definitions(
        "Security Intelligence-Update für Microsoft Defender Antivirus – KB2267602 " +
          "(Version 1.459.502.0) – Aktueller Kanal (allgemein)",
      ),
    () => definitions("Microsoft Defender ウイルス対策の更新 (バージョン 1.460.1.0)"),
    () => definitions("Defender KB2267602", { kb: [] }),
  ]],
  ["a cumulative update", "KB5070001", [
    () => cumulative("2026-11 Cumulative Update for Windows 11 Version 25H2 (KB5070001) (26200.1)"),
    () => cumulative("2026-11 Kumulatives Update für Windows 11 Version 25H2 (KB5070001)"),
    () => cumulative("", { revision: 7 }),
    () => cumulative("Mise à jour cumulative (KB5070001)", { kb: null }),
  ]],
  ["an update of two KB numbers", "KB5034440", [
    () => cumulative("Safe OS Update", { kb: ["5034441", "5034440"] }),
    () => cumulative("Safe-OS-Update", { kb: ["5034440", "5034441"] }),
    () => cumulative("", { kb: ["KB 5034441", "KB 5034440"] }),
    () => cumulative("", { kb: [" kb5034440", "KB-5034441", "KB5034440"] }),
  ]],
  ["an update whose KB number has a blank", "KB5034441", [
    () => cumulative("", { kb: ["KB 5034441"] }),
    () => cumulative("Update (KB 5034441)", { kb: [] }),
    () => cumulative("Mise à jour (KB5034441)", { kb: null }),
  ]],
  [
    "Edge, which has a title alone",
    "Microsoft Edge-Stable Channel Version update for x64 based Editions",
    [
      () => edge("Stable", "119.0.2151.58"),
      () => edge("Stable", "120.0.2210.61"),
      () => edge("Stable", "120.0.2210.77", { revision: 3, deployed: "2026-11-11T00:00:00Z" }),
    ],
  ],
  ["a feature update, which has a title alone", "Windows 11, version 25H2", [
    () => item({ title: "Windows 11, version 25H2" }),
    () => item({ title: "Windows 11, version 25H2", revision: 4 }),
    () => item({ title: "Windows 11, version 25H2 (26200.7171)" }),
  ]],
  ["a driver", "NET [PCI\\VEN_8086&DEV_A0F0]", [
    () => driver("Intel - Net - 22.250.1.2"),
    () => driver("Intel Netzwerk-Treiberupdate (23.10.0.8)"),
    () => driver("Intel - Net - 23.20.0.1", { revision: 9 }),
    () => wifi({ provider: "Intel Corporation" }),
    () => wifi({ model: "Intel(R) Wi-Fi 6E AX211 160MHz" }),
    () =>
      wifi({ provider: "INTEL", model: "", class: "net", hardwareId: "pci\\ven_8086&dev_a0f0" }),
  ]],
  ["firmware", "FIRMWARE [UEFI\\RES_{1}]", [
    () => firmware("HP Firmware 01.10.00"),
    () => firmware("HP Firmware 01.11.00"),
    () => firmware("HP System Firmware 02.00"),
  ]],
  ["a driver without a hardware id", "HP HP Firmware", [
    () => firmware("HP Firmware 01.10.00", ""),
    () => firmware("HP Firmware v1.11", ""),
  ]],
  ["a driver without data", "HP - Printer", [
    () => driver("HP - Printer - 1.2", { driver: null }),
    () => driver("HP - Printer - 10.0.19041.3", { driver: null, revision: 2 }),
    () => driver("HP - Printer (1.3.0)", { driver: BARE }),
  ]],
];

const NEIGHBOURS: readonly Fields[] = [
  item({ title: "Intel - Net - 22.250.1.2", categories: DRIVERS, type: 2 }),
  item({ title: "2026-11 Cumulative Update for .NET (KB5070002)", kb: ["5070002"] }),
  item({ title: "Security Intelligence Update for Microsoft Defender Antivirus - KB2267602" }),
];

for (const [what, name, days] of TWO_DAYS) {
  Deno.test(`packageNameOf() names ${what} the same on two days, in two languages and among other updates`, () => {
    const neighbours = fc.subarray([...NEIGHBOURS]);
    const day = fc.constantFrom(...days);
    fc.assert(fc.property(neighbours, day, day, fc.boolean(), (beside, one, other, isFirst) => {
      const alone = names(one());
      const both = names(...(isFirst ? [other(), ...beside] : [...beside, other()]));
      assertEquals(alone, [name]);
      assertEquals(both.filter((each) => each === name), [name]);
    }));
  });
}

/** Different updates, of each form of a name. */
const DIFFERENT: readonly (() => Fields)[] = [
  ...TWO_DAYS.flatMap(([, , [first]]) => first ? [first] : []),
  ...["Beta", "Dev", "Extended Stable"].map((channel) => () => edge(channel, "120.0.2210.61")),
  () => item({ title: "Windows 11, version 24H2" }),
  () => item({ title: "Windows 11, version 26H1 (28000.1)" }),
  () => item({ title: "Update for .NET 8.0.4" }),
  () => item({ title: "Update for .NET 6.0.29" }),
  () => item({ title: "Update for .NET Framework 4.8" }),
  () => item({ title: "Update for .NET Framework 3.5" }),
  () => wifi({ class: "Extension" }),
  () => wifi({ hardwareId: "PCI\\VEN_8086&DEV_A0F1" }),
  () => firmware("HP Firmware 01.10.00", "UEFI\\RES_{2}"),
  () => driver("HP - Scanner - 1.2", { driver: null }),
  () => cumulative("", { kb: ["5070009"] }),
];

Deno.test("packageNameOf() gives all updates of one answer different names", () => {
  fc.assert(fc.property(fc.subarray([...DIFFERENT], { minLength: 1 }), (some) => {
    const found = names(...some.map((make) => make()));
    assertEquals([found.length, new Set(found).size], [some.length, some.length], found.join("\n"));
  }));
});

Deno.test("describeUpdates() makes one update of two definitions, of the newest version", () => {
  const old = definitions("Defender (Version 1.459.99.0)", { deployed: "2026-11-20T00:00:00Z" });
  const recent = definitions("Defender (Version 1.459.491.0)", { deployed: "" });
  for (const updates of [[old, recent], [recent, old]]) {
    const found = describeUpdates(parseWinupdate({ resultCode: 2, updates }));
    assertEquals(found.map(({ package: name, availableVersion }) => [name, availableVersion]), [
      ["KB2267602", `${recent["id"]}.1`],
    ]);
    assertEquals(found[0]?.description, "Defender (Version 1.459.491.0).");
  }
});

Deno.test("packageNameOf() names updates without ids, without versions and localized words", () => {
  const rows: [Fields, string][] = [
    [driver("x", { driver: { ...BARE, hardwareId: "usb\\vid_1" } }), "USB\\VID_1"],
    [driver("x", { driver: { ...BARE, provider: "HP", class: "Printer" } }), "HP Printer"],
    [
      driver("Printer 1.2", { id: "abcdef01-1111-2222-3333-444455556666", driver: null }),
      "Update abcdef01",
    ],
    // A product or a version of one: unknown.
    [
      item({ id: "abcdef04-1111-2222-3333-444455556666", title: "Update for .NET 8.0.4" }),
      "Update abcdef04",
    ],
    [
      item({ id: "{ABCDEF02-1111-2222-3333-444455556666}", title: "Version 1.2.3" }),
      "Update abcdef02",
    ],
    [item({ title: "Signaturen 1.2.3", categories: DEFINITIONS }), "Definition updates"],
    [
      item({
        title: "Fix (KB5070003), replaces KB5070004",
        id: "abcdef03-1111-2222-3333-444455556666",
      }),
      "Update abcdef03",
    ],
  ];
  for (const [fields, name] of rows) assertEquals(names(fields), [name]);
});

Deno.test("packageNameOf() returns at most 300 characters of a driver's name", () => {
  const named = (length: number) => {
    const [name = ""] = names(
      driver("x", {
        driver: { provider: "", class: "", model: "x".repeat(length), hardwareId: "" },
      }),
    );
    return name;
  };
  assertEquals(named(300), "x".repeat(300));
  assertEquals(named(301), `${"x".repeat(295)}(cut)`);
});

Deno.test("packageNameOf() reads a KB number in a title in any case, but not in that of a driver", () => {
  assertEquals(names(item({ title: "Fix (kb5070003)" })), ["KB5070003"]);
  const [name] = names(driver("Intel - Net (KB5070003)"));
  assertEquals(name, "NET [PCI\\VEN_8086&DEV_A0F0]");
});

Deno.test("versionInTitle() finds a version in brackets after any word", () => {
  assertEquals(versionInTitle("A (Version 1.459.491.0) - Current Channel (Broad)"), [
    1,
    459,
    491,
    0,
  ]);
  assertEquals(versionInTitle("更新 (バージョン 1.2.3)"), [1, 2, 3]);
  assertEquals(versionInTitle("A (1809)"), null);
});

Deno.test("isNewer() is a total order", () => {
  const one = fc.record({
    title: fc.constantFrom("", "a (v 1.2.3)", "a (v 1.10.0)", "b (v 1.2)"),
    deployed: fc.constantFrom("", "2026-11-10T00:00:00Z", "2026-11-11T00:00:00Z"),
    revision: fc.nat(2),
  });
  fc.assert(fc.property(one, one, (a, b) => {
    const read = (fields: Fields) =>
      parseWinupdate({ resultCode: 2, updates: [item(fields)] }).updates[0];
    const [first, second] = [read(a), read(b)];
    if (!first || !second) throw new Error("not read");
    assertEquals(isNewer(first, second), !isNewer(second, first));
    assertEquals(isNewer(first, first), false, "nothing is newer than itself");
    assertEquals(packageNameOf(first).startsWith("Update "), true);
  }));
});

Deno.test("isNewer() compares the version, then the day, the revision and the id", () => {
  const newestFirst = [
    { title: "a (v 2.0.0)", deployed: "", revision: 0 },
    { title: "a (v 1.10.0.1)", deployed: "", revision: 0 },
    { title: "a (v 1.10.0)", deployed: "", revision: 0 },
    { title: "a (v 1.9.30)", deployed: "2026-11-11T00:00:00Z", revision: 1 },
    { title: "a (v 1.9.30)", deployed: "2026-11-10T00:00:00Z", revision: 3 },
    { title: "a (v 1.9.30)", deployed: "2026-11-10T00:00:00Z", revision: 2 },
    { title: "a (v 1.9.30)", deployed: "2026-11-10T00:00:00Z", revision: 2 },
  ].map((fields) => item(fields));
  const { updates } = parseWinupdate({ resultCode: 2, updates: newestFirst });
  for (const [at, one] of updates.entries()) {
    for (const [index, other] of updates.entries()) {
      assertEquals(isNewer(one, other), at < index, `${at} and ${index}`);
    }
  }
  const [untitled, titled] = parseWinupdate({
    resultCode: 2,
    updates: [
      item({ title: "a", deployed: "2026-11-11T00:00:00Z" }),
      item({ title: "a (v 9.0.0)", deployed: "2026-11-10T00:00:00Z" }),
    ],
  }).updates;
  assertEquals(untitled && titled && isNewer(untitled, titled), true, "only one has a version");
});

Deno.test("scanners.ignore matches Defender's definitions by their KB number and by their title", async () => {
  const json = JSON.stringify({
    resultCode: 2,
    updates: [definitions("Security Intelligence Update for Microsoft Defender"), cumulative("x")],
  });
  for (const pattern of ["KB2267602", "winupdate:kb2267602", "Security Intelligence*"]) {
    const host = new PowershellHost(succeeded(envelope(json)));
    const { updates } = await runScan(host, winupdateScanner(), { ignore: [pattern] });
    assertEquals(updates.map(({ package: name, state }) => [name, state]), [
      ["KB5070001", "upgradable"],
      ["KB2267602", "ignored"],
    ]);
  }
});
