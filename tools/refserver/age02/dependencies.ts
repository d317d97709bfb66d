/** `POST /agents/{id}/dependencies` of 0.2: no hashed closure, no installation of a gated package. */

import type * as v from "valibot";
import { type Call, store } from "../backend.ts";
import type { Reply } from "../connection.ts";
import type { KnownPackage } from "../reports_table.ts";
import { answer, type Backend02, read } from "./backend.ts";
import { DependenciesSchema02, isUuid } from "./bodies.ts";
import type { ClosureEntry } from "./capability_tokens.ts";

type DependencyReport02 = v.InferOutput<typeof DependenciesSchema02>;

/** What is installed by capability tokens alone. */
export const GATED: ReadonlySet<string> = new Set(["dnf", "apt", "npm", "pip", "pypi", "pacman"]);

/** Pins the closure, then goes ahead, or waits for a person where there are dependencies. */
export function reportDependencies(backend: Backend02, call: Call): Reply {
  const decoded = read(backend, call, DependenciesSchema02);
  if ("reply" in decoded) return decoded.reply;
  const { value: report } = decoded;
  return store(backend, call, {
    error: "failed to update package status",
    work: () => {
      backend.store.agents.seen(call.agentId, call.nowMs);
      const pinned = pin(backend, call, report);
      if ("error" in pinned) return answer(409, { error: pinned.error }, pinned.error);
      backend.store.reports.addDependencies(call.agentId, report, call.nowMs);
      const { package_type, package_name } = report;
      const known = backend.store.reports.findPackage(call.agentId, package_type, package_name);
      return report.dependencies.length === 0
        ? goAhead(backend, call, { known, report })
        : park(backend, { known, report });
    },
  });
}

/** Stores the closure with its package, or says what is wrong with it. */
function pin(
  backend: Backend02,
  call: Call,
  report: DependencyReport02,
): { closure: ClosureEntry[] } | { error: string } {
  const { package_type, package_name, target_version, update_id, closure } = report;
  if (!isUuid(update_id)) {
    backend.log.violate(call.request, "update_id is no UUID");
    return { error: `invalid update id for closure pin: uuid: incorrect UUID length` };
  }
  const known = backend.store.reports.getPackage(update_id);
  if (!known) return { error: "load update for closure pin: sql: no rows in result set" };
  if (known.agentId !== call.agentId) return { error: "closure report agent mismatch" };
  if (closure.length === 0) {
    if (!GATED.has(known.packageType)) return { closure: [] };
    const what = `${package_type}/${package_name}`;
    return { error: `hashed closure required for capability-gated package ${what}` };
  }
  const target = known.availableVersion;
  if (target_version !== "" && target_version.trim() !== target) {
    return { error: `dry-run target mismatch: report=${target_version} expected=${target}` };
  }
  const top = closure.find(({ name }) => name === package_name);
  if (!top) return { error: `closure missing top-level artifact for ${package_name}` };
  if (top.sha256 === "") {
    return { error: `closure top-level artifact for ${package_name} has no sha256` };
  }
  if (top.version !== target) {
    return {
      error: `closure top-level version mismatch: report=${top.version} expected=${target}`,
    };
  }
  const hashed = closure.filter(({ sha256 }) => sha256 !== "");
  backend.packages.annotate(known, { resolved_closure: hashed }, { onWiped: "anew" });
  return { closure: hashed };
}

function goAhead(
  backend: Backend02,
  call: Call,
  { known, report }: { known: KnownPackage | undefined; report: DependencyReport02 },
): Reply {
  if (!known) return answer(500, { error: "failed to get update details" }, "unknown package");
  const refused = () =>
    answer(500, { error: "failed to update package status to installing" }, known.status);
  if (usesTokens(backend, known)) {
    const closure = pinnedClosure(backend, known);
    if (closure.length === 0) {
      return answer(409, {
        error:
          "no hashed closure available to sign — agent must include artifact hashes in the closure report",
      });
    }
    if (!backend.packages.move(known, "installing")) return refused();
    noteDependencies(backend, known, []);
    backend.capabilities.mint(known, closure, call.nowMs);
    return answer(200, {
      message: "no dependencies found - capability token authorized for agent execution",
    }, `${known.packageName}: token`);
  }
  const params = {
    update_id: known.id,
    package_name: report.package_name,
    package_type: report.package_type,
    dependencies: [],
  };
  askForHeartbeat(backend, call.agentId, call.nowMs);
  const order = { agentId: call.agentId, type: "confirm_dependencies", params };
  const id = backend.commands.createUnlessPending(order, call.nowMs);
  if (id === undefined) return answer(500, { error: "failed to create installation command" });
  if (!backend.packages.move(known, "installing")) return refused();
  noteDependencies(backend, known, []);
  return answer(200, {
    message: "no dependencies found - installation command created automatically",
    command_id: id,
  }, `${known.packageName}: goes ahead`);
}

function park(
  backend: Backend02,
  { known, report }: { known: KnownPackage | undefined; report: DependencyReport02 },
): Reply {
  const isParked = known !== undefined && backend.packages.move(known, "pending_dependencies");
  if (!isParked) {
    return answer(500, { error: "failed to update package status" }, known?.status ?? "unknown");
  }
  noteDependencies(backend, known, report.dependencies);
  const summary = `${known.packageName}: ${report.dependencies.length} dependencies`;
  return answer(200, { message: "dependencies reported and status updated" }, summary);
}

function noteDependencies(
  backend: Backend02,
  known: KnownPackage,
  dependencies: readonly string[],
): void {
  backend.packages.annotate(known, { dependencies }, { onWiped: "stays" });
}

/** Whether a package is installed by a token. */
export function usesTokens(backend: Backend02, known: KnownPackage): boolean {
  return backend.settings.signing && GATED.has(known.packageType);
}

/** The closure that the last dry run of a package has pinned; empty: none. */
export function pinnedClosure(backend: Backend02, known: KnownPackage): ClosureEntry[] {
  const metadata = backend.store.reports.getPackage(known.id)?.metadata ?? {};
  return (metadata["resolved_closure"] ?? []) as ClosureEntry[];
}

/** Queues `enable_heartbeat` for ten minutes, unless rapid polling goes on for five more. */
export function askForHeartbeat(backend: Backend02, agentId: string, nowMs: number): void {
  const until = backend.store.agents.get(agentId)?.rapidUntil ?? null;
  if (until !== null && Date.parse(until) > nowMs + 300_000) return;
  backend.commands.createUnlessPending({
    agentId,
    type: "enable_heartbeat",
    params: { duration_minutes: 10 },
    source: "system",
  }, nowMs);
}
