/**
 * Reports the agent's state to systemd over the socket that it names: sd_notify(3). Another service
 * manager names none, and nothing is sent.
 */

import type { ServiceManager } from "../system.ts";
import { readRealEnvironment } from "./environment.ts";

/** In the state directory; the name is gone again before the first message is sent. */
const OWN_SOCKET = "notify.sock";

/**
 * The socket of systemd, where it is a file. Abstract sockets (`@…`), which systemd uses in some
 * containers for its own instance alone, cannot be reached from Deno.
 */
export function notifySocket(): string | undefined {
  const path = readRealEnvironment("NOTIFY_SOCKET");
  return path?.startsWith("/") ? path : undefined;
}

/**
 * Connects to the service manager. Deno sends from a bound socket only, so that one is made in
 * `stateDirectory`. From now on systemd's watchdog gets its sign of life, at half the time that it
 * allows, as long as this thread's event loop turns.
 */
export async function connectServiceManager(stateDirectory: string): Promise<ServiceManager> {
  const to = notifySocket();
  if (to === undefined) return { report: () => Promise.resolve(null), close: () => {} };
  let socket: Deno.DatagramConn;
  try {
    socket = await openSocket(`${stateDirectory}/${OWN_SOCKET}`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { report: () => Promise.resolve(why), close: () => {} };
  }
  const sendNow = async (text: string) => {
    try {
      await socket.send(new TextEncoder().encode(text), { transport: "unixpacket", path: to });
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
  // One after the other: Deno refuses to send while it sends.
  let last: Promise<string | null> = Promise.resolve(null);
  const send = (text: string) => last = last.then(() => sendNow(text));
  const timer = startWatchdog(() => void send("WATCHDOG=1"));
  return {
    report: (state) => send(state === "ready" ? "READY=1" : "STOPPING=1"),
    close() {
      clearInterval(timer);
      socket.close();
    },
  };
}

async function openSocket(path: string): Promise<Deno.DatagramConn> {
  // A killed agent may have left it between the next two steps.
  await Deno.remove(path).catch(() => {});
  const socket = Deno.listenDatagram({ transport: "unixpacket", path });
  await Deno.remove(path).catch(() => {});
  return socket;
}

/** `undefined`: systemd watches no one. */
function startWatchdog(ping: () => void): ReturnType<typeof setInterval> | undefined {
  const limitMs = Number(readRealEnvironment("WATCHDOG_USEC")) / 1_000;
  if (!(limitMs >= 1)) return undefined;
  ping();
  const timer = setInterval(ping, limitMs / 2);
  Deno.unrefTimer(timer);
  return timer;
}
