/** A world of dnf's own in a temporary folder: packages built here, repositories, an empty host. */

import { run } from "./apt_root.ts";

/** A package to build. */
export interface RpmPackage {
  readonly name: string;
  /** `[epoch:]version-release`. */
  readonly evr: string;
  /** By default the host's own; `i686` can be made on a host that has x86_64. */
  readonly architecture?: "noarch" | "i686";
  /** Further lines of its spec: `Requires: nothing-has-this`. */
  readonly lines?: readonly string[];
}

/** An advisory on packages of a repository. */
export interface Advisory {
  readonly id: string;
  readonly type: string;
  readonly severity?: string;
  readonly title?: string;
  /** In XML. */
  readonly description?: string;
  readonly references?: readonly { readonly type: string; readonly id: string }[];
  readonly packages: readonly RpmPackage[];
}

const PROGRAMS = ["dnf", "rpm", "rpmbuild", "createrepo_c", "modifyrepo_c"];

/** The programs that such a world needs and this host lacks. */
export async function missingPrograms(): Promise<string[]> {
  const found = await Promise.all(
    PROGRAMS.map((name) => Deno.stat(`/usr/bin/${name}`).then(() => true, () => false)),
  );
  return PROGRAMS.filter((_, index) => !found[index]);
}

/** A test on real dnf in a world of its own; skipped, aloud, where that cannot be made. */
export function onDnf(name: string, test: (root: DnfRoot) => Promise<void>): void {
  Deno.test(name, async () => {
    const missing = await missingPrograms();
    if (missing.length > 0) return console.log(`skipped: no ${missing.join(", ")} here`);
    await using root = await DnfRoot.make();
    await test(root);
  });
}

export class DnfRoot {
  readonly path: string;
  readonly architecture: string;
  #installations = 0;

  private constructor(path: string, architecture: string) {
    this.path = path;
    this.architecture = architecture;
  }

  static async make(): Promise<DnfRoot> {
    const path = await Deno.makeTempDir({ prefix: "pennon-dnf-" });
    const { stdout } = await run(["/usr/bin/rpm", "--eval", "%{_arch}"]);
    const root = new DnfRoot(path, stdout.trim());
    for (const folder of ["repos.d", "host", "log"]) {
      await Deno.mkdir(`${path}/${folder}`);
    }
    await Deno.writeTextFile(
      `${path}/dnf.conf`,
      [
        "[main]",
        `reposdir=${path}/repos.d`,
        `cachedir=${path}/cache`,
        `logdir=${path}/log`,
        `persistdir=${path}/persist`,
        "pluginpath=/nonexistent",
        "",
      ].join("\n"),
    );
    return root;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }

  /** What to give `dnfScanner` so that it looks here. */
  get options() {
    const { path } = this;
    return {
      dnfArguments: ["-c", `${path}/dnf.conf`, `--installroot=${path}/host`, "--releasever=9"],
      rpmArguments: [`--root=${path}/host`],
      configuration: {
        file: `${path}/dnf.conf`,
        repositories: `${path}/repos.d`,
        locks: `${path}/versionlock.list`,
      },
      // Below the installroot, as dnf has it.
      cacheDirectory: `${path}/host${path}/cache`,
    };
  }

  /** Asks dnf by hand, as a person would. */
  dnf(...args: string[]) {
    return run(["/usr/bin/dnf", ...this.options.dnfArguments, ...args], {
      HOME: Deno.env.get("HOME") ?? "/",
    });
  }

  /** Where dnf keeps its package lists: it takes the folder for one below the install root. */
  get cache(): string {
    return `${this.path}/host${this.path}/cache`;
  }

  /** Makes the package lists look as if they had been fetched that long ago. */
  async age(hours: number): Promise<void> {
    const then = new Date(Date.now() - hours * 3_600_000);
    for (const name of await namesIn(this.cache)) {
      const folder = `${this.cache}/${name}/repodata`;
      const lists = await namesIn(folder).catch(() => []);
      for (const list of lists) await Deno.utime(`${folder}/${list}`, then, then);
    }
  }

