/**
 * Kills in the middle of a salvage: the agent finds a damaged buffer at its start, and dies while it
 * reads out of it what can be read. In the end all must be there that one undisturbed start saves.
 */

import type { BufferLimits } from "../../src/buffer/buffer.ts";
import { openBuffer } from "../../src/buffer/store.ts";
import { realSystem } from "../../src/system/real.ts";
import type { Random } from "../../src/system/system.ts";
import { seededRandom } from "../../tools/fleet/chance.ts";
import { type Host, onHost } from "../e2e/harness.ts";
import { drawEvents } from "./feed.ts";
import { Life, STARTED } from "./life.ts";
import type { Strike } from "./strike.ts";

/** What came of it. */
export interface SalvageStorm {
  readonly episodes: number;
  readonly kills: number;
  /** Kills that came when the damaged file had been moved and the agent had not yet started. */
  readonly inTheMiddle: number;
  /** Events that an undisturbed start saves, in all episodes. */
  readonly salvageable: number;
  readonly complaints: readonly string[];
}

const LIMITS: BufferLimits = { maxEvents: 50_000, maxBytes: 67_108_864, maxAttempts: 10 };

/** So many make a salvage that takes a while. */
const EVENTS = 1_500;

/** The file is shut down in one piece; then one page of it is overwritten. */
const PAGE_BYTES = 4_096;

const KILLS_PER_EPISODE = 3;

/** Plays it; the server is away, so that nothing leaves the buffer. */
export async function playSalvageStorm(
  { kills, seed }: { kills: number; seed: number },
): Promise<SalvageStorm> {
  const random = seededRandom(seed);
  const episodes = Math.ceil(kills / KILLS_PER_EPISODE);
  const sum = { inTheMiddle: 0, salvageable: 0 };
  const complaints: string[] = [];
  await onHost(async (host) => {
    await host.register();
    await host.server.setFault({ mode: "refuse" });
    for (let number = 0; number < episodes; number++) {
      const episode = await playEpisode(host, random);
      sum.inTheMiddle += episode.inTheMiddle;
      sum.salvageable += episode.salvageable;
      if (episode.lost > 0) {
        complaints.push(
          `episode ${number + 1}: ${episode.lost} of ${episode.salvageable} are gone`,
        );
      }
    }
  });
  return { episodes, kills: episodes * KILLS_PER_EPISODE, ...sum, complaints };
}

async function playEpisode(
  host: Host,
  random: Random,
): Promise<{ inTheMiddle: number; salvageable: number; lost: number }> {
  const state = host.stateDirectory;
  await clear(state);
  await makeDamaged(state, random);
  const undisturbed = await salvageInCopy(host);
  let inTheMiddle = 0;
  for (let kill = 0; kill < KILLS_PER_EPISODE; kill++) {
    // The first thing that can be seen is the damaged file on its way; then it is a matter of time.
    const strike: Strike = random() < 0.7
      ? { kind: "move", nth: 1, afterMs: random() < 0.4 ? 0 : random() * 60 }
      : { kind: "start", afterMs: 100 + random() * 500 };
    const life = new Life(host, strike);
    await life.ended();
    const hasStarted = life.lines.some(({ message }) => message === STARTED);
    if (!hasStarted && await isMoved(state)) inTheMiddle += 1;
    if (hasStarted) break;
  }
  const whole = new Life(host, { kind: "line", message: STARTED, nth: 1, afterMs: 0 }, {
    longestMs: 30_000,
  });
  await whole.ended();
  const there = await idsIn(state);
  const lost = undisturbed.filter((id) => !there.has(id)).length;
  return { inTheMiddle, salvageable: undisturbed.length, lost };
}

async function makeDamaged(state: string, random: Random): Promise<void> {
  const { buffer, close } = await openBuffer(realSystem(), state, LIMITS);
  buffer.append(drawEvents(random, EVENTS));
  close();
  const path = `${state}/buffer.sqlite`;
  const bytes = await Deno.readFile(path);
  const pages = bytes.length / PAGE_BYTES;
  // Not the first pages, which hold the tables' names: without those nothing can be read.
  const page = 8 + Math.floor(random() * (pages - 8));
  bytes.fill(0xa5, page * PAGE_BYTES, page * PAGE_BYTES + 64);
  await Deno.writeFile(path, bytes);
}

/** What one start that nobody kills saves. */
async function salvageInCopy(host: Host): Promise<string[]> {
  const copy = `${host.folder}/undisturbed`;
  await Deno.mkdir(copy, { recursive: true });
  await clear(copy);
  await Deno.copyFile(`${host.stateDirectory}/buffer.sqlite`, `${copy}/buffer.sqlite`);
  return [...await idsIn(copy)];
}

async function idsIn(folder: string): Promise<Set<string>> {
  const { buffer, close } = await openBuffer(realSystem(), folder, LIMITS);
  const ids = buffer.list().map(({ id }) => id);
  close();
  return new Set(ids);
}

async function isMoved(state: string): Promise<boolean> {
  const names = await Array.fromAsync(Deno.readDir(state));
  return names.some(({ name }) => name.startsWith("buffer.sqlite."));
}

async function clear(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (name.startsWith("buffer")) await Deno.remove(`${folder}/${name}`);
  }
}
