import { assert, assertEquals, assertMatch } from "@std/assert";
import { sha256Of } from "../../tools/build/digest.ts";
import { dnfLines } from "../../tools/release/install_lines.ts";
import {
  assertSameFiles,
  onPackageHost,
  PACKAGE_TESTS,
  PackagedAgent,
  type PackageHost,
} from "./package_host.ts";
import {
  copyChanged,
  copyRepository,
  endSigner,
  flipByte,
  makeSigner,
  publish,
  replaceText,
  Repositories,
  type Site,
} from "../real/package_site.ts";
import { RpmMaker } from "../real/rpm_maker.ts";

const repositories = new Repositories(`${PACKAGE_TESTS?.work}/dnf`, async (url, directory) => {
  const { versions: [first, second], work } = PACKAGE_TESTS!;
  const signer = await makeSigner(work, "releases-of-rpms");
  await publish(first, ".rpm", { into: directory("first"), signer, url });
  await copyRepository(directory("first"), directory("second"));
  await publish(second, ".rpm", { into: directory("second"), signer, url });
  await endSigner();

  await copyChanged(directory("second"), directory("changed-list"), {
    files: /-primary\.xml/,
    change: flipByte,
  });
  await copyChanged(directory("second"), directory("changed-index"), {
    files: /\/repomd\.xml$/,
    change: replaceText(/<revision>/, "<revision>1"),
  });
  await copyChanged(directory("second"), directory("changed-package"), {
    files: /\.rpm$/,
    change: flipByte,
  });
  const stranger = await makeSigner(work, "stranger-of-rpms");
  await copyRepository(directory("second"), directory("stranger"));
  await publish(second, ".rpm", { into: directory("stranger"), signer: stranger, url });
  await Deno.mkdir(directory("stranger-packages"));
  await publish(second, ".rpm", { into: directory("stranger-packages"), signer: stranger, url });
  await endSigner();
});

/**
 * Makes Debian's files those of a host of rpm's: the package database says that the C library and the
 * programs of the scripts are installed.
 */
async function prepare(host: PackageHost): Promise<void> {
  const folder = `${host.root}/var/tmp/base`;
  await Deno.mkdir(folder, { recursive: true });
  const lines = ["glibc = 2.34", "shadow-utils", "/bin/sh"].map((name) => `Provides: ${name}`);
  const base = { name: "base", evr: "1-1", architecture: "noarch", lines } as const;
  await new RpmMaker(folder, "x86_64").build("base", [base]);
  await host.must(
    "sh",
    "-c",
    "find /var/tmp/base -name '*.rpm' | xargs rpm -i --nosignature --nodeps",
  );
  await host.must("sh", "-c", "rm -rf /var/tmp/base; mkdir -p /etc/pki/rpm-gpg /etc/yum.repos.d");
  // As the packages "filesystem" and "systemd" of a host of rpm's have it.
  await host.must("mkdir", "-p", "/usr/lib/sysusers.d", "/usr/share/licenses");
  // Fedora's dnf is dnf 5. One of Debian's plugins for it wants createrepo_c, which is not there.
  if (await host.exists("/usr/bin/dnf5")) {
    await host.must("mkdir", "-p", "/etc/dnf");
    await Deno.writeTextFile(`${host.root}/etc/dnf/dnf.conf`, "[main]\nplugins=0\n");
  }
  await host.must("sh", "-c", "[ -e /usr/bin/dnf ] || ln -s dnf5 /usr/bin/dnf");
}

async function installed(host: PackageHost): Promise<string> {
  const { output } = await host.run("rpm", "-q", "--qf", "%{VERSION}", "pennon");
  return output.trim();
}

/** The versions that dnf finds in the repository, after it has looked. */
async function offered(host: PackageHost): Promise<string[]> {
  const format = ["--qf", "%{version}\\n"];
  const output = await host.must("dnf", "-y", "--refresh", "repoquery", "pennon", ...format);
  return output.match(/^\d+\.\d+\.\d+$/gm) ?? [];
}

/** What says which index is current, and where it is. */
async function metalink(site: Site): Promise<string> {
  const file = `${site.directory}/rpm/repodata/repomd.xml`;
  const newest = [...(await Deno.readTextFile(file)).matchAll(/<timestamp>(\d+)/g)]
    .map(([, second]) => Number(second)).sort().at(-1);
  return `<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/"
  xmlns:mm0="http://fedorahosted.org/mirrormanager"><files><file name="repomd.xml">
<mm0:timestamp>${newest}</mm0:timestamp>
<verification><hash type="sha256">${await sha256Of(file)}</hash></verification>
<resources><url protocol="http" type="http" preference="100"
>${site.url}/rpm/repodata/repomd.xml</url></resources></file></files></metalink>
`;
}