  /** Makes a repository of packages, and has dnf know it by that name. */
  async offer(
    name: string,
    packages: readonly RpmPackage[],
    advisories: readonly Advisory[] = [],
  ): Promise<void> {
    const folder = await this.#build(name, packages);
    await must(["/usr/bin/createrepo_c", "-q", folder]);
    if (advisories.length > 0) {
      const file = `${this.path}/updateinfo.xml`;
      await Deno.writeTextFile(file, this.#updateInfo(advisories));
      await must(["/usr/bin/modifyrepo_c", "--mdtype=updateinfo", file, `${folder}/repodata`]);
    }
    await this.know(name, `file://${folder}`);
  }

  /** Adds metadata of another kind to a repository that is offered. */
  async describe(name: string, kind: string, text: string): Promise<void> {
    const file = `${this.path}/${kind}.yaml`;
    await Deno.writeTextFile(file, text);
    const data = `${this.path}/rpms-${name}/repodata`;
    await must(["/usr/bin/modifyrepo_c", `--mdtype=${kind}`, file, data]);
  }

  /** Adds a line to dnf's settings. */
  async configure(line: string): Promise<void> {
    await Deno.writeTextFile(`${this.path}/dnf.conf`, `${line}\n`, { append: true });
  }

  async know(name: string, url: string, ...lines: string[]): Promise<void> {
    const text = [`[${name}]`, `name=${name}`, `baseurl=${url}`, "gpgcheck=0", ...lines, ""];
    await Deno.writeTextFile(`${this.path}/repos.d/${name}.repo`, text.join("\n"));
  }

  /** Puts packages on the host, in name only. */
  async install(packages: readonly RpmPackage[]): Promise<void> {
    // A host may have several versions of a package, a repository made here only one.
    const folder = await this.#build(`installed-${this.#installations++}`, packages);
    const files = await namesIn(folder);
    const flags = ["--justdb", "--nodeps", "--noscripts", "--ignorearch"];
    const paths = files.map((name) => `${folder}/${name}`);
    await must(["/usr/bin/rpm", ...this.options.rpmArguments, "-i", ...flags, ...paths]);
  }

  /** Builds packages, all of an architecture at once as parts of one that is thrown away. */
  async #build(name: string, packages: readonly RpmPackage[]): Promise<string> {
    const folder = `${this.path}/rpms-${name}`;
    const byTarget = Map.groupBy(
      packages,
      ({ architecture }) => architecture === "i686" ? architecture : this.architecture,
    );
    for (const [target, some] of byTarget) await this.#buildFor(target, folder, some);
    return folder;
  }

  async #buildFor(target: string, folder: string, packages: readonly RpmPackage[]): Promise<void> {
    const parts = packages.map(({ name, evr, architecture, lines = [] }) => {
      const [, epoch, version, release] = /^(?:(\d+):)?(.+)-([^-]+)$/.exec(evr) ?? [];
      return [
        `%package -n ${name}`,
        ...(epoch === undefined ? [] : [`Epoch: ${epoch}`]),
        `Version: ${version}`,
        `Release: ${release}`,
        `Summary: The package ${name}`,
        ...(architecture === "noarch" ? ["BuildArch: noarch"] : []),
        ...lines,
        `%description -n ${name}\nThe package ${name}.`,
        `%files -n ${name}`,
      ].join("\n");
    });
    const head =
      "Name: thrown-away\nVersion: 1\nRelease: 1\nSummary: None\nLicense: MIT\n%description\nNone.";
    const spec = `${folder}-${target}.spec`;
    await Deno.writeTextFile(spec, [head, ...parts, ""].join("\n"));
    await must([
      "/usr/bin/rpmbuild",
      "-bb",
      "--quiet",
      `--target=${target}`,
      "--define",
      `_topdir ${this.path}/build`,
      "--define",
      `_rpmdir ${folder}`,
      "--define",
      "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
      spec,
    ]);
  }

  #updateInfo(advisories: readonly Advisory[]): string {
    const updates = advisories.map((advisory) => {
      const { id, type, severity, title = id, description, references = [], packages } = advisory;
      const links = references.map(({ type, id }) =>
        `<reference type="${type}" id="${id}" href="http://advisory.example/${id}" title="${id}"/>`
      );
      const files = packages.map(({ name, evr, architecture = this.architecture }) => {
        const [, epoch = "0", version, release] = /^(?:(\d+):)?(.+)-([^-]+)$/.exec(evr) ?? [];
        return `<package name="${name}" epoch="${epoch}" version="${version}" ` +
          `release="${release}" arch="${architecture}">` +
          `<filename>${name}-${version}-${release}.${architecture}.rpm</filename></package>`;
      });
      return `<update from="x@example.org" status="stable" type="${type}" version="1">` +
        `<id>${id}</id><title>${title}</title><issued date="2026-11-02 00:00:00"/>` +
        (severity === undefined ? "" : `<severity>${severity}</severity>`) +
        (description === undefined ? "" : `<description>${description}</description>`) +
        `<references>${links.join("")}</references>` +
        `<pkglist><collection>${files.join("")}</collection></pkglist></update>`;
    });
    return `<?xml version="1.0" encoding="UTF-8"?>\n<updates>${updates.join("\n")}</updates>\n`;
  }
}

export async function must(argv: readonly string[]): Promise<void> {
  const { code, stderr } = await run(argv, { HOME: Deno.env.get("HOME") ?? "/" });
  if (code !== 0) throw new Error(`${argv[0]}: exit ${code}: ${stderr}`);
}

async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) names.push(name);
  return names;
}
