import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { encodeUpdate, type ReportedUpdate } from "../../src/server/update_item.ts";

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
  assertEquals(encodeUpdate(openssl, "apt"), {
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
    assertEquals(encodeUpdate({ ...openssl, severity, security }, "apt").severity, expected);
  }
});

Deno.test("encodeUpdate() finds the KB among the advisories", () => {
  const update = { ...openssl, advisories: ["MS26-001", "KB5070001"] };
  assertEquals(encodeUpdate(update, "windows_update").kb_id, "KB5070001");
});

Deno.test("encodeUpdate() never sends what a column cannot hold", () => {
  const text = fc.string({ maxLength: 1_200, unit: "binary" });
  fc.assert(fc.property(text, text, text, (name, version, source) => {
    const update = { ...openssl, package: name, availableVersion: version, source };
    const item = encodeUpdate({ ...update, advisories: [`KB${"9".repeat(99)}`] }, "apt");
    assert([...item.package_name].length <= 500);
    assert([...item.available_version].length <= 100);
    assert([...item.repository_source].length <= 255);
    assert(item.kb_id.length <= 50);
  }));
});
