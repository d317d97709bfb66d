/** The real thing behind every port: this machine, through Deno. Only `main.ts` imports it. */

import { readRealEnvironment, realOs } from "./real/environment.ts";
import { realClock } from "./real/clock.ts";
import { openRealDatabase } from "./real/database.ts";
import { realFiles } from "./real/files.ts";
import { onRealHostHint } from "./real/host_watch.ts";
import { realMachine } from "./real/machine.ts";
import { createPrivateFile } from "./real/private_file.ts";
import { runRealCommand } from "./real/process.ts";
import { onStopRequest, watchEventLoop } from "./real/supervisor.ts";
import { RealTerminal } from "./real/terminal.ts";
import type { Database } from "./database.ts";
import type { SendHttp } from "./http.ts";
import type { System } from "./system.ts";

/** This machine as a `System`. */
export function realSystem(): System {
  return {
    os: realOs(),
    architecture: Deno.build.arch,
    processId: Deno.pid,
    clock: realClock,
    random: drawRandom,
    files: realFiles,
    machine: realMachine,
    terminal: new RealTerminal(),
    runCommand: runRealCommand,
    sendHttp: lazySendHttp(),
    openDatabase: openPrivateDatabase,
    readEnvironment: readRealEnvironment,
    onHostHint: onRealHostHint,
    onStopRequest,
    watchEventLoop,
  };
}

/** Loaded for the first request: most commands send none. */
function lazySendHttp(): SendHttp {
  let loaded: Promise<SendHttp> | undefined;
  const load = async () => (await import("./real/http/http.ts")).realSendHttp();
  return async (request) => await (await (loaded ??= load()))(request);
}

/** Drawn together, because asking the system costs more than anything that is done with a draw. */
const draws = new Uint32Array(64);
let drawsLeft = 0;

/** Drawn from the system, so that hosts cloned from one image do not draw alike. */
function drawRandom(): number {
  if (drawsLeft === 0) {
    crypto.getRandomValues(draws);
    drawsLeft = draws.length;
  }
  drawsLeft -= 1;
  return draws[drawsLeft]! / 2 ** 32;
}

/** SQLite gives its `-wal` and `-shm` files the mode of the database. */
function openPrivateDatabase(path: string, options: { readOnly?: boolean } = {}): Database {
  if (path !== ":memory:" && !options.readOnly) {
    try {
      createPrivateFile(path);
    } catch {
      // SQLite meets the same obstacle, and its error is the one the port promises.
    }
  }
  return openRealDatabase(path, options);
}
