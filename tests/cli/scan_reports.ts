import type { ScanReport } from "../../src/scanners/run_scans.ts";
import type { Update } from "../../src/update.ts";

export const tool: Update = {
  package: "tool",
  currentVersion: "1.0",
  availableVersion: "1.1",
  architecture: "amd64",
  source: "Debian:12/stable",
  state: "upgradable",
  severity: null,
  severityReason: "apt does not tell",
  security: false,
  cves: [],
  advisories: [],
  sizeBytes: 1_024,
  description: null,
  sourcePackage: null,
  reboot: null,
};
export const libssl: Update = { ...tool, package: "libssl3", security: true, sizeBytes: 2_048 };
const held: Update = { ...tool, package: "aaa-held", state: "held", sizeBytes: null };

export const apt: ScanReport = {
  name: "apt",
  result: "ok",
  durationMs: 1_200,
  error: null,
  warnings: [],
  sources: [],
  metadataAgeS: 60,
  reboot: null,
  updates: [libssl, tool, held],
};
export const dnf: ScanReport = {
  name: "dnf",
  result: "failed",
  durationMs: 5,
  error: { reason: "transient", message: "Cannot scan with dnf: no network" },
  warnings: [],
  sources: [],
  metadataAgeS: null,
  reboot: null,
  updates: [],
};
