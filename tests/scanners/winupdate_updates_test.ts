import { assertEquals } from "@std/assert";
import type { Update } from "../../src/scanners/scanner.ts";
import { parseWinupdate } from "../../src/scanners/winupdate_answer.ts";
import { describeUpdates, tellGaps, tellLimits } from "../../src/scanners/winupdate_updates.ts";
import { encodeUpdate } from "../../src/server/update_item.ts";
import { readFixture } from "./fixture.ts";

function read(name: string) {
  return parseWinupdate(JSON.parse(readFixture("winupdate", name)));
}

const PLAIN = {
  id: "6F2C1D0E-3A57-4B65-9C7E-0D1F2A3B4C5D",
  revision: 3,
  title: "A title",
  categories: [{ id: "cd5ffd1e-e932-4e3a-bf74-18bf0b1bbd83" }],
};

/** One update with these fields, in an answer with those. */
function describe(fields: Record<string, unknown>, answer: Record<string, unknown> = {}): Update {
  const value = { resultCode: 2, ...answer, updates: [{ ...PLAIN, ...fields }] };
  const [update] = describeUpdates(parseWinupdate(value));
  if (!update) throw new Error("no update");
  return update;
}

Deno.test("describeUpdates() tells the day of an instant, and of nothing else", () => {
  const day = (deployed: string) => describe({ deployed, description: "" }).description;
  assertEquals(day("2026-11-10T00:00:00Z"), "Published 2026-11-10.");
  for (
    const odd of ["", "2026-11-10", "on 2026-11-10T00:00", "26-11-10T00:00", "2026-11-1T00:00"]
  ) {
    assertEquals(day(odd), null, odd);
  }
});

Deno.test("describeUpdates() tells all that the agent tells", () => {
  const [cumulative, definitions] = describeUpdates(read("two.json"));
  assertEquals(cumulative, {
    package:
      "2026-11 Cumulative Update for Windows 11 Version 25H2 for x64-based Systems (KB5070001)",
    currentVersion: null,
    availableVersion: "6f2c1d0e-3a57-4b65-9c7e-0d1f2a3b4c5d.200",
    architecture: null,
    source: "Windows Update/security",
    state: "upgradable",
    severity: null,
    severityReason: "MsrcSeverity is empty",
    security: true,
    cves: [],
    advisories: ["KB5070001"],
    sizeBytes: 96_636_764_160,
    description: "Published 2026-11-10. The size is the most that it may be.",
    sourcePackage: null,
    reboot: "maybe",
  });
  assertEquals(
    [definitions?.source, definitions?.security, definitions?.reboot],
    ["Windows Update/definitions", false, "never"],
  );
  // Their version changes several times a day, and the server has a row a name.
  assertEquals(
    [definitions?.package, definitions?.description],
    [
      "Security Intelligence-Update für Microsoft Defender Antivirus – KB2267602",
      "Version 1.421.100.0. The size is the most that it may be.",
    ],
  );
});

Deno.test("describeUpdates() reads what hosts were reported to tell", () => {
  const answer = read("reported.json");
  assertEquals(
    describeUpdates(answer).map((update) =>
      `${update.package} | ${update.source} | ${update.security} ${update.reboot} ` +
      `${update.advisories}`
    ),
    [
      "2021-02 Cumulative Update for Windows Server 2019 (1809) for x64-based Systems (KB4601345) " +
      "| Microsoft Update/security | true maybe KB4601345",
      "KB4592449 | Microsoft Update/upgrades | false required KB4592449",
      "Security Intelligence Update for Microsoft Defender Antivirus - KB2267602 " +
      "| Microsoft Update/definitions | false never KB2267602",
      "Update for Windows Security platform - KB5007651 (Version 1.0.2207.20002) " +
      "| Microsoft Update/updates | false never KB5007651",
      "Broadcom Inc. - System - 9.8.18.1 | Microsoft Update/drivers | false null ",
      "Broadcom Inc. - Net - 1.9.19.0 | Microsoft Update/drivers | false null ",
      "Update - .Net Framework 4.8.0 | Microsoft Update/updates | false never ",
    ],
  );
  assertEquals(tellGaps(answer), ["Updates that could not be read: 1"]);
});

