/** What a person does at the real server's dashboard with a package: approve, reject, install. */

import * as v from "valibot";
import type { KnownPackage } from "./reports_table.ts";
import type { Store } from "./store.ts";

/** A step of a person. */
export const DashboardStepSchema = v.strictObject({
  action: v.picklist(["approve", "reject", "install", "confirm"]),
  /** The `id` of a package in the server's state. */
  id: v.string(),
});

/**
 * `approve`: it may be installed. `reject`: it is hidden. `install`: a `dry_run_update` is queued.
 * `confirm`: its dependencies are agreed to, and `confirm_dependencies` is queued.
 */
export type DashboardStep = v.InferOutput<typeof DashboardStepSchema>;

/**
 * Takes a step as the real server does: a package in another state than the step is for keeps its
 * state, and the command is queued all the same. Answers the command's id, `null` where none is.
 *
 * @throws {Error} if there is no such package
 */
export function takeStep(store: Store, step: DashboardStep, nowMs: number): string | null {
  const known = store.reports.getPackage(step.id);
  if (known === undefined) throw new Error(`Cannot ${step.action}: no package ${step.id}`);
  const { reports } = store;
  switch (step.action) {
    case "approve":
      reports.setPackageStatus(known.id, "approved", ["pending"]);
      return null;
    case "reject":
      reports.setPackageStatus(known.id, "ignored", ["pending", "approved"]);
      return null;
    case "install": {
      reports.setPackageStatus(known.id, "checking_dependencies", ["approved"]);
      return queue(store, known, { type: "dry_run_update", nowMs });
    }
    case "confirm": {
      reports.setPackageStatus(known.id, "installing", ["approved"]);
      return queue(store, known, { type: "confirm_dependencies", nowMs });
    }
  }
}

function queue(
  store: Store,
  known: KnownPackage,
  { type, nowMs }: { type: string; nowMs: number },
): string {
  const id = crypto.randomUUID();
  const params = {
    update_id: known.id,
    package_name: known.packageName,
    package_type: known.packageType,
    ...(type === "confirm_dependencies" && { dependencies: [] }),
  };
  store.commands.add({ id, agentId: known.agentId, type, params }, nowMs);
  return id;
}
