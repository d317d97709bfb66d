import { assert, assertEquals, assertMatch } from "@std/assert";
import { fileURLToPath } from "node:url";
import { installScript } from "../../tools/release/install_script.ts";
import { writeSums } from "../../tools/release/sums.ts";
import { lacks } from "./lacks.ts";
import { endSigner, makeSigner, Site } from "./package_site.ts";

const TEMPLATE = fileURLToPath(new URL("../../packaging/install.sh", import.meta.url));

const VERSION = "1.2.3";
const PLATFORM = Deno.build.arch === "x86_64" ? "linux-x64" : "linux-arm64";
const ARCHIVE = `pennon-${VERSION}-${PLATFORM}.tar.gz`;

const ignore = await lacks("gpg", "gpgv", "curl", "wget", "tar", "dash", "bash");

/** A release of a stand-in for the executable, a web server for it, and a place to install into. */
class Release implements AsyncDisposable {
  readonly directory: string;
  readonly site = new Site();
  /** The script as a release has it. */
  script = "";

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(executable = `#!/bin/sh\necho "pennon ${VERSION}"\n`): Promise<Release> {
    const directory = await Deno.makeTempDir({ prefix: "pennon-install-" });
    const release = new Release(directory);
    const files = `${directory}/site/download/${VERSION}`;
    const inside = `${directory}/pennon-${VERSION}-${PLATFORM}`;
    for (const path of [files, inside, `${directory}/tmp`]) {
      await Deno.mkdir(path, { recursive: true });
    }
    await Deno.writeTextFile(`${inside}/pennon`, executable, { mode: 0o755 });
    await must("tar", "-czf", `${files}/${ARCHIVE}`, "-C", directory, inside.split("/").at(-1)!);
    const signer = await makeSigner(directory, "releases");
    await writeSums(files, signer);
    const template = await Deno.readTextFile(TEMPLATE);
    release.script = installScript(template, {
      version: VERSION,
      url: `${release.site.url}/download`,
      fingerprint: signer.fingerprint,
      key: await signer.publicKey(),
    });
    await endSigner();
    await Deno.writeTextFile(`${directory}/install.sh`, release.script);
    release.site.directory = `${directory}/site`;
    return release;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site[Symbol.asyncDispose]();
    await Deno.remove(this.directory, { recursive: true });
  }

  get prefix(): string {
    return `${this.directory}/prefix`;
  }

  get target(): string {
    return `${this.prefix}/bin/pennon`;
  }

  file(name: string): string {
    return `${this.directory}/site/download/${VERSION}/${name}`;
  }

  /** Runs the script; `path` is where it finds programs. */
  async run(
    args: readonly string[] = [],
    { shell = "dash", path = Deno.env.get("PATH")! } = {},
  ) {
    const { code, stdout, stderr } = await new Deno.Command(`/bin/${shell}`, {
      args: [`${this.directory}/install.sh`, "--prefix", this.prefix, ...args],
      clearEnv: true,
      env: { PATH: path, HOME: this.directory, TMPDIR: `${this.directory}/tmp` },
    }).output();
    const decoder = new TextDecoder();
    return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
  }

  /** Runs it, and makes sure that it fails for that reason and leaves nothing. */
  async mustRefuse(reason: RegExp, ...run: Parameters<Release["run"]>): Promise<void> {
    const { code, text } = await this.run(...run);
    assertEquals(code, 1, text);
    assertMatch(text, reason);
    assertEquals(await exists(this.prefix), false, "the prefix was made");
    assertEquals([...Deno.readDirSync(`${this.directory}/tmp`)], []);
  }

  /** A directory with links to the programs that the script uses, without some. */
  async without(...programs: string[]): Promise<string> {
    const directory = await Deno.makeTempDir({ dir: this.directory });
    for (const name of PROGRAMS.filter((program) => !programs.includes(program))) {
      const found = ["/usr/bin", "/bin"].map((place) => `${place}/${name}`);
      for (const path of found) {
        if (!await exists(path) || await exists(`${directory}/${name}`)) continue;
        await Deno.symlink(path, `${directory}/${name}`);
      }
    }
    return directory;
  }

  /** `path` with a program of the test's own. */
  async with(name: string, text: string): Promise<string> {
    const directory = await this.without(name);
    await Deno.writeTextFile(`${directory}/${name}`, text, { mode: 0o755 });
    return directory;
  }
}

