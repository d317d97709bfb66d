import { assert, assertEquals } from "@std/assert";
import { parseWinupdate } from "../../../src/scanners/winupdate/search.ts";
import {
  describeGaps,
  describeNotes,
  describeUpdates,
} from "../../../src/scanners/winupdate/updates.ts";
import { encodeUpdate } from "../../../src/server/update_item.ts";
import type { Update } from "../../../src/update.ts";
import { readFixture } from "../fixture.ts";

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

Deno.test("describeUpdates() adds the day of a valid instant only", () => {
  const day = (deployed: string) => describe({ deployed, description: "" }).description;
  assertEquals(day("2026-11-10T00:00:00Z"), "A title. Published 2026-11-10.");
  for (
    const odd of ["", "2026-11-10", "on 2026-11-10T00:00", "26-11-10T00:00", "2026-11-1T00:00"]
  ) {
    assertEquals(day(odd), "A title.", odd);
  }
});

Deno.test("describeUpdates() returns all data of the agent", () => {
  const [cumulative, definitions] = describeUpdates(read("two.json"));
  assertEquals(cumulative, {
    package: "KB5070001",
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
    description: "2026-11 Cumulative Update for Windows 11 Version 25H2 for x64-based Systems " +
      "(KB5070001). Published 2026-11-10. The size is the most that it may be.",
    titles: [
      "2026-11 Cumulative Update for Windows 11 Version 25H2 for x64-based Systems (KB5070001)",
    ],
    sourcePackage: null,
    reboot: "maybe",
  });
  assertEquals(
    [definitions?.source, definitions?.security, definitions?.reboot],
    ["Windows Update/definitions", false, "never"],
  );
  // Their version changes several times a day, and the server has one row per name.
  assertEquals(
    [definitions?.package, definitions?.description],
    [
      "KB2267602",
      "Security Intelligence-Update für Microsoft Defender Antivirus – KB2267602 " +
      "(Version 1.421.100.0). The size is the most that it may be.",
    ],
  );
});

