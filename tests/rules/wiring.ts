/**
 * Which of the agent's parts a test wires together by hand, as a pure function from sources. A part is a
 * class that the agent constructs from other parts or on the ports; two of them put together in a test
 * are a wiring that nobody ships, so a test constructs one part alone or opens the agent
 * (`fakes/world.ts`).
 */

import type { Source } from "../sources.ts";

/** Where the agent's parts are constructed. */
const WIRING: readonly string[] = [
  "src/agent/agent.ts",
  "src/agent/create_client.ts",
  "src/agent/state_directory.ts",
  "src/delivery/sender.ts",
  "src/loop/loop.ts",
];

/** Constructed there and no parts: values, errors, and what the agent is itself. */
const NO_PART = /^(?:Agent|Secrets|Map|Set|URL|AbortController|\w*Error)$/;

const CONSTRUCTION = /\bnew ([A-Z]\w*)\(/g;

/** The names of the agent's parts. */
export function partsOfAgent(sources: readonly Source[]): ReadonlySet<string> {
  const wiring = sources.filter(({ path }) => WIRING.includes(path));
  const names = wiring.flatMap(({ text }) =>
    [...text.matchAll(CONSTRUCTION)].map(([, name]) => name!)
  );
  return new Set(names.filter((name) => !NO_PART.test(name)));
}

/** The parts that each test file constructs, itself or by what it uses of another file; sorted. */
export function wiredParts(
  sources: readonly Source[],
  parts: ReadonlySet<string>,
): ReadonlyMap<string, readonly string[]> {
  const files = new Map(sources.map((source) => [source.path, readDeclarations(source)]));
  const found = new Map<string, readonly string[]>();
  for (const [path, { declarations }] of files) {
    const all = [...declarations.keys()].flatMap((name) => [...partsIn(path, name, new Set())]);
    found.set(path, [...new Set(all)].sort());
  }
  return found;

  /** What a declaration constructs, and the declarations that its text names. */
  function partsIn(path: string, name: string, seen: Set<string>): ReadonlySet<string> {
    const file = files.get(path);
    const text = file?.declarations.get(name);
    if (file === undefined || text === undefined || seen.has(`${path} ${name}`)) return new Set();
    seen.add(`${path} ${name}`);
    const wired = new Set(
      [...text.matchAll(CONSTRUCTION)].map(([, part]) => part!)
        .filter((part) => parts.has(part)),
    );
    for (const word of file.usedBy(name)) {
      const from = file.imports.get(word) ?? path;
      for (const part of partsIn(from, word, seen)) wired.add(part);
    }
    return wired;
  }
}

interface Declarations {
  /** The text of each declaration; the tests and statements between them have the name of what is before. */
  readonly declarations: ReadonlyMap<string, string>;
  /** The file of each imported value. */
  readonly imports: ReadonlyMap<string, string>;
  /** The declarations and imported values that a declaration names. */
  usedBy(name: string): readonly string[];
}

const DECLARATION =
  /^(?:export )?(?:async )?(?:abstract )?(?:function\*?|class|const|let|interface|type) (\w+)/gm;

function readDeclarations({ path, text }: Source): Declarations {
  const imports = new Map<string, string>();
  for (
    const [, names = "", from = ""] of text.matchAll(/^import \{([^}]*)\} from "(\.[^"]+)";$/gms)
  ) {
    const target = new URL(from, `file:///${path}`).pathname.slice(1);
    const values = names.split(",").map((name) => name.trim()).filter((name) =>
      name !== "" && !name.startsWith("type ")
    );
    for (const name of values) imports.set(name.replace(/^.* as /, ""), target);
  }
  const code = text.replaceAll(/^import [^;]*;$/gms, "");
  const starts = [...code.matchAll(DECLARATION)];
  const declarations = new Map([["", code.slice(0, starts[0]?.index)]]);
  starts.forEach(({ index, 1: name = "" }, at) =>
    declarations.set(name, code.slice(index, starts[at + 1]?.index))
  );
  const used = new Map<string, readonly string[]>();
  const usedBy = (name: string): readonly string[] => {
    const known = used.get(name);
    if (known !== undefined) return known;
    const words = new Set(declarations.get(name)?.match(/\b[A-Za-z_]\w*\b/g));
    const names = [...words].filter((word) => imports.has(word) || declarations.has(word));
    used.set(name, names);
    return names;
  };
  return { declarations, imports, usedBy };
}
