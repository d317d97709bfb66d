/**
 * The entry point of both threads. The main thread supervises: it starts the worker, which may write
 * to the state directory only, and exits with its code. The worker runs the command line.
 */

import { splitWords } from "./src/cli/options.ts";
import { locations } from "./src/config/locations.ts";
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
  // The agent drains after a stop request; every other command may end at any instant.
  const isAgent = splitWords(Deno.args).name === "run";
  // To send to a socket is to write to its path.
  const socket = isAgent ? notifySocket() : undefined;
  const writable = [
    ...stateDirectories(Deno.args),
    ...socket === undefined ? [] : [socket],
    ...Deno.args[0] === "service" ? SERVICE_DIRECTORIES[realOs()] : [],
  ];
  Deno.exit(await supervise(import.meta.url, { writable, isAgent }));
}

/**
 * The directories where the command may write: those after `--state-dir`, or the default one. The
 * command line reads its options with a package, which must not be loaded in this thread. If that
 * package reads an option differently, the runtime refuses the writes.
 */
function stateDirectories(words: readonly string[]): string[] {
  const option = "--state-dir";
  const given = words.flatMap((word, index) => {
    if (word.startsWith(`${option}=`)) return [word.slice(option.length + 1)];
    return word === option ? [words[index + 1] ?? ""] : [];
  }).filter((directory) => directory !== "");
  if (given.length > 0) return given;
  return [
    locations({
      os: realOs(),
      readEnvironment: readRealEnvironment,
      machine: { userId: realUserId, homeDirectory: realHomeDirectory },
    }).stateDirectory,
  ];
}
