/** The judge of deeds: a command that must not be repeated is done once, or told to be interrupted. */

import type { StormRecord } from "./record.ts";

/** What should not be, of the marks that commands left. */
export function markComplaints({ marks, testimony }: StormRecord): string[] {
  if (marks === null) return [];
  const found: string[] = [];
  const counts = new Map<string, number>();
  for (const id of marks.ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  const commands = new Map(testimony.commands.map((command) => [command.id, command]));
  for (const [id, count] of counts) {
    if (count > 1) found.push(`command ${id} was run ${count} times`);
    const state = commands.get(id)?.state;
    if (state === undefined) found.push(`command ${id} was run, and is not in the journal`);
    if (state === "received") found.push(`command ${id} was run before that was written down`);
  }
  for (const { kind, commandId, body } of testimony.appended) {
    const type = commands.get(commandId ?? "")?.type ?? "";
    if (kind !== "log" || commandId === null || !marks.types.includes(type)) continue;
    const { result } = JSON.parse(body);
    if (result === "success" && !counts.has(commandId)) {
      found.push(`command ${commandId} was told to be done, and was not`);
    }
  }
  return found;
}
