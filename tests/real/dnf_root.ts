/** A world of dnf's own in a temporary folder: packages built here, repositories, an empty host. */

import type { DnfOptions } from "../../src/scanners/dnf.ts";
import { run } from "./apt_root.ts";
import { type DnfHost, makeDnf4Host, makeDnf5Host } from "./dnf_hosts.ts";
import { lacks } from "./lacks.ts";
import { type Advisory, must, RpmMaker, type RpmPackage } from "./rpm_maker.ts";

/** A Debian that has dnf 5, where the tests are to be run on that; `deno task test:dnf5` makes one. */
const DNF5_DEBIAN = Deno.env.get("PENNON_DNF5_DEBIAN");

/** The programs that such a world needs. */
export const PROGRAMS = ["dnf", "rpm", "rpmbuild", "createrepo_c", "modifyrepo_c"] as const;

const ignoreAll = await lacks(...PROGRAMS);

/** The generation of the dnf that these tests run on. */
export const GENERATION: 4 | 5 = DNF5_DEBIAN === undefined ? 4 : 5;

/** A test on real dnf in a world of its own; ignored where that cannot be made. */
export function onDnf(
  name: string,
  test: (root: DnfRoot) => Promise<void>,
  { ignore = false }: { ignore?: boolean } = {},
): void {
  const shown = DNF5_DEBIAN === undefined ? name : `${name} (dnf 5)`;
  Deno.test({ name: shown, ignore: ignore || ignoreAll }, async () => {
    await using root = await DnfRoot.make();
    await test(root);
  });
}

export class DnfRoot {
  readonly path: string;
  readonly architecture: string;
  readonly host: DnfHost;
  readonly #maker: RpmMaker;
  #installations = 0;

  private constructor(path: string, architecture: string, host: DnfHost) {
    this.path = path;
    this.architecture = architecture;
    this.host = host;
    this.#maker = new RpmMaker(path, architecture);
  }

  static async make(): Promise<DnfRoot> {
    const path = await Deno.makeTempDir({ prefix: "pennon-dnf-" });
    const { stdout } = await run(["/usr/bin/rpm", "--eval", "%{_arch}"]);
    const host = DNF5_DEBIAN === undefined
      ? await makeDnf4Host(path)
      : await makeDnf5Host(path, DNF5_DEBIAN);
    return new DnfRoot(path, stdout.trim(), host);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }

  /** What to give `dnfScanner` so that it looks here. */
  get options(): DnfOptions {
    return this.host.options;
  }

  /** Asks dnf by hand, as a person would. */
  dnf(...args: string[]) {
    return run(this.host.dnf(args), { HOME: Deno.env.get("HOME") ?? "/" });
  }

  /** Where dnf keeps root's package lists. */
  get cache(): string {
    return this.host.cache;
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

  /** Takes the package lists away. */
  async forgetLists(): Promise<void> {
    for (const name of await namesIn(this.cache)) {
      await Deno.remove(`${this.cache}/${name}`, { recursive: true });
    }
  }

  /** Makes a repository of packages, and has dnf know it by that name. */
  async offer(
    name: string,
    packages: readonly RpmPackage[],
    advisories: readonly Advisory[] = [],
  ): Promise<void> {
    await this.know(name, `file://${await this.#maker.offer(name, packages, advisories)}`);
  }

  /** Adds metadata of another kind to a repository that is offered. */
  async describe(name: string, kind: string, text: string): Promise<void> {
    await this.#maker.describe(name, kind, text);
  }

  /** Adds a line to dnf's settings. */
  async configure(line: string): Promise<void> {
    await Deno.writeTextFile(this.host.settings, `${line}\n`, { append: true });
  }

  /** Locks a package to this version, as `dnf versionlock add` does. */
  async lock(name: string, evr: string): Promise<void> {
    if (this.host.generation === 5) {
      const { code, stderr } = await this.dnf("versionlock", "add", name);
      if (code !== 0) throw new Error(stderr);
      return;
    }
    const path = `${this.path}/locks-of-this-host`;
    await Deno.writeTextFile(path, `${name}-0:${evr}.*\n`, { append: true });
  }

  async know(name: string, url: string, ...lines: string[]): Promise<void> {
    await this.knowBy(name, `baseurl=${url}`, ...lines);
  }

  /** As `know`, with a mirror list or a metalink in the place of the address. */
  async knowBy(name: string, ...lines: string[]): Promise<void> {
    const text = [`[${name}]`, `name=The repository ${name}`, "gpgcheck=0", ...lines, ""];
    await Deno.writeTextFile(`${this.host.repositories}/${name}.repo`, text.join("\n"));
  }

  /** Puts packages on the host, in name only. */
  async install(packages: readonly RpmPackage[]): Promise<void> {
    // A host may have several versions of a package, a repository made here only one.
    const folder = await this.#maker.build(`installed-${this.#installations++}`, packages);
    const paths = (await namesIn(folder)).map((name) => `${folder}/${name}`);
    const flags = ["--justdb", "--nodeps", "--noscripts", "--ignorearch", "--nosignature"];
    await must(this.host.rpm(["-i", ...flags, ...paths]));
  }
}

async function namesIn(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) names.push(name);
  return names;
}
