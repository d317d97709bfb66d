import { assert, assertEquals, assertRejects } from "@std/assert";
import { aptScanner } from "../../src/scanners/apt.ts";
import { scanAsCsv, scanAsJson, scanAsText } from "../../src/cli/scan_command.ts";
import { runScan } from "../../src/scanners/run_scans.ts";
import { ScanError } from "../../src/scanners/scanner.ts";
import { realSystem } from "../../src/system/real.ts";
import { scanWith } from "../fakes/scan_with.ts";
import { AptRoot, type RootPackage } from "./apt_root.ts";
import { AptServer } from "./apt_server.ts";

const system = realSystem();
const hasApt = await aptScanner().isAvailable(system);

/** Runs a test where there is apt, with an apt root and a mirror of its own. */
function onApt(
  name: string,
  test: (root: AptRoot, server: AptServer) => Promise<void>,
): void {
  Deno.test({ name, ignore: !hasApt }, async () => {
    await using root = await AptRoot.make();
    await using server = new AptServer(`${root.path}/repositories`);
    await test(root, server);
  });
}

const DEBIAN = { Origin: "Debian", Label: "Debian", Version: "12", Codename: "bookworm" };
const SECURITY = {
  ...DEBIAN,
  Label: "Debian-Security",
  Suite: "oldstable-security",
  Codename: "bookworm-security",
};

function suites(packages: readonly RootPackage[], fixes: readonly RootPackage[]) {
  return [
    { archive: "deb", suite: "bookworm", release: DEBIAN, packages },
    { archive: "sec", suite: "bookworm-security", release: SECURITY, packages: fixes },
  ];
}

/** A host whose two sources were fetched well; `fixes` are in the second one. */
async function fill(
  root: AptRoot,
  server: AptServer,
  fixes: readonly RootPackage[] = [{ name: "tool", version: "1.0+deb12u1" }],
  packages: readonly RootPackage[] = [{ name: "tool", version: "1.0" }],
): Promise<void> {
  await root.install([{ name: "tool", version: "1.0" }, { name: "other", version: "1.0" }]);
  for (const suite of suites(packages, fixes)) await root.publish(suite);
  await root.write(
    "etc/apt/sources.list",
    `deb [trusted=yes] ${server.origin}/deb bookworm main\n` +
      `deb [trusted=yes] ${server.origin}/sec bookworm-security main\n`,
  );
  await root.update();
}

/** Makes the lists, or those whose names hold a word, look as if they had been published that long ago. */
async function age(root: AptRoot, days: number, word = ""): Promise<void> {
  const then = new Date(Date.now() - days * 86_400_000);
  const lists = `${root.path}/var/lib/apt/lists`;
  for await (const { name, isFile } of Deno.readDir(lists)) {
    if (!isFile || !name.includes(word)) continue;
    if (name.endsWith("Release")) {
      const text = await Deno.readTextFile(`${lists}/${name}`);
      const date = `Date: ${then.toUTCString()}`;
      await Deno.remove(`${lists}/${name}`);
      await Deno.writeTextFile(`${lists}/${name}`, text.replace(/^Date: .*$/m, date));
    }
    await Deno.utime(`${lists}/${name}`, then, then);
  }
  await Deno.utime(lists, then, then);
}

function scan(root: AptRoot, options = {}) {
  return scanWith(aptScanner(root.options), system, options);
}

function own(root: AptRoot) {
  return { cacheDirectory: `${root.path}/own` };
}

function states(report: Awaited<ReturnType<typeof scan>>) {
  return report.updates.map((update) =>
    `${update.package} ${update.availableVersion} ${update.state} ${update.security}`
  );
}

onApt(
  "a host that is offline for 60 days says 60 days, in spite of a try a minute ago",
  async (root) => {
    await root.install([{ name: "tool", version: "1.0" }]);
    await root.offer(suites([{ name: "tool", version: "2.0" }], []).slice(0, 1));
    await age(root, 60);
    await Deno.utime(`${root.path}/var/lib/apt/lists/partial`, new Date(), new Date());
    const report = await scan(root);
    const ageDays = Math.round((report.metadataAgeS ?? 0) / 86_400);
    assertEquals([report.result, ageDays, report.updates.length], ["degraded", 60, 1]);
    assertEquals((await scan(root, own(root))).result, "ok", "its own lists are new");
  },
);

