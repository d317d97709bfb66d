/** Reads what `pennon events` is asked for: one action, with what belongs to it. Pure. */

import type { Arguments } from "./arguments.ts";
import { UsageError } from "./command.ts";

/** What is asked for. */
export type EventsRequest =
  | { readonly action: "list"; readonly isDead: boolean }
  | { readonly action: "show"; readonly id: string }
  /** `null`: all that were set aside. */
  | { readonly action: "requeue"; readonly id: string | null }
  | { readonly action: "purge"; readonly id: string };

/** An ID that is shorter says too little. */
const SHORTEST_ID = 6;

/** Throws `UsageError` at words that do not go together. */
export function readEventsRequest({ positional, flags }: Arguments): EventsRequest {
  const [action = "", id] = positional;
  if (flags.has("dead") && action !== "list") throw misplaced("dead", "list");
  if (flags.has("all") && action !== "requeue") throw misplaced("all", "requeue");
  switch (action) {
    case "list":
      if (id !== undefined) throw new UsageError(`Cannot list "${id}": list takes no ID`);
      return { action, isDead: flags.has("dead") };
    case "show":
    case "purge":
      return { action, id: readId(action, id) };
    case "requeue":
      if (!flags.has("all")) return { action, id: readId(action, id) };
      if (id === undefined) return { action, id: null };
      throw new UsageError("Cannot requeue events: it takes an ID or --all, not both");
    default:
      throw new UsageError(
        `Cannot run "events ${action}": it takes "list", "show ID", "requeue ID" or "purge ID"`,
      );
  }
}

function readId(action: "show" | "purge" | "requeue", id: string | undefined): string {
  if (id === undefined || id === "") {
    const needs = action === "requeue" ? "an ID or --all" : "an ID";
    throw new UsageError(`Cannot ${action} event: it takes ${needs}`);
  }
  if (id.length >= SHORTEST_ID) return id.toLowerCase();
  throw new UsageError(
    `Cannot ${action} event: "${id}" is too short, an ID takes ${SHORTEST_ID} characters or more`,
  );
}

function misplaced(option: string, action: string): UsageError {
  return new UsageError(`Cannot read "--${option}": it belongs to "events ${action}"`);
}
