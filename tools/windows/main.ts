/**
 * `deno task test:windows`: runs the tests on Windows' Deno under Wine.
 *
 * First those that need read permission alone, then those on real parts that Windows has, and those
 * in `tests/windows`, where a stand-in plays `powershell.exe` and `winget.exe`; of these, those on the
 * whole program once more on the executable in `dist/`, where it was built. Needs root, Debian's
 * `debootstrap`, and npm. Ends with the tests' own exit code, and with 3 where it could not run them.
 */

import { isThere } from "../place/host.ts";
import { runPlaceCommand } from "../place/place_command.ts";
import { PlaceError } from "../place/place_error.ts";
import { PROJECT, runInside } from "./inside.ts";
import { lacking, makePlace } from "./place.ts";
import { DENO, DENO_CACHE, HOME, STAND_IN, windowsPath, WINE, wineEnvironment } from "./wine.ts";

const USAGE = `Usage: deno task test:windows [options] [TEST FILES]

  --place FOLDER     where Wine is kept between runs (~/.cache/pennon/windows)
  --allow-missing    end with 0 where this host cannot run Windows' programs
  --help`;

/** The tests on real parts that are not of Linux alone. */
const REAL = ["buffer", "database", "files", "http", "machine", "process"]
  .concat("refserver", "refserver_check_in", "refserver_control", "refserver_enrolment")
  .concat("refserver_faults", "refserver_reports", "refserver_wire", "system", "terminal")
  .map((name) => `tests/real/${name}_test.ts`);

/** Has no tests without an executable. */
const EXECUTABLE_TEST = "tests/windows/executable_test.ts";

/** Those on the whole program, which run on the executable too. */
const WHOLE = ["tests/windows/agent_test.ts", "tests/windows/scan_test.ts", EXECUTABLE_TEST];

/** What the task `build` makes, in the project. */
const EXECUTABLE = "dist/pennon-windows-x64.exe";

/** All of one kind of tests; ten times what they take on two cores. */
const TESTS_TIMEOUT_MS = 1_200_000;
const COMPILE_TIMEOUT_MS = 120_000;

/** Where Deno tells which tests it has run, in the place. */
const REPORT = `${DENO_CACHE}/tests.xml`;

const LIMITED = ["--parallel", "--allow-read=src,tests,docs,tools,main.ts"];

async function testOnWindows(folder: string, files: readonly string[]): Promise<number> {
  const lacks = await lacking(folder);
  if (lacks.length > 0) {
    throw new PlaceError(
      `Cannot run the tests on Windows' Deno: this host lacks ${lacks.join(", ")}\n` +
        "Next: as root, apt-get install debootstrap; or allow it with --allow-missing",
      { reason: "missing" },
    );
  }
  await Deno.mkdir(folder, { recursive: true });
  using held = await Deno.open(`${folder}/lock`, { write: true, create: true });
  // Two at once would share one registry of Windows.
  await held.lock(true);
  return await test(folder, files);
}

async function test(folder: string, files: readonly string[]): Promise<number> {
  const registry = await npmRegistry();
  const startMs = performance.now();
  const tell = (progress: string) => console.error(`windows: ${progress}`);
  const root = await makePlace({ folder, registry, tell });
  await fetchDependencies(root, registry);
  await compileStandIn(root);
  tell(`place ready after ${seconds(startMs)} s`);
  const isBuilt = await isThere(`${PROJECT}/${EXECUTABLE}`);
  if (!isBuilt) {
    tell(`no ${EXECUTABLE}: not tested. Next: deno task build --target windows-x64`);
  }
  let worst = 0;
  for (const { words, environment } of runs(files, isBuilt)) {
    await Deno.remove(`${root}${REPORT}`).catch(() => {});
    const code = await runInside(root, {
      // Types were checked where there is more room for it.
      argv: [WINE, DENO, "test", "--no-check", "--no-prompt", "--cached-only"]
        .concat(`--junit-path=Z:${REPORT}`, words) as [string],
      environment: { ...wineEnvironment(registry), ...environment },
      timeoutMs: TESTS_TIMEOUT_MS,
    });
    worst ||= code === 0 && !await hasRun(root) ? 1 : code;
  }
  tell(`done after ${seconds(startMs)} s`);
  return worst;
}