/** All that `install.sh` may call. */
const PROGRAMS =
  "awk base64 cat chmod cp curl cut dirname dpkg-query getconf gpg gpgv grep gzip head"
    .concat(" ldd mkdir mktemp mv rm rmdir sed sh sha256sum shasum sqv tar uname wget").split(" ");

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

async function must(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

function onRelease(name: string, test: (release: Release) => Promise<void>): void {
  Deno.test({
    name: `install.sh ${name}`,
    ignore,
    fn: async () => {
      const release = await Release.make();
      await using _release = release;
      await test(release);
    },
  });
}

for (const shell of ["dash", "bash"]) {
  onRelease(`installs, replaces and removes (${shell})`, async (release) => {
    const dry = await release.run(["--dry-run"], { shell });
    assertEquals(dry.code, 0, dry.text);
    assertMatch(dry.text, /nothing was downloaded and nothing was changed/);
    assertEquals([await exists(release.prefix), release.site.requests], [false, []]);
    for (let time = 0; time < 2; time++) {
      const done = await release.run([], { shell });
      assertEquals(done.code, 0, done.text);
      assertMatch(done.text, /signature and SHA-256 are right[^]*installed .*pennon 1\.2\.3/);
      assertEquals([...Deno.readDirSync(`${release.prefix}/bin`)].map(({ name }) => name), [
        "pennon",
      ]);
    }
    assertEquals([...Deno.readDirSync(`${release.directory}/tmp`)], []);
    const kept = await release.run(["--uninstall", "--dry-run"], { shell });
    assertMatch(kept.text, /would remove/);
    assert(await exists(release.target));
    const removed = await release.run(["--uninstall"], { shell });
    assertEquals([removed.code, await exists(release.target)], [0, false], removed.text);
    assertMatch((await release.run(["--uninstall"], { shell })).text, /nothing to do/);
  });
}

onRelease("works with each downloader and verifier", async (release) => {
  for (const others of [["curl"], ["wget"], ["gpgv"], ["gpg"]]) {
    const done = await release.run([], { path: await release.without(...others) });
    assertEquals(done.code, 0, done.text);
  }
});

onRelease("refuses what it cannot verify", async (release) => {
  const path = await release.without("gpg", "gpgv", "sqv");
  await release.mustRefuse(/neither gpgv, gpg nor sqv/, [], { path });
  await release.mustRefuse(/neither sha256sum nor shasum/, [], {
    path: await release.without("sha256sum", "shasum"),
  });
  await release.mustRefuse(/neither curl nor wget/, [], {
    path: await release.without("curl", "wget"),
  });
});

onRelease("refuses an archive with another sum, and one that was cut off", async (release) => {
  const archive = await Deno.readFile(release.file(ARCHIVE));
  await Deno.writeFile(release.file(ARCHIVE), archive.subarray(0, archive.length - 10));
  await release.mustRefuse(/the signed list says [0-9a-f]{64}/);
  archive[archive.length >> 1]! ^= 1;
  await Deno.writeFile(release.file(ARCHIVE), archive);
  await release.mustRefuse(/the signed list says [0-9a-f]{64}/);
});

onRelease("refuses a list that was changed or is signed by another", async (release) => {
  const list = await Deno.readTextFile(release.file("SHA256SUMS"));
  await Deno.writeTextFile(release.file("SHA256SUMS"), list.replace(/^./, "x"));
  for (const path of [await release.without("gpg"), await release.without("gpgv")]) {
    await release.mustRefuse(/signature of SHA256SUMS is wrong/, [], { path });
  }
  const stranger = await makeSigner(release.directory, "stranger");
  await writeSums(release.file("").replace(/\/$/, ""), stranger);
  await endSigner();
  for (const path of [await release.without("gpg"), await release.without("gpgv")]) {
    await release.mustRefuse(/signature of SHA256SUMS is wrong/, [], { path });
  }
});

onRelease("refuses an older release under a newer name", async (release) => {
  const newer = `${release.directory}/site/download/1.2.4`;
  await Deno.rename(release.file("").replace(/\/$/, ""), newer);
  await Deno.rename(`${newer}/${ARCHIVE}`, `${newer}/${ARCHIVE.replace(VERSION, "1.2.4")}`);
  await release.mustRefuse(/release 1\.2\.4 has no /, ["--version", "1.2.4"]);
});

onRelease("says what cannot be downloaded, with either downloader", async (release) => {
  for (const name of ["curl", "wget"]) {
    const path = await release.without(name);
    await release.mustRefuse(/SHA256SUMS cannot be downloaded/, ["--version", "9.9.9"], { path });
  }
  const from = ["--from", "http://127.0.0.1:1"];
  await release.mustRefuse(/127\.0\.0\.1:1\/SHA256SUMS cannot be downloaded/, from);
});

onRelease("installs from a mirror", async (release) => {
  const done = await release.run(["--from", `${release.site.url}/download/${VERSION}/`]);
  assertEquals(done.code, 0, done.text);
});

onRelease("names musl, and a glibc that is too old", async (release) => {
  const musl = await release.with("getconf", "#!/bin/sh\nexit 1\n");
  await Deno.remove(`${musl}/ldd`);
  const ldd = "#!/bin/sh\necho 'musl libc (x86_64)' >&2\nexit 1\n";
  await Deno.writeTextFile(`${musl}/ldd`, ldd, { mode: 0o755 });
  await release.mustRefuse(/this system has musl/, [], { path: musl });
  for (const [version, isRefused] of [["2.26", true], ["2.27", false], ["2.4", true]] as const) {
    const path = await release.with("getconf", `#!/bin/sh\necho glibc ${version}\n`);
    if (isRefused) await release.mustRefuse(new RegExp(`glibc ${version}, and`), [], { path });
    else assertEquals((await release.run(["--dry-run"], { path })).code, 0);
  }
});

onRelease("names a system and a processor without a release", async (release) => {
  const system = await release.with("uname", "#!/bin/sh\necho FreeBSD\n");
  await release.mustRefuse(/no release for FreeBSD/, [], { path: system });
  const processor = await release.with(
    "uname",
    '#!/bin/sh\n[ "$1" = -m ] && echo riscv64 || echo Linux\n',
  );
  await release.mustRefuse(/no release for the processor riscv64/, [], { path: processor });
});

onRelease("does nothing if it was cut off itself", async (release) => {
  const { script } = release;
  for (const length of [1_000, Math.floor(script.length / 2), script.length - 12]) {
    await Deno.writeTextFile(`${release.directory}/install.sh`, script.slice(0, length));
    await release.run();
    assertEquals([await exists(release.prefix), release.site.requests], [false, []]);
  }
});

onRelease("refuses to run wrongly, and without a key", async (release) => {
  for (
    const args of [["--what"], ["--version"], ["--version", "../.."], ["--prefix", "relative"]]
  ) {
    const { code, text } = await release.run(args);
    assertEquals(code, 2, text);
  }
  await Deno.copyFile(TEMPLATE, `${release.directory}/install.sh`);
  await release.mustRefuse(/no key in it/, ["--version", VERSION]);
});

Deno.test({
  name: `install.sh keeps the old executable if the new one does not start`,
  ignore,
  fn: async () => {
    const release = await Release.make("#!/bin/sh\necho broken >&2\nexit 1\n");
    await using _release = release;
    await Deno.mkdir(`${release.prefix}/bin`, { recursive: true });
    await Deno.writeTextFile(release.target, "old");
    const { code, text } = await release.run();
    assertEquals([code, await Deno.readTextFile(release.target)], [1, "old"], text);
    assertMatch(text, /does not start here: broken/);
    assertEquals([...Deno.readDirSync(`${release.prefix}/bin`)].length, 1);
  },
});

Deno.test({
  name: `install.sh names a directory that cannot be written`,
  // Root may write everywhere; a file in the place of a directory stops root too.
  ignore,
  fn: async () => {
    const release = await Release.make();
    await using _release = release;
    await Deno.writeTextFile(release.prefix, "a file");
    const { code, text } = await release.run();
    assertEquals(code, 1, text);
    assertMatch(text, /cannot be written/);
    assertEquals([await Deno.readTextFile(release.prefix), release.site.requests], ["a file", []]);
  },
});

Deno.test({
  name: "the shell scripts of the packages and install.sh pass shellcheck",
  ignore: await lacks("shellcheck"),
  fn: async () => {
    const names = ["account", "postinstall", "preremove", "postremove"];
    const files = names.map((name) => `packaging/linux/${name}.sh`).concat("packaging/install.sh");
    const { success, stdout } = await new Deno.Command("shellcheck", {
      args: files,
      cwd: fileURLToPath(new URL("../../", import.meta.url)),
    }).output();
    assert(success, new TextDecoder().decode(stdout));
  },
});
