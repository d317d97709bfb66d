/** The requests of the control port that only a server of 0.2 takes. */

import * as v from "valibot";
import type { Operator } from "./operator.ts";
import { SettingsChangeSchema } from "./settings.ts";

const agent_id = v.exactOptional(v.string());
const command_id = v.string();

const RebindSchema = v.strictObject({ agent_id, machine_id: v.nullable(v.string()) });
const CommandIdSchema = v.strictObject({ command_id });
const RotateSchema = v.strictObject({
  seed: v.exactOptional(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  retire_old: v.exactOptional(v.boolean()),
});
const RetireSchema = v.strictObject({ key_id: v.string() });
const SubsystemSchema = v.strictObject({
  agent_id,
  subsystem: v.pipe(v.string(), v.minLength(1)),
  enabled: v.exactOptional(v.boolean()),
  auto_run: v.exactOptional(v.boolean()),
  interval_minutes: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1))),
});
const TriggerSchema = v.strictObject({ agent_id, subsystem: v.pipe(v.string(), v.minLength(1)) });

/** Does what a request asks for, and answers what comes of it; `undefined`: it is none of these. */
export function control02(
  operator: Operator,
  request: { method: string; path: string; body: string },
): unknown {
  const read = <Schema extends v.GenericSchema>(schema: Schema) =>
    v.parse(schema, JSON.parse(request.body));
  switch (`${request.method} ${request.path}`) {
    case "POST /debug/settings":
      return { settings: operator.set(read(SettingsChangeSchema)) };
    case "POST /debug/rebind": {
      const { machine_id, agent_id } = read(RebindSchema);
      operator.rebind(machine_id, agent_id);
      return {};
    }
    case "POST /debug/replay":
      operator.replay(read(CommandIdSchema).command_id);
      return {};
    case "POST /debug/cancel":
      return { cancelled: operator.cancel(read(CommandIdSchema).command_id) };
    case "POST /debug/rotate-key": {
      const { seed, retire_old = false } = read(RotateSchema);
      const key = operator.rotateKey({ ...seed && { seed }, retireOld: retire_old });
      return { key_id: key.keyId, public_key: key.publicKey };
    }
    case "POST /debug/retire-key":
      operator.retireKey(read(RetireSchema).key_id);
      return {};
    case "POST /debug/subsystem": {
      const told = read(SubsystemSchema);
      operator.setSubsystem({
        subsystem: told.subsystem,
        ...told.agent_id !== undefined && { agentId: told.agent_id },
        ...told.enabled !== undefined && { enabled: told.enabled },
        ...told.auto_run !== undefined && { autoRun: told.auto_run },
        ...told.interval_minutes !== undefined && { intervalMinutes: told.interval_minutes },
      });
      return {};
    }
    case "POST /debug/trigger": {
      const { subsystem, agent_id } = read(TriggerSchema);
      return { id: operator.trigger(subsystem, agent_id) };
    }
    case "POST /debug/schedule":
      return { ids: operator.schedule() };
  }
  return undefined;
}
