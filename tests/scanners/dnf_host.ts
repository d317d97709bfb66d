/** A host with dnf 4 or dnf 5, played from fixtures; a test changes single answers. */

import { assertEquals } from "@std/assert";
import type { RunOptions, RunResult } from "../../src/system/process.ts";
import { FakeSystem } from "../fakes/system.ts";
import { readFixture, succeeded } from "./fixture.ts";

/** What the scanner asks. `fetched`: as `offered`, from new lists. */
export type Question =
  | "version"
  | "installed"
  | "offered"
  | "fetched"
  | "excluded"
  | "advisories"
  | "cves"
  | "checked"
  | "replaced"
  | "repositories";

export function questionOf([program, ...args]: readonly string[]): Question {
  if (program === "/usr/bin/rpm") return "installed";
  if (args.includes("--version")) return "version";
  if (args.includes("repoquery")) {
    if (args.some((word) => /disable_?excludes=/.test(word))) return "excluded";
    return args.includes("-C") ? "offered" : "fetched";
  }
  if (args.includes("repo")) return "repositories";
  if (args.includes("--obsoletes")) return "replaced";
  if (args.includes("info")) return "cves";
  return args.includes("list") ? "advisories" : "checked";
}

/** One answer for always, or one after the other. */
export type Answer = RunResult | readonly RunResult[];

export class DnfHost extends FakeSystem {
  readonly asked: string[][] = [];
  readonly options: RunOptions[] = [];
  answers: Partial<Record<Question, Answer>> = {};
  readonly #files: Readonly<Record<Question, string>>;
  readonly #program: string;
  #counts = new Map<Question, number>();

  constructor(generation: 4 | 5 = 4, program: string = "/usr/bin/dnf") {
    super();
    this.#files = generation === 4 ? DNF4 : DNF5;
    this.#program = program;
    this.files.texts.set(program, "");
  }

  becomeRoot(): void {
    this.machine = { ...this.machine, userId: () => 0 };
  }

  /** Every question asked, in order. */
  get questions(): Question[] {
    return this.asked.map(questionOf);
  }

  override runCommand = async (
    argv: readonly string[],
    options: RunOptions,
  ): Promise<RunResult> => {
    await Promise.resolve();
    this.asked.push([...argv]);
    this.options.push(options);
    const question = questionOf(argv);
    if (question !== "installed") assertEquals(argv[0], this.#program);
    const count = this.#counts.get(question) ?? 0;
    this.#counts.set(question, count + 1);
    const told = this.answers[question];
    if (told === undefined) {
      const answer = succeeded(readText(this.#files[question]));
      // dnf 4 ends so where there are updates, dnf 5 in JSON does not.
      return { ...answer, code: argv.includes("check-update") ? 100 : 0 };
    }
    if ("code" in told) return told;
    const answer = told[Math.min(count, told.length - 1)];
    return answer ?? succeeded("");
  };
}

function readText(path: string): string {
  const [, tool = "", name = ""] = /^(dnf5?)\/([\w.]+)$/.exec(path) ?? [];
  return name === "" ? path : readFixture(tool, name);
}

/** What a real dnf 5.4.6 answered, where it is not told by the made ones. */
export const REAL_DNF5: Partial<Record<Question, Answer>> = Object.fromEntries([
  ["version", "version.txt"],
  ["installed", "installed.txt"],
  ["offered", "offered.txt"],
  ["advisories", "advisory_list.json"],
  ["cves", "advisory_info.json"],
  ["checked", "check_upgrade.json"],
  ["replaced", "obsoletes.json"],
  ["repositories", "repo_list.json"],
].map(([question, file]) => [question, succeeded(readFixture("dnf5", `real_${file}`))]));

const DNF4 = {
  version: "4.14.0\n  Installed: dnf-0:4.14.0-9.el9.noarch at Tue\n",
  installed: "dnf/installed.txt",
  offered: "dnf/offered.txt",
  fetched: "dnf/offered.txt",
  excluded: "dnf/offered.txt",
  advisories: "dnf/advisories.txt",
  cves: "dnf/cves.txt",
  checked: "dnf/check_update.txt",
  replaced: "",
  repositories: "",
};

const DNF5 = {
  version: "dnf5/version.txt",
  installed: "dnf5/installed.txt",
  offered: "dnf5/offered.txt",
  fetched: "dnf5/offered.txt",
  excluded: "dnf5/offered.txt",
  advisories: "dnf5/advisory_list.json",
  cves: "dnf5/advisory_info.json",
  checked: "dnf5/check_upgrade.json",
  replaced: "dnf5/real_obsoletes.json",
  repositories: "dnf5/repo_list.json",
};

/** A command that failed with these words on stderr, or with a fixture's. */
export function failed(stderr: string, code = 1, stdout = ""): RunResult {
  return { code, stdout, stderr: readText(stderr), truncated: false };
}
