/** What modules export and import, and the rules about it that a machine can check. Pure. */

/** A module: its path from the repository's root, and its text. */
export interface Module {
  readonly path: string;
  readonly text: string;
}

/** An exported name, and whether it is a type. */
interface ExportedName {
  readonly name: string;
  readonly isType: boolean;
}

/** A name that one module imports from another; `*` stands for all of them. */
interface ImportedName {
  readonly target: string;
  readonly name: string;
}

const EXPORT =
  /^export (?:declare )?(?:abstract )?(?:async )?(function\*?|class|const|let|interface|type|enum) (\w+)/gm;
const EXPORT_LIST = /^export (type )?\{([^}]*)\}(?! from)/gm;
const IMPORT =
  /\b(?:import|export) (?:type )?(?:(\w+),? ?)?(\{[^}]*\}|\* as \w+)? ?from "(\.[^"]+)"/g;
const DYNAMIC_IMPORT = /(?:(\{[^{}]*\})\s*=\s*await\s+)?import\(\s*"(\.[^"]+)",?\s*\)/g;
const BARE_IMPORT = /^import "(\.[^"]+)"/gm;

/** The names that a module exports. */
function exportsOf({ text }: Module): ExportedName[] {
  const declared = [...text.matchAll(EXPORT)].map(([, kind, name = ""]) => ({
    name,
    isType: kind === "interface" || kind === "type",
  }));
  const listed = [...text.matchAll(EXPORT_LIST)].flatMap(([, isType, list = ""]) =>
    namesIn(list).map(({ local }) => ({ name: local, isType: isType !== undefined }))
  );
  return [...declared, ...listed];
}

/** The names that a module imports from other files. */
function importsOf({ path, text }: Module): ImportedName[] {
  const found: ImportedName[] = [];
  const add = (specifier: string, names: readonly string[]) => {
    const target = new URL(specifier, `file:///${path}`).pathname.slice(1);
    for (const name of names) found.push({ target, name });
  };
  for (const [, first, list, specifier = ""] of text.matchAll(IMPORT)) {
    const isAll = list?.startsWith("*") ?? false;
    const names = isAll || list === undefined
      ? []
      : namesIn(list.slice(1, -1)).map((n) => n.source);
    add(specifier, [
      ...names,
      ...(first === undefined ? [] : ["default"]),
      ...(isAll ? ["*"] : []),
    ]);
  }
  for (const [, list, specifier = ""] of text.matchAll(DYNAMIC_IMPORT)) {
    add(specifier, list === undefined ? ["*"] : namesIn(list.slice(1, -1)).map((n) => n.source));
  }
  for (const [, specifier = ""] of text.matchAll(BARE_IMPORT)) add(specifier, [""]);
  return found;
}

/** `a, type b, c as d`, and `a: b` of a pattern. */
function namesIn(list: string): { source: string; local: string }[] {
  return list.split(",").map((one) => one.trim().replace(/^type /, "")).filter((one) => one !== "")
    .map((one) => {
      const [source = "", local = source] = one.split(/ as |: ?/);
      return { source, local };
    });
}

/**
 * Exports of `src/` that no other module imports, and values that only tests import although their own
 * module does not use them: nothing in the program needs those.
 */
export function unusedExports(modules: readonly Module[]): string[] {
  const imported = new Map<string, Set<string>>();
  const byProgram = new Map<string, Set<string>>();
  for (const module of modules) {
    for (const { target, name } of importsOf(module)) {
      addTo(imported, target, name);
      if (!module.path.startsWith("tests/")) addTo(byProgram, target, name);
    }
  }
  const has = (users: ReadonlyMap<string, ReadonlySet<string>>, path: string, name: string) =>
    users.get(path)?.has(name) === true || users.get(path)?.has("*") === true;
  return modules.filter(({ path }) => path.startsWith("src/")).flatMap((module) =>
    exportsOf(module).flatMap(({ name, isType }) => {
      const { path, text } = module;
      const uses = withoutComments(text).match(new RegExp(`\\b${name}\\b`, "g"))?.length ?? 0;
      // A type in the signature of an exported function is exported for the documentation's sake.
      if (isType && uses > 1) return [];
      if (!has(imported, path, name)) return [`${path}: nothing imports ${name}`];
      if (isType || uses > 1 || has(byProgram, path, name)) return [];
      return [`${path}: only tests use ${name}`];
    })
  );
}

function addTo(map: Map<string, Set<string>>, key: string, value: string): void {
  const values = map.get(key) ?? new Set();
  values.add(value);
  map.set(key, values);
}

/** Comments mention names without using them. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
}

/** The circles in which modules import each other, each as `a -> b -> a`; type imports count. */
export function importCycles(modules: readonly Module[]): string[] {
  const graph = new Map(modules.map((module) => [
    module.path,
    [...new Set(importsOf(module).map(({ target }) => target))],
  ]));
  const finished = new Set<string>();
  const cycles = new Set<string>();
  const visit = (path: string, trail: readonly string[]) => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      const circle = trail.slice(at);
      const first = circle.indexOf(circle.toSorted()[0] ?? "");
      const turned = [...circle.slice(first), ...circle.slice(0, first)];
      cycles.add([...turned, turned[0]].join(" -> "));
      return;
    }
    if (finished.has(path)) return;
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    finished.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return [...cycles].toSorted();
}

/** Names of types that more than one module of `src/` exports. */
export function repeatedTypes(modules: readonly Module[]): string[] {
  const places = new Map<string, Set<string>>();
  for (const module of modules.filter(({ path }) => path.startsWith("src/"))) {
    for (const { name, isType } of exportsOf(module)) {
      if (isType) addTo(places, name, module.path);
    }
  }
  return [...places].filter(([, paths]) => paths.size > 1)
    .map(([name, paths]) => `${name}: ${[...paths].toSorted().join(", ")}`).toSorted();
}
