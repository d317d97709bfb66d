/**
 * `deno task repo`: makes a signed apt repository and a signed dnf repository of the packages in
 * `dist/packages`, or adds them to those that are in `dist/repo`.
 *
 * The key comes from the caller's GnuPG directory. Prints the lines that users type.
 */

import { parseArgs } from "@std/cli/parse-args";
import { BuildError } from "./build/build_error.ts";
import { aptLines, dnfLines } from "./release/install_lines.ts";
import { makeRepositories } from "./release/repositories.ts";
import { HOMEPAGE, namesOf, runTask } from "./release/task.ts";
import { Signer } from "./release/signer.ts";

const USAGE = `Usage: deno task repo --key ID [options]

  --key ID            the secret key, in GNUPGHOME or ~/.gnupg; RSA, since RHEL 8 verifies no other
  --packages DIR      what to add (dist/packages)
  --into DIR          the repositories, in its directories apt and rpm (dist/repo)
  --url URL           where hosts will find DIR (${HOMEPAGE})
  --valid-days N      apt refuses the repository N days after it was signed (90)`;

async function main(args: readonly string[]): Promise<number> {
  const flags = parseArgs([...args], {
    string: ["key", "packages", "into", "url", "valid-days"],
    boolean: ["help"],
    default: { packages: "dist/packages", into: "dist/repo", url: HOMEPAGE, "valid-days": "90" },
    unknown: (argument) => misuse(`no such argument "${argument}"`),
  });
  if (flags["help"]) {
    console.log(USAGE);
    return 0;
  }
  const validDays = Number(flags["valid-days"]);
  if (!Number.isInteger(validDays) || validDays < 1) misuse("--valid-days is a number of days");
  if (!flags["key"]) misuse("--key is missing");
  const directory = String(flags["packages"]);
  const packages = (await namesOf(directory)).map((name) => `${directory}/${name}`);
  const signer = await Signer.open(String(flags["key"]));
  const url = String(flags["url"]).replace(/\/+$/, "");
  const into = String(flags["into"]);
  const made = await makeRepositories({ packages, into, signer, url, validDays });
  for (const path of made.directories) console.log(`made      ${path}`);
  for (const fact of made.leftOut) console.log(`left out: ${fact}`);
  console.log(`key       ${signer.fingerprint}`);
  console.log(
    `\nDebian and Ubuntu:\n\n${aptLines(url)}\nFedora, RHEL and clones:\n\n${dnfLines(url)}`,
  );
  return made.directories.length > 0 ? 0 : 1;
}

function misuse(fact: string): never {
  throw new BuildError(`Cannot make repositories: ${fact}\n${USAGE}`, { exitCode: 2 });
}

if (import.meta.main) await runTask(main);
