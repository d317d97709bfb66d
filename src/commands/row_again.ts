/**
 * Sends a package's row again after a command about it. RedFlag 0.1.18 sets the row to
 * `checking_dependencies` or `installing` as it queues the command, and to `pending` only when the
 * package is reported again: a command that was refused would leave it so for a day.
 */

import * as v from "valibot";
import type { NewEvent } from "../buffer/buffer.ts";
import type { Command } from "../buffer/command.ts";
import { decodeJson, LOCAL_LIMITS } from "../json.ts";
import { packageTypeOf, SCANNER_NAMES } from "../scanners/registry.ts";
import { encodeBody } from "../server/encode_body.ts";
import { goneItem, type UpdateItem } from "../server/update_item.ts";
import type { System } from "../system/system.ts";
import { readToldUpdates, type ToldUpdates } from "./told_updates.ts";

/** Commands that the server sets a row's state for. */
const ABOUT_A_ROW: ReadonlySet<string> = new Set([
  "dry_run_update",
  "confirm_dependencies",
  "install_updates",
]);

/** Which row a command is about; the server leaves the name out where it means all of them. */
const params = v.object({ package_type: v.string(), package_name: v.string() });

const log = v.object({ result: v.string() });

/**
 * The events that end a command, with the row before the log where the command leaves one behind. A
 * dry run that succeeded leaves none: what the server does next is up to its dependencies. Never
 * throws: a row that is not known is left for the next whole list.
 */
export async function withRowAgain(
  system: Pick<System, "files">,
  stateDirectory: string,
  { command, events }: { command: Command; events: readonly NewEvent[] },
): Promise<readonly NewEvent[]> {
  if (!ABOUT_A_ROW.has(command.type)) return events;
  const last = events.at(-1);
  const about = v.safeParse(params, command.params);
  if (last === undefined || !about.success) return events;
  if (command.type === "dry_run_update" && hasSucceeded(last)) return events;
  const told = await readToldUpdates(system, stateDirectory);
  const found = findRow(told, about.output.package_type, about.output.package_name);
  if (found === null) return events;
  const { row, atMs } = found;
  const event: NewEvent = {
    kind: "updates",
    commandId: command.id,
    snapshotOf: null,
    // Under its old timestamp it keeps its place in the dashboard's list.
    body: encodeBody({
      command_id: command.id,
      timestamp: new Date(atMs).toISOString(),
      updates: [row],
    }),
  };
  return [...events.slice(0, -1), event, last];
}

function hasSucceeded({ kind, body }: NewEvent): boolean {
  const read = decodeJson(log, body, LOCAL_LIMITS);
  return kind === "log" && read.ok && read.value.result === "success";
}

/** The row of a package as the server was told of it last; one that waits no more has a row, too. */
function findRow(
  told: ToldUpdates,
  packageType: string,
  packageName: string,
): { row: UpdateItem; atMs: number } | null {
  const name = SCANNER_NAMES.find((scanner) => packageTypeOf(scanner) === packageType);
  const list = told.get(name ?? "");
  if (name === undefined || list === undefined) return null;
  const item = Object.hasOwn(list.items, packageName) ? list.items[packageName] : undefined;
  if (item !== undefined) {
    const [, , atMs, row] = item;
    return row && { row, atMs };
  }
  const gone = Object.hasOwn(list.gone, packageName) ? list.gone[packageName] : undefined;
  if (gone === undefined) return null;
  const [version, atMs] = gone;
  return { row: goneItem(packageTypeOf(name), packageName, version), atMs };
}
