import { assert, assertEquals, assertRejects } from "@std/assert";
import { dnfScanner } from "../../src/scanners/dnf.ts";
import { ScanError } from "../../src/scanners/scanner.ts";
import { DnfHost, failed, type Question } from "./dnf_host.ts";
import { readFixture, succeeded } from "./fixture.ts";
import { scanWith } from "../fakes/scan_with.ts";

const OFFERED = readFixture("dnf", "offered.txt");

function aged(age: string) {
  return succeeded(OFFERED, `Last metadata expiration check: ${age} ago on Mon 05 Jan 2026.\n`);
}

function listings(host: DnfHost): Question[] {
  return host.questions.filter((question) => question === "offered" || question === "fetched");
}

function hostWith(answers: DnfHost["answers"], user: "root" | "somebody"): DnfHost {
  const host = new DnfHost();
  if (user === "root") host.becomeRoot();
  host.answers = answers;
  return host;
}

const NO_CACHE = failed("dnf/stderr_no_cache.txt");
const UNREACHABLE = failed("dnf/stderr_unreachable.txt");

Deno.test("getOffers() as root fetches nothing by itself", async () => {
  const empty = hostWith({ offered: NO_CACHE }, "root");
  const error = await assertRejects(() => scanWith(dnfScanner(), empty, {}), ScanError);
  assert(error.message.includes('run "dnf makecache"'), error.message);
  assertEquals([error.reason, listings(empty)], ["transient", ["offered"]]);
  const old = hostWith({ offered: aged("3 days, 0:00:01") }, "root");
  const { warnings, metadataAgeS } = await scanWith(dnfScanner(), old, {});
  assertEquals(warnings, [
    'The package lists are 3 days old: run "dnf makecache", or scan with "--refresh"',
  ]);
  assertEquals([metadataAgeS, listings(old)], [3 * 86_400 + 1, ["offered"]]);
  const young = hostWith({ offered: aged("2 days, 0:00:00") }, "root");
  assertEquals((await scanWith(dnfScanner(), young, {})).warnings, []);
});

Deno.test("getOffers() as a user fetches lists of the user's own: none yet, or a day old", async () => {
  const none = hostWith({ offered: NO_CACHE }, "somebody");
  assertEquals((await scanWith(dnfScanner(), none, {})).metadataAgeS, 0);
  assertEquals(listings(none), ["offered", "fetched"]);
  const young = hostWith({ offered: aged("1 day, 0:00:00") }, "somebody");
  assertEquals((await scanWith(dnfScanner(), young, {})).metadataAgeS, 86_400);
  assertEquals(listings(young), ["offered"]);
  const old = hostWith({ offered: aged("1 day, 0:00:01") }, "somebody");
  assertEquals((await scanWith(dnfScanner(), old, {})).metadataAgeS, 0);
  assertEquals(listings(old), ["offered", "fetched"]);
  assert(old.asked.some((argv) => argv.includes("--refresh")));
});

Deno.test("getOffers() has old lists where there are no new ones, and says so", async () => {
  const stale = hostWith({ offered: aged("30:00:00"), fetched: UNREACHABLE }, "somebody");
  const asked = hostWith({ offered: aged("30:00:00"), fetched: UNREACHABLE }, "root");
  for (const [host, refresh] of [[stale, false], [asked, true]] as const) {
    const { updates, warnings, metadataAgeS } = await scanWith(dnfScanner(), host, { refresh });
    assertEquals([updates.length, metadataAgeS], [8, 108_000]);
    assert(warnings[0]?.startsWith("Cannot list updates with dnf: Failed to"), warnings[0]);
    assertEquals(warnings[1], "The package lists are 30 h old");
  }
});

Deno.test("getOffers() fails with what kept it from new lists if there are no old ones", async () => {
  for (const user of ["root", "somebody"] as const) {
    const host = hostWith({ offered: NO_CACHE, fetched: UNREACHABLE }, user);
    const error = await assertRejects(
      () => scanWith(dnfScanner(), host, { refresh: true }),
      ScanError,
    );
    assert(error.message.includes("Failed to download metadata"), error.message);
  }
});

Deno.test("getOffers() fetches new lists when asked, before anything else is asked of dnf", async () => {
  const host = hostWith({}, "root");
  assertEquals((await scanWith(dnfScanner(), host, { refresh: true })).metadataAgeS, 0);
  assertEquals(host.questions.slice(2), ["fetched", "advisories", "cves", "checked"]);
});

Deno.test("getOffers() tells the age of old lists in hours for two days, then in whole days", async () => {
  const rows: [age: string, told: string][] = [
    ["1 day, 0:00:01", "24 h"],
    ["1 day, 23:59:59", "47 h"],
    ["2 days, 0:00:00", "2 days"],
    ["2 days, 0:59:59", "2 days"],
    ["2 days, 23:59:59", "2 days"],
    ["3 days, 0:00:00", "3 days"],
  ];
  for (const [age, told] of rows) {
    const host = hostWith({ offered: aged(age), fetched: UNREACHABLE }, "somebody");
    const { warnings } = await scanWith(dnfScanner(), host);
    assertEquals(warnings[1], `The package lists are ${told} old`, age);
  }
});
