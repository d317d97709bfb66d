import { assert, assertEquals, assertMatch } from "@std/assert";
import { aptLines } from "../../tools/release/install_lines.ts";
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
} from "../real/package_site.ts";

const repositories = new Repositories(`${PACKAGE_TESTS?.work}/apt`, async (url, directory) => {
  const { versions: [first, second], work } = PACKAGE_TESTS!;
  const signer = await makeSigner(work, "releases");
  await publish(first, ".deb", { into: directory("first"), signer, url });
  await copyRepository(directory("first"), directory("second"));
  await publish(second, ".deb", { into: directory("second"), signer, url });

  await copyChanged(directory("second"), directory("expired"), {
    files: /\/stable\/Release$/,
    change: replaceText(/(?<=Valid-Until: ).*/, "Wed, 01 Jan 2025 00:00:00 UTC"),
  });
  const dists = `${directory("expired")}/apt/dists/stable`;
  await Deno.remove(`${dists}/InRelease`);
  await signer.signInline(`${dists}/Release`, `${dists}/InRelease`);
  await endSigner();

  await copyChanged(directory("second"), directory("changed-list"), {
    files: /binary-amd64\/.*(Packages|by-hash)/,
    change: flipByte,
  });
  await copyChanged(directory("second"), directory("changed-release"), {
    files: /\/stable\/InRelease$/,
    change: replaceText(/Origin: Pennon/, "Origin: Pennom"),
  });
  await copyChanged(directory("second"), directory("changed-package"), {
    files: /\.deb$/,
    change: flipByte,
  });
  const stranger = await makeSigner(work, "stranger");
  await copyRepository(directory("second"), directory("stranger"));
  await Deno.remove(`${directory("stranger")}/apt/dists/stable/InRelease`);
  await publish(second, ".deb", { into: directory("stranger"), signer: stranger, url });
  await endSigner();
});

const UPDATE = ["apt-get", "update", "-o", "Dir::Etc::SourceList=/dev/null"];

async function candidate(host: PackageHost): Promise<string> {
  const policy = await host.must("apt-cache", "policy", "pennon");
  return /Candidate: (\S+)/.exec(policy)?.[1] ?? "none";
}

async function installed(host: PackageHost): Promise<string> {
  const { output } = await host.run(
    "dpkg-query",
    "-W",
    "-f",
    "${db:Status-Abbrev}${Version}",
    "pennon",
  );
  return output.trim();
}

for (const root of ["debian-12", "debian-13", "ubuntu-24.04"]) {
  onPackageHost("apt: install, upgrade, downgrade, remove and purge", root, async (host) => {
    const [first, second] = PACKAGE_TESTS!.versions.map(({ version }) => `${version}-1`);
    await host.must("sh", "-c", ": > /etc/apt/sources.list; rm -f /etc/apt/sources.list.d/*");
    const before = await host.files();

    const site = await repositories.serve("first");
    await host.mustRunLines(aptLines(site.url));
    assertEquals(await installed(host), `ii ${first}`);
    // The strongest hash that Release has; not by the name that changes with each publication.
    assert(site.requests.some((path) => path.includes("/binary-amd64/by-hash/SHA512/")));
    assert(!site.requests.some((path) => path.endsWith("/Packages.xz")));
    assertEquals(await host.ownerAndMode("/etc/pennon/config.toml"), "root:pennon 640");
    assertEquals(await host.ownerAndMode("/var/lib/pennon"), "pennon:pennon 700");
    const checked = await host.pennon("config", "check");
    assertEquals(checked.code, 0, checked.output);
    const account = await host.must("getent", "passwd", "pennon");
    assertMatch(account, /^pennon:x:\d{1,3}:\d{1,3}:.*:\/var\/lib\/pennon:\/usr\/sbin\/nologin\n$/);

    const config = await host.configureShortWaits();
    await using agent = await PackagedAgent.register(host);
    await agent.deliver();
    const events = await agent.bufferEvents();

    await repositories.serve("second");
    await host.must(...UPDATE);
    await host.must("apt-get", "install", "-y", "--only-upgrade", "pennon");
    assertEquals(await installed(host), `ii ${second}`);
    assertEquals(await host.read("/etc/pennon/config.toml"), config);
    assertEquals(await host.ownerAndMode("/etc/pennon/config.toml"), "root:pennon 640");
    assertEquals(await host.must("getent", "passwd", "pennon"), account);
    const kept = await agent.bufferedEvents();
    assertEquals(events.filter((id) => !kept.includes(id)), []);
    await agent.deliver();

    const more = await agent.bufferEvents();
    await host.must("apt-get", "install", "-y", "--allow-downgrades", `pennon=${first}`);
    assertEquals(await installed(host), `ii ${first}`);
    assertEquals(await agent.bufferedEvents(), more);
    await agent.deliver();
    assertEquals(agent.server.state().agents.length, 1);

    await host.must("apt-get", "remove", "-y", "pennon");
    assertEquals(await host.exists("/usr/bin/pennon"), false);
    assertEquals(await host.read("/etc/pennon/config.toml"), config);
    assert(await host.exists("/var/lib/pennon/identity.json"));
    await host.must("apt-get", "install", "-y", `pennon=${second}`);
    assertEquals((await agent.runOnce()).code, 0);

    await host.must("apt-get", "purge", "-y", "pennon");
    assertEquals((await host.run("getent", "passwd", "pennon")).code, 2);
    assertEquals((await host.run("getent", "group", "pennon")).code, 2);
    await host.must(
      "sh",
      "-c",
      "rm /etc/apt/keyrings/pennon.asc /etc/apt/sources.list.d/pennon.sources",
    );
    assertSameFiles(before, await host.files());
  });

  onPackageHost("apt: what was changed, expired or rolled back is refused", root, async (host) => {
    const [first, second] = PACKAGE_TESTS!.versions.map(({ version }) => `${version}-1`);
    await host.must("sh", "-c", ": > /etc/apt/sources.list; rm -f /etc/apt/sources.list.d/*");
    const site = await repositories.serve("first");
    await host.mustRunLines(aptLines(site.url));
    const refused: [repository: string, reason: RegExp][] = [
      ["stranger", /NO_PUBKEY|Missing key/],
      ["changed-release", /BADSIG|invalid signature|Message has been manipulated|[Bb]ad signature/],
      ["changed-list", /Hash Sum mismatch/],
      ["expired", /is expired/],
    ];
    for (const [repository, reason] of refused) {
      await repositories.serve(repository);
      const { code, output } = await host.run(...UPDATE, "-o", "APT::Update::Error-Mode=any");
      assert(code !== 0, `${repository}: ${output}`);
      assertMatch(output, reason);
      assertEquals(await candidate(host), first, repository);
    }

    await repositories.serve("changed-package");
    await host.must(...UPDATE);
    assertEquals(await candidate(host), second);
    const { code, output } = await host.run("apt-get", "install", "-y", "pennon");
    assert(code !== 0, output);
    assertMatch(output, /Hash Sum mismatch/);
    assertEquals(await installed(host), `ii ${first}`);

    // Signed, not expired, and older than what this host has seen.
    await repositories.serve("second");
    await host.must(...UPDATE);
    await repositories.serve("first");
    await host.run(...UPDATE);
    assertEquals(await candidate(host), second);
  });
}

Deno.test({
  name: "the server of the repositories is closed",
  ignore: PACKAGE_TESTS === null,
  fn: () => repositories.close(),
});
