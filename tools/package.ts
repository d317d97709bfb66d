/**
 * `deno task package`: makes a .deb and an .rpm of each Linux executable in `dist/`.
 *
 * They go to `dist/packages`. Says on stdout what it made, and what it left out and why.
 */

import { parseArgs } from "@std/cli/parse-args";
import { BuildError } from "./build/build_error.ts";
import { sha256Of } from "./build/digest.ts";
import { HOMEPAGE, MAINTAINER, runTask, textOf } from "./release/task.ts";
import { makePackages } from "./release/packages.ts";
import { readReleaseFacts } from "./release/release_facts.ts";

const USAGE = `Usage: deno task package [options]

  --version V       instead of the version in deno.json
  --revision N      counts the packages of one version (1)
  --into DIRECTORY  where they go (dist/packages)
  --homepage URL    in the packages (${HOMEPAGE})
  --maintainer M    in the packages (${MAINTAINER})
  --quick           compress fast and badly, for tests`;

async function main(args: readonly string[]): Promise<number> {
  const flags = parseArgs([...args], {
    string: ["version", "revision", "into", "homepage", "maintainer"],
    boolean: ["quick", "help"],
    default: {
      revision: "1",
      into: "dist/packages",
      homepage: HOMEPAGE,
      maintainer: MAINTAINER,
    },
    unknown: (argument) => misuse(`no such argument "${argument}"`),
  });
  if (flags["help"]) {
    console.log(USAGE);
    return 0;
  }
  if (!/^[1-9]\d{0,3}$/.test(String(flags["revision"]))) misuse("a revision is a whole number");
  const made = await makePackages({
    facts: await readReleaseFacts(textOf(flags["version"])),
    revision: Number(flags["revision"]),
    isQuick: flags["quick"] === true,
    homepage: String(flags["homepage"]),
    maintainer: String(flags["maintainer"]),
    into: String(flags["into"]),
  });
  for (const file of made.files) {
    const { size } = await Deno.stat(file);
    console.log(`${file}  ${size} bytes  sha256 ${await sha256Of(file)}`);
  }
  for (const fact of made.leftOut) console.log(`left out: ${fact}`);
  return made.files.length > 0 ? 0 : 1;
}

function misuse(fact: string): never {
  throw new BuildError(`Cannot make packages: ${fact}\n${USAGE}`, { exitCode: 2 });
}

if (import.meta.main) await runTask(main);
