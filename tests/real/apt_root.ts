/**
 * A world of apt's own in a temporary folder: repositories made by hand, their lists, a dpkg database.
 * Real apt-get and dpkg-query look at it as they do at a host.
 */

/** A package in a repository or in dpkg's database. */
export interface RootPackage {
  readonly name: string;
  readonly version: string;
  /** @default the host's own */
  readonly architecture?: string;
  /** Further fields: `Depends`, `Multi-Arch`, `Source`, `Status`. */
  readonly fields?: Readonly<Record<string, string>>;
}

/** A suite of a repository. */
export interface RootSuite {
  /** Folder of the archive, and the suite's own: `ubuntu`, `noble-updates`. */
  readonly archive: string;
  readonly suite: string;
  /** What its Release file says; `Suite` where it is not the folder's name. */
  readonly release: Readonly<Record<string, string>>;
  readonly packages: readonly RootPackage[];
}

/** Where dpkg keeps what is on the host. */
const DPKG = "var/lib/dpkg";

export class AptRoot {
  readonly path: string;
  readonly architecture: string;
  readonly foreignArchitecture: string;

  private constructor(path: string, architecture: string) {
    this.path = path;
    this.architecture = architecture;
    this.foreignArchitecture = architecture === "i386" ? "amd64" : "i386";
  }

  static async make(): Promise<AptRoot> {
    const path = await Deno.makeTempDir({ prefix: "pennon-apt-" });
    await Deno.chmod(path, 0o755);
    const dpkg = await run(["/usr/bin/dpkg", "--print-architecture"]);
    const root = new AptRoot(path, dpkg.stdout.trim());
    const folders = [
      "etc/apt/apt.conf.d",
      "etc/apt/preferences.d",
      "etc/apt/trusted.gpg.d",
      "var/lib/apt/lists/partial",
      "var/cache/apt/archives/partial",
      `${DPKG}/info`,
      `${DPKG}/updates`,
    ];
    for (const folder of folders) await Deno.mkdir(`${path}/${folder}`, { recursive: true });
    const { architecture, foreignArchitecture } = root;
    await root.write(`${DPKG}/arch`, `${architecture}\n${foreignArchitecture}\n`);
    await root.write("etc/apt/sources.list", "");
    await root.install([]);
    await root.write(
      "apt.conf",
      [
        `Dir "${path}/";`,
        `Dir::State::status "${path}/${DPKG}/status";`,
        `APT::Architecture "${architecture}";`,
        `APT::Architectures { "${architecture}"; "${foreignArchitecture}"; };`,
        'APT::Sandbox::User "root";',
        // In a container apt would not phase at all.
        'APT::Get::Never-Include-Phased-Updates "true";',
        "",
      ].join("\n"),
    );
    return root;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }

  /** What to give `aptScanner` so that it looks here. */
  get options() {
    return {
      aptConfigFile: `${this.path}/apt.conf`,
      dpkgDirectory: `${this.path}/${DPKG}`,
      aptStateDirectory: `${this.path}/var/lib/apt`,
      aptCacheDirectory: `${this.path}/var/cache/apt`,
      hostDirectory: this.path,
    };
  }

  async write(path: string, text: string): Promise<void> {
    const folder = path.split("/").slice(0, -1).join("/");
    await Deno.mkdir(`${this.path}/${folder}`, { recursive: true });
    await Deno.writeTextFile(`${this.path}/${path}`, text);
  }

  /** Sets what is installed; a package is `install ok installed` if its fields do not say otherwise. */
  async install(packages: readonly RootPackage[]): Promise<void> {
    const texts = packages.map((package_) =>
      this.#stanza(package_, { Status: "install ok installed" })
    );
    await this.write(`${DPKG}/status`, texts.join("\n"));
  }

  /** Makes the suites and has apt fetch their lists. */
  async offer(suites: readonly RootSuite[]): Promise<void> {
    for (const suite of suites) await this.publish(suite);
    const sources = suites.map(({ archive, suite }) =>
      `deb [trusted=yes] file:${this.path}/repositories/${archive} ${suite} main\n`
    );
    await this.write("etc/apt/sources.list", sources.join(""));
    await this.update();
  }

  async update(): Promise<void> {
    const { code, stderr } = await this.apt("get", "-qq", "update");
    if (code !== 0) throw new Error(`apt-get update: ${stderr}`);
  }

  /** Asks apt by hand, as a person would. */
  apt(program: "get" | "cache" | "mark", ...args: string[]) {
    const environment = { APT_CONFIG: this.options.aptConfigFile };
    return run([`/usr/bin/apt-${program}`, ...args], environment);
  }

  /** Makes a suite, or makes it anew; apt does not know yet. */
  async publish({ archive, suite, release, packages }: RootSuite): Promise<void> {
    const folder = `repositories/${archive}/dists/${suite}`;
    const sums: string[] = [];
    for (const architecture of [this.architecture, this.foreignArchitecture]) {
      // Packages of no architecture are listed for each.
      const listed = packages.filter((package_) =>
        ["all", architecture].includes(package_.architecture ?? this.architecture)
      );
      const text = listed.map((package_) => this.#stanza(package_, this.#offered(package_))).join(
        "\n",
      );
      const path = `main/binary-${architecture}/Packages`;
      await this.write(`${folder}/${path}`, text);
      sums.push(` ${await sha256(text)} ${new TextEncoder().encode(text).length} ${path}`);
    }
    const fields = { Suite: suite, Codename: suite, ...release };
    const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
    const architectures = `Architectures: ${this.architecture} ${this.foreignArchitecture}`;
    const date = "Date: Mon, 23 Nov 2026 00:00:00 UTC";
    const lines = [...head, architectures, "Components: main", date, "SHA256:", ...sums, ""];
    await this.write(`${folder}/Release`, lines.join("\n"));
  }

  /** Fields that only a package in a repository has. */
  #offered({ name, version, architecture = this.architecture }: RootPackage) {
    return {
      Filename: `pool/${name}_${version.replace(":", "%3a")}_${architecture}.deb`,
      Size: `${1_000 + name.length}`,
      SHA256: "0".repeat(64),
    };
  }

  #stanza(package_: RootPackage, more: Readonly<Record<string, string>>): string {
    const fields = {
      Package: package_.name,
      Version: package_.version,
      Architecture: package_.architecture ?? this.architecture,
      Maintainer: "Nobody <nobody@example.org>",
      Description: `The package ${package_.name}`,
      ...more,
      ...package_.fields,
    };
    return Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`).join("");
  }
}

async function sha256(text: string): Promise<string> {
  const sum = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(sum)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Runs a program as a person with no locale would. */
export async function run(argv: readonly string[], environment: Record<string, string> = {}) {
  const [program = "", ...args] = argv;
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    clearEnv: true,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/", LC_ALL: "C", ...environment },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
