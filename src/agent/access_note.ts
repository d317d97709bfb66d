/**
 * What the server said when it refused this agent to `pennon doctor`: until the agent itself has called,
 * nothing else on this host knows, and `pennon status` would contradict `doctor`.
 */

import * as v from "valibot";
import { saysAgentUnknown } from "../server/answer.ts";
import type { Answer } from "../server/answer.ts";
import { savedAcceptance, type StoredState } from "../loop/state.ts";
import { toSavedReason } from "../breaker/saved.ts";
import { JsonFile } from "../json_file.ts";
import { FileError } from "../system/files.ts";
import type { System } from "../system/system.ts";

const savedNote = v.object({
  agentId: v.pipe(v.string(), v.maxLength(100)),
  heardMs: v.number(),
  ...savedAcceptance.entries,
});

type AccessNote = v.InferOutput<typeof savedNote>;

/** The note in the state directory. */
export const ACCESS_NOTE_FILE = new JsonFile<AccessNote>({
  name: "access.json",
  what: "what the server said of this agent",
  schema: "pennon.access/1",
  value: savedNote,
  keys: {
    agentId: "agent_id",
    hasCheckedIn: "has_checked_in",
    heardMs: "heard_at",
    machineId: "machine_id",
    minimumVersion: "minimum_version",
    notBeforeMs: "not_before_at",
    operatorAction: "operator_action_required",
    recordedVersion: "recorded_version",
    sinceMs: "since_at",
  },
});

/**
 * Notes an answer by which the server refuses the agent, by the rules of the agent: a doubt, or what only
 * an operator can end. A good answer removes the note, any other leaves it. A disk that refuses, or that
 * this user may not write, is no error.
 */
export async function noteAccess(
  { files, clock }: Pick<System, "files" | "clock">,
  { stateDirectory, agentId }: { readonly stateDirectory: string; readonly agentId: string },
  answer: Answer<unknown>,
): Promise<void> {
  const heardMs = clock.nowMs();
  const acceptance = judge(answer, heardMs);
  if (acceptance === null) return;
  try {
    if (acceptance === "accepted") return await removeNote(files, stateDirectory);
    await ACCESS_NOTE_FILE.write(files, stateDirectory, { agentId, heardMs, ...acceptance });
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
  }
}

async function removeNote(files: System["files"], stateDirectory: string): Promise<void> {
  const path = ACCESS_NOTE_FILE.pathIn(stateDirectory);
  // No write at all on a host where all is well.
  if (await files.inspect("look for the note", path) === undefined) return;
  await ACCESS_NOTE_FILE.remove(files, stateDirectory);
}

type Acceptance = Pick<StoredState["connection"], "doubt" | "operatorAction">;

/** `null`: the answer says nothing about this agent. The waits are over: only the agent's own count. */
function judge(answer: Answer<unknown>, heardMs: number): Acceptance | "accepted" | null {
  const at = { sinceMs: heardMs, notBeforeMs: heardMs };
  switch (answer.kind) {
    case "ok":
      return "accepted";
    case "operator_required": {
      const { cause = "forbidden", facts = {} } = answer.refusal ?? {};
      const why = toSavedReason(answer.why);
      return { doubt: null, operatorAction: { cause, why, facts, ...at } };
    }
    case "unauthorized":
      // Any other 401 may only mean that the token has expired: the agent renews it.
      return saysAgentUnknown(answer.why)
        ? { doubt: { kind: "token", why: answer.why, refusals: 1, ...at }, operatorAction: null }
        : null;
    case "refused":
      return answer.error === "agent_unknown"
        ? {
          doubt: { kind: "deleted", sinceMs: heardMs, hasCheckedIn: false },
          operatorAction: null,
        }
        : null;
    case "failed":
    case "limited":
    case "report_failed":
    case "aborted":
      return null;
  }
}

/**
 * The saved state with the note in it, where the agent does not know yet: its own signs count, and so does
 * a check-in that the server has accepted since.
 */
export async function withAccessNote(
  { files }: Pick<System, "files">,
  { stateDirectory, agentId }: { readonly stateDirectory: string; readonly agentId: string },
  state: StoredState,
): Promise<StoredState> {
  const { doubt, operatorAction } = state.connection;
  if (doubt !== null || operatorAction !== null) return state;
  const note = await ACCESS_NOTE_FILE.read(files, stateDirectory);
  if (note === undefined || note.agentId !== agentId) return state;
  if ((state.lastCheckInAtMs ?? -Infinity) > note.heardMs) return state;
  const heard = { doubt: note.doubt, operatorAction: note.operatorAction };
  return { ...state, connection: { ...state.connection, ...heard } };
}
