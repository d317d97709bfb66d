/** A host with dnf 4 or dnf 5, played from fixtures; a test changes single answers. */

import { assertEquals } from "@std/assert";
import type { RunOptions, RunResult } from "../../../src/system/process.ts";
import type { Update } from "../../../src/update.ts";
import { FakeSystem } from "../../fakes/system.ts";
import { readFixture, succeeded } from "../fixture.ts";

/**
 * What the scanner asks. `fetched`: fetching package lists; `excluded`, `lifted`: what is offered and
 * listed if nothing is kept from dnf; `available`, `security`: of some packages, who has them and which
 * of them close a hole.
 */
export type Question =
  | "version"
  | "installed"
  | "repositories"
  | "fetched"
  | "offered"
  | "excluded"
  | "advisories"
  | "cves"
  | "checked"
  | "lifted"
  | "replaced"
  | "available"
  | "security"
  | "reboot";

export function questionOf([program, ...args]: readonly string[]): Question {
  if (program === "/usr/bin/rpm") return "installed";
  if (args.includes("--version")) return "version";
  if (args.includes("makecache")) return "fetched";
  if (args.includes("repolist") || args.includes("repo")) return "repositories";
  if (args.includes("needs-restarting")) return "reboot";
  const isLifted = args.some((word) => LIFTING.test(word));
  if (args.includes("repoquery")) {
    if (args.includes("--available")) return "available";
    if (args.some((word) => SECURITY.test(word))) return "security";
    return isLifted ? "excluded" : "offered";
  }
  if (args.includes("--obsoletes")) return isLifted ? "lifted" : "replaced";
  if (args.includes("info")) return "cves";
  if (args.includes("list")) return "advisories";
  return isLifted ? "lifted" : "checked";
}

const LIFTING =
  /^--setopt=(?:\*\.)?(?:disable_excludes|excludepkgs)=|^--disableplugin=(?:versionlock|\*)$/;
const SECURITY = /^--(?:security|sec-severity|advisory-severities)\b/;

/** An enabled repository of the host's. */
export interface HostRepository {
  readonly id: string;
  /** @default made of its id */
  readonly name?: string;
  /** `null`: its lists were never fetched. @default an hour */
  readonly ageMs?: number | null;
  /** @default two days; `Infinity` is never */
  readonly expiryMs?: number;
  /** @default an address made of its id */
  readonly url?: string;
  /** Whether it has a list of advisories. @default false */
  readonly tells?: boolean;
}

const HOUR_MS = 3_600_000;

/** One answer for always, or one after the other. */
export type Answer = RunResult | readonly RunResult[];

export class DnfHost extends FakeSystem {
  readonly asked: string[][] = [];
  readonly options: RunOptions[] = [];
  answers: Partial<Record<Question, Answer>> = {};
  readonly #generation: 4 | 5;
  #repositories: readonly HostRepository[] = [];
  readonly #files: Readonly<Record<Question, string>>;
  readonly #program: string;
  #counts = new Map<Question, number>();
  /** Plugins that dnf 4 says that it loads. */
  plugins = "builddep, versionlock";
  /** Whether lists of the agent's own were asked for. */
  wasPrivate = false;

  constructor(generation: 4 | 5 = 4, program: string = "/usr/bin/dnf") {
    super();
    this.#files = generation === 4 ? DNF4 : DNF5;
    this.#program = program;
    this.#generation = generation;
    this.files.texts.set(program, "");
    this.repositories = [
      { id: "updates", tells: true },
      { id: "dnf-ci-fedora-updates", tells: true },
      { id: "advisories-updates", tells: true },
      { id: "vendor" },
      { id: "very-long-third-party-repository-identifier" },
    ];
  }

  get repositories(): readonly HostRepository[] {
    return this.#repositories;
  }

  /** The repositories that dnf tells of, and the lists that it keeps of them. */
  set repositories(repositories: readonly HostRepository[]) {
    this.#repositories = repositories;
    const cache = this.cache;
    for (const path of [...this.files.texts.keys()]) {
      if (path.startsWith(`${cache}/`)) this.files.texts.delete(path);
    }
    for (const { id, ageMs, tells = false } of repositories) {
      if (ageMs === null) continue;
      const directory = `${cache}/${id}-0123456789abcdef`;
      this.files.texts.set(directory, "");
      this.files.texts.set(`${directory}/repodata/1-primary.xml.gz`, "");
      if (tells) this.files.texts.set(`${directory}/repodata/2-updateinfo.xml.gz`, "");
    }
  }

