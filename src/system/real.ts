/** Implements every port for this machine, through Deno. Only `main.ts` imports it. */

import { becomeUser } from "./real/account.ts";
import { realClock } from "./real/clock.ts";
import { realCryptography } from "./real/cryptography.ts";
import { openRealDatabase } from "./real/database.ts";
import { readRealEnvironment, realOs } from "./real/environment.ts";
import { realFiles } from "./real/files.ts";
import { onRealHostEvent, realMachine } from "./real/machine.ts";
import { runRealCommand } from "./real/process.ts";
import { connectServiceManager } from "./real/service_manager.ts";
import { onStopRequest, watchEventLoop } from "./real/supervisor.ts";
import { RealTerminal } from "./real/terminal.ts";
import type { SendHttp } from "./http.ts";
import type { System } from "./system.ts";

/** This machine as a `System`. */
export function realSystem(): System {
  return {
    os: realOs(),
    architecture: Deno.build.arch,
    processId: Deno.pid,
    executable: Deno.build.standalone ? Deno.execPath() : null,
    clock: realClock,
    random: drawRandom,
    cryptography: realCryptography,
    files: realFiles,
    machine: realMachine,
    terminal: new RealTerminal(),
    runCommand: runRealCommand,
    sendHttp: lazySendHttp(),
    openDatabase: openRealDatabase,
    becomeUser,
    readEnvironment: readRealEnvironment,
    onHostEvent: onRealHostEvent,
    onStopRequest,
    watchEventLoop,
    connectServiceManager,
  };
}

/** Loads the HTTP modules at the first request: most commands send none. */
function lazySendHttp(): SendHttp {
  let loaded: Promise<SendHttp> | undefined;
  const load = async () => (await import("./real/http/http.ts")).realSendHttp();
  return async (request) => await (await (loaded ??= load()))(request);
}

/** Random numbers drawn in one system call, which costs more than any use of a number. */
const draws = new Uint32Array(64);
let drawsLeft = 0;

/** Draws from the system, so that hosts cloned from one image draw different numbers. */
function drawRandom(): number {
  if (drawsLeft === 0) {
    crypto.getRandomValues(draws);
    drawsLeft = draws.length;
  }
  drawsLeft -= 1;
  return draws[drawsLeft]! / 2 ** 32;
}
