import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { encodeUpdate, goneItem, type ReportedUpdate } from "../../src/server/update_item.ts";

const openssl: ReportedUpdate = {
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

Deno.test("encodeUpdate() writes an update in the server's words", () => {
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

Deno.test("encodeUpdate() makes one of four words of every severity", () => {
  const rows = [
    ["critical", null, "critical"],
    ["low", true, "low"],
    [null, true, "important"],
    [null, false, "low"],
    [null, null, "low"],
  ] as const;
  for (const [severity, security, expected] of rows) {
    assertEquals(
      encodeUpdate({ ...openssl, severity, security }, "apt", "x86_64").severity,
      expected,
    );
  }
});

Deno.test("encodeUpdate() gives a package of another processor's the name that it has beside the own", () => {
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

Deno.test("encodeUpdate() puts into the metadata what the server has no column for", () => {
  const update = {
    ...openssl,
    cves: ["CVE-2026-1"],
    advisories: ["DSA-1-1"],
    description: "TLS",
    reboot: "maybe",
  };
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

Deno.test("goneItem() is an item that the server takes, and that presses nobody", () => {
  assertEquals(goneItem("dnf", "curl", "8.1-2"), {
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

Deno.test("encodeUpdate() has a word for all that is not known", () => {
  const bare = { ...openssl, currentVersion: null, source: null, sizeBytes: null };
  const item = encodeUpdate({ ...bare, sourcePackage: null, security: null }, "apt", "x86_64");
  assertEquals([item.current_version, item.repository_source, item.size_bytes], ["", "", 0]);
  assertEquals(item.metadata, {
    architecture: "amd64",
    state: "upgradable",
    severity_reason: "apt does not tell; not security by rule",
  });
});

Deno.test("encodeUpdate() never sends what a column cannot hold", () => {
  const text = fc.string({ maxLength: 1_200, unit: "binary" });
  fc.assert(fc.property(text, text, text, (name, version, source) => {
    const update = { ...openssl, package: name, availableVersion: version, source };
    const item = encodeUpdate({ ...update, advisories: [`KB${"9".repeat(99)}`] }, "apt", "x86_64");
    assert([...item.package_name].length <= 500);
    assert([...item.available_version].length <= 100);
    assert([...item.repository_source].length <= 255);
    assert(item.kb_id.length <= 50);
  }));
});
