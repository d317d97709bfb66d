/**
 * The project's configuration and lock file without the packages that only tests use: `deno compile`
 * puts every package of the lock file into the executable, which keeps all of it in memory.
 */

/** What counts here of `deno.json`; the rest stays as it is. */
export interface Config {
  readonly imports: Readonly<Record<string, string>>;
}

/** What counts here of `deno.lock`, version 5; the rest stays as it is. */
export interface Lock {
  /** From what is asked for, `npm:name@1.0.0`, to the version that is taken. */
  readonly specifiers: Readonly<Record<string, string>>;
  /** By name and version. */
  readonly npm: Readonly<Record<string, { readonly dependencies?: readonly string[] }>>;
  readonly workspace: { readonly dependencies: readonly string[] };
}

/**
 * Both, reduced to the imports of which `isImported` answers true, and what these depend on.
 * Nothing is added, so that a slimmed lock file allows nothing that the whole one does not.
 */
export function slimLock(
  { config, lock, isImported }: {
    config: Config;
    lock: Lock;
    isImported: (name: string) => boolean;
  },
): { config: Config; lock: Lock } {
  const entries = Object.entries(config.imports);
  const imports = Object.fromEntries(entries.filter(([name]) => isImported(name)));
  const kept = new Set(Object.values(imports).map(packageOf));
  const left = new Set(Object.values(config.imports).map(packageOf).filter((it) => !kept.has(it)));
  const specifiers = Object.fromEntries(
    Object.entries(lock.specifiers).filter(([specifier]) => !left.has(specifier)),
  );
  const roots = Object.entries(specifiers).map(([specifier, version]) =>
    `${nameOf(specifier)}@${version}`
  );
  const reached = reachable(lock.npm, roots);
  const npm = Object.fromEntries(Object.entries(lock.npm).filter(([key]) => reached.has(key)));
  const dependencies = lock.workspace.dependencies.filter((specifier) => !left.has(specifier));
  return {
    config: { ...config, imports },
    lock: { ...lock, specifiers, npm, workspace: { ...lock.workspace, dependencies } },
  };
}

function reachable(npm: Lock["npm"], roots: readonly string[]): Set<string> {
  const reached = new Set<string>();
  const waiting = [...roots];
  for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
    if (reached.has(key)) continue;
    reached.add(key);
    for (const dependency of npm[key]?.dependencies ?? []) {
      // A version is told only where there are several.
      waiting.push(
        ...Object.keys(npm).filter((it) => it === dependency || it.startsWith(`${dependency}@`)),
      );
    }
  }
  return reached;
}

/** `npm:@scope/name@1.0.0` of `npm:@scope/name@1.0.0/folder/file.js`. */
function packageOf(specifier: string): string {
  const [whole = specifier] = /^npm:(?:@[^/]+\/)?[^/]+/.exec(specifier) ?? [];
  return whole;
}

/** `@scope/name` of `npm:@scope/name@1.0.0`. */
function nameOf(specifier: string): string {
  return specifier.slice("npm:".length, specifier.lastIndexOf("@"));
}