onApt("one source that was renewed makes no other one's lists look fresh", async (root, server) => {
  await fill(root, server);
  await age(root, 60);
  server.refuse = (path) => path.startsWith("/sec/") ? 401 : null;
  const news = [{ name: "tool", version: "1.0" }, { name: "other", version: "2.0" }];
  await root.publish(suites(news, [])[0]!);
  await root.apt("get", "-q=1", "update");
  const alone = await scan(root);
  assertEquals([alone.result, alone.sources.map(({ result }) => result)], ["degraded", [
    "ok",
    "old",
  ]]);
  assertEquals(Math.round((alone.metadataAgeS ?? 0) / 86_400), 60);
  const found = await scan(root, own(root));
  assertEquals(found.sources.map(({ result }) => result), ["ok", "failed"]);
});

onApt("nothing that comes and goes beside the lists makes them fresh", async (root, server) => {
  await fill(root, server);
  await age(root, 60);
  await root.write("var/lib/apt/lists/other", "");
  await Deno.remove(`${root.path}/var/lib/apt/lists/other`);
  const { result, metadataAgeS } = await scan(root);
  assertEquals([result, Math.round((metadataAgeS ?? 0) / 86_400)], ["degraded", 60]);
  assertEquals((await scan(root, own(root))).result, "ok");
});

onApt(
  "lists that a wrong clock dated are of unknown age, and others are fetched",
  async (root, server) => {
    await fill(root, server);
    await age(root, -1_000, "sec_");
    const { result, sources } = await scan(root);
    assertEquals([result, sources[1]?.result, sources[1]?.metadataAgeS], ["degraded", "old", null]);
    assert(sources[1]?.why?.includes("future"), sources[1]?.why ?? "");
    assertEquals((await scan(root, own(root))).result, "ok");
  },
);

onApt("a source that was never reached is named, and the list is not whole", async (root) => {
  await root.install([{ name: "tool", version: "1.0" }]);
  await root.offer(suites([{ name: "tool", version: "2.0" }], []).slice(0, 1));
  await root.write(
    "etc/apt/sources.list.d/sec.list",
    "deb [trusted=yes] http://127.0.0.1:9/debsec bookworm-security main\n",
  );
  for (const options of [{}, own(root)]) {
    const { result, sources, updates } = await scan(root, options);
    assertEquals([result, updates.length], ["degraded", 1]);
    // Sorted: apt reads files of sources in the order of their folder.
    assertEquals(
      sources.map(({ name, result }) => [name.replace(root.path, ""), result]).toSorted(),
      [
        ["file:/repositories/deb bookworm", "ok"],
        [
          "http://127.0.0.1:9/debsec bookworm-security",
          "cacheDirectory" in options ? "failed" : "missing",
        ],
      ],
    );
  }
});

onApt(
  "one source that refuses hides no other's news, and is not asked at every scan",
  async (root, server) => {
    await fill(root, server);
    await age(root, 3);
    server.refuse = (path) => path.startsWith("/sec/") ? 401 : null;
    const news = [{ name: "tool", version: "1.0" }, { name: "other", version: "2.0" }];
    await root.publish(suites(news, [])[0]!);
    const first = await scan(root, own(root));
    assertEquals(states(first).toSorted(), [
      "other 2.0 upgradable false",
      "tool 1.0+deb12u1 upgradable true",
    ]);
    assertEquals([first.result, first.sources.map(({ result }) => result)], [
      "degraded",
      ["ok", "failed"],
    ]);
    assert(first.warnings[0]?.includes("401"), first.warnings[0]);
    const before = server.asked.length;
    const second = await scan(root, own(root));
    assertEquals([server.asked.length, states(second).length], [before, 2]);
    assertEquals(second.sources.map(({ result }) => result), ["ok", "failed"]);
  },
);

