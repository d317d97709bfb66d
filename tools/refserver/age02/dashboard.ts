/** What a person does at the dashboard of 0.2, and what its scheduler orders. */

import type { DashboardStep } from "../dashboard.ts";
import type { KnownPackage } from "../reports_table.ts";
import type { Backend02 } from "./backend.ts";
import { askForHeartbeat, pinnedClosure, usesTokens } from "./dependencies.ts";

/** The scheduler waits while so many commands wait for an agent. */
const BACKPRESSURE = 5;

/** Subsystems that are there whatever an agent advertises. */
const ALWAYS: ReadonlySet<string> = new Set(["storage", "system"]);

/**
 * Takes a step as the real server does: a package in another state than the step is for keeps its
 * state, and the command is queued all the same. Answers the command's id, `null` where none is.
 *
 * @throws {Error} if there is no such package
 */
export function takeStep02(backend: Backend02, step: DashboardStep, nowMs: number): string | null {
  const known = backend.store.reports.getPackage(step.id);
  if (known === undefined) throw new Error(`Cannot ${step.action}: no package ${step.id}`);
  switch (step.action) {
    case "approve":
      backend.packages.move(known, "approved");
      return null;
    case "reject":
      backend.packages.move(known, "ignored");
      return null;
    case "install":
      return dryRun(backend, known, nowMs);
    case "confirm":
      return confirm(backend, known, nowMs);
  }
}

function dryRun(backend: Backend02, known: KnownPackage, nowMs: number): string | null {
  askForHeartbeat(backend, known.agentId, nowMs);
  const id = backend.commands.createUnlessPending({
    agentId: known.agentId,
    type: "dry_run_update",
    params: {
      update_id: known.id,
      package_name: known.packageName,
      package_type: known.packageType,
      available_version: known.availableVersion,
    },
  }, nowMs);
  if (id !== undefined) backend.packages.move(known, "checking_dependencies");
  return id ?? null;
}

function confirm(backend: Backend02, known: KnownPackage, nowMs: number): string | null {
  askForHeartbeat(backend, known.agentId, nowMs);
  if (usesTokens(backend, known)) {
    const closure = pinnedClosure(backend, known);
    if (!backend.packages.move(known, "installing")) return null;
    if (closure.length === 0) backend.packages.move(known, "failed");
    else backend.capabilities.mint(known, closure, nowMs);
    return null;
  }
  const id = backend.commands.createUnlessPending({
    agentId: known.agentId,
    type: "confirm_dependencies",
    params: {
      update_id: known.id,
      package_name: known.packageName,
      package_type: known.packageType,
      dependencies: known.metadata?.["dependencies"] ?? null,
    },
  }, nowMs);
  if (id !== undefined) backend.packages.move(known, "installing");
  return id ?? null;
}

/** The dashboard's button for a subsystem; `undefined`: its command waits already. */
export function triggerSubsystem(
  backend: Backend02,
  { agentId, subsystem }: { agentId: string; subsystem: string },
  nowMs: number,
): string | undefined {
  const osType = backend.store.agents.get(agentId)?.osType ?? "";
  // The old name is translated by the text of the operating system.
  const scanner = subsystem === "updates" ? osType === "windows" ? "windows" : "apt" : subsystem;
  const order = { agentId, type: `scan_${scanner}`, params: { subsystem: scanner } };
  return backend.commands.createUnlessPending(order, nowMs);
}

/** One tick of the scheduler in which everything is due; answers the ids of its commands. */
export function schedule(backend: Backend02, nowMs: number): string[] {
  const ids: string[] = [];
  for (const { agentId, subsystem, enabled, autoRun } of backend.subsystems.list()) {
    if (!enabled || !autoRun) continue;
    const pending = backend.commands.list()
      .filter((command) => command.agentId === agentId && command.status === "pending");
    const scanners = backend.bindings.get(agentId)?.availableScanners ?? null;
    const isThere = ALWAYS.has(subsystem) || scanners === null || scanners.includes(subsystem);
    if (pending.length >= BACKPRESSURE || !isThere) continue;
    const id = backend.commands.createUnlessPending({
      agentId,
      type: `scan_${subsystem}`,
      params: {},
      source: "system",
    }, nowMs);
    if (id !== undefined) ids.push(id);
  }
  return ids;
}
