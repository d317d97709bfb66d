/** No secret that a package manager repeats leaves the host: every outlet of a scan, for every form. */

import { assert, assertEquals } from "@std/assert";
import type { NewEvent } from "../../src/buffer/buffer.ts";
import { scanAsCsv, scanAsJson, scanAsText } from "../../src/cli/scan_command.ts";
import { scanUpdates } from "../../src/commands/scan_updates.ts";
import { createLog } from "../../src/log.ts";
import { runScan } from "../../src/scanners/run_scans.ts";
import { ScanError, type Scanner } from "../../src/scanners/scanner.ts";
import { tool } from "../cli/scan_reports.ts";
import { makeScannerRunner, scanDeps } from "../fakes/scanner_runner.ts";
import { holdsSecret, SECRET_TEXTS } from "../fakes/secrets.ts";
import { FakeSystem } from "../fakes/system.ts";

const FACTS: NewEvent = {
  kind: "system_info",
  commandId: null,
  snapshotOf: "system_info",
  body: "{}",
};

/** A scanner in whose answer every text that a package manager can choose holds a secret. */
function telling(text: string): Scanner {
  const update = {
    ...tool,
    package: text,
    currentVersion: text,
    availableVersion: text,
    advisories: [text],
    sourcePackage: text,
    source: text,
    severityReason: text,
    stateReason: text,
    description: text,
  };
  return {
    name: "apt",
    isAvailable: () => Promise.resolve(true),
    scan: () =>
      Promise.resolve({
        updates: [update],
        gaps: [text],
        notes: [`note: ${text}`],
        sources: [{
          name: text,
          url: text,
          result: "failed",
          why: text,
          metadataAgeS: null,
          expiresAtMs: null,
          marksSecurity: null,
        }],
        metadataAgeS: null,
        scope: text,
        reboot: { isRequired: true, reason: text },
      }),
  };
}

function failing(name: string, error: Error): Scanner {
  return {
    name,
    isAvailable: () => Promise.resolve(true),
    scan: () => Promise.reject(error),
  };
}

Deno.test("no secret of a package manager gets into a command's events, the log or a file", async () => {
  for (const text of SECRET_TEXTS) {
    const system = new FakeSystem();
    const lines: string[] = [];
    const log = createLog((line) => void lines.push(line), () => 0, {
      level: "debug",
      format: "json",
    });
    const { runner, kept } = makeScannerRunner(system, log);
    const scanners = [
      telling(text),
      failing("dnf", new ScanError(`Cannot scan with dnf: ${text}`, { reason: "transient" })),
      failing("winget", new TypeError(text)),
    ];
    const findScanners = () => Promise.resolve(scanners);
    const collectSystemInfo = () => Promise.resolve(FACTS);
    const handler = scanUpdates(scanDeps({ system, log, runner, findScanners, collectSystemInfo }));
    const events: NewEvent[] = [];
    const outcome = await handler.run({ id: "c1", type: "scan_updates", params: {} }, {
      signal: new AbortController().signal,
      appendEarly: (early) => void events.push(...early),
    });
    events.push(...outcome.events);
    const outlets = {
      events: events.map(({ body }) => body).join(),
      log: lines.join(),
      files: [...system.files.texts.values()].join(),
      breakers: JSON.stringify(kept.map((breakers) => [...breakers])),
    };
    for (const [name, shown] of Object.entries(outlets)) {
      assert(shown.length > 10, name);
      assert(!holdsSecret(shown), `${name}: ${text}: ${shown}`);
    }
    assertEquals(events.length >= 2, true);
  }
});

Deno.test("no secret of a package manager is printed by scan, in any form", async () => {
  for (const text of SECRET_TEXTS) {
    const report = await runScan(new FakeSystem(), telling(text), {});
    const shown = [
      scanAsJson({ reports: [report], names: ["apt"], host: "h", startedMs: 0 }),
      scanAsCsv([report]),
      await scanAsText([report], { width: Infinity, machine: "x86_64" }),
      ...report.warnings,
    ];
    for (const one of shown) assert(!holdsSecret(one), `${text}: ${one}`);
  }
});

Deno.test("no secret of another alphabet, or an encoded one, is printed by scan", async () => {
  const secrets = [
    "a8f5f167f44f4964e6c998dee827110c",
    "mfrggzdfmztwq2lknnwgy3tpob",
    "QWHXKZJVBNMPLRTDSGFYQWHXKZJV",
    "qwhxkzjvbnmplrtdsgfyqwhxkzjv",
  ];
  for (const secret of secrets) {
    const encoded = [...secret].map((one) => `%${one.charCodeAt(0).toString(16)}`).join("");
    const texts = [secret, encoded].flatMap((one) => [
      `https://repo.test/${one}/debian`,
      `https://deploy:${one}@repo.test/a`,
      `client_secret=${one}`,
    ]);
    for (const text of texts) {
      const report = await runScan(new FakeSystem(), telling(text), {});
      const shown = scanAsJson({ reports: [report], names: ["apt"], host: "h", startedMs: 0 });
      assert(!shown.includes(secret) && !shown.includes(encoded), `${text}: ${shown}`);
    }
  }
});
