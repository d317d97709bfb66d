import { assert, assertEquals } from "@std/assert";
import stringWidth from "string-width";
import { scanAsText } from "../../src/cli/scan_command.ts";
import { onlySecurity } from "../../src/cli/scan_verdict.ts";
import type { ScanReport } from "../../src/scanners/run_scans.ts";
import type { ScanSource } from "../../src/scanners/scanner.ts";
import type { Update } from "../../src/update.ts";
import { apt, dnf, libssl, tool } from "../cli/scan_reports.ts";

const WIDTHS = [60, 80, 120, 200];

const security: Update = {
  ...libssl,
  severity: "critical",
  currentVersion: "3.0.17-1~deb12u2",
  availableVersion: "3.0.18-1~deb12u1",
  source: "Debian-Security:12/stable-security",
};
const kernel: Update = {
  ...tool,
  package: "linux-image-6.1.0-42-cloud-amd64-unsigned",
  currentVersion: "6.1.158-1",
  availableVersion: "6.1.159-1",
  severity: "important",
  security: true,
  reboot: "required",
  sizeBytes: 104_857_600,
};
const wide: Update = {
  ...tool,
  package: "日本語の更新プログラム",
  source: null,
  currentVersion: null,
};

const source = (more: Partial<ScanSource>): ScanSource => ({
  name: "Debian 12 main",
  url: "http://deb.example/debian",
  result: "ok",
  metadataAgeS: 3_600,
  expiresAtMs: null,
  marksSecurity: true,
  why: null,
  ...more,
});

/** The screens that are kept, by the name of their directory. */
const SCREENS: Readonly<Record<string, readonly ScanReport[]>> = {
  updates: [{ ...apt, updates: [security, kernel, tool] }],
  nothing: [{ ...apt, updates: [] }],
  failed: [dnf],
  one_failed: [apt, dnf],
  degraded: [{
    ...apt,
    result: "degraded",
    warnings: ["Debian 12 main: its lists are 40 days old"],
    sources: [
      source({ result: "old", metadataAgeS: 3_456_000, why: "its lists are 40 days old" }),
      source({ name: "Backports", result: "failed", metadataAgeS: null, why: "HTTP 404" }),
    ],
    updates: [security],
  }],
  reboot: [{
    ...apt,
    reboot: { isRequired: true, reason: "/run/reboot-required: linux-image-6.1.0-42-amd64" },
    updates: [kernel],
  }],
  states: [{
    ...apt,
    updates: (["held", "pinned", "phased", "ignored", "upgradable"] as const).map((state) => ({
      ...tool,
      package: `a-package-that-is-${state}`,
      state,
    })),
  }],
  foreign: [{
    ...apt,
    updates: [{ ...tool, architecture: "i386" }, {
      ...tool,
      package: "lib",
      architecture: "arm64",
      availableVersion: "1:2.36.0+git20230101.abcdef0123456789-1~bpo12+1",
      currentVersion: "1:2.36.0+git20230101.abcdef0123456788-1~bpo12+1",
    }],
  }],
  wide: [{ ...apt, name: "winget", updates: [wide, tool] }],
  security_only: [{ ...apt, updates: [security, kernel, tool] }].map(onlySecurity),
};

for (const [name, reports] of Object.entries(SCREENS)) {
  Deno.test(`the screen of scan is the one that is kept, at four widths: ${name}`, async () => {
    for (const width of WIDTHS) {
      const text = await scanAsText(reports, { width, machine: "x86_64" });
      const path = `../fixtures/scan_screens/${name}/${width}.txt`;
      assertEquals(`${text}\n`, await Deno.readTextFile(new URL(path, import.meta.url)), path);
      const [table = ""] = text.includes("\n\n") ? text.split("\n\n") : [""];
      for (const line of table.split("\n")) assert(stringWidth(line) <= width, line);
    }
  });
}
