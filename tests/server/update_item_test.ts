import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { encodeBody } from "../../src/server/limits.ts";
import { closesAbsent, encodeUpdate, removedItem } from "../../src/server/update_item.ts";
import type { Update } from "../../src/update.ts";
import { assertStorable } from "../fakes/storable.ts";
import { anyText } from "../fakes/texts.ts";

const openssl: Update = {
  package: "libssl3",
  currentVersion: "3.0.19-1~deb12u2",
  availableVersion: "3.0.22-1~deb12u2",
  architecture: "amd64",
  source: "Debian-Security:12/oldstable-security",
  state: "upgradable",
  severity: null,
  severityReason: "apt does not tell",
  security: true,
  cves: [],
  advisories: [],
  sizeBytes: 2_022_532,
  description: null,
  sourcePackage: "openssl",
  reboot: null,
};

Deno.test("encodeUpdate() writes an update with the server's field names", () => {
  assertEquals(encodeUpdate(openssl, "apt", "x86_64"), {
    package_type: "apt",
    package_name: "libssl3",
    package_description: "",
    current_version: "3.0.19-1~deb12u2",
    available_version: "3.0.22-1~deb12u2",
    severity: "important",
    cve_list: [],
    kb_id: "",
    repository_source: "Debian-Security:12/oldstable-security",
    size_bytes: 2_022_532,
    metadata: {
      architecture: "amd64",
      source_package: "openssl",
      size_bytes: 2_022_532,
      security: true,
      state: "upgradable",
      severity_reason: "apt does not tell; security by rule",
    },
  });
});

Deno.test("encodeUpdate() maps every severity to one of four", () => {
  const rows = [
    ["critical", null, "critical"],
    ["low", true, "low"],
    [null, true, "important"],
    ["low", false, "low"],
    [null, false, "moderate"],
    [null, null, "moderate"],
  ] as const;
  for (const [severity, security, expected] of rows) {
    assertEquals(
      encodeUpdate({ ...openssl, severity, security }, "apt", "x86_64").severity,
      expected,
    );
  }
});

Deno.test("encodeUpdate() gives a package for another processor its qualified name", () => {
  const rows = [
    ["apt", "amd64", "x86_64", "libssl3"],
    ["apt", "all", "x86_64", "libssl3"],
    ["apt", null, "x86_64", "libssl3"],
    ["apt", "i386", "x86_64", "libssl3:i386"],
    ["apt", "arm64", "aarch64", "libssl3"],
    ["apt", "amd64", "aarch64", "libssl3:amd64"],
    ["apt", "loong64", "loong64", "libssl3"],
    ["dnf", "x86_64", "x86_64", "libssl3"],
    ["dnf", "noarch", "x86_64", "libssl3"],
    ["dnf", "i686", "x86_64", "libssl3.i686"],
    ["winget", "x86", "x86_64", "libssl3"],
  ] as const;
  for (const [packageType, architecture, machine, expected] of rows) {
    const item = encodeUpdate({ ...openssl, architecture }, packageType, machine);
    assertEquals(item.package_name, expected, `${packageType} ${architecture} on ${machine}`);
  }
});

Deno.test("encodeUpdate() puts fields without a column into the metadata", () => {
  const update = {
    ...openssl,
    cves: ["CVE-2026-1"],
    advisories: ["DSA-1-1"],
    description: "TLS",
    reboot: "maybe",
  } as const;
  const { metadata } = encodeUpdate(update, "apt", "x86_64");
  assertEquals(
    [metadata["cves"], metadata["advisories"], metadata["description"], metadata["reboot"]],
    [["CVE-2026-1"], ["DSA-1-1"], "TLS", "maybe"],
  );
});

Deno.test("encodeUpdate() sends 500 CVEs and 2,000 characters of a description at most", () => {
  const update = {
    ...openssl,
    cves: Array.from({ length: 501 }, (_, n) => `CVE-2026-${1_000 + n}`),
    description: "x".repeat(2_001),
  };
  const item = encodeUpdate(update, "apt", "x86_64");
  assertEquals(item.cve_list, update.cves.slice(0, 500));
  assertEquals(item.metadata["cves"], update.cves.slice(0, 500));
  assertEquals(item.package_description, update.description.slice(1));
  assertEquals(item.metadata["description"], update.description.slice(1));
});

Deno.test("removedItem() is a valid item that is unimportant", () => {
  assertEquals(removedItem("dnf", "curl", "8.1-2"), {
    package_type: "dnf",
    package_name: "curl",
    package_description: "",
    current_version: "",
    available_version: "8.1-2",
    severity: "low",
    cve_list: [],
    kb_id: "",
    repository_source: "",
    size_bytes: 0,
    metadata: { state: "gone", severity_reason: "no longer waiting on this host" },
  });
});

Deno.test("encodeUpdate() finds the KB among the advisories", () => {
  const kb = (...advisories: string[]) =>
    encodeUpdate({ ...openssl, advisories }, "windows_update", "x86_64").kb_id;
  assertEquals(kb("MS26-001", "KB5070001"), "KB5070001");
  assertEquals(kb("kb5"), "kb5");
  assertEquals(kb("KB5 and more", "xKB5", "KB"), "");
});

