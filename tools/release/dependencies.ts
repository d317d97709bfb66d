/** The npm packages that are in the executable, from the sources, `deno.json` and `deno.lock`. Pure. */

import { BuildError } from "../build/build_error.ts";

/** The parts of a lock file (version 5) that are read. */
export interface LockFile {
  /** `npm:name@1.0.0` and the version that it stands for, with its peers after a `_`. */
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, LockedPackage>>;
}

interface LockedPackage {
  /** `sha512-` and base64. */
  readonly integrity: string;
  /** `name` or, where several versions are locked, `name@1.0.0`. */
  readonly dependencies?: readonly string[];
}

/** A package in the executable. */
export interface Dependency {
  readonly name: string;
  readonly version: string;
  readonly integrity: string;
  /** Names and versions of the packages that it needs: `name@1.0.0`. */
  readonly needs: readonly string[];
}

/** `import x, { y } from "z"`, `export * from "z"`, `import "z"` or `import("z")`; no `import type`. */
const IMPORT =
  /^(?:import|export)\s+(?!type\b)(?:(?:[\w$]+,?\s*)?(?:\{[^}]*\}|\*(?:\s+as\s+[\w$]+)?)?\s*from\s+)?"([^"]+)"|\bimport\("([^"]+)"\)/gm;

/** The bare specifiers that sources import, except for types alone. */
export function importedNames(sources: readonly string[]): Set<string> {
  const names = new Set<string>();
  for (const source of sources) {
    for (const [, fixed, dynamic] of source.matchAll(IMPORT)) {
      const name = fixed ?? dynamic ?? "";
      if (!/^(\.|node:)/.test(name)) names.add(name);
    }
  }
  return names;
}

/**
 * The packages behind `names` and all that those need, sorted by name.
 *
 * @throws {BuildError} if the import map or the lock file does not have one
 */
export function dependenciesOf(
  names: Iterable<string>,
  imports: Readonly<Record<string, string>>,
  lock: LockFile,
): Dependency[] {
  const found = new Map<string, Dependency>();
  const add = (key: string) => {
    if (found.has(key)) return;
    const locked = lock.npm[key];
    if (locked === undefined) throw new BuildError(`Cannot list dependencies: "${key}" not locked`);
    const [, name = "", version = ""] = /^(@?[^@]+)@([^_]+)/.exec(key) ?? [];
    const needs = (locked.dependencies ?? []).map((wanted) => lockedKey(wanted, lock));
    const shown = needs.map((need) => need.replace(/_.*$/, ""));
    found.set(key, { name, version, integrity: locked.integrity, needs: shown });
    needs.forEach(add);
  };
  for (const name of names) {
    const specifier = imports[name] ?? "";
    const [, packageName = "", version = ""] = /^npm:((?:@[^/]+\/)?[^@/]+)@([^/]+)/
      .exec(specifier) ?? [];
    const locked = lock.specifiers[`npm:${packageName}@${version}`];
    if (locked === undefined) {
      throw new BuildError(`Cannot list dependencies: "${name}" is not in deno.lock`);
    }
    add(`${packageName}@${locked}`);
  }
  const compare = (a: Dependency, b: Dependency) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
  return [...found.values()].sort(compare);
}

/** The key of a dependency: the lock file leaves the version out where there is only one. */
function lockedKey(wanted: string, lock: LockFile): string {
  if (lock.npm[wanted] !== undefined) return wanted;
  const keys = Object.keys(lock.npm).filter((key) => key.startsWith(`${wanted}@`));
  const [key] = keys;
  if (key === undefined || keys.length > 1) {
    throw new BuildError(`Cannot list dependencies: "${wanted}" is locked ${keys.length} times`);
  }
  return key;
}
