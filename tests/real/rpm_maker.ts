/** Builds packages of rpm's, and repositories of them, in a folder. */

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

/** Makes packages and repositories below a folder. */
export class RpmMaker {
  readonly #folder: string;
  readonly #architecture: string;

  constructor(folder: string, architecture: string) {
    this.#folder = folder;
    this.#architecture = architecture;
  }

  /** Builds packages, all of an architecture at once as parts of one that is thrown away. */
  async build(name: string, packages: readonly RpmPackage[]): Promise<string> {
    const folder = `${this.#folder}/rpms-${name}`;
    const byTarget = Map.groupBy(
      packages,
      ({ architecture }) => architecture === "i686" ? architecture : this.#architecture,
    );
    for (const [target, some] of byTarget) await this.#buildFor(target, folder, some);
    return folder;
  }

  /** Makes a repository of packages, with what advisories there are; answers its folder. */
  async offer(
    name: string,
    packages: readonly RpmPackage[],
    advisories: readonly Advisory[],
  ): Promise<string> {
    const folder = await this.build(name, packages);
    await must(["/usr/bin/createrepo_c", "-q", folder]);
    if (advisories.length === 0) return folder;
    const file = `${this.#folder}/updateinfo.xml`;
    await Deno.writeTextFile(file, this.#updateInfo(advisories));
    await must(["/usr/bin/modifyrepo_c", "--mdtype=updateinfo", file, `${folder}/repodata`]);
    return folder;
  }

  /** Adds metadata of another kind to a repository. */
  async describe(name: string, kind: string, text: string): Promise<void> {
    const file = `${this.#folder}/${kind}.yaml`;
    await Deno.writeTextFile(file, text);
    const data = `${this.#folder}/rpms-${name}/repodata`;
    await must(["/usr/bin/modifyrepo_c", `--mdtype=${kind}`, file, data]);
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
      `_topdir ${this.#folder}/build`,
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
      const files = packages.map(({ name, evr, architecture = this.#architecture }) => {
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
