/** Which tests judge a mutation of which source: its mirror, its directory, and what is named here. */

import type { ImportGraph } from "./import_graph.ts";

/** Tests that run together; each stage runs only if the ones before it noticed nothing. */
export interface Stage {
  readonly files: readonly string[];
  /** Tests on real parts need every permission, and processes of their own. */
  readonly isReal: boolean;
}

export interface Row {
  /** The sources: those whose path begins with one of these. */
  readonly sources: readonly string[];
  /** Test files; a directory stands for the tests in it that load the source. */
  readonly tests: readonly string[];
  readonly why: string;
}

/** Besides `tests/a/b_test.ts` and the rest of `tests/a` for `src/a/b.ts`. */
export const ROWS: readonly Row[] = [
  {
    sources: [
      "src/agent/",
      "src/cli/",
      "src/commands/",
      "src/connection/",
      "src/delivery/",
      "src/loop/",
    ],
    tests: [
      "tests/agent",
      "tests/cli",
      "tests/commands",
      "tests/connection",
      "tests/delivery",
      "tests/loop",
    ],
    why: "The parts of one agent: each is also tested through the others",
  },
  {
    sources: ["src/agent/", "src/commands/", "src/connection/", "src/delivery/", "src/loop/"],
    tests: ["tests/sim/week_test.ts", "tests/sim/sim_test.ts"],
    why: "The simulator runs the whole agent and checks its promises",
  },
  {
    sources: ["src/connection/", "src/delivery/", "src/loop/"],
    tests: ["tests/rules"],
    why: "What the loop promises as a whole",
  },
  {
    sources: ["src/agent/health.ts", "src/agent/status.ts", "src/cli/"],
    tests: ["tests/rules/conditions_test.ts"],
    why: "What an operator reads in each condition of an agent",
  },
  {
    sources: ["src/agent/state_directory.ts", "src/loop/command_runner.ts"],
    tests: ["tests/sim/crash_points_test.ts"],
    why: "A crash at every write shows the order in which things reach the disk; it is slow",
  },
  {
    sources: ["src/agent/", "src/cli/"],
    tests: ["tests/e2e/command_line_test.ts"],
    why: "The program itself, started as a user starts it",
  },
  {
    sources: ["src/doctor/"],
    tests: ["tests/cli/doctor_command_test.ts", "tests/cli/diagnostics_command_test.ts"],
    why: "The two commands run all of it",
  },
  {
    sources: ["src/breaker/"],
    tests: ["tests/rules", "tests/connection", "tests/delivery", "tests/commands", "tests/cli"],
    why: "The breaker's model, and the parts that a breaker guards",
  },
  {
    sources: ["src/server/"],
    tests: ["tests/rules", "tests/connection", "tests/loop", "tests/agent", "tests/cli"],
    why: "The table of outcomes, and the callers of the client",
  },
  {
    sources: ["src/config.ts", "src/config/"],
    tests: ["tests/config_test.ts", "tests/config", "tests/cli"],
    why: "The settings are loaded as a whole",
  },
  {
    sources: ["src/identity.ts"],
    tests: ["tests/agent", "tests/cli", "tests/loop"],
    why: "Registration and the session read and write the identity",
  },
  {
    sources: ["src/log.ts"],
    tests: ["tests/cli"],
    why: "The command line opens the log",
  },
  {
    sources: ["src/host/"],
    tests: ["tests/agent"],
    why: "The host report is made of the host's facts",
  },
  {
    sources: ["src/buffer/"],
    tests: ["tests/real/buffer_test.ts", "tests/real/store_supervisor_test.ts"],
    why: "The buffer on a real file and a real full disk",
  },
  {
    sources: ["src/buffer/salvage.ts", "src/buffer/store.ts"],
    tests: ["tests/real/salvage_test.ts"],
    why: "Real files that are really damaged; it is slow",
  },
  ...["apt", "dnf", "winget", "winupdate"].map((name): Row => ({
    sources: [`src/scanners/${name}/`],
    tests: [`tests/scanners/${name}_test.ts`],
    why: "The parts of one scanner: each is also tested through the whole",
  })),
  {
    sources: ["src/scanners/programs.ts", "src/scanners/private_files.ts"],
    tests: ["tests/scanners/apt", "tests/scanners/dnf", "tests/scanners/winget"],
    why: "What the scanners share",
  },
  {
    sources: ["src/scanners/apt/"],
    tests: ["tests/rules/apt_lists_test.ts"],
    why: "Which lists a whole scan reads",
  },
  {
    sources: ["src/scanners/powershell/"],
    tests: ["tests/scanners/winupdate", "tests/scanners/winget"],
    why: "What the scanners of Windows have PowerShell do",
  },
  {
    sources: ["src/scanners/dnf/rpm.ts"],
    tests: ["tests/real/rpm_version_test.ts"],
    why: "rpm's own comparison of versions",
  },
  {
    sources: ["src/scanners/dnf.ts", "src/scanners/dnf/"],
    tests: ["tests/real/dnf_settings_test.ts"],
    why: "dnf's own reading of its settings; the other tests on a real apt or dnf take a minute",
  },
  {
    sources: [
      "src/system/real/files.ts",
      "src/system/real/database.ts",
      "src/system/real/regular_file.ts",
    ],
    tests: [
      "tests/real/files_test.ts",
      "tests/real/regular_file_test.ts",
      "tests/real/files_crash_test.ts",
    ],
    why: "A real file system, with what is no file in it, and a process that ends in the middle",
  },
  {
    sources: ["src/system/real/files.ts", "src/system/real/database.ts"],
    tests: ["tests/real/durability_test.ts"],
    why: "A trace of the system calls shows what was synced",
  },
  {
    sources: ["src/system/real/supervisor.ts", "src/system/real/environment.ts"],
    tests: ["tests/real/supervisor_test.ts", "tests/e2e/watchdog_test.ts"],
    why: "A real worker thread, and one that stands still",
  },
  {
    sources: ["src/system/real/database.ts"],
    tests: ["tests/real/database_test.ts", "tests/real/buffer_test.ts"],
    why: "A real SQLite file",
  },
  {
    sources: [
      "src/system/real/environment.ts",
      "src/system/real/process.ts",
      "src/system/process.ts",
    ],
    tests: ["tests/real/process_test.ts"],
    why: "Real child processes",
  },
  {
    sources: ["src/system/real/http/", "src/system/http.ts"],
    tests: [
      "tests/real/http_test.ts",
      "tests/real/http_pool_test.ts",
      "tests/real/http_tls_test.ts",
      "tests/real/http_unread_test.ts",
    ],
    why: "Real sockets and certificates",
  },
  {
    sources: ["src/system/real/terminal.ts"],
    tests: ["tests/real/terminal_test.ts"],
    why: "A real terminal and real pipes",
  },
  {
    sources: ["src/system/real"],
    tests: ["tests/real/machine_test.ts", "tests/real/system_test.ts"],
    why: "The machine and the ports as the program gets them",
  },
];

