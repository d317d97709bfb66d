/** The bodies that only a server of 0.2 reads, as Go's decoder does: see `../bodies.ts`. */

import * as v from "valibot";
import {
  DependenciesSchema,
  flag,
  instant,
  LogSchema,
  object,
  RegisterSchema,
  RenewSchema,
  SystemInfoSchema,
  text,
  texts,
  UpdateFields,
  whole,
} from "../bodies.ts";

const uuid = v.pipe(v.string(), v.uuid());
const unsigned = v.nullish(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), 0);
const decimal = v.nullish(v.number(), 0);
const nullableObject = v.nullish(v.record(v.string(), v.unknown()), null);
const strings = v.nullish(v.record(v.string(), v.string()), {});

export const RegisterSchema02 = v.object({
  ...RegisterSchema.entries,
  machine_id: text,
  public_key_fingerprint: text,
  available_scanners: texts,
  device_type: text,
  device_model: text,
  os_distro: text,
});

export const RenewSchema02 = v.object({ ...RenewSchema.entries, agent_version: text });

/** Items are taken as they are: nothing in one is required. */
const ItemSchema02 = v.object({
  ...UpdateFields,
  package_type: text,
  package_name: text,
  available_version: text,
  metadata: nullableObject,
});

export const UpdatesSchema02 = v.object({
  command_id: text,
  timestamp: instant,
  updates: v.array(ItemSchema02),
  ecosystem: text,
  scan_succeeded: flag,
});

export const LogSchema02 = v.object({ ...LogSchema.entries, subsystem: text });

export const DependenciesSchema02 = v.object({
  ...DependenciesSchema.entries,
  target_version: text,
  closure: v.nullish(
    v.array(v.object({ name: text, version: text, sha256: text, source: text })),
    [],
  ),
});

export const SystemInfoSchema02 = v.looseObject({
  ...SystemInfoSchema.entries,
  memory_total: unsigned,
  disk_total: unsigned,
  disk_used: unsigned,
  device_type: text,
  device_model: text,
  os_distro: text,
});

const metricFields = {
  package_type: text,
  package_name: text,
  current_version: text,
  available_version: text,
  severity: text,
  repository_source: text,
};

export const MetricsSchema = v.object({
  command_id: text,
  timestamp: instant,
  metrics: v.nullish(v.array(v.object({ ...metricFields, metadata: strings })), []),
});

export const StorageSchema = v.object({
  agent_id: uuid,
  command_id: text,
  timestamp: instant,
  metrics: v.nullish(
    v.array(v.object({
      mountpoint: text,
      device: text,
      disk_type: text,
      filesystem: text,
      total_bytes: whole,
      used_bytes: whole,
      available_bytes: whole,
      used_percent: decimal,
      severity: text,
      metadata: object,
    })),
    [],
  ),
});

export const DockerSchema = v.object({
  command_id: text,
  timestamp: instant,
  images: v.nullish(v.array(v.looseObject({ ...metricFields, metadata: object })), []),
  containers: v.nullish(
    v.array(v.looseObject({
      container_id: text,
      name: text,
      image: text,
      image_id: text,
      state: text,
      health: text,
      stack_name: text,
      ports: text,
      created_at: whole,
      labels: strings,
    })),
    [],
  ),
  stacks: v.nullish(v.array(v.looseObject({})), []),
  engine_version: text,
});

export const ProcessesSchema = v.object({
  agent_id: uuid,
  command_id: text,
  timestamp: instant,
  snapshot: v.object({
    processes: v.nullish(v.array(v.looseObject({ state: text })), []),
    process_count: whole,
    scanned_at: instant,
    duration_ms: whole,
  }),
});

export const BreakersSchema = v.object({
  timestamp: instant,
  subsystems: v.nullish(
    v.array(v.object({
      name: text,
      state: text,
      recent_failures: whole,
      consecutive_success: whole,
      next_attempt: instant,
    })),
    [],
  ),
});

export const EventsSchema = v.object({
  events: v.array(v.object({
    id: v.nullish(uuid),
    event_type: text,
    event_subtype: text,
    severity: text,
    component: text,
    message: text,
    metadata: nullableObject,
    created_at: instant,
  })),
});

export const SecurityEventsSchema = v.object({
  events: v.array(v.object({
    timestamp: instant,
    level: text,
    event_type: text,
    message: text,
    details: nullableObject,
  })),
});

export const InventorySchema = v.object({
  command_id: text,
  timestamp: instant,
  inventory_ecosystem: text,
  items: v.nullish(
    v.array(v.object({
      inventory_ecosystem: text,
      item_name: text,
      item_version: text,
      description: text,
      arch: text,
      install_time: text,
      size_bytes: whole,
      vendor: text,
      metadata: nullableObject,
    })),
    [],
  ),
  scan_succeeded: flag,
});

export const ReceiptSchema = v.object({ decision: text, reason: text, exit_code: whole });

/** What a check-in says, each field with its zero: one of a wrong type costs that field alone. */
export interface CheckInBody {
  readonly cpu_percent: number;
  readonly memory_percent: number;
  readonly memory_used_gb: number;
  readonly memory_total_gb: number;
  readonly disk_used_gb: number;
  readonly disk_total_gb: number;
  readonly disk_percent: number;
  readonly uptime: string;
  readonly version: string;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  readonly pending_acknowledgments: readonly string[];
  readonly received_command_ids: readonly string[];
  readonly available_scanners: readonly string[];
}

const listed = v.nullish(v.array(v.unknown()), []);

const CHECK_IN_FIELDS = {
  cpu_percent: decimal,
  memory_percent: decimal,
  memory_used_gb: decimal,
  memory_total_gb: decimal,
  disk_used_gb: decimal,
  disk_total_gb: decimal,
  disk_percent: decimal,
  uptime: text,
  version: text,
  metadata: nullableObject,
  pending_acknowledgments: listed,
  received_command_ids: listed,
  available_scanners: listed,
};

/** Reads a check-in as Go does: `wrong` names the fields that were passed over. */
export function readCheckIn(body: unknown): { told: CheckInBody; wrong: string[] } {
  const isObject = typeof body === "object" && body !== null && !Array.isArray(body);
  const given = isObject ? body as Record<string, unknown> : {};
  const wrong = isObject ? [] : ["body"];
  const told: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(CHECK_IN_FIELDS)) {
    const parsed = v.safeParse(schema, given[name]);
    if (!parsed.success) wrong.push(name);
    const value = parsed.success ? parsed.output : v.parse(schema, undefined);
    if (!Array.isArray(value)) told[name] = value;
    else {
      // A wrong element is the empty string, as Go leaves it.
      told[name] = value.map((item) => typeof item === "string" ? item : "");
      if (value.some((item) => typeof item !== "string")) wrong.push(name);
    }
  }
  return { told: told as unknown as CheckInBody, wrong };
}

/** Whether a text is a UUID. */
export function isUuid(value: string): boolean {
  return v.is(uuid, value);
}
