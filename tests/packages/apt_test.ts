import { assert, assertEquals, assertMatch } from "@std/assert";
import { aptLines } from "../../tools/release/install_lines.ts";
import { onPackageHost, PACKAGE_TESTS, PackagedAgent, type PackageHost } from "./package_host.ts";
import {
  copyRepository,
  endSigner,
  findFiles,
  flipByte,
  makeSigner,
  publish,
  replaceBytes,
  Site,
} from "../real/package_site.ts";

/** The repositories of these tests, made once: their directories by name. */
let made: Promise<{ site: Site; directory: (name: string) => string }> | undefined;

async function makeSite() {
  const { versions: [first, second], work } = PACKAGE_TESTS!;
  const directory = (name: string) => `${work}/apt-${name}`;
  const site = new Site();
  const { url } = site;
  const signer = await makeSigner(work, "releases");
  await publish(first, ".deb", { into: directory("first"), signer, url });
  await copyRepository(directory("first"), directory("second"));
  await publish(second, ".deb", { into: directory("second"), signer, url });

  await copyRepository(directory("second"), directory("expired"));
  const dists = `${directory("expired")}/apt/dists/stable`;
  const release = await Deno.readTextFile(`${dists}/Release`);
  await replaceBytes(
    `${dists}/Release`,
    () =>
      new TextEncoder().encode(
        release.replace(/(?<=Valid-Until: ).*/, "Wed, 01 Jan 2025 00:00:00 UTC"),
      ),
  );
  await Deno.remove(`${dists}/InRelease`);
  await signer.signInline(`${dists}/Release`, `${dists}/InRelease`);
  await endSigner();

  await copyRepository(directory("second"), directory("changed-list"));
  for (
    const file of await findFiles(directory("changed-list"), /binary-amd64\/.*(Packages|by-hash)/)
  ) {
    await replaceBytes(file, flipByte);
  }
  await copyRepository(directory("second"), directory("changed-release"));
  const changed = `${directory("changed-release")}/apt/dists/stable/InRelease`;
  await replaceBytes(
    changed,
    (bytes) =>
      new TextEncoder().encode(
        new TextDecoder().decode(bytes).replace("Origin: Pennon", "Origin: Pennom"),
      ),
  );
  await copyRepository(directory("second"), directory("changed-package"));
  for (const file of await findFiles(directory("changed-package"), /\.deb$/)) {
    await replaceBytes(file, flipByte);
  }
  const stranger = await makeSigner(work, "stranger");
  await copyRepository(directory("second"), directory("stranger"));
  await Deno.remove(`${directory("stranger")}/apt/dists/stable/InRelease`);
  await publish(
    { ...second, files: [second.files.find((name) => name.endsWith(".deb"))!] },
    ".deb",
    {
      into: directory("stranger"),
      signer: stranger,
      url,
    },
  );
  await endSigner();
  return { site, directory };
}

/** Has the site serve one of the repositories. */
async function serve(name: string): Promise<Site> {
  const { site, directory } = await (made ??= makeSite());
  site.directory = directory(name);
  site.requests.length = 0;
  return site;
}

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

async function ownerAndMode(host: PackageHost, path: string): Promise<string> {
  return (await host.must("stat", "-c", "%U:%G %a", path)).trim();
}

for (const root of ["debian-12", "debian-13", "ubuntu-24.04"]) {
  onPackageHost("apt: install, upgrade, downgrade, remove and purge", root, async (host) => {
    const [first, second] = PACKAGE_TESTS!.versions.map(({ version }) => `${version}-1`);
    await host.must("sh", "-c", ": > /etc/apt/sources.list; rm -f /etc/apt/sources.list.d/*");
    const before = await host.files();

    const site = await serve("first");
    await host.mustRunLines(aptLines(site.url));
    assertEquals(await installed(host), `ii ${first}`);
    // The strongest hash that Release has; not by the name that changes with each publication.
    assert(site.requests.some((path) => path.includes("/binary-amd64/by-hash/SHA512/")));
    assert(!site.requests.some((path) => path.endsWith("/Packages.xz")));
    assertEquals(await ownerAndMode(host, "/etc/pennon/config.toml"), "root:pennon 640");
    assertEquals(await ownerAndMode(host, "/var/lib/pennon"), "pennon:pennon 700");
    const checked = await host.pennon("config", "check");
    assertEquals(checked.code, 0, checked.output);
    const account = await host.must("getent", "passwd", "pennon");
    assertMatch(account, /^pennon:x:\d{1,3}:\d{1,3}:.*:\/var\/lib\/pennon:\/usr\/sbin\/nologin\n$/);

    const config = await host.configureShortWaits();
    await using agent = await PackagedAgent.register(host);
    await agent.deliver();
    const events = await agent.bufferEvents();

    await serve("second");
    await host.must(...UPDATE);
    await host.must("apt-get", "install", "-y", "--only-upgrade", "pennon");
    assertEquals(await installed(host), `ii ${second}`);
    assertEquals(await host.read("/etc/pennon/config.toml"), config);
    assertEquals(await ownerAndMode(host, "/etc/pennon/config.toml"), "root:pennon 640");
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
    const after = await host.files();
    assertEquals(after.filter((file) => !before.includes(file)), []);
    assertEquals(before.filter((file) => !after.includes(file)), []);
  });

  onPackageHost("apt: what was changed, expired or rolled back is refused", root, async (host) => {
    const [first, second] = PACKAGE_TESTS!.versions.map(({ version }) => `${version}-1`);
    await host.must("sh", "-c", ": > /etc/apt/sources.list; rm -f /etc/apt/sources.list.d/*");
    const site = await serve("first");
    await host.mustRunLines(aptLines(site.url));
    const refused: [repository: string, reason: RegExp][] = [
      ["stranger", /NO_PUBKEY|Missing key/],
      ["changed-release", /BADSIG|invalid signature|Message has been manipulated|[Bb]ad signature/],
      ["changed-list", /Hash Sum mismatch/],
      ["expired", /is expired/],
    ];
    for (const [repository, reason] of refused) {
      await serve(repository);
      const { code, output } = await host.run(...UPDATE, "-o", "APT::Update::Error-Mode=any");
      assert(code !== 0, `${repository}: ${output}`);
      assertMatch(output, reason);
      assertEquals(await candidate(host), first, repository);
    }

    await serve("changed-package");
    await host.must(...UPDATE);
    assertEquals(await candidate(host), second);
    const { code, output } = await host.run("apt-get", "install", "-y", "pennon");
    assert(code !== 0, output);
    assertMatch(output, /Hash Sum mismatch/);
    assertEquals(await installed(host), `ii ${first}`);

    // Signed, not expired, and older than what this host has seen.
    await serve("second");
    await host.must(...UPDATE);
    await serve("first");
    await host.run(...UPDATE);
    assertEquals(await candidate(host), second);
  });
}

Deno.test({
  name: "the server of the repositories is closed",
  ignore: PACKAGE_TESTS === null,
  fn: async () => void await (await made)?.site[Symbol.asyncDispose](),
});