onApt(
  "a source that fails while another is young is found out, and one that has no news is not",
  async (root, server) => {
    await fill(root, server);
    // The archive made them a week ago, and has made nothing since.
    const then = new Date("2026-11-23T00:00:00Z");
    const lists = `${root.path}/var/lib/apt/lists`;
    for await (const { name, isFile } of Deno.readDir(lists)) {
      if (isFile) await Deno.utime(`${lists}/${name}`, then, then);
    }
    assertEquals((await scan(root)).result, "degraded", "nothing of its own proves them");
    const good = await scan(root, own(root));
    assertEquals([good.result, good.sources.map(({ result }) => result)], ["ok", ["ok", "ok"]]);
    await Deno.remove(`${root.path}/own`, { recursive: true });
    server.refuse = (path) => path.startsWith("/sec/") ? 503 : null;
    const bad = await scan(root, own(root));
    assertEquals([bad.result, bad.sources.map(({ result }) => result)], ["degraded", [
      "ok",
      "failed",
    ]]);
    assertEquals(states(bad), ["tool 1.0+deb12u1 upgradable true"]);
  },
);

onApt(
  "lists past their Valid-Until are not in date, unless the owner allows it",
  async (root, server) => {
    await fill(root, server);
    const release = { ...SECURITY, "Valid-Until": "Tue, 24 Nov 2026 00:00:00 UTC" };
    await root.publish({ ...suites([], [{ name: "tool", version: "1.0+deb12u1" }])[1]!, release });
    await root.apt("get", "-q=1", "-o", "Acquire::Check-Valid-Until=false", "update");
    const alone = await scan(root);
    assertEquals([alone.result, alone.sources[1]?.result], ["degraded", "old"]);
    assertEquals(alone.sources[1]?.expiresAtMs, Date.UTC(2026, 10, 24));
    const refused = await scan(root, own(root));
    assertEquals([refused.result, refused.sources[1]?.result], ["degraded", "failed"]);
    assert(/expired/.test(refused.sources[1]?.why ?? ""), refused.sources[1]?.why ?? "");
    await root.write("etc/apt/apt.conf.d/past", 'Acquire::Check-Valid-Until "false";\n');
    await Deno.remove(`${root.path}/own`, { recursive: true });
    assertEquals((await scan(root, { ...own(root), refresh: true })).result, "ok");
  },
);

onApt("a medium is not asked, and makes nothing incomplete", async (root, server) => {
  await fill(root, server);
  await root.write(
    "etc/apt/sources.list.d/cd.list",
    "deb cdrom:[Debian 12 - amd64]/ bookworm main\n",
  );
  const { result, sources } = await scan(root, own(root));
  assertEquals([result, sources.map(({ result }) => result)], ["ok", ["not_asked", "ok", "ok"]]);
});

onApt(
  "what keeps apt from deciding is quoted, and nothing that waits is hidden",
  async (root, server) => {
    await fill(root, server);
    const statusFile = `${root.path}/var/lib/dpkg/status`;
    const good = await Deno.readTextFile(statusFile);
    await root.install([
      { name: "tool", version: "1.0" },
      { name: "half", version: "1.0", fields: { Status: "install reinstreq half-installed" } },
    ]);
    const half = await scan(root);
    assertEquals([half.result, states(half)], ["degraded", ["tool 1.0+deb12u1 kept_back true"]]);
    assert(
      /^Cannot compute an upgrade with apt-get: .*half needs to be reinstalled/.test(
        half.warnings[0] ?? "",
      ),
    );
    await Deno.writeTextFile(statusFile, good);
    await root.write(
      "etc/apt/apt.conf.d/odd",
      `AptCli::Hooks::Upgrade {"touch ${root.path}/ran; exit 3";};\nAPT::Get::Remove "false";\n`,
    );
    const hooked = await scan(root, own(root));
    assertEquals([hooked.result, states(hooked)], ["ok", ["tool 1.0+deb12u1 upgradable true"]]);
    assertEquals(await Deno.stat(`${root.path}/ran`).then(() => true, () => false), false);
    const unhooked = await scan(root);
    assertEquals([unhooked.result, states(unhooked)], ["degraded", [
      "tool 1.0+deb12u1 kept_back true",
    ]]);
  },
);