/** The stages for a mutation of `source`, a path like `src/a/b.ts`; the quickest first. */
export async function stagesFor(
  source: string,
  tests: readonly string[],
  graph: ImportGraph,
): Promise<Stage[]> {
  const mirror = source.replace(/^src\//, "tests/").replace(/\.ts$/, "_test.ts");
  const directory = source.split("/").length > 2
    ? `tests/${source.split("/").slice(1, -1).join("/")}/`
    : null;
  const named = ROWS.filter(({ sources }) => sources.some((start) => source.startsWith(start)))
    .flatMap((row) => row.tests);
  const seen = new Set<string>();
  const take = async (wanted: (test: string) => boolean, mustReach: boolean) => {
    const found: string[] = [];
    for (const test of tests) {
      if (seen.has(test) || !wanted(test)) continue;
      if (mustReach && !await graph.reaches(test, source)) continue;
      seen.add(test);
      found.push(test);
    }
    return found;
  };
  const isInNamed = (test: string) => named.some((name) => test.startsWith(`${name}/`));
  const groups = [
    await take((test) => test === mirror, false),
    await take((test) => directory !== null && test.startsWith(directory), true),
    await take(isInNamed, true),
    ...(await Promise.all(
      named.filter((name) => name.endsWith(".ts"))
        .map((name) => take((test) => test === name, false)),
    )),
  ];
  return groups.filter((files) => files.length > 0)
    .map((files) => ({ files, isReal: files.some(isRealTest) }));
}

/** Whether a test needs more than to read the project's files. */
export function isRealTest(test: string): boolean {
  return test.startsWith("tests/real/") || test.startsWith("tests/e2e/");
}