const SEVERITIES: readonly [string, Update["severity"], string][] = [
  ["", null, "MsrcSeverity is empty"],
  ["Unspecified", null, 'MsrcSeverity is "Unspecified"'],
  ["Critical", "critical", 'MsrcSeverity is "Critical"'],
  ["Important", "important", 'MsrcSeverity is "Important"'],
  ["Moderate", "moderate", 'MsrcSeverity is "Moderate"'],
  ["Low", "low", 'MsrcSeverity is "Low"'],
  ["constructor", null, 'MsrcSeverity is "constructor"'],
];

for (const [word, severity, severityReason] of SEVERITIES) {
  Deno.test(`describeUpdates() reads the severity "${word}"`, () => {
    const update = describe({ severity: word });
    assertEquals([update.severity, update.severityReason], [severity, severityReason]);
  });
}

Deno.test("describeUpdates() never takes a title for a severity or for security", () => {
  const update = describe({ title: "Critical security update for OpenSSL" });
  assertEquals([update.severity, update.security], [null, false]);
});

Deno.test("describeUpdates() knows security by category and by CVE, or not at all", () => {
  assertEquals(describe({ cves: ["cve-2026-12345", "junk"] }).cves, ["CVE-2026-12345"]);
  assertEquals(describe({ cves: ["CVE-2026-12345"] }).security, true);
  assertEquals(describe({ cves: ["junk"] }).security, false);
  assertEquals(describe({ categories: [] }).security, null);
});

Deno.test("describeUpdates() reads the reboot behaviour, or has none", () => {
  const rows: readonly [unknown, Update["reboot"]][] = [
    [0, "never"],
    [1, "required"],
    [2, "maybe"],
    [3, null],
    [-1, null],
    [0.5, null],
    [null, null],
  ];
  for (const [rebootBehavior, reboot] of rows) {
    assertEquals(describe({ rebootBehavior }).reboot, reboot, String(rebootBehavior));
  }
});

Deno.test("describeUpdates() marks what is optional", () => {
  assertEquals(describe({ browseOnly: true }).state, "explicit_only");
  assertEquals(describe({ browseOnly: false }).state, "upgradable");
});

Deno.test("describeUpdates() has a size only where there is one, and calls it a bound", () => {
  const rows: readonly [unknown, number | null][] = [
    ["", null],
    [null, null],
    ["0", null],
    ["-5", null],
    ["1e9", null],
    ["17000000000", 17_000_000_000],
    ["17.00", 17],
    ["1000000000000000", 1e15],
    ["1000000000000001", null],
    ["9".repeat(400), null],
  ];
  for (const [maxDownloadSize, sizeBytes] of rows) {
    const update = describe({ maxDownloadSize });
    const note = sizeBytes === null ? null : "The size is the most that it may be.";
    assertEquals([update.sizeBytes, update.description], [sizeBytes, note]);
  }
});

Deno.test("describeUpdates() tells updates of one title apart, and only those", () => {
  const ids = ["aaaaaaaa", "bbbbbbbb", "cccccccc"];
  const updates = ids.map((id, index) => ({
    ...PLAIN,
    id: PLAIN.id.replace(/^\w+/, id),
    title: index < 2 ? "Intel - net - 1.2" : "Intel - net - 1.3",
  }));
  const names = describeUpdates(parseWinupdate({ resultCode: 2, updates }))
    .map((update) => update.package);
  assertEquals(names, [
    "Intel - net - 1.2 [aaaaaaaa]",
    "Intel - net - 1.2 [bbbbbbbb]",
    "Intel - net - 1.3",
  ]);
});

Deno.test("describeUpdates() names an update without a title, and one whose title lacks its KB", () => {
  assertEquals(describe({ title: " ", kb: ["KB5001"] }).package, "KB5001");
  assertEquals(describe({ title: "" }).package, `Update ${PLAIN.id}`);
  assertEquals(describe({ kb: ["5001", "5002"] }).package, "A title (KB5001)");
  assertEquals(describe({ kb: ["5001", "5002"] }).advisories, ["KB5001", "KB5002"]);
  assertEquals(describe({ bulletins: ["MS17-010", "x"] }).advisories, ["MS17-010"]);
});