for (const root of ["dnf-4", "dnf-5"]) {
  onPackageHost("dnf: install, upgrade, downgrade and remove", root, async (host) => {
    const [first, second] = PACKAGE_TESTS!.versions.map(({ version }) => version);
    await prepare(host);
    const before = await host.files();

    const site = await repositories.serve("first");
    await host.mustRunLines(dnfLines(site.url));
    assertEquals(await installed(host), first);
    assertEquals(await host.ownerAndMode("/etc/pennon/config.toml"), "root:pennon 640");
    assertEquals(await host.ownerAndMode("/var/lib/pennon"), "pennon:pennon 700");
    assertEquals(await host.must("rpm", "-V", "--nodeps", "pennon"), "");

    const config = await host.configureShortWaits();
    await using agent = await PackagedAgent.register(host);
    await agent.deliver();
    const events = await agent.bufferEvents();

    await repositories.serve("second");
    await host.must("dnf", "-y", "--refresh", "upgrade", "pennon");
    assertEquals(await installed(host), second);
    assertEquals(await host.read("/etc/pennon/config.toml"), config);
    const kept = await agent.bufferedEvents();
    assertEquals(events.filter((id) => !kept.includes(id)), []);
    await agent.deliver();

    const more = await agent.bufferEvents();
    await host.must("dnf", "-y", "downgrade", "pennon");
    assertEquals(await installed(host), first);
    assertEquals(await agent.bufferedEvents(), more);
    await agent.deliver();
    assertEquals(agent.server.state().agents.length, 1);

    await host.must("dnf", "-y", "remove", "pennon");
    assertEquals(await host.exists("/usr/bin/pennon"), false);
    assert(await host.exists("/var/lib/pennon/identity.json"));
    // What docs/install.md says to type after that: rpm knows no purge.
    await host.must("sh", "-c", "rm -rf /var/lib/pennon /etc/pennon; userdel pennon");
    await host.must(
      "sh",
      "-c",
      "rm /etc/pki/rpm-gpg/RPM-GPG-KEY-pennon /etc/yum.repos.d/pennon.repo",
    );
    assertSameFiles(before, await host.files());
  });

  onPackageHost("dnf: what was changed or is signed by another is refused", root, async (host) => {
    const [first, second] = PACKAGE_TESTS!.versions.map(({ version }) => version);
    await prepare(host);
    const site = await repositories.serve("first");
    await host.mustRunLines(dnfLines(site.url));
    const refused: [repository: string, reason: RegExp][] = [
      ["stranger", /[Bb]ad PGP signature|[Ss]igning key not found|GPG/],
      ["changed-index", /[Bb]ad PGP signature|[Ss]ignature verif|GPG|Bad GPG signature/],
      ["changed-list", /checksum|Checksum/],
      ["changed-package", /checksum|Checksum/],
    ];
    for (const [repository, reason] of refused) {
      await repositories.serve(repository);
      await host.must("dnf", "clean", "all");
      // dnf 4 does without a repository that it refuses, and ends with 0.
      const { output } = await host.run("dnf", "-y", "upgrade", "pennon");
      assertMatch(output, reason, repository);
      assertEquals(await installed(host), first, repository);
    }

    // A stranger's package behind a signed index, where the index is not checked.
    await repositories.serve("stranger-packages");
    await host.must("dnf", "clean", "all");
    const { code, output } = await host.run(
      ...["dnf", "-y", "--setopt=pennon.repo_gpgcheck=0", "upgrade", "pennon"],
    );
    assert(code !== 0, output);
    assertEquals(await installed(host), first);

    // dnf takes an older index that is signed, without a word (decision 0047): what came since then is
    // gone from its list. It downgrades nothing because of it.
    await repositories.serve("second");
    await host.must("dnf", "-y", "--refresh", "upgrade", "pennon");
    assertEquals(await installed(host), second);
    assertEquals(await offered(host), [first, second]);
    await repositories.serve("first");
    const { output: said } = await host.run("dnf", "-y", "--refresh", "upgrade", "pennon");
    assertEquals(await offered(host), [first], said);
    assertEquals(await installed(host), second);

    // A metalink, which the publisher serves, refuses the older index of a mirror. It is not signed.
    await repositories.serve("second");
    await Deno.writeTextFile(`${site.directory}/metalink`, await metalink(site));
    const metalinkOf = `s,^baseurl=.*,metalink=${site.url}/metalink,`;
    await host.must("sed", "-i", metalinkOf, "/etc/yum.repos.d/pennon.repo");
    assertEquals(await offered(host), [first, second]);
    const text = await Deno.readTextFile(`${site.directory}/metalink`);
    await Deno.writeTextFile(`${(await repositories.serve("first")).directory}/metalink`, text);
    await host.must("dnf", "clean", "all");
    const stale = await host.run("dnf", "-y", "upgrade", "pennon");
    assertMatch(stale.output, /checksum doesn't match/);
  });
}

Deno.test({
  name: "the server of the repositories of rpms is closed",
  ignore: PACKAGE_TESTS === null,
  fn: () => repositories.close(),
});
