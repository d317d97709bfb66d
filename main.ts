/**
 * The entry point of both threads. The main thread supervises: it starts the worker, which may write
 * only where its command has to, and exits with its code. The worker runs the command line.
 */

import { splitWords, valuesOf } from "./src/cli/options.ts";
import { locations, LONGEST_CONFIG_BYTES } from "./src/config/locations.ts";
import { findTextfilePath, isTextfilePath, temporaryOf } from "./src/config/textfile_path.ts";
import {
  readRealEnvironment,
  realHomeDirectory,
  realOs,
  realUserId,
} from "./src/system/real/environment.ts";
import { notifySocket } from "./src/system/real/service_manager.ts";
import { isWorkerThread, runInWorker, supervise } from "./src/system/real/supervisor.ts";

/** Where `pennon service` writes what its service manager reads. */
const SERVICE_DIRECTORIES = {
  linux: ["/etc/systemd/system"],
  macos: ["/Library/LaunchDaemons", "/Library/Logs/Pennon"],
  windows: [],
};

if (isWorkerThread()) {
  runInWorker(async () => {
    const { cli } = await import("./src/cli/cli.ts");
    const { realSystem } = await import("./src/system/real.ts");
    return await cli(Deno.args, realSystem());
  });
} else if (import.meta.main) {
  const { name } = splitWords(Deno.args);
  // The agent drains after a stop request; every other command may end at any instant.
  const isAgent = name === "run";
  // To send to a socket is to write to its path.
  const socket = isAgent ? notifySocket() : undefined;
  const writable = [
    ...stateDirectories(Deno.args),
    ...socket === undefined ? [] : [socket],
    ...isAgent ? metricsFiles(Deno.args) : [],
    ...name === "diagnostics" ? archives(Deno.args) : [],
    ...name === "service" ? SERVICE_DIRECTORIES[realOs()] : [],
  ];
  Deno.exit(await supervise(import.meta.url, { writable, isAgent }));
}

/** The places of this system and user. */
function hostLocations() {
  return locations({
    os: realOs(),
    readEnvironment: readRealEnvironment,
    machine: { userId: realUserId, homeDirectory: realHomeDirectory },
  });
}

/**
 * The directories where the command may write: those after `--state-dir`, or the default one. The command
 * line reads its options with a package, which must not be loaded in this thread. If that package reads an
 * option differently, the runtime refuses the writes.
 */
function stateDirectories(words: readonly string[]): string[] {
  const given = valuesOf("state-dir", words);
  return given.length > 0 ? given : [hostLocations().stateDirectory];
}

/** The file of metrics and its temporary file, if the agent is to keep one (decision 0042). */
function metricsFiles(words: readonly string[]): string[] {
  const named = valuesOf("config", words);
  const path = readRealEnvironment("PENNON_METRICS_TEXTFILE") ??
    findTextfilePath(readFirstText(named.length > 0 ? named : hostLocations().configFiles));
  return path !== undefined && isTextfilePath(path) ? [path, temporaryOf(path)] : [];
}

/** The text of the first of these files that exists; empty if there is none or it cannot be read. */
function readFirstText(paths: readonly string[]): string {
  for (const path of paths) {
    try {
      // Opening a FIFO would wait for its other end. The worker reports what is wrong.
      const { isFile, size } = Deno.statSync(path);
      return isFile && size <= LONGEST_CONFIG_BYTES ? Deno.readTextFileSync(path) : "";
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) return "";
    }
  }
  return "";
}

/** Where `pennon diagnostics` may write its archive: the file after `--output`, or this directory. */
function archives(words: readonly string[]): string[] {
  const given = valuesOf("output", words);
  return given.length > 0 ? given : ["."];
}
