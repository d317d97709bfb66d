/** Which servers the Windows Update Agent asks for what, and how they answered. Pure. */

import type { ScanSource } from "./scanner.ts";
import type { WinupdateAnswer, WinupdateItem, WinupdateRouting } from "./winupdate_answer.ts";
import { classOf, type WinupdateClass } from "./winupdate_class.ts";

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
function defaultSource({ source }: Pick<WinupdateAnswer, "source">): string {
  const id = source.toLowerCase();
  return Object.hasOwn(SERVICES, id)
    ? SERVICES[id] ?? ""
    : source.slice(0, 60).toWellFormed() || WINDOWS_UPDATE;
}

/** The source of one class. Policies matter on a host that is told of a WSUS server. */
function sourceOfClass(answer: WinupdateAnswer, policyClass: PolicyClass): string {
  const usual = defaultSource(answer);
  if (usual !== WSUS) return usual;
  switch (policyValue(answer.routing, policyClass)) {
    case FROM_WINDOWS_UPDATE:
      return WINDOWS_UPDATE;
    case FROM_WSUS:
      return WSUS;
    default: {
      const isOfWindows = policyClass === "feature" || policyClass === "quality";
      return answer.routing.dualScan && isOfWindows ? WINDOWS_UPDATE : WSUS;
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
function policyClassesOf(item: WinupdateItem): readonly PolicyClass[] {
  const kind: WinupdateClass = classOf(item.categories, item.type);
  if (kind === "drivers") return ["driver"];
  if (kind === "upgrades") return ["feature"];
  if (kind === "definitions") return ["other"];
  const isOfWindows = item.categories.some((id) => id.toLowerCase() === WINDOWS);
  return isOfWindows ? ["quality"] : ["quality", "other"];
}

/** Where an update comes from; both sources where that depends on a class that is not known. */
export function sourceOf(answer: WinupdateAnswer, item: WinupdateItem): string {
  const sources = policyClassesOf(item).map((each) => sourceOfClass(answer, each));
  return [...new Set(sources)].join(" or ");
}

/** Every source that the host asks for some class. */
function sourceNames(answer: WinupdateAnswer): readonly string[] {
  const classes: readonly PolicyClass[] = ["quality", "feature", "driver", "other"];
  return [...new Set(classes.map((each) => sourceOfClass(answer, each)))];
}

/** Whether the host asks a WSUS server for anything. */
export function asksWsus(answer: WinupdateAnswer): boolean {
  return sourceNames(answer).includes(WSUS);
}

/**
 * The sources. `failure`: why the servers could not be asked, where the answer is what Windows found
 * before. A search names no source in its warnings: if it lacks something, any of them may have failed.
 */
export function describeSources(
  answer: WinupdateAnswer,
  { failure, metadataAgeS }: { failure: string | null; metadataAgeS: number | null },
): ScanSource[] {
  const why = failure ?? (answer.gaps.length === 0 ? null : answer.gaps.join("; "));
  return sourceNames(answer).map((name): ScanSource => ({
    name,
    url: name === WSUS && answer.server !== "" ? answer.server : null,
    result: why === null ? "ok" : "failed",
    why,
    metadataAgeS,
    expiresAtMs: null,
    tellsSecurity: true,
  }));
}
