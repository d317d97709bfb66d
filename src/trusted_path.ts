/**
 * Checks that only trusted users own and can write the agent's files and every directory above them. The
 * rule is that of ssh and sudo; decision 0013 has the reasons.
 */

import { shellWord } from "./advice.ts";
import {
  FileError,
  type FileFacts,
  notDirectory,
  notRegular,
  type PathStep,
  type PathTrace,
} from "./system/files.ts";
import type { System } from "./system/system.ts";

/** What the agent uses a file for. */
export type FileUse = "configuration" | "key" | "identity" | "state directory";

/** The permission bits that each file must not have. */
const FORBIDDEN: Readonly<Record<FileUse, number>> = {
  // A user who can write it chooses the server that the agent obeys.
  configuration: 0o022,
  // A group may read it: distributions share a host's keys that way.
  key: 0o026,
  identity: 0o077,
  "state directory": 0o022,
};

const ROOT = 0;
const STICKY = 0o1000;
const OTHERS_WRITE = 0o002;
const GROUP_WRITE = 0o020;
const GROUP_OR_OTHERS_READ = 0o044;

/** The user for whom a path is checked, and its use. */
interface TrustQuestion {
  /** The user of this process; `null` where users have no numbers (Windows): every path is trusted. */
  readonly userId: number | null;
  readonly use: FileUse;
  /** One more user who may own the path. @default none */
  readonly alsoTrusted?: number;
}

/** One reason not to trust a path. */
interface TrustProblem {
  /** Whether the path must be refused; otherwise the agent only warns. */
  readonly isRefused: boolean;
  /** A message with a next step: `"/a" can be written by every user (mode 666). Next: …`. */
  readonly text: string;
}

/**
 * Returns the problems of a file and of the steps to it; of a missing file, those of the existing steps.
 * Of several steps with the same path, the last one counts.
 *
 * Trusted are root, the current user, and the owner of `/`, who can replace everything anyway: in a
 * container that may be a user who does not exist inside. For root every problem is a refusal; for any
 * other user only a secret that others can read is, since only that user's own files are at stake.
 */
export function trustProblems(
  { steps, isWhole }: PathTrace,
  question: TrustQuestion,
): TrustProblem[] {
  const { userId, use, alsoTrusted = userId } = question;
  if (userId === null) return [];
  const last = steps.at(-1);
  const rootOwner = steps[0]?.path === "/" ? steps[0].owner : null;
  const trusted = new Set([ROOT, userId, rootOwner, alsoTrusted]);
  const problems = [...new Map(steps.map((step) => [step.path, step])).values()].flatMap((step) => {
    const isItself = isWhole && step === last;
    return [
      ...ownerProblems(step, { userId, use, trusted, isItself }),
      ...modeProblems(step, { userId, use, isItself }),
    ];
  });
  if (rootOwner === null || rootOwner === ROOT || rootOwner === userId) return problems;
  const text = `"/" belongs to user ${rootOwner}, who can replace every file on this host`;
  return [{ isRefused: false, text }, ...problems];
}

/** Whether a problem is a refusal. */
export function isRefused({ isRefused }: TrustProblem): boolean {
  return isRefused;
}

function ownerProblems(
  { path, kind, owner }: PathStep,
  { userId, use, trusted, isItself }: {
    userId: number;
    use: FileUse;
    trusted: ReadonlySet<number | null>;
    isItself: boolean;
  },
): TrustProblem[] {
  if (owner === null || trusted.has(owner)) return [];
  const isRoot = userId === ROOT;
  if (kind === "directory" && !isItself && !OWN_DIRECTORY.test(path)) {
    const text = `"${path}" belongs to user ${owner}. Next: ${describeMove(userId, use)}`;
    return [{ isRefused: isRoot, text }];
  }
  const options = kind === "link" ? "-h " : isItself && kind === "directory" ? "-R " : "";
  const command = `${isRoot ? "" : "sudo "}chown ${options}${isRoot ? "root" : userId}`;
  const other = isItself && kind === "directory" ? `, or run pennon as user ${owner}` : "";
  return [{
    isRefused: isRoot,
    text: `"${path}" belongs to user ${owner}. Next: ${command} ${shellWord(path)}${other}`,
  }];
}