onApt(
  "a preference that outranks the security pocket leaves its updates pinned",
  async (root, server) => {
    await fill(root, server);
    await root.write("etc/apt/apt.conf.d/release", 'APT::Default-Release "bookworm";\n');
    const byRelease = await scan(root);
    assertEquals([byRelease.result, states(byRelease)], ["ok", ["tool 1.0+deb12u1 pinned true"]]);
    assert(byRelease.updates[0]?.stateReason?.startsWith("APT::Default-Release"));
    await Deno.remove(`${root.path}/etc/apt/apt.conf.d/release`);
    const pins = [
      "Package: *\nPin: release l=Debian-Security\nPin-Priority: -1\n",
      "Package: tool\nPin: version 1.0\nPin-Priority: 1001\n",
      "Package: *\nPin: release n=bookworm\nPin-Priority: 990\n",
    ];
    for (const pin of pins) {
      await root.write("etc/apt/preferences.d/pin", pin);
      assertEquals(states(await scan(root)), ["tool 1.0+deb12u1 pinned true"], pin);
    }
  },
);

onApt("another release of the distribution waits for nothing", async (root, server) => {
  await fill(root, server, []);
  const testing = { ...DEBIAN, Suite: "testing", Codename: "trixie", Version: "13" };
  const packages = [{ name: "tool", version: "9.0" }, { name: "other", version: "9.0" }];
  await root.publish({ archive: "deb", suite: "trixie", release: testing, packages });
  await root.write(
    "etc/apt/sources.list.d/testing.list",
    `deb [trusted=yes] ${server.origin}/deb trixie main\n`,
  );
  await root.write("etc/apt/apt.conf.d/release", 'APT::Default-Release "bookworm";\n');
  await root.update();
  const { result, updates } = await scan(root);
  assertEquals([result, updates.map((update) => update.package)], ["ok", ["other"]]);
});

onApt("a package that an upgrade removes is told as that", async (root, server) => {
  await fill(root, server, [], [
    { name: "tool", version: "2.0", fields: { Conflicts: "other" } },
    { name: "other", version: "2.0", fields: { Conflicts: "tool" } },
    { name: "boss", version: "2.0", fields: { Depends: "tool (= 2.0)" } },
    { name: "boss2", version: "2.0", fields: { Depends: "tool (= 2.0)" } },
  ]);
  await root.install([
    ...["tool", "other", "boss", "boss2"].map((name) => ({ name, version: "1.0" })),
  ]);
  const { updates } = await scan(root);
  const { stdout } = await root.apt("get", "-s", "dist-upgrade");
  const removed = [...stdout.matchAll(/^Remv (\S+)/gm)].map(([, name]) => name);
  assertEquals(removed, ["other"]);
  assertEquals(updates.find((update) => update.package === "other")?.state, "removed_by_upgrade");
});

onApt("a damaged dpkg database is told in dpkg's own words", async (root, server) => {
  await fill(root, server);
  await root.write(
    "var/lib/dpkg/status",
    "Package: tool\nStatus: install ok installed\nVersion: 1 2\n",
  );
  const error = await assertRejects(() => scan(root), ScanError);
  assertEquals(error.reason, "permanent");
  assert(/parsing file .*status.* embedded spaces/.test(error.message), error.message);
});

onApt("the host's own word on a restart is told", async (root, server) => {
  await fill(root, server);
  assertEquals((await scan(root)).reboot, null);
  await root.write("etc/kernel/postinst.d/unattended-upgrades", "");
  assertEquals((await scan(root)).reboot?.isRequired, false);
  await root.write("run/reboot-required", "*** System restart required ***\n");
  await root.write("run/reboot-required.pkgs", "linux-image-6.1\n\u001b[2Jx\nlibc6\nlibc6\n");
  assertEquals((await scan(root)).reboot, {
    isRequired: true,
    reason: "/run/reboot-required: linux-image-6.1, libc6",
  });
});