Deno.test("encodeUpdate() has a value for everything that is unknown", () => {
  const bare = { ...openssl, currentVersion: null, source: null, sizeBytes: null };
  const item = encodeUpdate({ ...bare, sourcePackage: null, security: null }, "apt", "x86_64");
  assertEquals([item.current_version, item.repository_source, item.size_bytes], ["", "", 0]);
  assertEquals(item.metadata, {
    architecture: "amd64",
    state: "upgradable",
    severity_reason: "apt does not tell; not security by rule",
  });
});

/** Characters as PostgreSQL counts them. */
function length(text: string | undefined): number {
  return [...text ?? ""].length;
}

const WIDTHS = [
  ["package_name", "package", 500],
  ["package_description", "description", 2_000],
  ["current_version", "currentVersion", 1_000],
  ["available_version", "availableVersion", 1_000],
  ["repository_source", "source", 1_000],
] as const;

for (const [column, field, limit] of WIDTHS) {
  Deno.test(`encodeUpdate() sends a ${column} of ${limit} characters, and cuts one more`, () => {
    for (const letter of ["x", "😀"]) {
      for (const [given, sent] of [[limit, limit], [limit + 1, limit]] as const) {
        const update = { ...openssl, [field]: letter.repeat(given) };
        assertEquals(length(encodeUpdate(update, "apt", "x86_64")[column]), sent);
      }
    }
  });
}

Deno.test("encodeUpdate() sends a KB number of 255 characters, and cuts one more", () => {
  for (const [digits, sent] of [[253, 255], [254, 255]] as const) {
    const update = { ...openssl, advisories: [`KB${"9".repeat(digits)}`] };
    assertEquals(encodeUpdate(update, "windows_update", "x86_64").kb_id.length, sent);
  }
});

Deno.test("encodeUpdate() sends lists of 500 entries, each of 255 characters, and no more", () => {
  for (const [count, entry, sent] of [[500, 255, 255], [501, 256, 255]] as const) {
    const list = Array.from({ length: count }, () => "x".repeat(entry));
    const item = encodeUpdate({ ...openssl, cves: list, advisories: list }, "apt", "x86_64");
    for (const told of [item.cve_list, item.metadata["cves"], item.metadata["advisories"]]) {
      assert(Array.isArray(told));
      assertEquals([told.length, told[0]?.length], [500, sent]);
    }
  }
});

Deno.test("encodeUpdate() cuts each text of the metadata at 2,000 characters", () => {
  const fields = [
    "architecture",
    "description",
    "sourcePackage",
    "severityReason",
    "state",
  ] as const;
  for (const [given, sent] of [[1_500, 1_500], [2_000, 2_000], [2_100, 2_000]] as const) {
    for (const field of fields) {
      const update = { ...openssl, severity: "low", [field]: "x".repeat(given) } as const;
      const { metadata } = encodeUpdate(update, "apt", "x86_64");
      const longest = Math.max(...Object.values(metadata).map((value) => String(value).length));
      assertEquals(longest, sent, field);
    }
  }
});

Deno.test("encodeUpdate() sends a size that is a whole number, or none", () => {
  const rows = [[null, 0], [0, 0], [5, 5], [1.5, 0], [-1, 0], [NaN, 0], [Infinity, 0], [
    2 ** 60,
    0,
  ]];
  for (const [sizeBytes = null, sent] of rows) {
    const item = encodeUpdate({ ...openssl, sizeBytes }, "apt", "x86_64");
    assertEquals(item.size_bytes, sent);
    assertEquals("size_bytes" in item.metadata, sent !== 0 || sizeBytes === 0, `${sizeBytes}`);
  }
});

Deno.test("encodeUpdate() sends no item that the server cannot store, whatever a package manager prints", () => {
  const text = anyText(700);
  const texts = fc.array(anyText(300), { maxLength: 5 });
  fc.assert(fc.property(
    fc.record({
      package: text,
      currentVersion: text,
      availableVersion: text,
      architecture: text,
      source: text,
      stateReason: text,
      severityReason: text,
      description: text,
      sourcePackage: text,
      cves: texts,
      advisories: texts,
    }),
    (fields) => {
      const item = encodeUpdate({ ...openssl, ...fields }, "dnf", "x86_64");
      for (const [column, , limit] of WIDTHS) assert(length(item[column]) <= limit, column);
      assert(length(item.kb_id) <= 255);
      assertStorable(encodeBody({ updates: [item] }));
    },
  ));
});

Deno.test("closesAbsent() knows a server that closes rows by its version", () => {
  const rows: [version: string | null, closes: boolean][] = [
    [null, false],
    ["0.1.26", false],
    ["0.2.5.9", false],
    ["0.2.6", false],
    ["0.2.6.0", false],
    ["0.2.6.1", true],
    ["v0.2.6.1", true],
    ["0.2.9.3", true],
    ["0.2.10", true],
    ["0.3", true],
    ["1", true],
    ["0.2.6.1-rc1", true],
    ["dev", true],
  ];
  for (const [version, closes] of rows) {
    assertEquals(closesAbsent(version), closes, String(version));
  }
});
