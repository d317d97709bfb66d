/** Encodes one available update for the server, and applies the server's rules on severity. */

import * as v from "valibot";
import type { PackageType, Update } from "../update.ts";
import { cut, LIMITS } from "./limits.ts";

const text = v.string();

/** The shape of an item of `POST /agents/{id}/updates`. */
export const updateItem = v.object({
  package_type: v.picklist(["apt", "dnf", "windows_update", "winget", "docker_image"]),
  package_name: text,
  package_description: text,
  current_version: text,
  available_version: text,
  severity: v.picklist(["critical", "important", "moderate", "low"]),
  cve_list: v.array(text),
  kb_id: text,
  repository_source: text,
  size_bytes: v.pipe(v.number(), v.safeInteger()),
  metadata: v.record(text, v.union([text, v.number(), v.boolean(), v.array(text)])),
});

/** An item of `POST /agents/{id}/updates`. */
export type UpdateItem = Readonly<v.InferOutput<typeof updateItem>>;

/** Longest description, and longest text of the metadata: the dashboard shows one line. */
const DESCRIPTION_LIMIT = 2_000;

/** Longest list of CVEs and of advisories; that of a kernel can have thousands. */
const LIST_LIMIT = 500;

/** Longest entry of such a list. */
const ENTRY_LIMIT = 255;

/** The names of Debian and rpm for the processors that `uname -m` names. */
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
 * Encodes one update for a host whose processor is `machine`, as `uname -m` names it. The server has no
 * value for "unknown": a security update of unknown severity is reported as `important`, any other as
 * `moderate`, as RedFlag's own agent does, and the metadata says that this rule applied. An ignored
 * update is reported as `low`.
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

/** Whether packages of an architecture are native to a host whose processor is `machine`. */
export function isOwnArchitecture(architecture: string | null, machine: string): boolean {
  const own = [null, "all", "noarch", ...OWN_ARCHITECTURES[machine] ?? [machine]];
  return own.includes(architecture);
}

/**
 * The server keeps one row per name: a package for another processor gets the name by which its package
 * manager distinguishes it from the native one, and accepts it in a command.
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

/** The first version of RedFlag that closes rows by absence (protocol-0.2.md, section 1: 0.2.6.1). */
const FIRST_CLOSING = [0, 2, 6, 1];

/**
 * Whether a server declares the waiting updates of a package manager installed that a complete list of it
 * lacks: a report with `ecosystem` and `scan_succeeded`. `version`: what it says in `X-RedFlag-Version`,
 * which every answer of RedFlag 0.2 has and none of 0.1; `null`: nothing. A version that is no number is
 * that of a server built from newer sources.
 */
export function closesAbsent(version: string | null): boolean {
  if (version === null) return false;
  const numbers = /^v?(\d{1,9}(?:\.\d{1,9})*)/.exec(version)?.[1]?.split(".").map(Number);
  if (numbers === undefined) return true;
  const at = FIRST_CLOSING.findIndex((number, index) => (numbers[index] ?? 0) !== number);
  return at < 0 || (numbers[at] ?? 0) > FIRST_CLOSING[at]!;
}

/**
 * The item that reports a removed update to a server that does not close rows by absence. It keeps one
 * row per package name forever and has no call to delete it, so the row becomes an unimportant one:
 * severity `low`, state `gone`.
 */
export function removedItem(
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

/** The server has columns for names, versions, severity and source; everything else is here. */
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
  const present = Object.entries(known).flatMap(([name, value]) =>
    value === null
      ? []
      : [[name, typeof value === "string" ? cut(value, DESCRIPTION_LIMIT) : value] as const]
  );
  return {
    ...Object.fromEntries(present),
    ...(update.advisories.length > 0 && { advisories: cutList(update.advisories) }),
    ...(update.cves.length > 0 && { cves: cutList(update.cves) }),
    ...(update.cveSources?.length && { cve_sources: cutList(update.cveSources) }),
  };
}

function cutList(list: readonly string[]): string[] {
  return list.slice(0, LIST_LIMIT).map((entry) => cut(entry, ENTRY_LIMIT));
}

/** The server's column accepts whole numbers only; `null` for any other. */
function sizeOf({ sizeBytes }: Update): number | null {
  return sizeBytes !== null && Number.isSafeInteger(sizeBytes) && sizeBytes >= 0 ? sizeBytes : null;
}