/** A directory that Pennon has for itself; any other one may be a user's home. */
const OWN_DIRECTORY = /\/pennon(?:\/hooks)?$/i;

/** What to do about a directory on the way that belongs to another user, and may well do so. */
function describeMove(userId: number, use: FileUse): string {
  const whose = userId === ROOT ? "root" : "you or root";
  switch (use) {
    case "configuration":
    case "key":
      return `move the file to a directory that, with all above it, belongs to ${whose}` +
        `${userId === ROOT ? ", as /etc/pennon does" : ""}, and name its new place`;
    case "identity":
    case "state directory":
      return `give a "--state-dir" that, with all above it, belongs to ${whose}` +
        `${userId === ROOT ? ", as /var/lib/pennon does" : ""}`;
  }
}

function modeProblems(
  step: PathStep,
  { userId, use, isItself }: TrustQuestion & { userId: number; isItself: boolean },
): TrustProblem[] {
  const { path, kind, mode } = step;
  if (mode === null || kind === "link") return []; // A link has no mode of its own.
  // In a sticky directory only a file's owner can move or remove it, and the owner is checked.
  const isShared = kind === "directory" && (mode & STICKY) !== 0;
  const forbidden = isItself ? FORBIDDEN[use] : isShared ? 0 : OTHERS_WRITE | GROUP_WRITE;
  const isSecret = isItself && use === "identity";
  const excess = mode & forbidden & ~(!isSecret && isOwnGroup(step, userId) ? GROUP_WRITE : 0);
  if (excess === 0) return [];
  const who = (excess & 0o007) !== 0 ? "every user" : `group ${step.group}`;
  const canWrite = (excess & (OTHERS_WRITE | GROUP_WRITE)) !== 0;
  const command = !isItself || use === "configuration"
    ? "chmod go-w"
    : use === "state directory"
    ? "chmod 700"
    : "chmod 600";
  return [{
    isRefused: userId === ROOT || isSecret || (excess & GROUP_OR_OTHERS_READ) !== 0,
    text: `"${path}" can be ${canWrite ? "written" : "read"} by ${who} (mode ${
      mode.toString(8)
    }). Next: ${command} ${shellWord(path)}`,
  }];
}

/** Whether the group has no other members: root's, or the one many systems create for each user. */
function isOwnGroup({ owner, group }: PathStep, userId: number): boolean {
  return group === ROOT || (userId !== ROOT && group === owner);
}

type Deps = Pick<System, "files" | "machine">;

/** Problems with a file's owner, mode or directories, for people. */
interface Distrust {
  /** With any of these the file must not be used. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

interface TrustedFile {
  /** For messages: `the configuration`, `tls.key_file`. */
  readonly name: string;
  readonly path: string;
  readonly use: FileUse;
  /** @default the port's, 1 MiB */
  readonly maxBytes?: number;
  /** One more user who may own it and its directories. @default none */
  readonly alsoTrusted?: number;
}

/**
 * Returns the text of a file and its problems; `undefined` if there is none. Owner and mode are those of
 * the open file. The path to it is checked afterwards: if only trusted users own and can write its
 * directories, no other user can have placed another file there before. Throws `FileError`.
 */
export async function readTrusted(
  deps: Deps,
  file: TrustedFile,
): Promise<{ readonly text: string } & Distrust | undefined> {
  const { name, path, maxBytes } = file;
  const read = await deps.files.readTextAndFacts(`read ${name}`, path, { maxBytes });
  if (read === undefined) return undefined;
  return { text: read.text, ...await distrust(deps, file, read.facts) };
}

/**
 * Returns the bytes of a file that only root can have written: it owns the file and every directory
 * above, and no other user can write them. `undefined`: there is no such file, or this system has no root.
 * Throws `FileError`.
 */
export async function readRootOwned(
  { files, machine }: Deps,
  { name, path, maxBytes }: { name: string; path: string; maxBytes: number },
): Promise<Uint8Array | undefined> {
  if (machine.userId() === null) return undefined;
  const trace = await files.trace(`look at the way to ${name}`, path);
  const isRoots = trace.isWhole && trace.steps.every(({ owner }) => owner === ROOT) &&
    trustProblems(trace, { userId: ROOT, use: "configuration" }).length === 0;
  // No other user can replace it between the check and this.
  return isRoots ? await files.readBytes(`read ${name}`, path, { maxBytes }) : undefined;
}