Deno.test("describeUpdates() says who was asked", () => {
  const sources: readonly [string, string][] = [
    ["wsus", "WSUS/updates"],
    ["", "Windows Update/updates"],
    ["9482F4B4-E343-43B6-B170-9A65BC822C77", "Windows Update/updates"],
    ["7971f918-a847-4430-9279-4a52d1efe18d", "Microsoft Update/updates"],
    ["constructor", "constructor/updates"],
  ];
  for (const [source, told] of sources) assertEquals(describe({}, { source }).source, told);
});

Deno.test("the server's item has the KB and a version, which the server requires", () => {
  const [update] = describeUpdates(read("two.json"));
  if (!update) throw new Error("no update");
  const item = encodeUpdate(update, "windows_update", "x86_64");
  assertEquals(
    [item.package_type, item.kb_id, item.available_version, item.severity],
    [
      "windows_update",
      "KB5070001",
      "6f2c1d0e-3a57-4b65-9c7e-0d1f2a3b4c5d.200",
      "important",
    ],
  );
  assertEquals(item.metadata["reboot"], "maybe");
  const least = describe({ id: `{${PLAIN.id}}`, revision: Number.MAX_SAFE_INTEGER, title: "" });
  const { package_name, available_version } = encodeUpdate(least, "windows_update", "x86_64");
  assertEquals(package_name, `Update {${PLAIN.id}}`);
  assertEquals(available_version, `${PLAIN.id.toLowerCase()}.${Number.MAX_SAFE_INTEGER}`);
});

Deno.test("tellGaps() has a sentence for whatever makes a list doubtful", () => {
  assertEquals(tellGaps(read("none.json")), []);
  assertEquals(tellGaps(read("wsus_incomplete.json")), [
    "Windows Update could not search everything: the update server did not answer in time " +
    "(0x8024401C)",
    "Windows waits for a restart: until then it may not tell of every update",
  ]);
});

Deno.test("tellLimits() says of an empty list of WSUS whose it is", () => {
  const wsus = (updates: unknown[]) => parseWinupdate({ resultCode: 2, source: "wsus", updates });
  assertEquals(tellLimits(wsus([PLAIN])), []);
  assertEquals(tellLimits(read("none.json")), []);
  assertEquals(tellLimits(wsus([])), [
    "The host asks a WSUS server, which tells only of updates that were approved there",
  ]);
});

Deno.test("describeUpdates() tells at most 300 characters of a title, and no half one", () => {
  const name = (title: string) => describe({ title }).package;
  assertEquals(name("x".repeat(300)), "x".repeat(300));
  assertEquals(name("x".repeat(301)), "x".repeat(300));
  assertEquals(name(`${"x".repeat(299)}\u{1f600}`), `${"x".repeat(299)}\ufffd`);
  assertEquals(name(`${"x".repeat(299)} y`), "x".repeat(299));
});

Deno.test("describeUpdates() takes nothing for a CVE, a bulletin or an article that only holds one", () => {
  const { cves } = describe({
    cves: [
      ...["xCVE-2026-12345", "CVE-2026-12345x", "CVE-2026-123", "CVE-26-12345"],
      ...["CVE-2026-12345678901", "CVE-2026-1234", "CVE-2026-1234567890"],
    ],
  });
  assertEquals(cves, ["CVE-2026-1234", "CVE-2026-1234567890"]);
  const bulletins = ["xMS17-010", "MS17-010x", "MS17-01", "MS17-010"];
  assertEquals(describe({ bulletins }).advisories, ["MS17-010"]);
  const kb = ["x5001", "5001x", "123", "1234", "123456789", "1234567890", "kb5002"];
  assertEquals(describe({ kb }).advisories, ["KB1234", "KB123456789", "KB5002"]);
});
