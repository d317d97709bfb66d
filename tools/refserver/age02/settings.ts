/** What an operator of a server of 0.2 can set, and what a test can make happen, while it runs. */

import * as v from "valibot";

const seconds = v.pipe(v.number(), v.minValue(0), v.maxValue(31_536_000));
const limit = v.pipe(v.number(), v.integer(), v.minValue(0));
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const text = v.pipe(v.string(), v.maxLength(200));

const LimitsSchema = v.strictObject({
  register: limit,
  public: limit,
  agent: limit,
  checkin: limit,
});

/** Every setting; unknown keys are refused. */
export const SettingsSchema = v.strictObject({
  /** What the recorded version of an agent is compared with, else 426. */
  minAgentVersion: text,
  /** What `/info` says it is: another constant of RedFlag's source, which nothing enforces. */
  infoMinAgentVersion: text,
  /** Of the header `X-RedFlag-Version`, `/health` and `/info`. */
  serverVersion: text,
  latestAgentVersion: text,
  /** Every agent route answers 503 with `Retry-After: 2`, after the checks of who asks. */
  poolSaturated: v.boolean(),
  /** Whether the server has a signing key at all. */
  signing: v.boolean(),
  /** Check-ins are answered in JSON of other order and escapes, as by a proxy that writes it anew. */
  plainJson: v.boolean(),
  /** Whether commands that are handed over switch rapid polling on. */
  autoHeartbeat: v.boolean(),
  /** So many logs are stored while their command's state cannot be changed. */
  failCommandStates: count,
  stuckCommandTimeoutS: seconds,
  maxCommandRetries: count,
  pendingTimeoutS: seconds,
  sentTimeoutS: seconds,
  receivedTimeoutS: seconds,
  /** How often timeouts are looked for. */
  sweepIntervalS: seconds,
  jitterMaxSeconds: count,
  backoffBaseSeconds: count,
  backoffMaxSeconds: count,
  staleKeyMaxAgeHours: count,
  /** Requests a minute; 0 switches a limit off. */
  limits: LimitsSchema,
});

/** All settings. */
export type Settings = v.InferOutput<typeof SettingsSchema>;

/** Some settings, to be changed. */
export const SettingsChangeSchema = v.partial(v.strictObject({
  ...SettingsSchema.entries,
  limits: v.partial(LimitsSchema),
}));

/** Some settings. */
export type SettingsChange = v.InferInput<typeof SettingsChangeSchema>;

/** RedFlag's own defaults. */
export const DEFAULT_SETTINGS: Settings = {
  minAgentVersion: "0.1.26",
  infoMinAgentVersion: "0.1.22",
  serverVersion: "0.2.9.3",
  latestAgentVersion: "0.2.9.3",
  poolSaturated: false,
  signing: true,
  plainJson: false,
  autoHeartbeat: true,
  failCommandStates: 0,
  stuckCommandTimeoutS: 300,
  maxCommandRetries: 5,
  pendingTimeoutS: 1_800,
  sentTimeoutS: 7_200,
  receivedTimeoutS: 1_800,
  sweepIntervalS: 300,
  jitterMaxSeconds: 30,
  backoffBaseSeconds: 10,
  backoffMaxSeconds: 300,
  staleKeyMaxAgeHours: 168,
  limits: { register: 5, public: 20, agent: 30, checkin: 60 },
};

/** Settings with some of them changed; what is `undefined` stays. @throws {v.ValiError} */
export function changed(settings: Settings, change: SettingsChange): Settings {
  const { limits, ...rest } = v.parse(SettingsChangeSchema, change);
  return v.parse(SettingsSchema, {
    ...settings,
    ...known(rest),
    limits: { ...settings.limits, ...known(limits ?? {}) },
  });
}

function known(values: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