const EXECUTABLE = 0o111;

/**
 * Says why a program of the administrator's must not be started; `null`: it may be. Only root can have
 * written it, whoever starts it: it owns the program and every directory above. Where users have no
 * numbers (Windows), it only has to be there. Never throws.
 */
export async function programFault(
  { files, machine }: Deps,
  { name, path }: { readonly name: string; readonly path: string },
): Promise<string | null> {
  try {
    const facts = await files.inspect(`look at ${name}`, path);
    if (facts === undefined) {
      return `no program "${path}". Next: put it there, or set hooks.${name} to false`;
    }
    if (facts.kind !== "file") return notRegular(path, facts.kind);
    if (machine.userId() === null || facts.mode === null) return null;
    const trace = await files.trace(`look at the way to ${name}`, path);
    const [problem] = trustProblems(trace, { userId: ROOT, use: "configuration" })
      .filter(isRefused);
    if (problem !== undefined) return problem.text;
    if ((facts.mode & EXECUTABLE) !== 0) return null;
    const mode = facts.mode.toString(8);
    return `"${path}" is not executable (mode ${mode}). Next: chmod 755 ${shellWord(path)}`;
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    return error.message;
  }
}

/**
 * Why no directory can be at a path: something else is there, or above it. `null`: there is one, or it can
 * be made, or nothing could be looked at. Without this, what is there would be called missing.
 */
export async function directoryFault(
  { files }: Pick<System, "files">,
  path: string,
): Promise<string | null> {
  try {
    const { steps } = await files.trace("look at the way to the state directory", path);
    const facts = steps.length > 0 ? undefined : await files.inspect("look at the path", path);
    const other = steps.find(({ kind }) => !/^(?:directory|link|unknown)$/.test(kind)) ??
      (facts !== undefined && facts.kind !== "directory" ? { ...facts, path } : undefined);
    if (other === undefined) return null;
    const [from, to] = [other.path, `${other.path}.old`].map(shellWord);
    const move = other.kind === "device" ? "" : `, or move that away: \`mv ${from} ${to}\``;
    return `${notDirectory(other.path, other.kind)}. Next: give another "--state-dir"${move}`;
  } catch (error) {
    if (error instanceof FileError) return null;
    throw error;
  }
}

/** Checks owner and mode of the state directory and of the path to it, even if it does not exist yet. */
export async function checkStateDirectory(deps: Deps, path: string): Promise<Distrust> {
  return await distrust(deps, { name: "the state directory", path, use: "state directory" });
}

/**
 * Checks the file of metrics and the path to it, even if it does not exist yet: who can replace the file
 * while it is written can make root change another one.
 */
export async function checkMetricsFile(deps: Deps, path: string): Promise<Distrust> {
  return await distrust(deps, { name: "metrics.textfile", path, use: "configuration" });
}

/** `facts`: those of the open file, if there is one; else those of what the path leads to now. */
async function distrust(
  { files, machine }: Deps,
  { name, path, use, alsoTrusted }: TrustedFile,
  facts?: FileFacts,
): Promise<Distrust> {
  const userId = machine.userId();
  try {
    const trace = await files.trace(`look at the way to ${name}`, path);
    const question = { userId, use, ...(alsoTrusted !== undefined && { alsoTrusted }) };
    const problems = trustProblems(withFacts(trace, path, facts), question);
    const texts = (areRefused: boolean) =>
      problems.filter(({ isRefused }) => isRefused === areRefused).map(({ text }) => text);
    return {
      errors: texts(true).map((text) => `Cannot trust ${name}: ${text}`),
      warnings: texts(false).map((text) => `${name} is not safe: ${text}`),
    };
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    // A failing disk must not end the agent; but root uses no file that could not be checked.
    return facts !== undefined && userId === 0
      ? { errors: [error.message], warnings: [] }
      : { errors: [], warnings: [`${name} may not be safe: ${error.message}`] };
  }
}

/** The path, with the open file at its end in place of what the path leads to now. */
function withFacts(trace: PathTrace, path: string, facts: FileFacts | undefined): PathTrace {
  if (facts === undefined) return trace;
  const end = trace.isWhole ? trace.steps.at(-1)?.path ?? path : path;
  return { steps: [...trace.steps, { path: end, ...facts }], isWhole: true };
}
