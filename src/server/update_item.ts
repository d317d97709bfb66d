/** One available update as the server wants it, with the server's rules on severity applied. */

import type { PackageType, Severity, Update } from "../update.ts";
import { cut, LIMITS } from "./limits.ts";

/** An item of `POST /agents/{id}/updates`. */
export interface UpdateItem {
  readonly package_type: PackageType;
  readonly package_name: string;
  readonly package_description: string;
  readonly current_version: string;
  readonly available_version: string;
  readonly severity: Severity;
  readonly cve_list: readonly string[];
  readonly kb_id: string;
  readonly repository_source: string;
  readonly size_bytes: number;
  readonly metadata: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

/** Longer descriptions, and other texts of the metadata, are cut: the dashboard shows a line. */
const DESCRIPTION_LIMIT = 2_000;

/** Longer lists of CVEs and advisories are cut; a kernel's can run to thousands. */
const LIST_LIMIT = 500;

/** Longest entry of such a list. */
const ENTRY_LIMIT = 255;

/** What Debian and rpm call the processors that `uname -m` names. */
const OWN_ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  x86_64: ["amd64", "x86_64"],
  aarch64: ["arm64", "aarch64"],
  armv7l: ["armhf", "armv7hl"],
  i686: ["i386", "i686"],
  ppc64le: ["ppc64el", "ppc64le"],
  riscv64: ["riscv64"],
  s390x: ["s390x"],
};

/**
 * Encodes one update for a host whose processor is `machine` (in the words of `uname -m`). The server
 * has no word for "unknown": a security update of unknown severity is reported as `important`, any
 * other as `moderate`, as RedFlag's own agent does, and the metadata says that this rule decided. An
 * ignored update is `low` for the server.
 */
export function encodeUpdate(
  update: Update,
  packageType: PackageType,
  machine: string,
): UpdateItem {
  const severity = update.state === "ignored"
    ? "low"
    : update.severity ?? (update.security ? "important" : "moderate");
  const kb = update.advisories.find((advisory) => /^KB\d+$/i.test(advisory));
  return {
    package_type: packageType,
    package_name: cut(nameOf(update, packageType, machine), LIMITS.packageName),
    package_description: cut(update.description ?? "", DESCRIPTION_LIMIT),
    current_version: cut(update.currentVersion ?? "", LIMITS.version),
    available_version: cut(update.availableVersion, LIMITS.version),
    severity,
    cve_list: cutList(update.cves),
    kb_id: cut(kb ?? "", LIMITS.kbId),
    repository_source: cut(update.source ?? "", LIMITS.repositorySource),
    size_bytes: sizeOf(update) ?? 0,
    metadata: metadataOf(update),
  };
}

/** Whether packages of an architecture are those of a host whose processor is `machine`. */
export function isOwnArchitecture(architecture: string | null, machine: string): boolean {
  const own = [null, "all", "noarch", ...OWN_ARCHITECTURES[machine] ?? [machine]];
  return own.includes(architecture);
}

/**
 * The server keeps one row a name: a package of another processor's goes by the name that its package
 * manager has for it beside the host's own, and understands in a command.
 */
function nameOf(update: Update, packageType: PackageType, machine: string): string {
  const { package: name, architecture } = update;
  if (isOwnArchitecture(architecture, machine)) return name;
  switch (packageType) {
    case "apt":
      return `${name}:${architecture}`;
    case "dnf":
      return `${name}.${architecture}`;
    case "windows_update":
    case "winget":
    case "docker_image":
      return name;
  }
}

/**
 * Tells that an update waits no more. The server keeps a row a package name for good and takes no word
 * to delete one, so its row is made one that presses nobody: severity `low`, state `gone`.
 */
export function goneItem(
  packageType: PackageType,
  packageName: string,
  availableVersion: string,
): UpdateItem {
  return {
    package_type: packageType,
    package_name: packageName,
    package_description: "",
    current_version: "",
    available_version: availableVersion,
    severity: "low",
    cve_list: [],
    kb_id: "",
    repository_source: "",
    size_bytes: 0,
    metadata: { state: "gone", severity_reason: "no longer waiting on this host" },
  };
}

/** Of an update the server keeps only names, versions, severity, source and this. */
function metadataOf(update: Update): UpdateItem["metadata"] {
  const known = {
    architecture: update.architecture,
    description: update.description,
    size_bytes: sizeOf(update),
    source_package: update.sourcePackage,
    security: update.security,
    reboot: update.reboot,
    state: update.state,
    state_reason: update.stateReason ?? null,
    severity_reason: update.severity === null
      ? `${update.severityReason}; ${update.security ? "security" : "not security"} by rule`
      : update.severityReason,
  };
  const told = Object.entries(known).flatMap(([name, value]) =>
    value === null
      ? []
      : [[name, typeof value === "string" ? cut(value, DESCRIPTION_LIMIT) : value] as const]
  );
  return {
    ...Object.fromEntries(told),
    ...(update.advisories.length > 0 && { advisories: cutList(update.advisories) }),
    ...(update.cves.length > 0 && { cves: cutList(update.cves) }),
    ...(update.cveSources?.length && { cve_sources: cutList(update.cveSources) }),
  };
}

function cutList(list: readonly string[]): string[] {
  return list.slice(0, LIST_LIMIT).map((entry) => cut(entry, ENTRY_LIMIT));
}

/** The server's column takes whole numbers alone; any other is none that it could use. */
function sizeOf({ sizeBytes }: Update): number | null {
  return sizeBytes !== null && Number.isSafeInteger(sizeBytes) && sizeBytes >= 0 ? sizeBytes : null;
}