onApt("CVEs come from the distributor's changelogs, each fetched once", async (root, server) => {
  const changelogs = { Changelogs: `${server.origin}/cl/@CHANGEPATH@_changelog` };
  const release = { ...SECURITY, ...changelogs };
  const fixes = ["tool", "other"].map((name) => ({
    name,
    version: "1.0+deb12u1",
    fields: { Filename: `pool/main/${name}/${name}_1.deb` },
  }));
  await fill(root, server);
  await root.publish({ ...suites([], fixes)[1]!, release });
  await root.update();
  await root.write(
    "repositories/cl/main/t/tool/tool_1.0+deb12u1_changelog",
    "tool (1.0+deb12u1) bookworm-security; urgency=high\n\n  * Fix CVE-2026-1111, DSA-6000-1.\n\n" +
      " -- A <a@b.example>  Mon, 23 Nov 2026 00:00:00 +0000\n\n" +
      "tool (1.0) bookworm; urgency=low\n\n  * Fix CVE-2025-2222.\n",
  );
  const told = async (changelogs: boolean) => {
    const { updates, result } = await scan(root, { ...own(root), changelogs });
    assertEquals(result, "ok");
    return updates.map((update) => [update.package, update.cves, update.cveSources])
      .toSorted();
  };
  assertEquals(await told(false), [["other", [], undefined], ["tool", [], undefined]]);
  const expected = [["other", [], undefined], ["tool", ["CVE-2026-1111"], ["apt-get changelog"]]];
  assertEquals(await told(true), expected);
  const fetched = () => server.asked.filter((path) => path.startsWith("/cl/")).length;
  const before = fetched();
  assertEquals([await told(true), fetched()], [expected, before]);
});

onApt("what a hostile archive says of its packages runs nowhere", async (root, server) => {
  const evil = `=cmd|' /C calc'!A0 \u001b[2J\u202e\u0007${"x".repeat(400)}`;
  await fill(root, server, [{
    name: "tool",
    version: "1.0+deb12u1",
    fields: { Description: evil },
  }], [
    { name: "tool", version: "1.0" },
    { name: "other", version: "2.0", fields: { Description: "@SUM(1+9)\tx" } },
  ]);
  await root.install([
    { name: "tool", version: "1.0", fields: { Description: evil } },
    { name: "other", version: "1.0", fields: { Status: "hold ok installed" } },
  ]);
  const label = "=1+1\u001b[31m,c=main\u202e";
  await root.publish({
    archive: "evil",
    suite: "s",
    release: { ...DEBIAN, Label: label },
    packages: [{ name: "other", version: "3.0" }],
  });
  await root.write(
    "etc/apt/sources.list.d/evil.list",
    `deb [trusted=yes] ${server.origin}/evil s main\n`,
  );
  await root.update();
  const report = await runScan(system, aptScanner(root.options), own(root));
  assertEquals(report.updates.length, 2);
  const csv = scanAsCsv([report]);
  const json = scanAsJson({ reports: [report], names: ["apt"], host: "h", startedMs: 0 });
  const table = await scanAsText([report], { width: 120, machine: system.architecture });
  for (const text of [json, csv, table]) {
    // deno-lint-ignore no-control-regex
    assert(!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(text), text);
  }
  for (
    const cell of csv.split("\n").flatMap((line) => line.split(/,(?=(?:[^"]*"[^"]*")*[^"]*$)/))
  ) {
    assert(!/^"?[=+@\t-]/.test(cell), cell);
  }
});

const SECRETS = ["S3cretPassw0rd", "t0k3nA1b2C3d4E5f6G7h8"] as const;

onApt("no secret of an address gets into a report, whatever fails", async (root, server) => {
  await fill(root, server);
  const [password, token] = SECRETS;
  await root.write(
    "etc/apt/sources.list.d/secret.list",
    `deb [trusted=yes] http://deploy:${password}@127.0.0.1:9/private/${token} s main\n` +
      `deb [trusted=yes] ${server.origin.replace("//", `//deploy:${password}@`)}/x/${token}/ ./\n`,
  );
  await age(root, 3);
  const reports = [
    await scan(root),
    await scan(root, own(root)),
    await scan(root, own(root)),
    await scan(root, { ...own(root), refresh: true }),
  ];
  for (const report of reports) {
    assertEquals(report.result, "degraded");
    const said = JSON.stringify(report);
    for (const secret of SECRETS) assert(!said.includes(secret), said);
  }
  const kept = await Deno.readTextFile(`${root.path}/own/apt/sources.json`);
  for (const secret of SECRETS) assert(!kept.includes(secret), kept);
});
