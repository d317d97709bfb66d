/** Which servers the Windows Update Agent asks for what, and how they answered. Pure. */

import type { ScanSource } from "../scanner.ts";
import { classOf, type WinupdateClass } from "./class.ts";

/** For each class of updates that a policy names: 0 is Windows Update, 1 is WSUS. */
type PolicyValues = Readonly<Partial<Record<PolicyClass, number | null>>>;

/** Which server the host is told to ask for which class of updates. */
export interface WinupdateRouting {
  /** Whether the group policy's values count. */
  readonly gate: boolean;
  readonly dualScan: boolean;
  /** By group policy. */
  readonly policy: PolicyValues;
  /** By device management. */
  readonly mdm: PolicyValues;
  /** What the agent made of all policies. */
  readonly state: PolicyValues;
}

/** What a host says of the servers that it asks. */
export interface WinupdateServers {
  /** `wsus`, or the id of the update service. */
  readonly source: string;
  /** Address of the WSUS server, without secrets; empty without one. */
  readonly server: string;
  readonly routing: WinupdateRouting;
}

/** What tells which class an update is of. */
interface Classified {
  readonly categories: readonly string[];
  readonly type: number | null;
}

const WSUS = "WSUS";
const WINDOWS_UPDATE = "Windows Update";

/** The update services that are known by an id. */
const SERVICES: Readonly<Record<string, string>> = {
  wsus: WSUS,
  "3da21691-e39d-4da6-8a4b-b43877bcb1b7": WSUS,
  "7971f918-a847-4430-9279-4a52d1efe18d": "Microsoft Update",
  "9482f4b4-e343-43b6-b170-9a65bc822c77": WINDOWS_UPDATE,
  "855e8a7c-ecb4-4ca3-b045-1dfa50104289": "Microsoft Store",
  microsoft_update: "Microsoft Update",
  windows_update: WINDOWS_UPDATE,
};

/** The classes by which a policy chooses a source ("scan source"). */
type PolicyClass = "feature" | "quality" | "driver" | "other";

/** The product "Windows": only its updates are of the class "quality". */
const WINDOWS = "6964aab4-c5b5-43bd-a17d-ffb4346a8e1d";

/** What a policy says for a source. */
const FROM_WINDOWS_UPDATE = 0;
const FROM_WSUS = 1;

/** The source that the host asks where nothing says otherwise. */
function defaultSource({ source }: WinupdateServers): string {
  const id = source.toLowerCase();
  return Object.hasOwn(SERVICES, id)
    ? SERVICES[id] ?? ""
    : source.slice(0, 60).toWellFormed() || WINDOWS_UPDATE;
}

/** The source of one class. Policies matter on a host that is told of a WSUS server. */
function sourceOfClass(servers: WinupdateServers, policyClass: PolicyClass): string {
  const usual = defaultSource(servers);
  if (usual !== WSUS) return usual;
  switch (policyValue(servers.routing, policyClass)) {
    case FROM_WINDOWS_UPDATE:
      return WINDOWS_UPDATE;
    case FROM_WSUS:
      return WSUS;
    default: {
      const isOfWindows = policyClass === "feature" || policyClass === "quality";
      return servers.routing.dualScan && isOfWindows ? WINDOWS_UPDATE : WSUS;
    }
  }
}

/**
 * What the agent made of all policies; where it tells nothing, device management's word (Intune,
 * Autopatch), then a group policy's, which holds only with its gate.
 */
function policyValue(
  { gate, policy, mdm, state }: WinupdateRouting,
  policyClass: PolicyClass,
): number | null {
  return state[policyClass] ?? mdm[policyClass] ?? (gate ? policy[policyClass] ?? null : null);
}

/** Which of the policy's classes an update may be of: its category does not always tell. */
function policyClassesOf(item: Classified): readonly PolicyClass[] {
  const kind: WinupdateClass = classOf(item.categories, item.type);
  if (kind === "drivers") return ["driver"];
  if (kind === "upgrades") return ["feature"];
  if (kind === "definitions") return ["other"];
  const isOfWindows = item.categories.some((id) => id.toLowerCase() === WINDOWS);
  return isOfWindows ? ["quality"] : ["quality", "other"];
}

/** Where an update comes from; both sources where that depends on a class that is not known. */
export function sourceOf(servers: WinupdateServers, item: Classified): string {
  const sources = policyClassesOf(item).map((each) => sourceOfClass(servers, each));
  return [...new Set(sources)].join(" or ");
}

/** Every source that the host asks for some class. */
function sourceNames(servers: WinupdateServers): readonly string[] {
  const classes: readonly PolicyClass[] = ["quality", "feature", "driver", "other"];
  return [...new Set(classes.map((each) => sourceOfClass(servers, each)))];
}

/** Whether the host asks a WSUS server for anything. */
export function asksWsus(servers: WinupdateServers): boolean {
  return sourceNames(servers).includes(WSUS);
}

/**
 * The sources. `why`: what the search lacks, or why there is no list: it names no source, so that any of
 * them may have failed; `null` if it lacks nothing.
 */
export function describeSources(
  servers: WinupdateServers,
  { why, metadataAgeS }: { why: string | null; metadataAgeS: number | null },
): ScanSource[] {
  return sourceNames(servers).map((name): ScanSource => ({
    name,
    url: name === WSUS && servers.server !== "" ? servers.server : null,
    result: why === null ? "ok" : "failed",
    why,
    metadataAgeS,
    expiresAtMs: null,
    tellsSecurity: true,
  }));
}
