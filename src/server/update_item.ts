/** One available update as the server wants it, with the server's rules on severity applied. */

import { cut, LIMITS } from "./limits.ts";

/** An update in the agent's own terms: `scanners/scanner.ts` tells what each field means. */
export interface ReportedUpdate {
  readonly package: string;
  readonly currentVersion: string | null;
  readonly availableVersion: string;
  readonly architecture: string | null;
  readonly source: string | null;
  readonly state: string;
  readonly severity: WireSeverity | null;
  readonly severityReason: string;
  readonly security: boolean | null;
  readonly cves: readonly string[];
  readonly advisories: readonly string[];
  readonly sizeBytes: number | null;
  readonly description: string | null;
  readonly sourcePackage: string | null;
  readonly reboot: string | null;
}

/** The only words the server's CHECK lets through; any other loses the whole batch. */
export type WireSeverity = "critical" | "important" | "moderate" | "low";

/** The package types the server knows. */
export type PackageType = "apt" | "dnf" | "windows_update" | "winget";

/** An item of `POST /agents/{id}/updates`. */
export interface UpdateItem {
  readonly package_type: PackageType;
  readonly package_name: string;
  readonly package_description: string;
  readonly current_version: string;
  readonly available_version: string;
  readonly severity: WireSeverity;
  readonly cve_list: readonly string[];
  readonly kb_id: string;
  readonly repository_source: string;
  readonly size_bytes: number;
  readonly metadata: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

/** Longer descriptions are cut: the dashboard shows a line. */
const DESCRIPTION_LIMIT = 2_000;

/** Longer lists of CVEs are cut; a kernel's can run to thousands. */
const CVE_LIMIT = 500;

/**
 * Encodes one update. The server has no word for "unknown": a security update of unknown severity
 * is told as `important`, any other as `low`, and the metadata says that this rule decided.
 */
export function encodeUpdate(update: ReportedUpdate, packageType: PackageType): UpdateItem {
  const severity = update.severity ?? (update.security ? "important" : "low");
  const kb = update.advisories.find((advisory) => /^KB\d+$/i.test(advisory));
  return {
    package_type: packageType,
    package_name: cut(update.package, LIMITS.packageName),
    package_description: cut(update.description ?? "", DESCRIPTION_LIMIT),
    current_version: cut(update.currentVersion ?? "", LIMITS.version),
    available_version: cut(update.availableVersion, LIMITS.version),
    severity,
    cve_list: update.cves.slice(0, CVE_LIMIT),
    kb_id: cut(kb ?? "", LIMITS.kbId),
    repository_source: cut(update.source ?? "", LIMITS.repositorySource),
    size_bytes: update.sizeBytes ?? 0,
    metadata: metadataOf(update),
  };
}

function metadataOf(update: ReportedUpdate): UpdateItem["metadata"] {
  const known = {
    architecture: update.architecture,
    source_package: update.sourcePackage,
    security: update.security,
    reboot: update.reboot,
  };
  const told = Object.entries(known).filter((entry): entry is [string, string | boolean] =>
    entry[1] !== null
  );
  return {
    ...Object.fromEntries(told),
    state: update.state,
    severity_reason: update.severity === null
      ? `${update.severityReason}; ${update.security ? "security" : "not security"} by rule`
      : update.severityReason,
    ...(update.advisories.length > 0 && { advisories: update.advisories }),
  };
}
