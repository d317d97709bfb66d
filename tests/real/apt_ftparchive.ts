/**
 * Repositories as a distributor makes them: packages by dpkg-deb, what lists them by apt-ftparchive,
 * signatures by gpg. `AptRoot` writes its own lists by hand, and has them trusted as they are.
 */

import { type AptRoot, type RootPackage, type RootSuite, run } from "./apt_root.ts";

/** The programs that making them takes. */
export const MAKERS = ["dpkg-deb", "apt-ftparchive", "gpg", "gpgconf"] as const;

/** A suite; one without a signature is read only because its source allows that. */
export interface BuiltSuite extends RootSuite {
  readonly isSigned: boolean;
}

/** Where the keys are, and the public one as apt is given it. */
const KEYS = "keys";
const KEYRING = "etc/apt/test-keyring.gpg";

/** Two archives have the same file only if its bytes are: dpkg-deb writes down when it was built. */
const BUILT_AT = { SOURCE_DATE_EPOCH: "1793577600" };

/** Builds the suites, has apt fetch their lists, and returns the size of every package's file. */
export async function buildArchives(
  root: AptRoot,
  suites: readonly BuiltSuite[],
): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  await using signer = await Signer.make(root);
  for (const suite of suites) {
    const archive = `${root.path}/repositories/${suite.archive}`;
    const pool = `pool/${suite.suite}`;
    await Deno.mkdir(`${archive}/${pool}`, { recursive: true });
    for (const package_ of suite.packages) {
      const file = await buildPackage(root, package_, `${archive}/${pool}`);
      sizes.set(`${package_.name} ${package_.version}`, (await Deno.stat(file)).size);
    }
    await list(root, suite, { archive, pool });
    if (suite.isSigned) await signer.sign(`${archive}/dists/${suite.suite}`);
  }
  const sources = suites.map(({ archive, suite, isSigned }) => {
    const trust = isSigned ? `signed-by=${root.path}/${KEYRING}` : "allow-insecure=yes";
    return `deb [${trust}] file:${root.path}/repositories/${archive} ${suite} main\n`;
  });
  await root.write("etc/apt/sources.list", sources.join(""));
  await root.update();
  return sizes;
}

/** Returns where the package is: by its name apt-ftparchive tells whose architecture it is. */
async function buildPackage(
  root: AptRoot,
  { name, version, architecture = root.architecture, fields }: RootPackage,
  pool: string,
): Promise<string> {
  const file = `${pool}/${name}_${version}_${architecture}.deb`;
  const folder = `build/${name}_${version}`;
  const control = {
    Package: name,
    Version: version,
    Architecture: architecture,
    Maintainer: "Nobody <nobody@example.org>",
    ...fields,
    Description: `The package ${name}`,
  };
  const lines = Object.entries(control).map(([field, value]) => `${field}: ${value}\n`);
  await root.write(`${folder}/DEBIAN/control`, lines.join(""));
  await root.write(`${folder}/usr/share/doc/${name}/README`, `${name} ${version}\n`);
  const build = ["dpkg-deb", "--root-owner-group", "--build", `${root.path}/${folder}`, file];
  await must(build, BUILT_AT);
  return file;
}

/** Has apt-ftparchive list a pool: the packages with their fields, then the suite with its sums. */
async function list(
  root: AptRoot,
  { archive: name, suite, release }: BuiltSuite,
  { archive, pool }: { archive: string; pool: string },
): Promise<void> {
  const dists = `repositories/${name}/dists/${suite}`;
  const fields = {
    Suite: suite,
    Codename: suite,
    Components: "main",
    Architectures: `${root.architecture} ${root.foreignArchitecture}`,
    ...release,
  };
  for (const architecture of [root.architecture, root.foreignArchitecture]) {
    // Paths in the list are what the pool was called by: they have to begin at the archive.
    const packages = ["env", "-C", archive, "apt-ftparchive", "--arch", architecture, "packages"];
    await root.write(
      `${dists}/main/binary-${architecture}/Packages`,
      await must([...packages, pool]),
    );
  }
  const settings = Object.entries(fields).flatMap(([field, value]) => [
    "-o",
    `APT::FTPArchive::Release::${field}=${value}`,
  ]);
  const text = await must(["apt-ftparchive", ...settings, "release", `${root.path}/${dists}`]);
  await root.write(`${dists}/Release`, text);
}

/** A key of the test's own. */
class Signer {
  readonly #home: string;

  private constructor(home: string) {
    this.#home = home;
  }

  static async make(root: AptRoot): Promise<Signer> {
    const home = `${root.path}/${KEYS}`;
    await Deno.mkdir(home, { mode: 0o700 });
    const signer = new Signer(home);
    await signer.#gpg("--quick-generate-key", "nobody@example.org", "ed25519", "sign", "never");
    await signer.#gpg("--output", `${root.path}/${KEYRING}`, "--export");
    return signer;
  }

  async sign(dists: string): Promise<void> {
    await this.#gpg("--output", `${dists}/InRelease`, "--clearsign", `${dists}/Release`);
  }

  #gpg(...args: string[]): Promise<string> {
    return must(["gpg", "--homedir", this.#home, "--batch", "--passphrase", "", ...args]);
  }

  /** gpg leaves an agent behind that holds the keys. */
  async [Symbol.asyncDispose](): Promise<void> {
    await must(["gpgconf", "--homedir", this.#home, "--kill", "all"]);
  }
}

async function must(
  argv: readonly string[],
  environment: Record<string, string> = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(argv, environment);
  if (code !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
  return stdout;
}