Deno.test("describeUpdates() reads answers from public reports", () => {
  const answer = read("reported.json");
  assertEquals(
    describeUpdates(answer).map((update) =>
      `${update.package} | ${update.source} | ${update.security} ${update.reboot} ` +
      `${update.advisories}`
    ),
    [
      "KB4601345 | Microsoft Update/security | true maybe KB4601345",
      "KB4592449 | Microsoft Update/upgrades | false required KB4592449",
      "KB2267602 | Microsoft Update/definitions | false never KB2267602",
      "KB5007651 | Microsoft Update/updates | false never KB5007651",
      "SYSTEM [PCI\\VEN_14E4&DEV_0001] | Microsoft Update/drivers " +
      "| false null ",
      "NET [PCI\\VEN_14E4&DEV_16D7] | Microsoft Update/drivers " +
      "| false null ",
      "Update 98e5d323 | Microsoft Update/updates | false never ",
    ],
  );
  assertEquals(describeGaps(answer), ["Updates that could not be read: 1"]);
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

Deno.test("describeUpdates() derives no severity or security from a title", () => {
  const update = describe({ title: "Critical security update for OpenSSL" });
  assertEquals([update.severity, update.security], [null, false]);
});

Deno.test("describeUpdates() derives security from categories and CVEs only", () => {
  assertEquals(describe({ cves: ["cve-2026-12345", "junk"] }).cves, ["CVE-2026-12345"]);
  assertEquals(describe({ cves: ["CVE-2026-12345"] }).security, true);
  assertEquals(describe({ cves: ["cve-2026-12345"] }).security, true);
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
  assertEquals(describe({ deployment: 4 }).state, "explicit_only");
  assertEquals(describe({ deployment: 1 }).state, "upgradable");
});

Deno.test("describeUpdates() has a size only if there is one, and calls it an upper bound", () => {
  const rows: readonly [unknown, number | null][] = [
    ["", null],
    [null, null],
    ["0", null],
    ["-5", null],
    ["1e9", null],
    ["17000000000", 17_000_000_000],
    ["17.00", 17],
    ["1", 1],
    ["1000000000000000", 1e15],
    ["1000000000000001", null],
    ["9".repeat(400), null],
  ];
  for (const [maxDownloadSize, sizeBytes] of rows) {
    const update = describe({ maxDownloadSize });
    const note = sizeBytes === null ? "" : " The size is the most that it may be.";
    assertEquals([update.sizeBytes, update.description], [sizeBytes, `A title.${note}`]);
  }
});

Deno.test("describeUpdates() merges updates of one KB number, with the worst values", () => {
  const security = [{ id: "0fa1201d-4330-4fa8-8ae9-b877473b6441" }];
  const updates = [
    {
      ...PLAIN,
      id: PLAIN.id.replace(/^\w+/, "bbbbbbbb"),
      title: "2026-11 .NET 8 (KB5070010)",
      severity: "Moderate",
      cves: ["CVE-2026-1001"],
      maxDownloadSize: "100",
      rebootBehavior: 0,
      browseOnly: true,
      categories: security,
    },
    {
      ...PLAIN,
      id: PLAIN.id.replace(/^\w+/, "aaaaaaaa"),
      title: "2026-11 .NET 9 (KB5070010)",
      severity: "Critical",
      cves: ["CVE-2026-1002", "CVE-2026-1001"],
      maxDownloadSize: "20",
      rebootBehavior: 2,
    },
  ].map((item) => ({ ...item, kb: ["5070010"] }));
  const both = [updates, updates.toReversed()].map((all) =>
    describeUpdates(parseWinupdate({ resultCode: 2, updates: all }))
  );
  for (const found of both) {
    assertEquals(found.length, 1);
    const [update] = found;
    assertEquals(
      [update?.package, update?.severity, update?.severityReason, update?.security],
      ["KB5070010", "critical", 'MsrcSeverity is "Critical"', true],
    );
    assertEquals([update?.cves.toSorted(), update?.sizeBytes, update?.reboot, update?.state], [
      ["CVE-2026-1001", "CVE-2026-1002"],
      120,
      "maybe",
      "upgradable",
    ]);
    assert(update?.description?.includes(".NET 8") && update.description.includes(".NET 9"));
    assertEquals(update?.availableVersion, both[0]?.[0]?.availableVersion);
  }
});

Deno.test("describeUpdates() names an update without a title, and lists the titles of the others", () => {
  assertEquals(describe({ title: " ", kb: ["KB5001"] }).package, "KB5001");
  assertEquals(describe({ title: "" }).package, "Update 6f2c1d0e");
  assertEquals(describe({ kb: ["5001", "5002"] }).package, "KB5001");
  assertEquals(describe({ kb: ["5001", "5002"] }).advisories, ["KB5001", "KB5002"]);
  assertEquals(describe({ kb: ["5001"] }).description, "A title.");
  assertEquals(describe({ bulletins: ["MS17-010", "x"] }).advisories, ["MS17-010"]);
});

Deno.test("describeUpdates() names the source", () => {
  const sources: readonly [string, string][] = [
    ["wsus", "WSUS/updates"],
    ["", "Windows Update/updates"],
    ["9482F4B4-E343-43B6-B170-9A65BC822C77", "Windows Update/updates"],
    ["7971f918-a847-4430-9279-4a52d1efe18d", "Microsoft Update/updates"],
    ["constructor", "constructor/updates"],
  ];
  for (const [source, expected] of sources) assertEquals(describe({}, { source }).source, expected);
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
  assertEquals(package_name, "Update 6f2c1d0e");
  assertEquals(available_version, `${PLAIN.id.toLowerCase()}.${Number.MAX_SAFE_INTEGER}`);
});

Deno.test("describeGaps() counts unreadable updates only", () => {
  assertEquals(describeGaps(read("none.json")), []);
  assertEquals(describeGaps(read("wsus_incomplete.json")), []);
  assertEquals(describeGaps(read("reported.json")), ["Updates that could not be read: 1"]);
});

Deno.test("describeNotes() explains an empty list of WSUS, and what was not searched", () => {
  const wsus = (updates: unknown[]) => parseWinupdate({ resultCode: 2, source: "wsus", updates });
  assertEquals(describeNotes(wsus([PLAIN])), []);
  assertEquals(describeNotes(read("none.json")), []);
  const approved = "The host asks a WSUS server, which lists only updates that were approved there";
  assertEquals(describeNotes(wsus([])), [approved]);
  assertEquals(describeNotes(read("wsus_incomplete.json")), [
    approved,
    "Windows needs a restart: until then its list may not be complete",
  ]);
  assertEquals(describeNotes(parseWinupdate({ resultCode: 2, updates: [], optional: false })), [
    "This Windows Update Agent cannot be asked for updates that are offered as optional",
  ]);
});

Deno.test("describeUpdates() returns at most 300 whole characters of a title", () => {
  const titled = (title: string) => describe({ title }).description?.match(/x+\ufffd?/)?.[0];
  assertEquals(titled("x".repeat(300)), "x".repeat(300));
  assertEquals(titled("x".repeat(301)), "x".repeat(300));
  assertEquals(titled(`${"x".repeat(299)}\u{1f600}`), `${"x".repeat(299)}\ufffd`);
  assertEquals(describe({ title: `${"x".repeat(299)} y` }).description, `${"x".repeat(299)}.`);
});

Deno.test("describeUpdates() accepts only exact ids of CVEs, bulletins and articles", () => {
  const { cves } = describe({
    cves: [
      ...["xCVE-2026-12345", "CVE-2026-12345x", "CVE-2026-123", "CVE-26-12345"],
      ...["CVE-2026-12345678901", "CVE-2026-1234", "CVE-2026-1234567890"],
    ],
  });
  assertEquals(cves, ["CVE-2026-1234", "CVE-2026-1234567890"]);
  const bulletins = ["xMS17-010", "MS17-010x", "MS17-01", "MS17-010"];
  assertEquals(describe({ bulletins }).advisories, ["MS17-010"]);
  const kb = ["x5001", "50KB01", "5001x", "123", "1234", "123456789", "1234567890", "kb5002"];
  assertEquals(describe({ kb }).advisories, ["KB1234", "KB5002", "KB123456789"]);
});

Deno.test("describeUpdates() truncates a description to 500 characters", () => {
  const { description } = describe({ description: "x".repeat(600) });
  assertEquals(description, `A title. ${"x".repeat(500)}`);
});

/** Several updates of one KB number, which become one. */
function describeAll(all: readonly Record<string, unknown>[]): Update {
  const updates = all.map((fields, index) => ({
    ...PLAIN,
    id: PLAIN.id.replace(/^\w+/, index.toString(16).padStart(8, "0")),
    kb: ["5070010"],
    ...fields,
  }));
  const [update, ...others] = describeUpdates(parseWinupdate({ resultCode: 2, updates }));
  if (!update || others.length > 0) throw new Error("not one update");
  return update;
}

Deno.test("describeUpdates() lists five titles of one KB number, and counts the others", () => {
  const titles = ["a", "b", "c", "d", "e", "f", "g"].map((title) => ({ title }));
  const described = (count: number) => describeAll(titles.slice(0, count)).description;
  assertEquals(described(5), "a; b; c; d; e.");
  assertEquals(described(6), "a; b; c; d; e and 1 more.");
  assertEquals(described(7), "a; b; c; d; e and 2 more.");
});

Deno.test("describeUpdates() quotes at most 40 characters of an unknown severity", () => {
  const reason = (length: number) => describe({ severity: "x".repeat(length) }).severityReason;
  assertEquals(reason(40), `MsrcSeverity is "${"x".repeat(40)}"`);
  assertEquals(reason(41), `MsrcSeverity is "${"x".repeat(35)}(cut)"`);
});

Deno.test("describeUpdates() uses the worst severity, and the first word if all are unknown", () => {
  const severities = (...words: string[]) => {
    const { severity, severityReason } = describeAll(words.map((severity) => ({ severity })));
    return [severity, severityReason];
  };
  const low = ["low", 'MsrcSeverity is "Low"'];
  assertEquals(severities("", "Low"), low);
  assertEquals(severities("Low", "Unspecified"), low);
  assertEquals(severities("Moderate", "IMPORTANT", "Low"), [
    "important",
    'MsrcSeverity is "IMPORTANT"',
  ]);
  assertEquals(severities("", "Unspecified"), [null, "MsrcSeverity is empty"]);
});

Deno.test("describeUpdates() uses the worst reboot hint, and unknown is worse than never", () => {
  const reboot = (...numbers: (number | null)[]) =>
    describeAll(numbers.map((rebootBehavior) => ({ rebootBehavior }))).reboot;
  const [never, required, maybe] = [0, 1, 2];
  assertEquals(reboot(never, never), "never");
  assertEquals([reboot(never, null), reboot(null, never)], [null, null]);
  assertEquals([reboot(never, 7), reboot(7, never)], [null, null]);
  assertEquals([reboot(null, maybe), reboot(maybe, null)], ["maybe", "maybe"]);
  assertEquals([reboot(maybe, required), reboot(required, maybe)], ["required", "required"]);
});

Deno.test("describeUpdates() has no description without titles and sizes", () => {
  assertEquals(describe({ title: "" }).description, null);
  assertEquals(describeAll([{ title: "" }, { title: "b" }]).description, "b.");
  const note = " The size is the most that it may be.";
  for (const sizes of [["7", ""], ["", "7"], ["7", "7"]]) {
    const all = sizes.map((maxDownloadSize) => ({ title: "a", maxDownloadSize }));
    assertEquals(describeAll(all).description, `a.${note}`);
  }
});

Deno.test("describeUpdates() ends titles with a full stop unless they are sentences", () => {
  const described = (title: string) => describe({ title }).description;
  assertEquals(["a", "a.", "a!", "a?", "\u66f4\u65b0\u3002", "a.b"].map(described), [
    "a.",
    "a.",
    "a!",
    "a?",
    "\u66f4\u65b0\u3002",
    "a.b.",
  ]);
});
