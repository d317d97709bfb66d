/** All the policies that are compared, by name. */

import { PENNON } from "./pennon_policy.ts";
import { INTERVAL_MS, type Policy, RAPID_INTERVAL_MS } from "./policy.ts";
import { redflagPolicy } from "./redflag_policy.ts";
import { DECORRELATED_JITTER, EQUAL_JITTER, FIXED_5S } from "./retry_policy.ts";

/** In the order of tables and legends. */
export const POLICIES: readonly Policy[] = [
  PENNON,
  redflagPolicy("redflag-rapid", RAPID_INTERVAL_MS),
  redflagPolicy("redflag-normal", INTERVAL_MS),
  FIXED_5S,
  EQUAL_JITTER,
  DECORRELATED_JITTER,
];
