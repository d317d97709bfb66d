/** The class of each update, and the server that the host asks for it. Pure. */

import * as v from "valibot";
import type { ScanSource } from "../scanner.ts";

/**
 * The category ids of the classes; the first match decides. Definitions (of malware) come several times
 * a day, and upgrades are new versions of Windows: neither shows how well a host is patched.
 *
 * The ids are the same on every Windows and every WSUS server, while the names are in the host's
 * language. Published ids of "updates" are often wrong: hosts answer this one (public threads
 * ansible/ansible 50003 and 79885).
 */
const CLASSES = [
  ["definitions", "e0789628-ce08-4437-be74-2495b842f43b"],
  ["drivers", "ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0"],
  ["upgrades", "3689bdc8-b205-4af4-8d4a-a63924c5e9d5"],
  ["security", "0fa1201d-4330-4fa8-8ae9-b877473b6441"],
  ["critical", "e6cf1350-c01b-414d-a61f-263d14d133b4"],
  ["rollups", "28bc880e-0592-4cbf-8f95-c79b17911d5f"],
  ["service-packs", "68c5b0a3-d1a6-4553-ae49-01d3a7827828"],
  ["feature-packs", "b54e7d24-7add-428f-8b75-90a396fa584f"],
  ["tools", "b4832bd8-e735-4761-8daf-37f882276dab"],
  ["updates", "cd5ffd1e-e932-4e3a-bf74-18bf0b1bbd83"],
] as const;

export type WinupdateClass = typeof CLASSES[number][0] | "other";

/** `UpdateType` of wuapi.h. */
const TYPE_DRIVER = 2;

/** Whether one of these categories is the one of security updates. */
export function isSecurityCategory(categoryIds: readonly string[]): boolean {
  return categoryIds.some((id) => classOf([id], null) === "security");
}

/** The class of an update in these categories; `type` is the agent's own distinction. */
export function classOf(categoryIds: readonly string[], type: number | null): WinupdateClass {
  if (type === TYPE_DRIVER) return "drivers";
  const ids = new Set(categoryIds.map((id) => id.toLowerCase()));
  return CLASSES.find(([, id]) => ids.has(id))?.[0] ?? "other";
}

/** The classes by which a policy chooses a source ("scan source"). */
type PolicyClass = "feature" | "quality" | "driver" | "other";

const server = v.nullish(v.number(), null);

/** The policy's server for each class: 0 is Windows Update, 1 is WSUS. */
const policyShape = v.nullish(
  v.object({ feature: server, quality: server, driver: server, other: server }),
  {},
);

/** Which server the policies choose for each class of updates. */
export const routingShape = v.object({
  /** Whether the group policy's values apply. */
  gate: v.nullish(v.boolean(), false),
  dualScan: v.nullish(v.boolean(), false),
  /** By group policy. */
  policy: policyShape,
  /** By device management. */
  mdm: policyShape,
  /** The agent's own result of all policies. */
  state: policyShape,
});

export interface WinupdateServers {
  /** `wsus`, or the id of the update service. */
  readonly source: string;
  /** Address of the WSUS server, without credentials; empty if there is none. */
  readonly server: string;
  readonly routing: v.InferOutput<typeof routingShape>;
}

interface Classified {
  readonly categories: readonly string[];
  readonly type: number | null;
}

const WSUS = "WSUS";
const WINDOWS_UPDATE = "Windows Update";

/** Names of update services by their ids. */
const SERVICES: Readonly<Record<string, string>> = {
  wsus: WSUS,
  "3da21691-e39d-4da6-8a4b-b43877bcb1b7": WSUS,
  "7971f918-a847-4430-9279-4a52d1efe18d": "Microsoft Update",
  "9482f4b4-e343-43b6-b170-9a65bc822c77": WINDOWS_UPDATE,
  "855e8a7c-ecb4-4ca3-b045-1dfa50104289": "Microsoft Store",
  microsoft_update: "Microsoft Update",
  windows_update: WINDOWS_UPDATE,
};

/** The product "Windows": only its updates are of the class "quality". */
const WINDOWS = "6964aab4-c5b5-43bd-a17d-ffb4346a8e1d";

/** Values of a policy. */
const FROM_WINDOWS_UPDATE = 0;
const FROM_WSUS = 1;

/** The source that the host asks unless a policy says otherwise. */
function defaultSource({ source }: WinupdateServers): string {
  const id = source.toLowerCase();
  return Object.hasOwn(SERVICES, id)
    ? SERVICES[id] ?? ""
    : source.slice(0, 60).toWellFormed() || WINDOWS_UPDATE;
}

/** The source of one class. Policies apply only on a host with a WSUS server. */
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

/** The agent's own result of all policies, else device management's value, else the group policy's. */
function policyValue(
  { gate, policy, mdm, state }: WinupdateServers["routing"],
  policyClass: PolicyClass,
): number | null {
  return state[policyClass] ?? mdm[policyClass] ?? (gate ? policy[policyClass] ?? null : null);
}

/** The policy's classes that an update may belong to: its category can be ambiguous. */
function policyClassesOf(item: Classified): readonly PolicyClass[] {
  const kind = classOf(item.categories, item.type);
  if (kind === "drivers") return ["driver"];
  if (kind === "upgrades") return ["feature"];
  if (kind === "definitions") return ["other"];
  const isOfWindows = item.categories.some((id) => id.toLowerCase() === WINDOWS);
  return isOfWindows ? ["quality"] : ["quality", "other"];
}

/** The source of an update; both sources if that depends on an unknown class. */
export function sourceOf(servers: WinupdateServers, item: Classified): string {
  const sources = policyClassesOf(item).map((each) => sourceOfClass(servers, each));
  return [...new Set(sources)].join(" or ");
}

/** Every source that the host asks for any class. */
function sourceNames(servers: WinupdateServers): readonly string[] {
  const classes: readonly PolicyClass[] = ["quality", "feature", "driver", "other"];
  return [...new Set(classes.map((each) => sourceOfClass(servers, each)))];
}

/** Whether the host asks a WSUS server for anything. */
export function asksWsus(servers: WinupdateServers): boolean {
  return sourceNames(servers).includes(WSUS);
}

/**
 * Describes the sources. `why`: why the search is incomplete or failed; it names no source, so that any
 * of them may have failed. `null` for a complete search.
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
    marksSecurity: true,
  }));
}
