import { assertEquals } from "@std/assert";
import { scanAsText } from "../../src/cli/scan_text.ts";
import { apt, dnf, libssl, tool } from "./scan_reports.ts";

Deno.test("scanAsText() puts first what matters, and totals last", async () => {
  assertEquals((await scanAsText([apt, dnf], { width: 80, machine: "x86_64" })).split("\n"), [
    "PACKAGE   INSTALLED  AVAILABLE  SECURITY  STATE        SIZE  REBOOT",
    "libssl3   1.0        1.1        yes       upgradable  2 KiB  -",
    "tool      1.0        1.1        no        upgradable  1 KiB  -",
    "aaa-held  1.0        1.1        no        held            -  -",
    "",
    "apt: 3 updates, 1 security, 3 KiB to download",
    "dnf: failed",
  ]);
});

Deno.test("scanAsText() calls Windows Update's sizes what they are", async () => {
  const windows = { ...apt, name: "winupdate", updates: [tool] } as const;
  assertEquals(
    (await scanAsText([windows], { width: 80, machine: "x86_64" })).split("\n").at(-1),
    "winupdate: 1 update, 0 security, at most 1 KiB to download",
  );
});

Deno.test("scanAsText() puts the worst hole first, and one of unknown severity in the middle", async () => {
  const severities = ["low", "critical", null, "moderate", "important"] as const;
  const updates = severities.map((severity) => ({ ...libssl, package: `${severity}`, severity }));
  const lines = (await scanAsText([{ ...apt, updates }], { width: 80, machine: "x86_64" })).split(
    "\n",
  ).slice(1, 6);
  assertEquals(lines.map((line) => line.split(" ")[0]), [
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
  const [heading, row] =
    (await scanAsText([{ ...apt, updates: [long] }], { width: 60, machine: "x86_64" })).split("\n");
  assertEquals(heading, "PACKAGE                AVAILABLE        SECURITY  STATE");
  assertEquals(row, "libpython3.11-minimal  \u202611.2-6+deb12u9  yes       upgradable");
});

Deno.test("scanAsText() says so when there is nothing to update", async () => {
  assertEquals(
    await scanAsText([{ ...apt, updates: [] }], { width: 80, machine: "x86_64" }),
    "apt: 0 updates, 0 security",
  );
  const degraded = { ...apt, updates: [], result: "degraded" } as const;
  assertEquals(
    await scanAsText([degraded], { width: 80, machine: "x86_64" }),
    "apt: 0 updates, 0 security (not complete)",
  );
});

Deno.test("scanAsText() names the source that failed with its scan, without the error once more", async () => {
  const source = {
    name: "updates",
    url: null,
    result: "failed",
    why: dnf.error?.message ?? null,
    metadataAgeS: null,
    expiresAtMs: null,
    tellsSecurity: null,
  } as const;
  const other = { ...source, name: "extras", result: "old", why: "of last year" } as const;
  const options = { width: 80, machine: "x86_64" } as const;
  assertEquals(
    await scanAsText([{ ...dnf, sources: [source, other] }], options),
    "dnf: failed\n  failed: updates\n  old: extras: of last year",
  );
});

Deno.test("scanAsText() orders by name what is alike, and what can be installed before what is held", async () => {
  const names = async (...updates: Partial<typeof tool>[]) => {
    const all = updates.map((update) => ({ ...tool, architecture: null, ...update }));
    const lines = (await scanAsText([{ ...apt, updates: all }], { width: 80, machine: "x86_64" }))
      .split("\n");
    return lines.slice(1, all.length + 1).map((line) => line.split(" ")[0]);
  };
  assertEquals(await names({ package: "b" }, { package: "a" }), ["a", "b"]);
  assertEquals(
    await names({ package: "a", state: "held" }, { package: "b" }),
    ["b", "a"],
  );
  assertEquals(
    await names({ package: "a", security: null }, { package: "b", security: true }),
    ["b", "a"],
  );
});

Deno.test("scanAsText() says of each update what is known, and a dash for what is not", async () => {
  const row = async (update: Partial<typeof tool>) => {
    const text = await scanAsText([{ ...apt, updates: [{ ...tool, ...update }] }], {
      width: 80,
      machine: "x86_64",
    });
    return text.split("\n")[1]?.split(/ +/);
  };
  const bare = { architecture: null, currentVersion: null, sizeBytes: null };
  assertEquals(await row({ ...bare, security: null }), [
    "tool",
    "-",
    "1.1",
    "unknown",
    "upgradable",
    "-",
    "-",
  ]);
  assertEquals((await row({ security: true, severity: "low" }))?.[3], "low");
  assertEquals((await row({ security: true }))?.[3], "yes");
});

Deno.test("scanAsText() counts one update in the singular, and sums up what is known of sizes", async () => {
  const total = async (...updates: Partial<typeof tool>[]) => {
    const all = updates.map((update) => ({ ...tool, ...update }));
    return (await scanAsText([{ ...apt, updates: all }], { width: 80, machine: "x86_64" })).split(
      "\n",
    ).at(-1);
  };
  assertEquals(await total({}), "apt: 1 update, 0 security, 1 KiB to download");
  assertEquals(
    await total({ sizeBytes: null, security: true }, { security: null }),
    "apt: 2 updates, 1 security, 1 KiB to download",
  );
  const updates = [tool];
  const degraded = { ...apt, updates, result: "degraded" } as const;
  assertEquals(
    (await scanAsText([degraded], { width: 80, machine: "x86_64" })).split("\n").at(-1),
    "apt: 1 update, 0 security, 1 KiB to download (not complete)",
  );
});
