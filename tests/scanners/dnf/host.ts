/** A host with dnf 4 or dnf 5 that answers from fixtures; a test replaces single answers. */

import { assertEquals } from "@std/assert";
import { parseNevra, type RpmPackage } from "../../../src/scanners/dnf/rpm.ts";
import type { RunOptions, RunResult } from "../../../src/system/process.ts";
import type { Update } from "../../../src/update.ts";
import { FakeSystem } from "../../fakes/system.ts";
import { readFixture, succeeded } from "../fixture.ts";

/**
 * The scanner's questions. `fetched` fetches package lists; `excluded` and `lifted` list offers and
 * updates with all rules lifted; `available` lists the repositories of packages, `security` the
 * packages that fix a vulnerability.
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

/** An enabled repository of the host. */
export interface HostRepository {
  readonly id: string;
  /** @default derived from its id */
  readonly name?: string;
  /** `null`: its lists were never fetched. @default an hour */
  readonly ageMs?: number | null;
  /** @default two days; `Infinity`: the lists never expire */
  readonly expiryMs?: number;
  /** @default a URL derived from its id */
  readonly url?: string;
  /** Whether its lists contain advisories. @default false */
  readonly hasAdvisories?: boolean;
}

const HOUR_MS = 3_600_000;

/** One answer to every question of a kind, or a sequence of answers. */
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
  /** The plugins that dnf 4 loads. */
  plugins = "builddep, versionlock";
  /** Whether a command used the agent's private lists. */
  usedPrivateLists = false;

  constructor(generation: 4 | 5 = 4, program: string = "/usr/bin/dnf") {
    super();
    this.#files = generation === 4 ? DNF4 : DNF5;
    this.#program = program;
    this.#generation = generation;
    this.files.texts.set(program, "");
    this.repositories = [
      { id: "updates", hasAdvisories: true },
      { id: "dnf-ci-fedora-updates", hasAdvisories: true },
      { id: "advisories-updates", hasAdvisories: true },
      { id: "vendor" },
      { id: "very-long-third-party-repository-identifier" },
    ];
  }

  get repositories(): readonly HostRepository[] {
    return this.#repositories;
  }

  /** The repositories that dnf reports, and their lists in its cache. */
  set repositories(repositories: readonly HostRepository[]) {
    this.#repositories = repositories;
    const cache = this.cache;
    for (const path of [...this.files.texts.keys()]) {
      if (path.startsWith(`${cache}/`)) this.files.texts.delete(path);
    }
    for (const { id, ageMs, hasAdvisories = false } of repositories) {
      if (ageMs === null) continue;
      const directory = `${cache}/${id}-0123456789abcdef`;
      this.files.texts.set(directory, "");
      this.files.texts.set(`${directory}/repodata/1-primary.xml.gz`, "");
      if (hasAdvisories) this.files.texts.set(`${directory}/repodata/2-updateinfo.xml.gz`, "");
    }
  }

  /** The cache directory of the current user. */
  get cache(): string {
    if (this.#generation === 4) return "/var/cache/dnf";
    const isRoot = this.machine.userId() === 0;
    return isRoot ? "/var/cache/libdnf5" : `${this.machine.homeDirectory()}/.cache/libdnf5`;
  }

  /** Dnf's report about its repositories; `ageMs` is the age of lists fetched meanwhile. */
  answerRepositories(repositories: readonly HostRepository[] = this.#repositories): RunResult {
    const fetchedMs = ({ ageMs = HOUR_MS }: HostRepository) =>
      ageMs === null ? null : this.clock.nowMs() - ageMs;
    return this.#generation === 4
      ? printDnf4(repositories, fetchedMs, this)
      : printDnf5(repositories, fetchedMs);
  }

  becomeRoot(): void {
    this.machine = { ...this.machine, userId: () => 0 };
    this.repositories = this.#repositories;
  }

  /** The questions asked, in order. */
  get questions(): Question[] {
    return this.asked.map(questionOf);
  }

  /** Restarts every sequence of answers. */
  restart(): void {
    this.#counts.clear();
  }

  override runCommand = async (
    argv: readonly string[],
    options: RunOptions,
  ): Promise<RunResult> => {
    await Promise.resolve();
    this.asked.push([...argv]);
    this.usedPrivateLists ||= argv.some((word) => word.includes("cachedir=/state"));
    this.options.push(options);
    const question = questionOf(argv);
    if (question !== "installed") assertEquals(argv[0], this.#program);
    const count = this.#counts.get(question) ?? 0;
    this.#counts.set(question, count + 1);
    const answers = this.answers[question];
    if (answers === undefined) {
      if (question === "repositories") return this.answerRepositories();
      const answer = succeeded(readText(this.#files[question]));
      // dnf 4 exits with 100 if there are updates, dnf 5 with --json does not.
      return { ...answer, code: argv.includes("check-update") ? 100 : 0 };
    }
    if ("code" in answers) return answers;
    const answer = answers[Math.min(count, answers.length - 1)];
    return answer ?? succeeded("");
  };
}

function readText(path: string): string {
  const [, tool = "", name = ""] = /^(dnf5?)\/([\w.]+)$/.exec(path) ?? [];
  return name === "" ? path : readFixture(tool, name);
}

/** The answers of a real dnf 5.4.6 that differ from the constructed ones. */
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

/** A command that failed with this stderr, or with that of a fixture. */
export function failed(stderr: string, code = 1, stdout = ""): RunResult {
  return { code, stdout, stderr: readText(stderr), truncated: false };
}

function printDnf4(
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

/** The date in the C locale: `Sun Nov 29 19:08:52 2026`. */
export function dnf4Date(ms: number): string {
  const [day = "", date = "", month = "", year = "", time = ""] = new Date(ms).toUTCString()
    .replace(",", "").split(" ");
  return `${day} ${month} ${date.replace(/^0/, " ")} ${time} ${year}`;
}

function printDnf5(
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

/** The state of bash in a scan's list, its reason, and its advisories. */
export function bashOf({ updates }: { updates: readonly Update[] }) {
  const found = updates.filter((update) => update.package === "bash");
  return found.map(({ state, stateReason, advisories }) => [state, stateReason, ...advisories]);
}

/** Configures an exclude; the default one matches no package. */
export function exclude(host: DnfHost, text = "[main]\nexcludepkgs=nothing\n"): void {
  host.files.texts.set("/etc/dnf/dnf.conf", text);
}

/** The state of a package's update, and its reason. */
export function stateOf(updates: readonly Update[], name: string) {
  const update = updates.find((one) => one.package === name);
  return [update?.state, update?.stateReason];
}

/** An update in one line. */
export function summarize(update: Update): string {
  return `${update.package} ${update.currentVersion} -> ${update.availableVersion} ` +
    `${update.state} ${update.severity} ${update.security} ${update.cves} ${update.advisories}`;
}

/** Parses `name-version-release.architecture`. */
export function rpm(nevra: string): RpmPackage {
  const package_ = parseNevra(nevra);
  if (!package_) throw new Error(nevra);
  return package_;
}

/** Locks packages in the list of dnf 4's plugin, or in dnf 5's own list. */
export function lock(host: DnfHost, generation: 4 | 5, ...names: string[]): void {
  const { texts } = host.files;
  if (generation === 4) {
    const lines = names.map((name) => `${name}-0:1-1.*\n`);
    texts.set("/etc/dnf/plugins/versionlock.list", lines.join(""));
  } else {
    const packages = names.map((name) => `[[packages]]\nname = "${name}"\n`);
    texts.set("/etc/dnf/versionlock.toml", `version = "1.0"\n${packages.join("")}`);
  }
}
