/** The control port: what a test or a demo asks of the server itself. Loopback only. */

import * as v from "valibot";
import { control02 } from "./age02/control.ts";
import { SignModeSchema } from "./age02/signing.ts";
import { json } from "./backend.ts";
import type { Reply } from "./connection.ts";
import { DashboardStepSchema } from "./dashboard.ts";
import type { FaultInput } from "./faults.ts";
import type { WireRequest } from "./http_wire.ts";
import type { Refserver } from "./server.ts";

const CommandSchema = v.strictObject({
  agent_id: v.exactOptional(v.string()),
  type: v.pipe(v.string(), v.minLength(1)),
  params: v.optional(v.nullable(v.record(v.string(), v.unknown())), {}),
  // What follows is for servers of 0.2.
  id: v.exactOptional(v.pipe(v.string(), v.uuid())),
  source: v.exactOptional(v.picklist(["manual", "system"])),
  sign: v.exactOptional(SignModeSchema),
  signed_at_offset_s: v.exactOptional(v.number()),
  signature_of: v.exactOptional(v.string()),
});

const AdvanceSchema = v.strictObject({ ms: v.pipe(v.number(), v.minValue(0)) });

const RevokeSchema = v.strictObject({ which: v.picklist(["access", "refresh"]) });

const DeleteSchema = v.strictObject({ agent_id: v.exactOptional(v.string()) });

/** Answers a request to the control port; what is wrong with it is a 400 that says so. */
export async function control(server: Refserver, request: WireRequest): Promise<Reply> {
  try {
    return await dispatch(server, request);
  } catch (error) {
    return json(400, { error: error instanceof Error ? error.message : String(error) });
  }
}

async function dispatch(server: Refserver, request: WireRequest): Promise<Reply> {
  switch (`${request.method} ${request.path}`) {
    case "GET /debug/state":
      return json(200, server.state());
    case "POST /debug/fault":
      await server.setFault(JSON.parse(request.body) as FaultInput);
      return json(200, { fault: server.state().fault });
    case "POST /debug/commands": {
      const { agent_id, signed_at_offset_s, signature_of, ...command } = v.parse(
        CommandSchema,
        JSON.parse(request.body),
      );
      const id = server.queueCommand({
        ...command,
        ...agent_id !== undefined && { agentId: agent_id },
        ...signed_at_offset_s !== undefined && { signedAtOffsetS: signed_at_offset_s },
        ...signature_of !== undefined && { signatureOf: signature_of },
      });
      return json(200, { id });
    }
    case "POST /debug/advance":
      server.advance(v.parse(AdvanceSchema, JSON.parse(request.body)).ms);
      return json(200, {});
    case "POST /debug/packages": {
      const step = v.parse(DashboardStepSchema, JSON.parse(request.body));
      return json(200, { command_id: server.takeStep(step) });
    }
    case "POST /debug/revoke-tokens":
      server.revokeTokens(v.parse(RevokeSchema, JSON.parse(request.body)).which);
      return json(200, {});
    case "POST /debug/delete-agent":
      server.deleteAgent(v.parse(DeleteSchema, JSON.parse(request.body)).agent_id);
      return json(200, {});
    case "POST /debug/reset-requests":
      server.resetRequests();
      return json(200, {});
  }
  const done = server.age === "0.2" ? control02(server.operator(), request) : undefined;
  if (done !== undefined) return json(200, done);
  return json(404, { error: `no ${request.method} ${request.path} here` });
}