/** One start of `deno test`. */
interface TestRun {
  readonly words: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** All tests, or those in `files`; those on the executable if there is one. */
function runs(files: readonly string[], isBuilt: boolean): TestRun[] {
  const executable = { PENNON_EXECUTABLE: windowsPath(`${HOME}/project/${EXECUTABLE}`) };
  const whole = files.length === 0 ? WHOLE : files.filter((file) => WHOLE.includes(file));
  const onExecutable = isBuilt && whole.length > 0
    ? [{ words: ["-A", ...whole], environment: executable }]
    : [];
  if (files.length > 0) {
    const onSource = files.filter((file) => file !== EXECUTABLE_TEST);
    return [...onSource.length > 0 ? [{ words: ["-A", ...onSource] }] : [], ...onExecutable];
  }
  return [
    {
      words: [
        ...LIMITED,
        "--ignore=tests/e2e,tests/real,tests/windows,tests/monitoring,tests/packages",
        "tests",
      ],
    },
    { words: ["-A", "tests/windows", ...REAL] },
    ...onExecutable,
  ];
}

/** Whether any test was run: Windows' Deno was seen to end with 0 where it could not begin. */
async function hasRun(root: string): Promise<boolean> {
  const report = await Deno.readTextFile(`${root}${REPORT}`).catch(() => "");
  if (report.includes("<testcase")) return true;
  console.error("Cannot run the tests on Windows' Deno: it ended without having run any");
  return false;
}

/**
 * npm packages are the same files on every system, so this host's Deno fetches them; those that are
 * for Windows alone it passes over, unless it is asked for them by name.
 */
async function fetchDependencies(root: string, registry: string): Promise<void> {
  const lock = JSON.parse(await Deno.readTextFile(`${PROJECT}/deno.lock`));
  const forWindows = Object.entries<{ os?: string[]; cpu?: string[] }>(lock.npm)
    .filter(([, { os, cpu }]) => os?.includes("win32") && (cpu?.includes("x64") ?? true))
    .map(([name]) => `npm:${name}`);
  const fetches = [["install", "--frozen", "--quiet"]];
  if (forWindows.length > 0) {
    fetches.push(["cache", "--no-config", "--no-lock", "--quiet", ...forWindows]);
  }
  for (const args of fetches) {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args,
      cwd: PROJECT,
      env: { DENO_DIR: `${root}${DENO_CACHE}`, NPM_CONFIG_REGISTRY: registry },
      stdin: "null",
      stdout: "null",
    }).output();
    if (success) continue;
    const said = new TextDecoder().decode(stderr).trim();
    throw new PlaceError(`Cannot fetch dependencies: ${said}`, { reason: "failed" });
  }
}

async function compileStandIn(root: string): Promise<void> {
  const code = await runInside(root, {
    argv: ["x86_64-w64-mingw32-gcc-win32", "-std=c11", "-Wall", "-Wextra", "-Werror", "-Os", "-s"]
      .concat("-municode", "-o", STAND_IN, `${HOME}/project/tools/windows/stand_in.c`) as [string],
    timeoutMs: COMPILE_TIMEOUT_MS,
  });
  if (code === 0) return;
  throw new PlaceError(`Cannot compile stand-in: gcc ended with ${code}`, { reason: "failed" });
}

/** Of all the places where it may be set, npm knows which counts. */
async function npmRegistry(): Promise<string> {
  const { stdout } = await new Deno.Command("npm", { args: ["config", "get", "registry"] }).output()
    .catch((cause) => {
      throw new PlaceError(`Cannot run "npm": ${cause.message}`, { reason: "missing", cause });
    });
  return new TextDecoder().decode(stdout).trim();
}

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1_000).toFixed(1);
}

if (import.meta.main) {
  await runPlaceCommand(
    { name: "windows", usage: USAGE, allowed: ["missing"], test: testOnWindows },
    Deno.args,
  );
}
