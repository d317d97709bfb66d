/**
 * What nfpm is told to put into the .deb and the .rpm: its configuration, which is YAML and therefore
 * may be JSON (https://nfpm.goreleaser.com/configuration/). Pure.
 */

import { isoTime, type ReleaseFacts } from "./release_facts.ts";

/** A file in the package. */
export interface PackagedFile {
  /** Its path on this host. */
  readonly source: string;
  /** Its path on the host that installs the package. */
  readonly path: string;
  /** @default 0o644 */
  readonly mode?: number;
  /** Only in this kind of package; @default in both */
  readonly only?: PackageFormat;
  /** A configuration file is the administrator's as soon as it has been changed. */
  readonly kind?: "config|noreplace" | "doc" | "license";
  readonly group?: string;
}

export type PackageFormat = "deb" | "rpm";

/** The scripts that the package manager runs: their paths on this host. */
interface PackageScripts {
  readonly debPostinstall: string;
  readonly rpmPreinstall: string;
  readonly rpmPostinstall: string;
  readonly preremove: string;
  readonly postremove: string;
}

export interface PackageContents {
  readonly architecture: "amd64" | "arm64";
  /** Counts the packages of one version, from 1. */
  readonly revision: number;
  readonly homepage: string;
  readonly maintainer: string;
  readonly files: readonly PackagedFile[];
  readonly scripts: PackageScripts;
  /** The path of the changelog in nfpm's form. */
  readonly changelog: string;
  /** Compresses fast and badly: for tests. */
  readonly isQuick: boolean;
}

const SUMMARY = "update agent for RedFlag servers";

const DESCRIPTION = `${SUMMARY}
Pennon finds the available updates of a host with the host's own package
manager and reports them to a RedFlag server. While the server is slow,
failing or unreachable, it backs off and buffers its reports on disk.
`;

/** The oldest C library that Deno's executables start with. */
const GLIBC = "2.27";

/**
 * dpkg deletes a directory that it made; rpm only one that the package lists. Those of fish and zsh have
 * no owner on every distribution.
 */
const RPM_DIRECTORIES = [
  "/etc/pennon",
  "/usr/share/doc/pennon",
  "/usr/share/fish",
  "/usr/share/fish/vendor_completions.d",
  "/usr/share/licenses/pennon",
  "/usr/share/zsh",
  "/usr/share/zsh/site-functions",
].map((dst) => ({ dst, type: "dir", packager: "rpm", file_info: { mode: 0o755 } }));

/** nfpm leaves documents of rpm's kind out of a .deb: there they are plain files. */
function byFormat(file: PackagedFile): PackagedFile[] {
  if (file.kind !== "doc" || file.only !== undefined) return [file];
  const { kind, ...plain } = file;
  return [{ ...plain, only: "deb" }, { ...plain, kind, only: "rpm" }];
}

/** The object to be written as JSON. */
export function nfpmConfig(facts: ReleaseFacts, contents: PackageContents) {
  const { architecture, revision, homepage, maintainer, scripts, isQuick } = contents;
  return {
    name: "pennon",
    arch: architecture,
    platform: "linux",
    version: facts.version,
    version_schema: "semver",
    release: String(revision),
    section: "admin",
    priority: "optional",
    maintainer,
    vendor: "Pennon",
    homepage,
    license: "MIT",
    description: DESCRIPTION,
    mtime: isoTime(facts),
    changelog: contents.changelog,
    recommends: ["ca-certificates"],
    contents: [
      ...contents.files.flatMap(byFormat).map(({ source, path, mode, only, kind, group }) => ({
        src: source,
        dst: path,
        ...kind === undefined ? {} : { type: kind },
        ...only === undefined ? {} : { packager: only },
        file_info: {
          mode: mode ?? 0o644,
          mtime: isoTime(facts),
          ...group === undefined ? {} : { group },
        },
      })),
      ...RPM_DIRECTORIES,
    ],
    overrides: {
      deb: {
        depends: [`libc6 (>= ${GLIBC})`, "passwd"],
        scripts: {
          postinstall: scripts.debPostinstall,
          preremove: scripts.preremove,
          postremove: scripts.postremove,
        },
      },
      rpm: {
        depends: [`glibc >= ${GLIBC}`, "shadow-utils"],
        scripts: {
          preinstall: scripts.rpmPreinstall,
          postinstall: scripts.rpmPostinstall,
          preremove: scripts.preremove,
          postremove: scripts.postremove,
        },
      },
    },
    // dpkg of Debian 11 reads no zstd.
    deb: { compression: isQuick ? "none" : "xz" },
    rpm: {
      compression: isQuick ? "zstd:1" : "zstd:19",
      group: "System Environment/Daemons",
      summary: SUMMARY[0]!.toUpperCase() + SUMMARY.slice(1),
      buildhost: "localhost",
    },
  };
}

/** An entry of nfpm's changelog: https://github.com/goreleaser/chglog. */
export function nfpmChangelog(
  facts: ReleaseFacts,
  { revision, maintainer }: Pick<PackageContents, "revision" | "maintainer">,
) {
  return [{
    semver: facts.version,
    release: String(revision),
    date: isoTime(facts),
    packager: maintainer,
    deb: { urgency: "medium", distributions: ["stable"] },
    changes: [{ note: `Release ${facts.version}.` }],
  }];
}
