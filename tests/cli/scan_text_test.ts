import { assertEquals } from "@std/assert";
import { scanAsText } from "../../src/cli/scan_text.ts";
import { apt, dnf, libssl, tool } from "./scan_reports.ts";

Deno.test("scanAsText() puts first what matters, and totals last", async () => {
  assertEquals((await scanAsText([apt, dnf], 80)).split("\n"), [
    "PACKAGE         INSTALLED  AVAILABLE  SECURITY  STATE        SIZE",
    "libssl3:amd64   1.0        1.1        yes       upgradable  2 KiB",
    "tool:amd64      1.0        1.1        no        upgradable  1 KiB",
    "aaa-held:amd64  1.0        1.1        no        held            -",
    "",
    "apt: 3 updates, 1 security, 3 KiB to download",
    "dnf: failed",
  ]);
});

Deno.test("scanAsText() calls Windows Update's sizes what they are", async () => {
  const windows = { ...apt, name: "winupdate", updates: [tool] } as const;
  assertEquals(
    (await scanAsText([windows], 80)).split("\n").at(-1),
    "winupdate: 1 update, 0 security, at most 1 KiB to download",
  );
});

Deno.test("scanAsText() puts the worst hole first, and one of unknown severity in the middle", async () => {
  const severities = ["low", "critical", null, "moderate", "important"] as const;
  const updates = severities.map((severity) => ({ ...libssl, package: `${severity}`, severity }));
  const lines = (await scanAsText([{ ...apt, updates }], 80)).split("\n").slice(1, 6);
  assertEquals(lines.map((line) => line.split(":")[0]), [
    "critical",
    "important",
    "null",
    "moderate",
    "low",
  ]);
});

Deno.test("scanAsText() fits 60 columns by leaving out what matters least", async () => {
  const long = {
    ...libssl,
    package: "libpython3.11-minimal",
    currentVersion: "3.11.2-6+deb12u6",
    availableVersion: "3.11.2-6+deb12u9",
  };
  const [heading, row] = (await scanAsText([{ ...apt, updates: [long] }], 60)).split("\n");
  assertEquals(heading, "PACKAGE                 AVAILABLE       SECURITY  STATE");
  assertEquals(row, "libpython3.11-minimal~  3.11.2-6+deb1~  yes       upgradable");
});

Deno.test("scanAsText() says so when there is nothing to update", async () => {
  assertEquals(await scanAsText([{ ...apt, updates: [] }], 80), "apt: 0 updates, 0 security");
  const degraded = { ...apt, updates: [], result: "degraded" } as const;
  assertEquals(await scanAsText([degraded], 80), "apt: 0 updates, 0 security (not complete)");
});
