/**
 * The bodies agents send, checked as the real server's JSON decoder does: `null` and absence are the
 * empty value, unknown keys pass, whole numbers must be whole, a wrong type is refused.
 */

import * as v from "valibot";

/** A text; absence is the empty one. */
export const text = v.nullish(v.string(), "");
const required = v.pipe(v.string(), v.minLength(1));
/** A whole number; absence is its zero. */
export const whole = v.nullish(v.pipe(v.number(), v.safeInteger()), 0);
const decimal = v.nullish(v.number(), 0);
/** A truth value; absence is its zero. */
export const flag = v.nullish(v.boolean(), false);
/** A list of texts; absence is its zero. */
export const texts = v.nullish(v.array(v.string()), []);
/** An object; absence is its zero. */
export const object = v.nullish(v.record(v.string(), v.unknown()), {});
/** An instant, if there is one; absence is its zero. */
export const instant = v.nullish(v.pipe(v.string(), v.check(isInstant, "no RFC 3339 instant")));

export const RegisterSchema = v.object({
  hostname: required,
  os_type: required,
  os_version: text,
  os_architecture: text,
  agent_version: required,
  registration_token: text,
  metadata: v.nullish(v.record(v.string(), v.string()), {}),
});

export const RenewSchema = v.object({
  agent_id: v.pipe(v.string(), v.uuid()),
  refresh_token: required,
});

/** Only what is wrong with a check-in is learnt here: the real server takes what it can read. */
export const CheckInSchema = v.object({
  cpu_percent: decimal,
  memory_percent: decimal,
  memory_used_gb: decimal,
  memory_total_gb: decimal,
  disk_used_gb: decimal,
  disk_total_gb: decimal,
  disk_percent: decimal,
  uptime: text,
  version: text,
  metadata: object,
  pending_acknowledgments: texts,
});

/** The fields of an update. */
export const UpdateFields = {
  package_type: required,
  package_name: required,
  package_description: text,
  current_version: text,
  available_version: required,
  severity: text,
  cve_list: texts,
  kb_id: text,
  repository_source: text,
  size_bytes: whole,
  metadata: object,
};

const UpdateSchema = v.object(UpdateFields);

export const UpdatesSchema = v.object({
  command_id: text,
  timestamp: instant,
  updates: v.nullish(v.array(UpdateSchema), []),
});

export const LogSchema = v.object({
  command_id: text,
  action: required,
  result: required,
  stdout: text,
  stderr: text,
  exit_code: whole,
  duration_seconds: whole,
});

export const DependenciesSchema = v.object({
  package_name: required,
  package_type: required,
  dependencies: v.array(v.string()),
  update_id: required,
  dry_run_result: v.nullish(v.object({
    success: flag,
    error_message: text,
    stdout: text,
    stderr: text,
    exit_code: whole,
    duration_seconds: whole,
    action: text,
    packages_installed: texts,
    dependencies: texts,
    is_dry_run: flag,
  })),
});

export const SystemInfoSchema = v.looseObject({
  timestamp: instant,
  cpu_model: text,
  cpu_cores: whole,
  cpu_threads: whole,
  memory_total: whole,
  disk_total: whole,
  disk_used: whole,
  ip_address: text,
  processes: whole,
  uptime: text,
  metadata: object,
});

export const RapidModeSchema = v.object({
  enabled: flag,
  duration_minutes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(60)),
});

export type UpdateItem = v.InferOutput<typeof UpdateSchema>;
export type LogReport = v.InferOutput<typeof LogSchema>;
export type DependencyReport = v.InferOutput<typeof DependenciesSchema>;

/** Whether a text is an instant that Go's `time.RFC3339` reads. */
export function isInstant(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) &&
    !Number.isNaN(Date.parse(text));
}