  /** Where the lists are of the user that the host is. */
  get cache(): string {
    if (this.#generation === 4) return "/var/cache/dnf";
    const isRoot = this.machine.userId() === 0;
    return isRoot ? "/var/cache/libdnf5" : `${this.machine.homeDirectory()}/.cache/libdnf5`;
  }

  /** What dnf says of its repositories; `ageMs` is that of lists that were fetched meanwhile. */
  tellRepositories(repositories: readonly HostRepository[] = this.#repositories): RunResult {
    const fetchedMs = ({ ageMs = HOUR_MS }: HostRepository) =>
      ageMs === null ? null : this.clock.nowMs() - ageMs;
    return this.#generation === 4
      ? tellDnf4(repositories, fetchedMs, this)
      : tellDnf5(repositories, fetchedMs);
  }

  becomeRoot(): void {
    this.machine = { ...this.machine, userId: () => 0 };
    this.repositories = this.#repositories;
  }

  /** Every question asked, in order. */
  get questions(): Question[] {
    return this.asked.map(questionOf);
  }

  /** Begins anew with answers that are given one after the other. */
  forget(): void {
    this.#counts.clear();
  }

  override runCommand = async (
    argv: readonly string[],
    options: RunOptions,
  ): Promise<RunResult> => {
    await Promise.resolve();
    this.asked.push([...argv]);
    this.wasPrivate ||= argv.some((word) => word.includes("cachedir=/state"));
    this.options.push(options);
    const question = questionOf(argv);
    if (question !== "installed") assertEquals(argv[0], this.#program);
    const count = this.#counts.get(question) ?? 0;
    this.#counts.set(question, count + 1);
    const told = this.answers[question];
    if (told === undefined) {
      if (question === "repositories") return this.tellRepositories();
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
  lifted: "dnf/check_update.txt",
  replaced: "",
  repositories: "",
  available: "",
  security: "",
  reboot: "",
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
  lifted: "dnf5/real_obsoletes.json",
  repositories: "",
  available: "",
  security: "",
  reboot: "",
};

/** A command that failed with these words on stderr, or with a fixture's. */
export function failed(stderr: string, code = 1, stdout = ""): RunResult {
  return { code, stdout, stderr: readText(stderr), truncated: false };
}

function tellDnf4(
  repositories: readonly HostRepository[],
  fetchedMs: (one: HostRepository) => number | null,
  { cache, plugins }: Pick<DnfHost, "cache" | "plugins">,
): RunResult {
  const missing = repositories.filter((one) => fetchedMs(one) === null).map(({ id }) => id);
  const blocks = repositories.map((one) => {
    const {
      id,
      name = `The repository ${id}`,
      expiryMs = 48 * HOUR_MS,
      url = `https://mirror.example/${id}`,
    } = one;
    const ms = fetchedMs(one);
    const last = ms === null ? "unknown" : dnf4Date(ms);
    const limit = expiryMs === Infinity ? "Never" : `${expiryMs / 1_000} second(s)`;
    return [
      `Repo-id            : ${id}`,
      `Repo-name          : ${name}`,
      `Repo-status        : ${ms === null ? "disabled" : "enabled"}`,
      `Repo-baseurl       : ${url}`,
      `Repo-expire        : ${limit} (last: ${last})`,
    ].join("\n");
  });
  const head = `Loaded plugins: ${plugins}\nDNF version: 4.14.0\ncachedir: ${cache}\n`;
  const stderr = missing.map((id) => `Error: Cache-only enabled but no cache for '${id}'\n`);
  if (missing.length > 0) stderr.push(`Ignoring repositories: ${missing.join(", ")}\n`);
  return { ...succeeded(`${head}${blocks.join("\n\n")}\nTotal packages: 7\n`, stderr.join("")) };
}

/** As C's locale has it: `Sun Nov 29 19:08:52 2026`. */
export function dnf4Date(ms: number): string {
  const [day = "", date = "", month = "", year = "", time = ""] = new Date(ms).toUTCString()
    .replace(",", "").split(" ");
  return `${day} ${month} ${date.replace(/^0/, " ")} ${time} ${year}`;
}

function tellDnf5(
  repositories: readonly HostRepository[],
  fetchedMs: (one: HostRepository) => number | null,
): RunResult {
  const list = repositories.map((one) => {
    const {
      id,
      name = `The repository ${id}`,
      expiryMs = 48 * HOUR_MS,
      url = `https://mirror.example/${id}`,
    } = one;
    const ms = fetchedMs(one);
    return {
      id,
      name,
      is_enabled: true,
      timestamp: ms === null ? -1 : Math.floor(ms / 1_000),
      metadata_expire: expiryMs === Infinity ? -1 : expiryMs / 1_000,
      base_url: [url],
      metalink: "",
      mirrorlist: "",
    };
  });
  return succeeded(JSON.stringify(list, null, 2));
}

/** A host on which dnf's own list lacks bash. */
export function hostWithoutBash(): DnfHost {
  const host = new DnfHost();
  const table = readFixture("dnf", "check_update.txt").replace(/^bash.*\n/m, "");
  const answer = { ...succeeded(table), code: 100 };
  host.answers = { checked: answer, lifted: answer };
  return host;
}

/** What a scan said of bash: its state, why, and its advisories. */
export function bashOf({ updates }: { updates: readonly Update[] }) {
  const found = updates.filter((update) => update.package === "bash");
  return found.map(({ state, stateReason, advisories }) => [state, stateReason, ...advisories]);
}

/** Has dnf leave packages out; by default none that there is. */
export function exclude(host: DnfHost, text = "[main]\nexcludepkgs=nothing\n"): void {
  host.files.texts.set("/etc/dnf/dnf.conf", text);
}

/** The state of a package's update, and why. */
export function stateOf(updates: readonly Update[], name: string) {
  const update = updates.find((one) => one.package === name);
  return [update?.state, update?.stateReason];
}

/** What there is to know of an update, in a line. */
export function tell(update: Update): string {
  return `${update.package} ${update.currentVersion} -> ${update.availableVersion} ` +
    `${update.state} ${update.severity} ${update.security} ${update.cves} ${update.advisories}`;
}
