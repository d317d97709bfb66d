/** What an event tells, whoever has it: by this the server's and the buffer's are the same. */

import type { EventKind } from "../../src/buffer/buffer.ts";
import type { RefserverState } from "../../tools/refserver/server.ts";

/**
 * The names of all that an event tells: of a list, one for each item, since a list may be divided on
 * its way. A body that is no JSON has none.
 */
export function identitiesOf(event: { kind: EventKind; body: string }): string[] {
  const body = JSON.parse(event.body);
  switch (event.kind) {
    case "log":
    case "dependencies":
      return [`${event.kind}/${body.command_id}`];
    case "system_info":
      return [factsIdentity(body)];
    case "agent_event":
    case "circuit_breakers":
    case "storage_metrics":
    case "system_metrics":
      return []; // A server of 0.1 has no route for them.
    case "updates":
      return body.updates.map(({ package_name }: { package_name: string }) =>
        itemIdentity(body.command_id, package_name)
      );
  }
}

/** The names of all that the server has. */
export function identitiesAt(
  server: Pick<RefserverState, "logs" | "updates" | "systemInfo">,
): Set<string> {
  return new Set([
    ...server.logs.map(({ command_id }) => `log/${command_id}`),
    ...server.updates.map(({ command_id, package_name }) => itemIdentity(command_id, package_name)),
    ...server.systemInfo.map(({ body }) => factsIdentity(body)),
  ]);
}

function itemIdentity(commandId: string, packageName: string): string {
  return `item/${commandId}/${packageName}`;
}

/** They bear the instant, to the millisecond, at which they were taken. */
function factsIdentity(body: unknown): string {
  return `facts/${JSON.stringify(body)}`;
}
